//! One file of the log: a header, then frames without gaps.
//!
//! ```text
//! 00000000000000000000.log   00000000000000041973.log   00000000000000083920.log
//! sealed                     sealed                     active: the only one that is written
//! ```
//!
//! The name is the position of the first record, in 20 digits. A file bears its name only when its header is durable, and the
//! next file is made only when all frames of the last one are: so damage in a sealed file, or before a later frame, is never
//! the trace of a crash.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::time::Timestamp;

use super::disk::{Disk, INCOMPLETE_EXTENSION, OpenFile};
use super::frame::{Damage, Fields, FrameHeader, HEADER_BYTES};
use crate::log::{LogError, Position};

/// Bytes of a segment's header: magic with format, first position, tag, arrival of the record before, reserved, crc32.
pub(super) const SEGMENT_HEADER_BYTES: usize = 48;

/// The first bytes of each file; the last one is the format.
const MAGIC: [u8; 8] = *b"CP-LOG\0\x01";

/// A file is read in pieces of this size, or of one frame where that is more.
const CHUNK_BYTES: u64 = 256 << 10;

/// One place of a frame is remembered in memory for this many bytes of file: 16 KiB of memory for a full segment.
const BOOKMARK_STRIDE_BYTES: u64 = 256 << 10;

/// A segment as readers see it.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) first: Position,
    /// Random; stands in front of each of its frames.
    pub(super) tag: u64,
    /// Arrival of the last record before this segment.
    pub(super) arrival_before: Timestamp,
    /// Length of the file as far as it is durable.
    durable_bytes: AtomicU64,
    /// Some of its frames, in order.
    bookmarks: Mutex<Vec<Bookmark>>,
}

/// Where a frame begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bookmark {
    pub(super) position: Position,
    pub(super) offset: u64,
}

impl Segment {
    pub(super) fn new(
        path: PathBuf,
        first: Position,
        tag: u64,
        arrival_before: Timestamp,
        bytes: u64,
    ) -> Self {
        Self {
            path,
            first,
            tag,
            arrival_before,
            durable_bytes: AtomicU64::new(bytes),
            bookmarks: Mutex::new(vec![Bookmark { position: first, offset: SEGMENT_HEADER_BYTES as u64 }]),
        }
    }

    /// Creates the file, durably.
    pub(super) fn create(
        disk: &dyn Disk,
        directory: &Path,
        first: Position,
        tag: u64,
        arrival_before: Timestamp,
    ) -> io::Result<(Self, OpenFile)> {
        let path = directory.join(format!("{:020}.log", first.0));
        let bytes = SEGMENT_HEADER_BYTES as u64;
        let segment = Self::new(path, first, tag, arrival_before, bytes);
        let file = disk.create(&segment.path, &segment.header())?;
        Ok((segment, file))
    }

    /// Opens a file that has the name of a segment.
    fn open(path: &Path, first: Position) -> Result<Self, LogError> {
        let file = File::open(path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        let mut header = [0; SEGMENT_HEADER_BYTES];
        let corrupt = |what| LogError::Corrupt(format!("{} at byte 0: {what}", path.display()));
        match file.read_exact_at(&mut header, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(corrupt("incomplete header"));
            }
            Err(error) => return Err(failed(error)),
        }
        let mut fields = Fields(&header);
        let magic = fields.u64().to_le_bytes();
        let (header_first, tag, arrival) = (fields.u64(), fields.u64(), fields.u64() as i64);
        if magic != MAGIC {
            return Err(corrupt("not a segment of a log, or of a newer format"));
        }
        if crc32fast::hash(&header[..44]).to_le_bytes() != header[44..] {
            return Err(corrupt("checksum of the header differs"));
        }
        if header_first != first.0 {
            return Err(corrupt("file was renamed: its first record has another position"));
        }
        Ok(Self::new(path.to_path_buf(), first, tag, Timestamp(arrival), bytes))
    }

    fn header(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut header = [0; SEGMENT_HEADER_BYTES];
        header[..8].copy_from_slice(&MAGIC);
        header[8..16].copy_from_slice(&self.first.0.to_le_bytes());
        header[16..24].copy_from_slice(&self.tag.to_le_bytes());
        header[24..32].copy_from_slice(&self.arrival_before.0.to_le_bytes());
        let checksum = crc32fast::hash(&header[..44]);
        header[44..].copy_from_slice(&checksum.to_le_bytes());
        header
    }

    pub(super) fn durable_bytes(&self) -> u64 {
        self.durable_bytes.load(Ordering::Acquire)
    }

    /// Makes a frame visible that begins at `offset` and is durable.
    pub(super) fn extend(&self, position: Position, offset: u64, frame_bytes: u64) {
        self.remember(position, offset);
        self.durable_bytes.store(offset + frame_bytes, Ordering::Release);
    }

