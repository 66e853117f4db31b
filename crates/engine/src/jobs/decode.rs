//! The bytes of an import's object on their way to rows: unpacked where they are gzip, and looked at before they are read.

use std::io::Write as _;

use domain::import::{FileFault, Format, ImportRow, Reader, is_gzip};
use flate2::write::MultiGzDecoder;

/// Packed bytes that are unpacked at once: gzip makes at most about a thousandfold of them.
const PACKED_BYTES: usize = 4 << 10;
/// Unpacked bytes that are read before what an object is can be told.
const LOOK_BYTES: usize = 512;
/// Bytes by which gzip is told.
const MAGIC_BYTES: usize = 2;
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Why an object cannot be read, or not to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ObjectFault {
    /// Nothing of it was read.
    #[error("it is not in the format that the job states")]
    OtherFormat,
    #[error("its gzip data is damaged or ends too early")]
    Gzip,
    #[error(transparent)]
    File(#[from] FileFault),
    /// The whole job ends.
    #[error("an import reads at most {} bytes; the rest was not imported", super::IMPORT_BYTES_MAX)]
    TooLarge,
}

/// Reads one object. Its memory does not grow with it.
#[derive(Debug)]
pub(super) struct Intake {
    format: Format,
    packing: Packing,
    /// What came before the object was looked at; `None` from then on.
    head: Option<Vec<u8>>,
    reader: Reader,
}

#[derive(Debug)]
enum Packing {
    /// Too few bytes to tell.
    Unknown(Vec<u8>),
    None,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
}

impl Intake {
    pub(super) fn new(format: Format) -> Self {
        let packing = Packing::Unknown(Vec::new());
        Self { format, packing, head: Some(Vec::new()), reader: Reader::new(format) }
    }

    /// Reads on. `bytes_left`: what the job may still unpack.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        bytes_left: &mut u64,
        sink: &mut impl FnMut(ImportRow<'_>),
    ) -> Result<(), ObjectFault> {
        match &mut self.packing {
            Packing::None => self.text(bytes, bytes_left, sink),
            Packing::Gzip(_) => self.unpack(bytes, bytes_left, sink),
            Packing::Unknown(start) => {
                start.extend_from_slice(bytes);
                if start.len() < MAGIC_BYTES {
                    return Ok(());
                }
                let start = std::mem::take(start);
                if is_gzip(&start) {
                    self.packing = Packing::Gzip(Box::new(MultiGzDecoder::new(Vec::new())));
                    return self.unpack(&start, bytes_left, sink);
                }
                self.packing = Packing::None;
                self.text(&start, bytes_left, sink)
            }
        }
    }

    /// Reads what the object's end ends.
    pub(super) fn finish(
        mut self,
        bytes_left: &mut u64,
        sink: &mut impl FnMut(ImportRow<'_>),
    ) -> Result<(), ObjectFault> {
        match std::mem::replace(&mut self.packing, Packing::None) {
            Packing::None => {}
            Packing::Unknown(start) => self.text(&start, bytes_left, sink)?,
            Packing::Gzip(decoder) => {
                let rest = decoder.finish().map_err(|_| ObjectFault::Gzip)?;
                self.text(&rest, bytes_left, sink)?;
            }
        }
        if let Some(head) = self.head.take() {
            self.look(&head)?;
            self.reader.feed(&head, sink)?;
        }
        Ok(self.reader.finish(sink)?)
    }

    fn unpack(
        &mut self,
        packed: &[u8],
        bytes_left: &mut u64,
        sink: &mut impl FnMut(ImportRow<'_>),
    ) -> Result<(), ObjectFault> {
        for part in packed.chunks(PACKED_BYTES) {
            let Packing::Gzip(decoder) = &mut self.packing else { return Err(ObjectFault::Gzip) };
            decoder.write_all(part).map_err(|_| ObjectFault::Gzip)?;
            let mut text = std::mem::take(decoder.get_mut());
            self.text(&text, bytes_left, sink)?;
            text.clear();
            // The same buffer again.
            if let Packing::Gzip(decoder) = &mut self.packing {
                *decoder.get_mut() = text;
            }
        }
        Ok(())
    }

    fn text(
        &mut self,
        text: &[u8],
        bytes_left: &mut u64,
        sink: &mut impl FnMut(ImportRow<'_>),
    ) -> Result<(), ObjectFault> {
        *bytes_left = bytes_left.checked_sub(text.len() as u64).ok_or(ObjectFault::TooLarge)?;
        let Some(head) = &mut self.head else { return Ok(self.reader.feed(text, sink)?) };
        head.extend_from_slice(text);
        if head.len() < LOOK_BYTES {
            return Ok(());
        }
        let head = self.head.take().unwrap_or_default();
        self.look(&head)?;
        Ok(self.reader.feed(&head, sink)?)
    }

    /// Tells by its beginning what is certainly not of the job's format.
    fn look(&self, head: &[u8]) -> Result<(), ObjectFault> {
        let head = head.get(..LOOK_BYTES).unwrap_or(head);
        let text = head.strip_prefix(BYTE_ORDER_MARK).unwrap_or(head).trim_ascii_start();
        let Some(first) = text.first() else { return Ok(()) };
        let is_other = match self.format {
            Format::Json => *first != b'{',
            Format::Csv => matches!(first, b'{' | b'['),
        };
        if is_other || text.contains(&0) { Err(ObjectFault::OtherFormat) } else { Ok(()) }
    }
}

/// The beginning of what a gzip object holds, as far as the beginning of the object tells.
pub(super) fn unpacked_start(packed: &[u8]) -> Vec<u8> {
    let mut decoder = MultiGzDecoder::new(Vec::new());
    let packed = packed.get(..PACKED_BYTES).unwrap_or(packed);
    // What could be unpacked before a fault is what is looked at: the job will name the fault.
    let written = decoder.write_all(packed).and_then(|()| decoder.flush());
    if let Err(cause) = written {
        tracing::debug!(%cause, "the beginning of a gzip object does not unpack");
    }
    std::mem::take(decoder.get_mut())
}

#[cfg(test)]
mod tests;
