//! The log in a directory of this machine: one shard, segment files, group commit.
//!
//! `append` queues; a thread gathers, compresses, writes and syncs ([`writer`]); an append is answered when its group is
//! durable. Consumers that follow right behind get the records that were just written, others read the files ([`reader`]).
//! Formats: [`segment`], [`frame`]; what a crash can leave behind: [`recovery`].
//!
//! The directory must belong to one process: the data directory above it is locked by whoever opens it.

mod disk;
mod frame;
mod groups;
mod reader;
mod recovery;
mod segment;
mod writer;

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Semaphore, oneshot, watch};

use self::disk::{Disk, FileSystem, sync_directory_of};
use self::frame::EncodedBody;
use self::groups::{GroupCache, Page, RECORD_COST_BYTES};
use self::recovery::{Recovered, recover};
use self::segment::{Segment, failed};
use self::writer::{Append, Refusal, Writer};
use super::{Log, LogError, Partition, Position, Record, Shard, check_append};
use crate::context::Context;

/// A segment is sealed before it would grow beyond this size.
pub const SEGMENT_BYTES_MAX: u64 = 256 << 20;

/// Appends that are not durable yet have at most this many bytes together; further ones wait. An append that is larger takes
/// all of it.
pub const QUEUE_BYTES_MAX: usize = 32 << 20;

/// Disk space that the log leaves free by default: more than the state's own reserve, so that the state can still take in
/// what the log holds when the log takes no more.
pub const RESERVE_BYTES: u64 = 512 << 20;

/// How an [`EmbeddedLog`] is kept.
#[derive(Debug, Clone)]
pub struct EmbeddedLogOptions {
    /// Made where it does not exist.
    pub directory: PathBuf,
    /// [`SEGMENT_BYTES_MAX`] by default; a segment holds at least one group, whatever its size.
    pub segment_bytes_max: u64,
    /// All files together; at the limit an append answers [`LogError::Full`] until older segments are trimmed.
    pub disk_bytes_max: Option<u64>,
    /// Appends answer [`LogError::Full`] while less space is free on the disk. [`Log::append_within_reserve`] may use half
    /// of it, and may pass `disk_bytes_max` by as much.
    pub reserve_bytes: u64,
    /// Whether groups are compressed with LZ4.
    pub compress: bool,
}

impl EmbeddedLogOptions {
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        let directory = directory.into();
        Self {
            directory,
            segment_bytes_max: SEGMENT_BYTES_MAX,
            disk_bytes_max: None,
            reserve_bytes: RESERVE_BYTES,
            compress: true,
        }
    }
}

/// Counters of an [`EmbeddedLog`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogStats {
    /// The first record that is kept.
    pub first: Position,
    /// Position of the next durable record.
    pub end: Position,
    /// Length of all files.
    pub disk_bytes: u64,
    /// Appended since the log was opened, before compression.
    pub raw_bytes: u64,
    /// The same, as it was written.
    pub stored_bytes: u64,
    /// Groups written since the log was opened: one write and one sync each.
    pub groups: u64,
    /// Bytes of appends that wait for their answer.
    pub queued_bytes: u64,
}

/// A log in a directory.
pub struct EmbeddedLog {
    shared: Arc<Shared>,
    /// `None` when closed.
    queue: Mutex<Option<Sender<Append>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// What the log, its writer and its readers share.
struct Shared {
    context: Context,
    options: EmbeddedLogOptions,
    disk: Arc<dyn Disk>,
    /// Oldest first, never empty; the last one is active.
    segments: Mutex<VecDeque<Arc<Segment>>>,
    groups: GroupCache,
    published: watch::Sender<Published>,
    /// Permits are bytes of the queue.
    room: Arc<Semaphore>,
    /// Set once, by the first write that failed.
    failure: OnceLock<Arc<io::Error>>,
    /// One trim at a time.
    trimming: Mutex<()>,
    disk_bytes: AtomicU64,
    raw_bytes: AtomicU64,
    stored_bytes: AtomicU64,
    group_count: AtomicU64,
}

/// What waiters watch.
#[derive(Debug, Clone, Copy)]
struct Published {
    end: Position,
    /// The end will not move any more.
    stopped: bool,
}

/// The log takes no more appends.
#[derive(Debug, thiserror::Error)]
#[error("log is closed")]
struct Closed;

impl EmbeddedLog {
    /// Opens or creates the log of a directory: reads the last segment whole, and cuts off an append that a crash left
    /// incomplete. Blocks.
    ///
    /// # Errors
    /// [`LogError::Corrupt`] names file and offset of damage that no crash leaves; [`LogError::Failed`] carries an error of
    /// the file system.
    pub fn open(context: Context, options: EmbeddedLogOptions) -> Result<Arc<Self>, LogError> {
        Self::open_on(Arc::new(FileSystem), context, options)
    }

