//! `Kv` on disk, in this process: one fjall tree, one journal, one writer thread.
//!
//! **One tree for all tables.** The table's tag begins each key, so tables are ranges. A tree each was rejected: every
//! tree has its own memtable, and a table that is seldom written keeps old journals alive until it is flushed by force.
//!
//! **One writer thread.** Commits queue for it; it takes all that wait, checks and applies one after another, and makes the
//! whole group durable with one `fdatasync`, while the next group gathers. A lock instead of a thread was rejected: fjall
//! holds its journal's lock during `fdatasync`, so a commit on a runtime thread would wait for the disk there.
//!
//! Reads run where they are called: what they need is mostly in memory, else a few pages from disk. Only scans of more
//! than [`SCAN_INLINE_ROWS_MAX`] rows move to a blocking thread.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;

use async_trait::async_trait;
use fjall::config::PartitioningPolicy;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, LsmError, Readable};
use tokio::sync::{mpsc, oneshot};

use self::writer::{Request, Writer};
use super::{Batch, Durability, KEY_BYTES_MAX, Kv, KvError, Version, Versioned};
use crate::key::{Key, KeyRange};

mod creation;
mod integrity;
mod repair;
mod transfer;
mod writer;

pub use transfer::{SnapshotSummary, TransferError};

/// Scans of more rows run on a blocking thread: about a millisecond of reading.
pub const SCAN_INLINE_ROWS_MAX: usize = 1_000;

/// How many commits may wait for the writer; further callers wait until there is room.
pub const WAITING_COMMITS_MAX: usize = 1_024;

/// The tree's name within the database.
const TREE: &str = "rows";
/// Where fjall keeps its trees, below the database's directory.
const TREES: &str = "keyspaces";

/// The row that holds the sequence number of the latest commit: before all tables, whose tags begin at 1.
const SEQUENCE_KEY: [u8; 1] = [0];

/// Bytes of the version before each stored value.
const VERSION_BYTES: usize = size_of::<u64>();

/// Sizes for a small machine (two cores, some hundred megabytes); all are upper limits, taken when used.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// Memory for blocks read from disk.
    pub cache_bytes: u64,
    /// Rows gather in memory up to this size before they are flushed to disk. Fixed when the directory is created.
    pub memtable_bytes: u64,
    /// Threads that flush and compact. One by default: of several, fjall's first one spins while another compacts.
    pub worker_threads: usize,
    /// Puts are refused while less disk space is free: what flushing and compaction need to go on, because a disk that
    /// fills up under them ends the process.
    pub reserve_bytes: u64,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self { cache_bytes: 32 << 20, memtable_bytes: 32 << 20, worker_threads: 1, reserve_bytes: 256 << 20 }
    }
}

/// The embedded back end. Dropping it waits until the writer has finished what was asked.
pub struct EmbeddedKv {
    rows: Rows,
    path: PathBuf,
    /// `None` only while dropping.
    requests: Option<mpsc::Sender<Request>>,
    writer: Option<JoinHandle<()>>,
}

impl EmbeddedKv {
    /// Opens the database in the directory `path`, creating both where there are none. Blocks while the journal is read. A
    /// journal that a power cut has torn is cut before the tear, which leaves a prefix of the commits with all durable ones.
    pub fn open(path: &Path, options: &EmbeddedOptions) -> Result<Self, KvError> {
        creation::create_if_new(path, options)?;
        for look in [integrity::damaged_file, repair::cut_torn_tail] {
            if let Some(damaged) = look(path).map_err(failed)? {
                return Err(corrupt(&damaged.display()));
            }
        }
        let rows = Rows::open(path, options)?;
        let sequence = rows.sequence()?;
        let (requests, waiting) = mpsc::channel(WAITING_COMMITS_MAX);
        let writer = Writer::new(rows.clone(), sequence, path.to_path_buf(), options.reserve_bytes);
        let writer = std::thread::Builder::new()
            .name("kv-writer".to_owned())
            .spawn(move || writer.run(waiting))
            .map_err(failed)?;
        Ok(Self { rows, path: path.to_path_buf(), requests: Some(requests), writer: Some(writer) })
    }

