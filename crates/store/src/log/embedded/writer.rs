//! The thread behind `append`.
//!
//! ```text
//! append ─► queue ─► gather ─► compress ─► write, fdatasync ─► publish ─► answer
//! ```
//!
//! Nothing waits on purpose: whatever is queued while a group is synced is the next group, so the slower the disk, the larger
//! the groups. A second thread that compresses the next group meanwhile was measured: as fast (0.95-1.1) with 32 tasks on two
//! cores, at twice the number of syncs and 6 % more CPU, so there is one.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use bytes::Bytes;
use domain::time::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::Shared;
use super::disk::{OpenFile, is_full};
use super::frame::{EncodedBody, Encoder, FrameHeader, GROUP_BYTES_MAX, HEADER_BYTES, RECORD_OVERHEAD_BYTES};
use super::groups::Group;
use super::recovery::new_tag;
use super::segment::{SEGMENT_HEADER_BYTES, Segment};
use crate::log::{Partition, Position};

/// After so long without an append the memory of the buffers and of the newest groups is given back.
const IDLE: Duration = Duration::from_secs(5);

/// An append that waits for its answer.
pub(super) struct Append {
    pub(super) records: Vec<(Partition, Bytes)>,
    /// It may use space that is kept free.
    pub(super) within_reserve: bool,
    /// Gets the position of the first record, when all are durable.
    pub(super) answer: oneshot::Sender<Result<Position, Refusal>>,
    /// Its share of the queue, given back with the answer.
    pub(super) room: OwnedSemaphorePermit,
}

/// Why a group was not kept.
#[derive(Debug, Clone)]
pub(super) enum Refusal {
    /// Nothing was kept; room may be made.
    Full,
    /// For good.
    Failed(Arc<io::Error>),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Failed(Arc::new(error))
    }
}

/// The only one that changes the active file. Its loop, [`Writer::run`], has a thread of its own.
pub(super) struct Writer {
    shared: Arc<Shared>,
    segment: Arc<Segment>,
    file: OpenFile,
    /// Length of the file: everything before it is durable, nothing is behind it.
    length_bytes: u64,
    next: Position,
    /// Arrival of the last record.
    arrival: Timestamp,
    encoder: Encoder,
}

impl Writer {
    /// Continues the last segment of a log that holds nothing but durable frames.
    pub(super) fn new(
        shared: Arc<Shared>,
        segment: Arc<Segment>,
        file: OpenFile,
        next: Position,
        arrival: Timestamp,
    ) -> Self {
        let length_bytes = segment.durable_bytes();
        Self { shared, segment, file, length_bytes, next, arrival, encoder: Encoder::default() }
    }

    /// Ends when every sender of the queue is gone and the queue is empty.
    pub(super) fn run(mut self, queue: &Receiver<Append>) {
        while let Some(first) = self.next_append(queue) {
            let appends = gather(first, queue);
            if let Err((appends, refusal)) = self.serve(appends) {
                self.refuse(appends, &refusal);
            }
        }
    }

    /// Keeps a group and answers its appends, or hands those back that it has no room for.
    fn serve(&mut self, appends: Vec<Append>) -> Result<(), (Vec<Append>, Refusal)> {
        let raw_bytes = appends.iter().map(Append::raw_bytes).sum();
        let records = appends.iter().flat_map(|append| &append.records);
        let mut body = self.encoder.encode(records, raw_bytes, self.shared.options.compress);
        match self.write(&appends, &mut body) {
            Ok(()) => {
                self.publish(appends, &body);
                Ok(())
            }
            // Those that may use the reserve may do so without the others.
            Err(Refusal::Full) if is_mixed(&appends) => {
                let (reserved, others) = appends.into_iter().partition(|append| append.within_reserve);
                self.refuse(others, &Refusal::Full);
                self.serve(reserved)
            }
            Err(refusal) => Err((appends, refusal)),
        }
    }

    fn next_append(&mut self, queue: &Receiver<Append>) -> Option<Append> {
        match queue.recv_timeout(IDLE) {
            Ok(append) => return Some(append),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => {}
        }
        self.encoder.release();
        self.shared.groups.clear();
        queue.recv().ok()
    }

