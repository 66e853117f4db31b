//! Reading lines of bounded length, for both ends of SMTP.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// How a line ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// The line was appended, with its line feed.
    Whole,
    /// The line is longer than allowed; some of it was appended and the rest is still to be read.
    TooLong,
    /// The stream ended; what came of an unfinished line was appended.
    End,
}

/// Appends the next line, up to and with its line feed, of at most `bytes_max`.
pub(crate) async fn read_line(
    reader: &mut (impl AsyncBufRead + Unpin),
    line: &mut Vec<u8>,
    bytes_max: usize,
) -> io::Result<Line> {
    let mut room = bytes_max;
    loop {
        let available = reader.fill_buf().await?;
        if available.is_empty() {
            return Ok(Line::End);
        }
        let end = available.iter().position(|&byte| byte == b'\n').map(|at| at + 1);
        let taken = end.unwrap_or(available.len()).min(room);
        line.extend_from_slice(&available[..taken]);
        reader.consume(taken);
        if end == Some(taken) {
            return Ok(Line::Whole);
        }
        room -= taken;
        if room == 0 {
            return Ok(Line::TooLong);
        }
    }
}
