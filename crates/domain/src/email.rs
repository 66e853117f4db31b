//! Headers that a message may add to its mail (spec/40-templates.md §3, spec/95-limits.md §2).
//!
//! What a request names is checked when it comes, so that nobody learns of it only when all mails have failed; `deliver` asks
//! the same question of what a template made of it.

use model::pinpoint::MessageHeader;

use crate::endpoints::Invalid;

/// Headers of a message.
pub const HEADERS_MAX: usize = 15;
/// Characters of a header's name.
pub const HEADER_NAME_CHARACTERS_MAX: usize = 126;
/// Characters of a header's value, rendered. Name, colon, space and value then fit in a line of mail, which has 998 bytes
/// (RFC 5322 §2.1.1).
pub const HEADER_VALUE_CHARACTERS_MAX: usize = 870;

/// Headers that the server writes, or that have a meaning to servers on the way: never the caller's. Lower case.
const RESERVED: [&str; 16] = [
    "from",
    "sender",
    "to",
    "cc",
    "bcc",
    "reply-to",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "return-path",
    "received",
    "dkim-signature",
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
];

/// What is wrong with a header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderFault {
    #[error(
        "{0:?} is not the name of a header: 1 to {HEADER_NAME_CHARACTERS_MAX} ASCII characters without spaces and colons"
    )]
    Name(String),
    #[error("header {0} cannot be set by a message")]
    Reserved(String),
    #[error("the value of header {0} must be one line of up to {HEADER_VALUE_CHARACTERS_MAX} characters")]
    Value(String),
}

/// Checks a header. Spaces and line breaks around the value do not count: a template may well end with one.
pub fn check_header(name: &str, value: &str) -> Result<(), HeaderFault> {
    let is_name_byte = |byte: u8| byte.is_ascii_graphic() && byte != b':';
    if !(1..=HEADER_NAME_CHARACTERS_MAX).contains(&name.len()) || !name.bytes().all(is_name_byte) {
        return Err(HeaderFault::Name(name.to_owned()));
    }
    let folded = name.to_ascii_lowercase();
    if RESERVED.contains(&folded.as_str()) || folded.starts_with("resent-") {
        return Err(HeaderFault::Reserved(name.to_owned()));
    }
    let value = value.trim();
    if value.contains(char::is_control) || value.chars().count() > HEADER_VALUE_CHARACTERS_MAX {
        return Err(HeaderFault::Value(name.to_owned()));
    }
    Ok(())
}

/// Reads the headers of a request, name and value; values are templates.
pub fn parse_headers(headers: Option<&[MessageHeader]>) -> Result<Vec<(String, String)>, Invalid> {
    let headers = headers.unwrap_or_default();
    if headers.len() > HEADERS_MAX {
        return Err(Invalid::new(format!("An email has at most {HEADERS_MAX} headers")));
    }
    let parse = |header: &MessageHeader| {
        let (name, value) =
            (header.name.clone().unwrap_or_default(), header.value.clone().unwrap_or_default());
        check_header(&name, &value).map_err(|fault| Invalid::new(format!("Headers: {fault}")))?;
        Ok((name, value))
    };
    headers.iter().map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_judged_by_name_and_value() {
        let name = |text: &str| Some(HeaderFault::Name(text.to_owned()));
        let reserved = |text: &str| Some(HeaderFault::Reserved(text.to_owned()));
        let value = |text: &str| Some(HeaderFault::Value(text.to_owned()));
        let (longest, too_long) = ("x".repeat(126), "x".repeat(127));
        let (longest_value, too_long_value) = ("ä".repeat(870), "ä".repeat(871));
        for (header, text, fault) in [
            ("X-A", "b", None),
            ("X-A", "", None),
            ("List-Unsubscribe", "<https://x/{{Id}}>\n", None),
            (&longest, &longest_value, None),
            ("X-A", &too_long_value, value("X-A")),
            ("X-A", "b\r\nBcc: c", value("X-A")),
            ("X-A", "b\0", value("X-A")),
            (&too_long, "b", name(&too_long)),
            ("", "b", name("")),
            ("X A", "b", name("X A")),
            ("X:A", "b", name("X:A")),
            ("Ü", "b", name("Ü")),
            ("Subject", "b", reserved("Subject")),
            ("BCC", "b", reserved("BCC")),
            ("Resent-To", "b", reserved("Resent-To")),
        ] {
            assert_eq!(check_header(header, text).err(), fault, "{header:.20} {text:.20}");
        }
    }

    #[test]
    fn a_request_has_up_to_fifteen_named_headers() {
        let header =
            |name: Option<&str>| MessageHeader { name: name.map(str::to_owned), value: Some("b".to_owned()) };
        let parsed = parse_headers(Some(&vec![header(Some("X-A")); 15])).unwrap();
        assert_eq!((parsed.len(), parsed[0].clone()), (15, ("X-A".to_owned(), "b".to_owned())));
        assert!(parse_headers(Some(&vec![header(Some("X-A")); 16])).is_err());
        assert!(parse_headers(Some(&[header(None)])).is_err());
        assert_eq!(parse_headers(None), Ok(Vec::new()));
    }
}
