//! `Kv`: ordered bytes with versions, read in batches, written in atomic batches with checks.
//!
//! No open transactions and no closures: read, decide, commit once. A conflict means "decide again". That keeps the seam
//! easy to build on an embedded tree and on one PostgreSQL table alike.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::key::{Key, KeyRange};

pub mod contract;
pub mod embedded;
pub mod faults;
pub mod memory;

/// The most bytes that a key may have: PostgreSQL indexes nothing longer than about 2,700 bytes. A caller whose key holds
/// text without a limit of its own (an address) puts a hash of it into the key.
pub const KEY_BYTES_MAX: usize = 2_048;

/// The most bytes that all keys and values of a batch may have together.
pub const BATCH_BYTES_MAX: usize = 32 << 20;

/// The sequence number of the commit that wrote a row: never reused, rising; 0 means "there is no such row".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u64);

impl Version {
    /// The version of a row that does not exist.
    pub const ABSENT: Self = Self(0);
}

/// A value and the version of its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    pub version: Version,
    pub value: Arc<[u8]>,
}

/// What a commit promises on return.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Durability {
    /// On disk, and every commit before it too.
    #[default]
    Durable,
    /// Visible, and lost by a power cut; a crash leaves a prefix of the commits. For what the log can replay.
    Buffered,
}

/// One atomic change: all of it or nothing. Later puts and deletes of a key win over earlier ones.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Each row must still have this version, or the whole batch is refused.
    pub checks: Vec<(Key, Version)>,
    /// `Some`: put; `None`: delete. In order.
    pub writes: Vec<(Key, Option<Arc<[u8]>>)>,
}

impl Batch {
    pub fn check(&mut self, key: Key, version: Version) -> &mut Self {
        self.checks.push((key, version));
        self
    }

    pub fn put(&mut self, key: Key, value: impl Into<Arc<[u8]>>) -> &mut Self {
        self.writes.push((key, Some(value.into())));
        self
    }

    pub fn delete(&mut self, key: Key) -> &mut Self {
        self.writes.push((key, None));
        self
    }

    pub fn is_empty(&self) -> bool {
        self.checks.is_empty() && self.writes.is_empty()
    }

    /// Refuses what no back end could store; each back end asks first, so that all have the same limits.
    pub fn check_limits(&self) -> Result<(), KvError> {
        let mut bytes = 0;
        for (key, value) in &self.writes {
            if key.as_bytes().len() > KEY_BYTES_MAX {
                return Err(KvError::TooLarge { bytes: key.as_bytes().len(), bytes_max: KEY_BYTES_MAX });
            }
            bytes += key.as_bytes().len() + value.as_ref().map_or(0, |value| value.len());
        }
        if bytes > BATCH_BYTES_MAX {
            return Err(KvError::TooLarge { bytes, bytes_max: BATCH_BYTES_MAX });
        }
        Ok(())
    }

    /// Appends what another batch checks and writes.
    pub fn merge(&mut self, other: Self) -> &mut Self {
        self.checks.extend(other.checks);
        self.writes.extend(other.writes);
        self
    }
}

/// By what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum KvError {
    /// A checked row has another version by now: read again and decide again.
    #[error("row {0:?} was changed by another commit")]
    Conflict(Key),
    /// The disk is full; nothing was written. The caller answers a retryable error.
    #[error("no space is left for the state")]
    Full,
    /// A key or the whole batch is above its limit; nothing was written. A mistake of the caller: never try again.
    #[error("{bytes} bytes in a key or batch where at most {bytes_max} are allowed")]
    TooLarge { bytes: usize, bytes_max: usize },
    /// Bytes on disk are not what was written.
    #[error("state is damaged: {0}")]
    Corrupt(String),
    /// The back end failed and takes no more commits: the process must end and restart.
    #[error("state store failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Ordered bytes. Shared by reference; every method may be called from many tasks at once.
#[async_trait]
pub trait Kv: Send + Sync + fmt::Debug {
    /// The rows of `keys`, in the same order; `None` where there is no row.
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, KvError>;

    /// Up to `limit` rows of the range in key order. Two scans see no common snapshot.
    async fn scan(&self, range: KeyRange, limit: usize) -> Result<Vec<(Key, Versioned)>, KvError>;

    /// Checks and writes atomically; readers see all of it or nothing. Returns the version of every row it wrote.
    /// A batch without writes only checks, and returns the version of the latest commit. A caller that stops waiting
    /// (drops the future) does not know whether the batch was written.
    async fn commit(&self, batch: Batch, durability: Durability) -> Result<Version, KvError>;

    /// Returns when every commit so far is durable.
    async fn sync(&self) -> Result<(), KvError>;

    /// The row of one key.
    async fn get(&self, key: &Key) -> Result<Option<Versioned>, KvError> {
        Ok(self.get_many(std::slice::from_ref(key)).await?.pop().flatten())
    }
}