    fn open_on(
        disk: Arc<dyn Disk>,
        context: Context,
        options: EmbeddedLogOptions,
    ) -> Result<Arc<Self>, LogError> {
        let Recovered { segments, file, end, arrival } = recover(&context, &*disk, &options.directory)?;
        let active = segments.back().map(Arc::clone).expect("recovery leaves at least one segment");
        let disk_bytes = segments.iter().map(|segment| segment.durable_bytes()).sum();
        let shared = Arc::new(Shared {
            context,
            options,
            disk,
            segments: Mutex::new(segments),
            groups: GroupCache::default(),
            published: watch::Sender::new(Published { end, stopped: false }),
            room: Arc::new(Semaphore::new(QUEUE_BYTES_MAX)),
            failure: OnceLock::new(),
            trimming: Mutex::new(()),
            disk_bytes: AtomicU64::new(disk_bytes),
            raw_bytes: AtomicU64::new(0),
            stored_bytes: AtomicU64::new(0),
            group_count: AtomicU64::new(0),
        });
        let writer = Writer::new(Arc::clone(&shared), active, file, end, arrival);
        let (queue, queued) = mpsc::channel();
        let thread = std::thread::Builder::new().name("log-writer".to_owned());
        let thread = thread.spawn(move || writer.run(&queued)).map_err(failed)?;
        Ok(Arc::new(Self { shared, queue: Mutex::new(Some(queue)), thread: Mutex::new(Some(thread)) }))
    }

    /// Counters for metrics and tests.
    pub fn stats(&self) -> LogStats {
        let shared = &self.shared;
        LogStats {
            first: shared.first(),
            end: shared.published.borrow().end,
            disk_bytes: shared.disk_bytes.load(Ordering::Acquire),
            raw_bytes: shared.raw_bytes.load(Ordering::Relaxed),
            stored_bytes: shared.stored_bytes.load(Ordering::Relaxed),
            groups: shared.group_count.load(Ordering::Relaxed),
            queued_bytes: (QUEUE_BYTES_MAX - shared.room.available_permits()) as u64,
        }
    }

    /// Writes what is queued and ends the writer; later appends fail.
    pub async fn close(&self) {
        let thread = self.disconnect();
        if let Err(panic) = tokio::task::spawn_blocking(|| join(thread)).await {
            tracing::error!(error = %panic, "closing the log was interrupted");
        }
    }