    /// The directory it was opened in.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Debug for EmbeddedKv {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("EmbeddedKv").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Drop for EmbeddedKv {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!(path = %self.path.display(), "the state's writer thread had panicked");
        }
    }
}

#[async_trait]
impl Kv for EmbeddedKv {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, KvError> {
        self.rows.get_many(keys)
    }

    async fn scan(&self, range: KeyRange, limit: usize) -> Result<Vec<(Key, Versioned)>, KvError> {
        if limit <= SCAN_INLINE_ROWS_MAX {
            return self.rows.scan(&range, limit);
        }
        let rows = self.rows.clone();
        match tokio::task::spawn_blocking(move || rows.scan(&range, limit)).await {
            Ok(found) => found,
            Err(error) => Err(KvError::Failed(Box::new(error))),
        }
    }

    async fn commit(&self, batch: Batch, durability: Durability) -> Result<Version, KvError> {
        batch.check_limits()?;
        let (answer, answered) = oneshot::channel();
        let request = Request { batch, durability, answer };
        let requests = self.requests.as_ref().ok_or_else(writer_ended)?;
        requests.send(request).await.map_err(|_| writer_ended())?;
        answered.await.map_err(|_| writer_ended())?
    }

    async fn sync(&self) -> Result<(), KvError> {
        self.commit(Batch::default(), Durability::Durable).await.map(|_| ())
    }
}

fn failed(error: std::io::Error) -> KvError {
    KvError::Failed(Box::new(error))
}

fn writer_ended() -> KvError {
    KvError::Failed("the writer thread has ended".into())
}

/// The tree and its first failure, shared by readers and the writer.
#[derive(Clone)]
struct Rows {
    database: Database,
    tree: Keyspace,
    failure: Arc<OnceLock<String>>,
}

impl Rows {
    fn open(path: &Path, options: &EmbeddedOptions) -> Result<Self, KvError> {
        let database = Database::builder(path)
            .cache_size(options.cache_bytes)
            .worker_threads(options.worker_threads.max(1))
            // the writer flushes once for each group instead of once for each batch
            .manual_journal_persist(true)
            .open()
            .map_err(classify)?;
        // fjall keeps filter and index of a table in one block each on the middle levels: some hundred kilobytes, which its cache
        // does not take, so that with millions of rows every read would read them from the file. In parts they are cached.
        let in_parts = || PartitioningPolicy::new([false, true]);
        let tree_options = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(options.memtable_bytes)
                .filter_block_partitioning_policy(in_parts())
                .index_block_partitioning_policy(in_parts())
        };
        let tree = database.keyspace(TREE, tree_options).map_err(classify)?;
        Ok(Self { database, tree, failure: Arc::default() })
    }

    /// Reads through a snapshot, because a read of the tree itself sees batches half applied.
    fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, KvError> {
        self.check_alive()?;
        let snapshot = self.database.snapshot();
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            // The tree panics at a key that it could not hold.
            if key.as_bytes().len() > KEY_BYTES_MAX {
                found.push(None);
                continue;
            }
            let stored = snapshot.get(&self.tree, key.as_bytes()).map_err(|error| self.fail(error))?;
            found.push(stored.map(|stored| split(&stored)).transpose()?);
        }
        Ok(found)
    }

    fn scan(&self, range: &KeyRange, limit: usize) -> Result<Vec<(Key, Versioned)>, KvError> {
        self.check_alive()?;
        let mut found = Vec::new();
        if range.from >= range.to {
            return Ok(found);
        }
        let snapshot = self.database.snapshot();
        let (from, to) = (bound(&range.from), bound(&range.to));
        for guard in snapshot.range(&self.tree, &*from..&*to).take(limit) {
            let (key, stored) = guard.into_inner().map_err(|error| self.fail(error))?;
            found.push((Key::from_bytes(&key), split(&stored)?));
        }
        Ok(found)
    }

    /// The sequence number of the latest commit; 0 in a new database.
    fn sequence(&self) -> Result<u64, KvError> {
        match self.tree.get(SEQUENCE_KEY).map_err(classify)? {
            None => Ok(0),
            Some(stored) => SequenceRow::decode(&stored)
                .map(|row| row.sequence)
                .ok_or_else(|| KvError::Corrupt("the row of the sequence number is too short".to_owned())),
        }
    }

    /// After the first failure nobody knows what is on disk: nothing is read or written any more.
    fn check_alive(&self) -> Result<(), KvError> {
        match self.failure.get() {
            None => Ok(()),
            Some(cause) => Err(KvError::Failed(format!("failed before: {cause}").into())),
        }
    }

    fn fail(&self, error: fjall::Error) -> KvError {
        if self.failure.set(error.to_string()).is_ok() {
            tracing::error!(%error, "the state store failed and takes no more commits");
        }
        classify(error)
    }
}

