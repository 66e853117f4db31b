//! `Kv` in memory: for tests and simulated worlds, where a power cut is a function call.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{Batch, Durability, Kv, KvError, Version, Versioned};
use crate::key::{Key, KeyRange};

/// How many buffered commits a power cut can take back; older ones count as written by then, as a disk would.
pub const BUFFERED_COMMITS_MAX: usize = 100_000;

/// Ordered rows behind a lock.
#[derive(Debug, Default)]
pub struct MemoryKv {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rows: BTreeMap<Key, Versioned>,
    sequence: u64,
    /// How to take back each commit since the last durable one, oldest first.
    undo: Vec<Undo>,
}

/// What a buffered commit replaced.
#[derive(Debug)]
struct Undo {
    sequence: u64,
    rows: Vec<(Key, Option<Versioned>)>,
}

impl MemoryKv {
    pub fn new() -> Self {
        Self::default()
    }

    /// A power cut: of the commits since the last durable one, the first `keep` survive. Returns how many were lost.
    pub fn lose_buffered(&self, keep: usize) -> usize {
        let state = &mut *self.lock();
        let lost = state.undo.split_off(keep.min(state.undo.len()));
        for undo in lost.iter().rev() {
            state.sequence = undo.sequence;
            for (key, before) in &undo.rows {
                match before {
                    Some(row) => state.rows.insert(key.clone(), row.clone()),
                    None => state.rows.remove(key),
                };
            }
        }
        state.undo.clear();
        lost.len()
    }

    /// How many commits a power cut could take back now.
    pub fn buffered_commits(&self) -> usize {
        self.lock().undo.len()
    }

    /// All rows without their versions, which depend on how writes were grouped: to compare two worlds byte for byte.
    pub fn snapshot(&self) -> BTreeMap<Key, Vec<u8>> {
        self.lock().rows.iter().map(|(key, row)| (key.clone(), row.value.to_vec())).collect()
    }

    /// The state is whole even where a thread panicked with the lock: every change is made by infallible steps.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn commit(&mut self, batch: Batch, durability: Durability) -> Result<Version, KvError> {
        for (key, expected) in batch.checks {
            let current = self.rows.get(&key).map_or(Version::ABSENT, |row| row.version);
            if current != expected {
                return Err(KvError::Conflict(key));
            }
        }
        if !batch.writes.is_empty() {
            let undo = self.apply(batch.writes);
            self.undo.push(undo);
        }
        match durability {
            Durability::Durable => self.undo.clear(),
            Durability::Buffered if self.undo.len() > BUFFERED_COMMITS_MAX => {
                self.undo.drain(..BUFFERED_COMMITS_MAX / 2);
            }
            Durability::Buffered => {}
        }
        Ok(Version(self.sequence))
    }

    fn apply(&mut self, writes: Vec<(Key, Option<Arc<[u8]>>)>) -> Undo {
        let mut undo = Undo { sequence: self.sequence, rows: Vec::with_capacity(writes.len()) };
        self.sequence += 1;
        let version = Version(self.sequence);
        // collecting keeps the last write of a key, so that `undo` holds each key once
        for (key, value) in writes.into_iter().collect::<BTreeMap<_, _>>() {
            let before = match value {
                Some(value) => self.rows.insert(key.clone(), Versioned { version, value }),
                None => self.rows.remove(&key),
            };
            undo.rows.push((key, before));
        }
        undo
    }
}

#[async_trait]
impl Kv for MemoryKv {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, KvError> {
        let state = self.lock();
        Ok(keys.iter().map(|key| state.rows.get(key).cloned()).collect())
    }

    async fn scan(&self, range: KeyRange, limit: usize) -> Result<Vec<(Key, Versioned)>, KvError> {
        if range.from >= range.to {
            return Ok(Vec::new());
        }
        let state = self.lock();
        Ok(state.rows.range(range).take(limit).map(|(key, row)| (key.clone(), row.clone())).collect())
    }

    async fn commit(&self, batch: Batch, durability: Durability) -> Result<Version, KvError> {
        batch.check_limits()?;
        self.lock().commit(batch, durability)
    }

    async fn sync(&self) -> Result<(), KvError> {
        self.lock().undo.clear();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
