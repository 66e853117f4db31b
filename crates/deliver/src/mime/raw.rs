//! A message that the caller wrote.

use domain::time::Timestamp;

use super::{Refused, date_line, fields};

/// The message with CRLF everywhere and with our Message-ID and Date where it has none.
pub(super) fn complete(raw: &[u8], message_id: &str, date: Timestamp) -> Result<Vec<u8>, Refused> {
    let message = with_line_ends(raw);
    let (fields, _body) = fields::split(&message).ok_or(Refused::RawHeaders)?;
    if fields.is_empty() {
        return Err(Refused::RawHeaders);
    }
    let mut complete = Vec::with_capacity(message.len() + 256);
    if !fields.iter().any(|field| field.is("message-id")) {
        complete.extend_from_slice(format!("Message-ID: {message_id}\r\n").as_bytes());
    }
    if !fields.iter().any(|field| field.is("date")) {
        complete.extend_from_slice(date_line(date).as_bytes());
    }
    complete.extend_from_slice(&message);
    Ok(complete)
}

/// Makes each CRLF, lone CR and lone LF one CRLF, and ends with one: servers disagree about the lone ones, which lets a
/// crafted message end early and smuggle a second one in.
fn with_line_ends(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len() + raw.len() / 32 + 2);
    let mut bytes = raw.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' => {
                bytes.next_if_eq(&b'\n');
                out.extend_from_slice(b"\r\n");
            }
            b'\n' => out.extend_from_slice(b"\r\n"),
            other => out.push(other),
        }
    }
    if !out.ends_with(b"\r\n") {
        out.extend_from_slice(b"\r\n");
    }
    out
}
