//! Cuts chunks of bytes into lines.

use super::{FileFault, LINE_BYTES_MAX};

pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// A line without its end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Line<'l> {
    Whole(&'l [u8]),
    /// Longer than [`LINE_BYTES_MAX`]: its bytes are gone.
    TooLong,
}

/// Ends lines at `\n`, `\r\n` and `\r`.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// The start of a line whose end has not come yet.
    carry: Vec<u8>,
    is_too_long: bool,
    /// Lines that have ended.
    ended: u64,
    /// The last byte was `\r`: a `\n` that follows belongs to it.
    after_return: bool,
}

impl Lines {
    /// Calls `sink` with the number (from 1) and text of every line that ends in `chunk`, until it fails.
    pub(super) fn feed(
        &mut self,
        chunk: &[u8],
        sink: &mut impl FnMut(u64, Line<'_>) -> Result<(), FileFault>,
    ) -> Result<(), FileFault> {
        let mut rest = chunk;
        while !rest.is_empty() {
            if std::mem::take(&mut self.after_return) && rest[0] == b'\n' {
                rest = &rest[1..];
                continue;
            }
            let Some(length) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else {
                self.keep(rest);
                return Ok(());
            };
            self.after_return = rest[length] == b'\r';
            self.ended += 1;
            if self.carry.is_empty() && !self.is_too_long {
                self.emit(&rest[..length], sink)?;
            } else {
                self.keep(&rest[..length]);
                let carry = std::mem::take(&mut self.carry);
                self.emit(&carry, sink)?;
                self.carry = carry;
                self.carry.clear();
                self.is_too_long = false;
            }
            rest = &rest[length + 1..];
        }
        Ok(())
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.is_too_long || self.carry.len() + bytes.len() > LINE_BYTES_MAX {
            self.is_too_long = true;
            self.carry.clear();
        } else {
            self.carry.extend_from_slice(bytes);
        }
    }

    fn emit(
        &self,
        line: &[u8],
        sink: &mut impl FnMut(u64, Line<'_>) -> Result<(), FileFault>,
    ) -> Result<(), FileFault> {
        if self.is_too_long || line.len() > LINE_BYTES_MAX {
            return sink(self.ended, Line::TooLong);
        }
        let is_first = self.ended == 1;
        let line = line.strip_prefix(BYTE_ORDER_MARK).filter(|_| is_first).unwrap_or(line);
        sink(self.ended, Line::Whole(line))
    }
}
