//! What a start finds in the directory: the whole log, and perhaps the trace of a crash at its very end.
//!
//! At most one frame is written between two syncs, so a crash can only damage the last one, which was acknowledged to nobody:
//! it is cut off. Anything else is damage ([`LogError::Corrupt`]). A last frame that was durable and lost a bit since looks
//! exactly like one that was torn; no log without a second copy can tell the two apart.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

use domain::time::Timestamp;

use super::disk::{Disk, OpenFile, sync_directory_of};
use super::frame::{FrameHeader, POSITIONS_HAVE_A_GAP};
use super::segment::{self, Frames, NoFrame, SEGMENT_HEADER_BYTES, Segment, failed};
use crate::context::Context;
use crate::log::{LogError, Position};

/// The search for a later frame reads the file in pieces of this size.
const SEARCH_BYTES: usize = 1 << 20;

/// A log that is ready to be continued.
pub(super) struct Recovered {
    /// Oldest first; the last one is active.
    pub(super) segments: VecDeque<Arc<Segment>>,
    /// The active segment's file.
    pub(super) file: OpenFile,
    /// The position of the next record.
    pub(super) end: Position,
    /// Arrival of the last record.
    pub(super) arrival: Timestamp,
}

/// Opens or creates the log of a directory. On return everything in it is durable.
pub(super) fn recover(context: &Context, disk: &dyn Disk, directory: &Path) -> Result<Recovered, LogError> {
    fs::create_dir_all(directory).and_then(|()| sync_directory_of(directory)).map_err(failed)?;
    let mut segments: VecDeque<_> = segment::list(disk, directory)?.into_iter().map(Arc::new).collect();
    let Some(last) = segments.back().map(Arc::clone) else {
        let (first, file) =
            Segment::create(disk, directory, Position(0), new_tag(context), Timestamp::default())
                .map_err(failed)?;
        segments.push_back(Arc::new(first));
        return Ok(Recovered { segments, file, end: Position(0), arrival: Timestamp::default() });
    };
    let file = OpenFile::open(&last.path).map_err(failed)?;
    let tail = scan(&last, &file.file)?;
    if tail.bytes < last.durable_bytes() {
        let dropped_bytes = last.durable_bytes() - tail.bytes;
        tracing::warn!(
            log.file = %last.path.display(),
            log.offset = tail.bytes,
            log.dropped_bytes = dropped_bytes,
            "cut an incomplete append off the end of the log"
        );
        disk.truncate(&file, tail.bytes).map_err(failed)?;
        last.shorten(tail.bytes);
    }
    // a process that ended between write and sync left a frame that readers may see only when it is durable
    disk.sync(&file).map_err(failed)?;
    Ok(Recovered { segments, file, end: tail.end, arrival: tail.arrival })
}

/// The random number of a new segment.
pub(super) fn new_tag(context: &Context) -> u64 {
    context.ids.random() as u64
}

/// The end of a segment's whole frames.
struct Tail {
    bytes: u64,
    end: Position,
    arrival: Timestamp,
}

/// Checks each frame of the last segment.
fn scan(segment: &Segment, file: &File) -> Result<Tail, LogError> {
    let limit = segment.durable_bytes();
    let mut frames = Frames::new(file, segment.tag, SEGMENT_HEADER_BYTES as u64, limit);
    let mut tail = Tail { bytes: frames.offset, end: segment.first, arrival: segment.arrival_before };
    loop {
        match checked_header(&mut frames) {
            Ok(None) => return Ok(tail),
            Ok(Some(header)) if header.first != tail.end => {
                return Err(segment.corrupt(tail.bytes, POSITIONS_HAVE_A_GAP));
            }
            Ok(Some(header)) => {
                frames.skip(&header);
                segment.remember(header.end(), frames.offset);
                let arrival = header.arrival.max(tail.arrival);
                tail = Tail { bytes: frames.offset, end: header.end(), arrival };
            }
            Err(NoFrame::Unreadable(error)) => return Err(failed(error)),
            Err(NoFrame::Damaged(damage)) => {
                if has_frame_behind(file, segment.tag, tail.bytes + 1, limit).map_err(failed)? {
                    return Err(segment.corrupt(tail.bytes, damage));
                }
                return Ok(tail);
            }
        }
    }
}

fn checked_header(frames: &mut Frames<'_>) -> Result<Option<FrameHeader>, NoFrame> {
    let Some(header) = frames.header()? else {
        return Ok(None);
    };
    header.check_body(frames.body(&header)?).map_err(NoFrame::Damaged)?;
    Ok(Some(header))
}

/// Whether the segment's tag stands anywhere from `offset` on.
fn has_frame_behind(file: &File, tag: u64, mut offset: u64, limit: u64) -> io::Result<bool> {
    let tag = tag.to_le_bytes();
    let mut buffer = vec![0; SEARCH_BYTES];
    while limit.saturating_sub(offset) >= tag.len() as u64 {
        let length = (limit - offset).min(SEARCH_BYTES as u64) as usize;
        file.read_exact_at(&mut buffer[..length], offset)?;
        if buffer[..length].windows(tag.len()).any(|window| window == tag) {
            return Ok(true);
        }
        // the pieces overlap, so that none cuts a tag in two
        offset += (length - tag.len() + 1) as u64;
    }
    Ok(false)
}
