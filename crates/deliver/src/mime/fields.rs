//! The header fields of a message, as bytes.

/// A header field as it stands in the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Field<'a> {
    /// Without the colon and without spaces before it.
    pub(crate) name: &'a [u8],
    /// All after the colon, folded as it is, without the last CRLF.
    pub(crate) value: &'a [u8],
}

impl Field<'_> {
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// Splits a message (lines end with CRLF) into its fields and the body behind the empty line; `None` when what stands
/// before the empty line is not all fields.
pub(crate) fn split(message: &[u8]) -> Option<(Vec<Field<'_>>, &[u8])> {
    let mut fields = Vec::new();
    let mut rest = message;
    loop {
        if rest.is_empty() {
            return Some((fields, rest));
        }
        if let Some(body) = rest.strip_prefix(b"\r\n") {
            return Some((fields, body));
        }
        let end = field_end(rest);
        let field = &rest[..end];
        let colon = field.iter().position(|&byte| byte == b':')?;
        let name = field[..colon].trim_ascii_end();
        if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        let value = field[colon + 1..].strip_suffix(b"\r\n").unwrap_or(&field[colon + 1..]);
        fields.push(Field { name, value });
        rest = &rest[end..];
    }
}

/// Where the field at the start of `text` ends: behind the first line break that no space or tab follows.
fn field_end(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(line_break) = text[at..].iter().position(|&byte| byte == b'\n') {
        at += line_break + 1;
        if !matches!(text.get(at), Some(b' ' | b'\t')) {
            return at;
        }
    }
    text.len()
}