    /// After the file was cut to its whole frames, at the start.
    pub(super) fn shorten(&self, length_bytes: u64) {
        self.durable_bytes.store(length_bytes, Ordering::Release);
    }

    /// Notes where a frame begins, unless one near it is known.
    pub(super) fn remember(&self, position: Position, offset: u64) {
        let mut bookmarks = self.lock_bookmarks();
        if bookmarks.last().is_none_or(|last| last.offset + BOOKMARK_STRIDE_BYTES <= offset) {
            bookmarks.push(Bookmark { position, offset });
        }
    }

    /// The nearest known frame that begins at or before a position of this segment.
    pub(super) fn bookmark(&self, position: Position) -> Bookmark {
        let bookmarks = self.lock_bookmarks();
        let behind = bookmarks.partition_point(|bookmark| bookmark.position <= position);
        bookmarks[behind.saturating_sub(1)]
    }

    pub(super) fn corrupt(&self, offset: u64, Damage(what): Damage) -> LogError {
        LogError::Corrupt(format!("{} at byte {offset}: {what}", self.path.display()))
    }

    fn lock_bookmarks(&self) -> MutexGuard<'_, Vec<Bookmark>> {
        self.bookmarks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All segments of a directory, oldest first. Removes files that a crash left incomplete.
pub(super) fn list(disk: &dyn Disk, directory: &Path) -> Result<Vec<Segment>, LogError> {
    let mut segments = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_some_and(|extension| extension == INCOMPLETE_EXTENSION) {
            disk.remove(&path).map_err(failed)?;
        } else if let Some(first) = first_position(&path) {
            segments.push(Segment::open(&path, first)?);
        }
    }
    segments.sort_unstable_by_key(|segment| segment.first);
    Ok(segments)
}

fn first_position(path: &Path) -> Option<Position> {
    let digits = path.file_name()?.to_str()?.strip_suffix(".log")?;
    let well_formed = digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if well_formed { digits.parse().ok().map(Position) } else { None }
}

/// Reads the frames of a file one after the other.
#[derive(Debug)]
pub(super) struct Frames<'a> {
    file: &'a File,
    tag: u64,
    /// Where the next header begins.
    pub(super) offset: u64,
    /// Nothing is read from here on.
    limit: u64,
    buffer: Vec<u8>,
    buffer_offset: u64,
}

/// Why there is no next frame.
#[derive(Debug)]
pub(super) enum NoFrame {
    Damaged(Damage),
    Unreadable(io::Error),
}

impl<'a> Frames<'a> {
    pub(super) fn new(file: &'a File, tag: u64, offset: u64, limit: u64) -> Self {
        Self { file, tag, offset, limit, buffer: Vec::new(), buffer_offset: 0 }
    }

    /// The next header, `None` at the end; stays there until [`Frames::skip`].
    pub(super) fn header(&mut self) -> Result<Option<FrameHeader>, NoFrame> {
        if self.offset == self.limit {
            return Ok(None);
        }
        let tag = self.tag;
        let bytes = self.bytes(self.offset, HEADER_BYTES as u64)?;
        let bytes = bytes.first_chunk().ok_or(NoFrame::Damaged(Damage("incomplete frame header")))?;
        FrameHeader::decode(bytes, tag).map(Some).map_err(NoFrame::Damaged)
    }

    /// The stored body of the frame whose header was just read.
    pub(super) fn body(&mut self, header: &FrameHeader) -> Result<&[u8], NoFrame> {
        self.bytes(self.offset + HEADER_BYTES as u64, u64::from(header.stored_bytes))
    }

    pub(super) fn skip(&mut self, header: &FrameHeader) {
        self.offset += header.frame_bytes();
    }

    /// Exactly these bytes of the file.
    fn bytes(&mut self, offset: u64, length: u64) -> Result<&[u8], NoFrame> {
        if self.limit.saturating_sub(offset) < length {
            return Err(NoFrame::Damaged(Damage("incomplete frame")));
        }
        let buffered =
            offset >= self.buffer_offset && offset + length <= self.buffer_offset + self.buffer.len() as u64;
        if !buffered {
            let wanted = length.max(CHUNK_BYTES).min(self.limit - offset);
            self.buffer.resize(wanted as usize, 0);
            self.buffer_offset = offset;
            if let Err(error) = self.file.read_exact_at(&mut self.buffer, offset) {
                self.buffer.clear();
                return Err(match error.kind() {
                    io::ErrorKind::UnexpectedEof => NoFrame::Damaged(Damage("file is shorter than it was")),
                    _ => NoFrame::Unreadable(error),
                });
            }
        }
        let start = (offset - self.buffer_offset) as usize;
        Ok(&self.buffer[start..start + length as usize])
    }
}

/// An error of the file system that leaves no way on.
pub(super) fn failed(error: io::Error) -> LogError {
    LogError::Failed(Box::new(error))
}
