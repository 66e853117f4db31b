//! `Log`: what happened, in order, durable before it is acknowledged.
//!
//! The [`Partition`] is the ordering key (a hash of account, application and endpoint); the [`Shard`] is the unit of storage,
//! cursor and reading: one in the embedded back end. A consumer reads from its cursor and sees only durable records.
//!
//! ```text
//!            read(from = 3, limit = 2)
//!                   ┌─────┐
//!   0    1    2    3    4    5    6
//!   ▲                        ▲    ▲ end: position of the next record
//!   first kept               last durable
//! ```

pub mod contract;
pub mod embedded;
pub mod faults;
pub mod memory;

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use domain::time::Timestamp;

/// How many partitions there are: fixed for the life of a directory.
pub const PARTITIONS: u16 = 64;

/// The most bytes that one record may have: above the largest request body.
pub const RECORD_BYTES_MAX: usize = 8 << 20;

/// The most bytes that the records of one append may have together.
pub const APPEND_BYTES_MAX: usize = 4 * RECORD_BYTES_MAX;

/// The most records that one append may have, and that one read answers: bounds what empty records can cost.
pub const RECORDS_MAX: usize = 65_536;

/// The ordering key of a record, 0..64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Partition(pub u16);

/// A sequence of its own; 0 in the embedded log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Shard(pub u16);

/// The number of a record within its shard, from 0, without gaps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl Position {
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A record as it is read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    pub position: Position,
    pub partition: Partition,
    /// When the log took it; never runs backwards within a shard.
    pub arrival: Timestamp,
    pub bytes: Bytes,
}

/// By what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk limit is reached; nothing was kept. The caller answers a retryable error.
    #[error("no space is left for the log")]
    Full,
    /// A record is larger than [`RECORD_BYTES_MAX`], or an append exceeds [`APPEND_BYTES_MAX`] or [`RECORDS_MAX`]; nothing
    /// was kept.
    #[error("record or append is too large ({0} bytes or records)")]
    TooLarge(usize),
    /// The records asked for were trimmed away: the consumer is detached and must rebuild.
    #[error("records before {0:?} were trimmed")]
    Trimmed(Position),
    /// A cursor points beyond the end: the log has lost records or belongs to another directory. Refuse to start.
    #[error("position {asked:?} lies beyond the end of the log at {end:?}")]
    BeyondEnd { asked: Position, end: Position },
    /// Bytes in the middle of the log are not what was written.
    #[error("log is damaged: {0}")]
    Corrupt(String),
    /// Writing or syncing failed: the process must end; what was not acknowledged may be lost.
    #[error("log failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Refuses what is too large before anything is kept: every back end calls it first.
pub fn check_append(records: &[(Partition, Bytes)]) -> Result<(), LogError> {
    if records.len() > RECORDS_MAX {
        return Err(LogError::TooLarge(records.len()));
    }
    let mut total_bytes = 0;
    for (_, bytes) in records {
        if bytes.len() > RECORD_BYTES_MAX {
            return Err(LogError::TooLarge(bytes.len()));
        }
        total_bytes += bytes.len();
    }
    if total_bytes > APPEND_BYTES_MAX {
        return Err(LogError::TooLarge(total_bytes));
    }
    Ok(())
}

/// A durable sequence of records per shard. A shard that does not exist is an empty one.
#[async_trait]
pub trait Log: Send + Sync + fmt::Debug {
    /// The number of shards; 1 in the embedded log.
    fn shards(&self) -> u16 {
        1
    }

    /// The shard that holds a partition's records.
    fn shard_of(&self, partition: Partition) -> Shard {
        Shard(partition.0 % self.shards())
    }

    /// Appends; durable on return. Atomic within a shard only. Returns one position for each record, in order. After an
    /// error the records may or may not be there: the client retries and event ids absorb the repeat.
    async fn append(&self, records: Vec<(Partition, Bytes)>) -> Result<Vec<Position>, LogError>;

    /// As [`Log::append`], for the outcome of what was done already: refusing it would mean that nobody knows. Where a back
    /// end keeps space free, this may use some of it, so that it still succeeds when [`Log::append`] answers
    /// [`LogError::Full`]. Only for small records whose number something else bounds.
    async fn append_within_reserve(
        &self,
        records: Vec<(Partition, Bytes)>,
    ) -> Result<Vec<Position>, LogError> {
        self.append(records).await
    }

    /// Durable records from `from` on, at most `bytes_max` bytes and [`RECORDS_MAX`] of them but at least one if there is
    /// one; empty at the end only.
    async fn read(&self, shard: Shard, from: Position, bytes_max: usize) -> Result<Vec<Record>, LogError>;

    /// The position that the next durable record will have.
    fn end(&self, shard: Shard) -> Position;

    /// Waits until [`Log::end`] is beyond `position`.
    async fn wait_beyond(&self, shard: Shard, position: Position) -> Result<(), LogError>;

    /// Drops records before `to`, as far as whole units of storage allow.
    async fn trim(&self, shard: Shard, to: Position) -> Result<(), LogError>;
}