    fn disconnect(&self) -> Option<JoinHandle<()>> {
        *self.queue.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Queues records and waits until they are durable.
    async fn write(
        &self,
        records: Vec<(Partition, Bytes)>,
        within_reserve: bool,
    ) -> Result<Vec<Position>, LogError> {
        check_append(&records)?;
        if records.is_empty() {
            return Ok(Vec::new());
        }
        self.shared.check_running()?;
        let count = records.len() as u64;
        let cost_bytes: usize = records.iter().map(|(_, bytes)| bytes.len() + RECORD_COST_BYTES).sum();
        let room = Arc::clone(&self.shared.room).acquire_many_owned(cost_bytes.min(QUEUE_BYTES_MAX) as u32);
        let room = room.await.map_err(|_| self.shared.stopped_error())?;
        let (answer, answered) = oneshot::channel();
        self.enqueue(Append { records, within_reserve, answer, room })?;
        match answered.await {
            Ok(Ok(first)) => Ok((first.0..first.0 + count).map(Position).collect()),
            Ok(Err(Refusal::Full)) => Err(LogError::Full),
            Ok(Err(Refusal::Failed(error))) => Err(LogError::Failed(Box::new(error))),
            Err(_) => Err(self.shared.stopped_error()),
        }
    }

    fn enqueue(&self, append: Append) -> Result<(), LogError> {
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        match &*queue {
            Some(queue) => queue.send(append).map_err(|_| self.shared.stopped_error()),
            None => Err(self.shared.stopped_error()),
        }
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if thread.is_some_and(|thread| thread.join().is_err()) {
        tracing::error!("the writer of the log panicked");
    }
}

impl Drop for EmbeddedLog {
    /// Writes what is still queued: a bounded number of bytes, whose callers are gone. Joining means that the directory can
    /// be opened again.
    fn drop(&mut self) {
        join(self.disconnect());
    }
}

#[async_trait]
impl Log for EmbeddedLog {
    async fn append(&self, records: Vec<(Partition, Bytes)>) -> Result<Vec<Position>, LogError> {
        self.write(records, false).await
    }

    async fn append_within_reserve(
        &self,
        records: Vec<(Partition, Bytes)>,
    ) -> Result<Vec<Position>, LogError> {
        self.write(records, true).await
    }

    async fn read(&self, shard: Shard, from: Position, bytes_max: usize) -> Result<Vec<Record>, LogError> {
        let shared = &self.shared;
        shared.check_running()?;
        let end = self.end(shard);
        if from > end {
            return Err(LogError::BeyondEnd { asked: from, end });
        }
        if from == end {
            return Ok(Vec::new());
        }
        let first = shared.first();
        if from < first {
            return Err(LogError::Trimmed(first));
        }
        let page = Page::new(from, end, bytes_max);
        if let Some(page) = shared.groups.page(page) {
            return Ok(page.records);
        }
        let shared = Arc::clone(shared);
        let reading = tokio::task::spawn_blocking(move || shared.read_page(Page::new(from, end, bytes_max)));
        match reading.await {
            Ok(page) => Ok(page?.records),
            Err(panic) => Err(LogError::Failed(Box::new(panic))),
        }
    }

    fn end(&self, shard: Shard) -> Position {
        if shard == Shard(0) { self.shared.published.borrow().end } else { Position(0) }
    }

    async fn wait_beyond(&self, shard: Shard, position: Position) -> Result<(), LogError> {
        if shard != Shard(0) {
            return Err(LogError::BeyondEnd { asked: position, end: Position(0) });
        }
        let mut published = self.shared.published.subscribe();
        let reached = published.wait_for(|published| published.end > position || published.stopped).await;
        match reached {
            Ok(published) if published.end > position => Ok(()),
            _ => Err(self.shared.stopped_error()),
        }
    }

    async fn trim(&self, shard: Shard, to: Position) -> Result<(), LogError> {
        if shard != Shard(0) {
            return Ok(());
        }
        self.shared.check_running()?;
        let shared = Arc::clone(&self.shared);
        match tokio::task::spawn_blocking(move || shared.trim(to)).await {
            Ok(trimmed) => trimmed.map_err(failed),
            Err(panic) => Err(LogError::Failed(Box::new(panic))),
        }
    }
}

impl Shared {
    fn lock_segments(&self) -> MutexGuard<'_, VecDeque<Arc<Segment>>> {
        self.segments.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn first(&self) -> Position {
        self.lock_segments()[0].first
    }

    /// Removes sealed segments whose records all lie before `to`, oldest first, so that no crash leaves a gap.
    fn trim(&self, to: Position) -> io::Result<()> {
        let _one_at_a_time = self.trimming.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last_removed = None;
        while let Some(segment) = self.take_segment_before(to) {
            if let Err(error) = self.disk.remove(&segment.path) {
                self.lock_segments().push_front(segment);
                return Err(error);
            }
            self.disk_bytes.fetch_sub(segment.durable_bytes(), Ordering::AcqRel);
            last_removed = Some(segment);
        }
        match last_removed {
            Some(segment) => sync_directory_of(&segment.path),
            None => Ok(()),
        }
    }

    fn take_segment_before(&self, to: Position) -> Option<Arc<Segment>> {
        let mut segments = self.lock_segments();
        if segments.get(1)?.first <= to { segments.pop_front() } else { None }
    }

    fn count(&self, frame_bytes: u64, body: &EncodedBody) {
        self.disk_bytes.fetch_add(frame_bytes, Ordering::AcqRel);
        self.raw_bytes.fetch_add(u64::from(body.raw_bytes), Ordering::Relaxed);
        self.stored_bytes.fetch_add(frame_bytes, Ordering::Relaxed);
        self.group_count.fetch_add(1, Ordering::Relaxed);
    }

    fn check_running(&self) -> Result<(), LogError> {
        match self.failure.get() {
            Some(error) => Err(LogError::Failed(Box::new(Arc::clone(error)))),
            None => Ok(()),
        }
    }

    /// Every call fails from now on: after a failed sync nobody knows what is on disk.
    fn fail(&self, error: &Arc<io::Error>, file: &Path) {
        if self.failure.set(Arc::clone(error)).is_ok() {
            tracing::error!(%error, log.file = %file.display(), "the log cannot be written and fails for good");
        }
        self.stop();
    }

    fn stop(&self) {
        self.room.close();
        self.published.send_modify(|published| published.stopped = true);
    }

    fn stopped_error(&self) -> LogError {
        self.check_running().err().unwrap_or_else(|| LogError::Failed(Box::new(Closed)))
    }
}

impl fmt::Debug for EmbeddedLog {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EmbeddedLog")
            .field("directory", &self.shared.options.directory)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