    /// Makes a group durable, or keeps nothing of it.
    fn write(&mut self, appends: &[Append], body: &mut EncodedBody) -> Result<(), Refusal> {
        if let Some(error) = self.shared.failure.get() {
            return Err(Refusal::Failed(Arc::clone(error)));
        }
        let within_reserve = appends.iter().all(|append| append.within_reserve);
        self.make_room(body.frame.len() as u64, within_reserve)?;
        let now = self.shared.context.now().max(self.arrival);
        let header = FrameHeader {
            tag: self.segment.tag,
            first: self.next,
            arrival: now,
            record_count: appends.iter().map(|append| append.records.len() as u32).sum(),
            raw_bytes: body.raw_bytes,
            stored_bytes: body.stored_bytes(),
            codec: body.codec,
            body_crc: body.body_crc,
        };
        body.frame[..HEADER_BYTES].copy_from_slice(&header.encode());
        if let Err(error) = self.shared.disk.write_at(&self.file, &body.frame, self.length_bytes) {
            if !is_full(&error) {
                return Err(error.into());
            }
            self.shared.disk.truncate(&self.file, self.length_bytes)?;
            return Err(Refusal::Full);
        }
        self.shared.disk.sync(&self.file)?;
        self.arrival = now;
        Ok(())
    }

    /// Checks the disk and its limit, and begins the next segment where this one is full.
    fn make_room(&mut self, frame_bytes: u64, within_reserve: bool) -> Result<(), Refusal> {
        let options = &self.shared.options;
        let of_reserve_bytes = if within_reserve { options.reserve_bytes / 2 } else { 0 };
        // Asked once a group: nothing beside the sync that follows. A disk that cannot tell is taken as having space:
        // writing will tell.
        let free_bytes = self.shared.disk.free_bytes(&options.directory).unwrap_or(u64::MAX);
        if free_bytes < options.reserve_bytes - of_reserve_bytes {
            return Err(Refusal::Full);
        }
        let is_empty = self.length_bytes == SEGMENT_HEADER_BYTES as u64;
        let rolls = !is_empty && self.length_bytes + frame_bytes > options.segment_bytes_max;
        let header_bytes = if rolls { SEGMENT_HEADER_BYTES as u64 } else { 0 };
        let disk_bytes = self.shared.disk_bytes.load(Ordering::Acquire);
        let bytes_max = options.disk_bytes_max.map(|max| max.saturating_add(of_reserve_bytes));
        if bytes_max.is_some_and(|max| disk_bytes + header_bytes + frame_bytes > max) {
            return Err(Refusal::Full);
        }
        if !rolls {
            return Ok(());
        }
        let tag = new_tag(&self.shared.context);
        let disk = &*self.shared.disk;
        let (segment, file) = match Segment::create(disk, &options.directory, self.next, tag, self.arrival) {
            Ok(created) => created,
            Err(error) if is_full(&error) => return Err(Refusal::Full),
            Err(error) => return Err(error.into()),
        };
        self.segment = Arc::new(segment);
        self.file = file;
        self.length_bytes = header_bytes;
        self.shared.lock_segments().push_back(Arc::clone(&self.segment));
        self.shared.disk_bytes.fetch_add(header_bytes, Ordering::AcqRel);
        Ok(())
    }

    /// Lets readers see a durable group, then answers.
    fn publish(&mut self, appends: Vec<Append>, body: &EncodedBody) {
        let frame_bytes = body.frame.len() as u64;
        let first = self.next;
        let mut records = Vec::new();
        let mut answers = Vec::with_capacity(appends.len());
        for mut append in appends {
            answers.push((append.answer, self.next, append.room));
            self.next = Position(self.next.0 + append.records.len() as u64);
            records.append(&mut append.records);
        }
        self.segment.extend(first, self.length_bytes, frame_bytes);
        self.length_bytes += frame_bytes;
        self.shared.groups.push_written(Group { first, arrival: self.arrival, records });
        self.shared.count(frame_bytes, body);
        self.shared.published.send_modify(|published| published.end = self.next);
        for (answer, position, room) in answers {
            drop(room);
            // a caller that went away needs no answer
            let _ = answer.send(Ok(position));
        }
    }

    fn refuse(&self, appends: Vec<Append>, refusal: &Refusal) {
        if let Refusal::Failed(error) = refusal {
            self.shared.fail(error, &self.file.path);
        }
        for append in appends {
            let _ = append.answer.send(Err(refusal.clone()));
        }
    }
}

/// All that is queued, up to the limit of a group.
fn gather(first: Append, queue: &Receiver<Append>) -> Vec<Append> {
    let mut raw_bytes = first.raw_bytes();
    let mut appends = vec![first];
    while raw_bytes < GROUP_BYTES_MAX
        && let Ok(append) = queue.try_recv()
    {
        raw_bytes += append.raw_bytes();
        appends.push(append);
    }
    appends
}

fn is_mixed(appends: &[Append]) -> bool {
    let reserved = appends.iter().filter(|append| append.within_reserve).count();
    reserved > 0 && reserved < appends.len()
}

impl Append {
    fn raw_bytes(&self) -> usize {
        self.records.iter().map(|(_, bytes)| bytes.len() + RECORD_OVERHEAD_BYTES).sum()
    }
}

impl Drop for Writer {
    /// Also when the thread panics: nobody waits for what will never come.
    fn drop(&mut self) {
        self.shared.stop();
    }
}
