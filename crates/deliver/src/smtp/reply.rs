//! Reading the server's replies (RFC 5321 §4.2).

use std::io;
use std::time::Duration;

use tokio::io::AsyncBufRead;
use tokio::time::timeout;

use crate::lines::{Line, read_line};

/// A line of a reply; the RFC says 512, servers send more.
const LINE_BYTES_MAX: usize = 4_096;
const LINES_MAX: usize = 128;

/// A whole reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) code: u16,
    /// The texts after the code, without control characters.
    pub(super) lines: Vec<String>,
}

/// Why there is no reply. The connection is of no more use.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("the server closed the connection")]
    Closed,
    #[error("the connection broke: {0}")]
    Io(io::Error),
    #[error("the server did not answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    #[error("the server's answer is not SMTP: {0}")]
    Malformed(String),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Reply {
    pub(super) fn is_positive(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// The text in one line.
    pub(super) fn text(&self) -> String {
        self.lines.join(" ")
    }

    /// The enhanced status `(class, subject, detail)` that the text begins with (RFC 3463).
    pub(super) fn enhanced_status(&self) -> Option<(u16, u16, u16)> {
        let first = self.lines.first()?.split(' ').next()?;
        let mut parts = first.split('.').map(str::parse);
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Ok(class)), Some(Ok(subject)), Some(Ok(detail)), None) => Some((class, subject, detail)),
            _ => None,
        }
    }
}

/// Reads the next reply, all its lines within `limit`.
pub(super) async fn read_reply(
    reader: &mut (impl AsyncBufRead + Unpin),
    limit: Duration,
) -> Result<Reply, Broken> {
    timeout(limit, read_lines(reader)).await.unwrap_or(Err(Broken::TimedOut(limit)))
}

async fn read_lines(reader: &mut (impl AsyncBufRead + Unpin)) -> Result<Reply, Broken> {
    let mut reply: Option<Reply> = None;
    let mut line = Vec::new();
    for _ in 0..LINES_MAX {
        line.clear();
        match read_line(reader, &mut line, LINE_BYTES_MAX).await? {
            Line::Whole => {}
            Line::TooLong => {
                return Err(Broken::Malformed(format!("a line of more than {LINE_BYTES_MAX} bytes")));
            }
            Line::End => return Err(Broken::Closed),
        }
        let (code, last, text) = parse_line(&line).ok_or_else(|| Broken::Malformed(printable(&line)))?;
        let reply = reply.get_or_insert_with(|| Reply { code, lines: Vec::new() });
        if reply.code != code {
            return Err(Broken::Malformed(format!("a reply with the codes {} and {code}", reply.code)));
        }
        reply.lines.push(text);
        if last {
            return Ok(Reply { code, lines: std::mem::take(&mut reply.lines) });
        }
    }
    Err(Broken::Malformed(format!("a reply of more than {LINES_MAX} lines")))
}

/// `250-text` or `250 text` or `250`: the code, whether it is the last line, and the text.
fn parse_line(line: &[u8]) -> Option<(u16, bool, String)> {
    let line = line.trim_ascii_end();
    let (digits, rest) = line.split_at_checked(3)?;
    let valid = (b'2'..=b'5').contains(&digits[0]) && digits.iter().all(u8::is_ascii_digit);
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit.wrapping_sub(b'0')));
    match rest.split_first() {
        _ if !valid => None,
        None => Some((code, true, String::new())),
        Some((b' ', text)) => Some((code, true, printable(text))),
        Some((b'-', text)) => Some((code, false, printable(text))),
        Some(_) => None,
    }
}

/// What a log or a person may see of bytes from outside.
fn printable(bytes: &[u8]) -> String {
    const SHOWN_BYTES_MAX: usize = 512;
    let shown = &bytes[..bytes.len().min(SHOWN_BYTES_MAX)];
    String::from_utf8_lossy(shown).replace(char::is_control, " ").trim().to_owned()
}
