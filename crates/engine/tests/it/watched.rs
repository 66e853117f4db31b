//! A store that remembers where scans begin and how commits were meant.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use store::key::KeyRange;
use store::kv::memory::MemoryKv;
use store::{Batch, Durability, Key, Kv, KvError, Version, Versioned};

#[derive(Debug, Default)]
pub(crate) struct WatchedKv {
    pub(crate) inner: Arc<MemoryKv>,
    scans: Mutex<Vec<Key>>,
    durable_commits: Mutex<usize>,
}

impl WatchedKv {
    /// Where scans began since it was asked last.
    pub(crate) fn scans(&self) -> Vec<Key> {
        std::mem::take(&mut *self.scans.lock().unwrap())
    }

    /// Durable commits since it was asked last.
    pub(crate) fn durable_commits(&self) -> usize {
        std::mem::take(&mut *self.durable_commits.lock().unwrap())
    }
}

#[async_trait]
impl Kv for WatchedKv {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, KvError> {
        self.inner.get_many(keys).await
    }

    async fn scan(&self, range: KeyRange, limit: usize) -> Result<Vec<(Key, Versioned)>, KvError> {
        self.scans.lock().unwrap().push(range.from.clone());
        self.inner.scan(range, limit).await
    }

    async fn commit(&self, batch: Batch, durability: Durability) -> Result<Version, KvError> {
        *self.durable_commits.lock().unwrap() += usize::from(durability == Durability::Durable);
        self.inner.commit(batch, durability).await
    }

    async fn sync(&self) -> Result<(), KvError> {
        self.inner.sync().await
    }
}
