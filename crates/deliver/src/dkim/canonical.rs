//! The relaxed forms in which headers and bodies are signed (RFC 6376 §3.4.2, §3.4.4).

use crate::mime::fields::Field;

/// Appends `name:value` and CRLF: the name in lower case, the value in one line, spaces and tabs made one space and none at
/// either end.
pub(super) fn header(field: &Field<'_>, out: &mut Vec<u8>) {
    out.extend(field.name.iter().map(u8::to_ascii_lowercase));
    out.push(b':');
    let words = field.value.split(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    for (index, word) in words.filter(|word| !word.is_empty()).enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word);
    }
    out.extend_from_slice(b"\r\n");
}

/// The body with spaces and tabs made one space, none at the end of a line and no empty lines at the end.
pub(super) fn body(body: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len());
    // Without the empty lines at the end.
    let mut end = 0;
    for line in body.split_inclusive(|&byte| byte == b'\n') {
        let text = line.strip_suffix(b"\r\n").unwrap_or(line);
        let start = out.len();
        let mut space = false;
        for &byte in text {
            if matches!(byte, b' ' | b'\t') {
                space = true;
                continue;
            }
            if space {
                out.push(b' ');
                space = false;
            }
            out.push(byte);
        }
        let is_empty = out.len() == start;
        out.extend_from_slice(b"\r\n");
        if !is_empty {
            end = out.len();
        }
    }
    out.truncate(end);
    out
}