/// The row that each commit writes beside the caller's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct SequenceRow {
    /// Of the commit that wrote it; stored as the row's version.
    sequence: u64,
    /// The latest commit that was known to be synced then: see `repair`.
    synced: u64,
}

impl SequenceRow {
    fn encode(self) -> Vec<u8> {
        join(Version(self.sequence), &self.synced.to_le_bytes())
    }

    fn decode(stored: &[u8]) -> Option<Self> {
        let (sequence, rest) = stored.split_first_chunk()?;
        let synced = rest.first_chunk()?;
        Some(Self { sequence: u64::from_le_bytes(*sequence), synced: u64::from_le_bytes(*synced) })
    }
}

/// A stored value: its version in 8 bytes, little-endian, then the caller's bytes.
fn join(version: Version, value: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(VERSION_BYTES + value.len());
    stored.extend_from_slice(&version.0.to_le_bytes());
    stored.extend_from_slice(value);
    stored
}

fn split(stored: &[u8]) -> Result<Versioned, KvError> {
    let Some((version, value)) = stored.split_first_chunk::<VERSION_BYTES>() else {
        return Err(KvError::Corrupt(format!("a stored value has only {} bytes", stored.len())));
    };
    Ok(Versioned { version: Version(u64::from_le_bytes(*version)), value: Arc::from(value) })
}

/// What divides the keys that there can be as `key` does: the tree panics at a longer one.
fn bound(key: &Key) -> Cow<'_, [u8]> {
    match key.as_bytes().get(..KEY_BYTES_MAX) {
        // Of its own start, a key that is too long is the next one.
        Some(start) if key.as_bytes().len() > KEY_BYTES_MAX => Cow::Owned([start, &[0]].concat()),
        _ => Cow::Borrowed(key.as_bytes()),
    }
}

/// What the layers below say of a file that is not what was written, or that the disk failed. The offset that a damaged
/// footer names may lie anywhere, so asking for what is there fails like a wrong request.
fn classify(error: fjall::Error) -> KvError {
    match error {
        fjall::Error::JournalRecovery(_)
        | fjall::Error::InvalidVersion(_)
        | fjall::Error::Decompress(_)
        | fjall::Error::InvalidTrailer
        | fjall::Error::InvalidTag(_)
        | fjall::Error::Unrecoverable
        | fjall::Error::Storage(
            LsmError::ChecksumMismatch { .. }
            | LsmError::Decompress(_)
            | LsmError::InvalidHeader(_)
            | LsmError::InvalidTag(_)
            | LsmError::InvalidTrailer
            | LsmError::InvalidVersion(_)
            | LsmError::Unrecoverable
            | LsmError::Utf8(_),
        ) => corrupt(&error),
        fjall::Error::Io(ref inner) | fjall::Error::Storage(LsmError::Io(ref inner))
            if matches!(
                inner.kind(),
                io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
            ) =>
        {
            corrupt(&error)
        }
        error => KvError::Failed(Box::new(error)),
    }
}

fn corrupt(what: &dyn fmt::Display) -> KvError {
    KvError::Corrupt(format!(
        "a file of the state is not what was written ({what}): restore a backup, and look at the disk"
    ))
}

#[cfg(test)]
mod tests;
