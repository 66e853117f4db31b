//! The log in memory, for tests and for the simulated world.
//!
//! A world that crashes keeps the [`MemoryLog`] and throws away everything around it: an append that returned is durable, so
//! nothing here is ever unsynced. An append that is torn by the crash comes from [`super::faults`].

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use domain::time::Timestamp;
use tokio::sync::watch;

use super::{Log, LogError, Partition, Position, RECORDS_MAX, Record, Shard, check_append};
use crate::context::Context;

/// A log of any number of shards. Trims record by record.
#[derive(Debug)]
pub struct MemoryLog {
    context: Context,
    /// One lock over all shards: there is nothing to gain from finer ones.
    shards: Mutex<Vec<Kept>>,
    /// End of each shard, published after its records are in place.
    ends: Vec<watch::Sender<Position>>,
}

/// The records of one shard.
#[derive(Debug, Default)]
struct Kept {
    first: Position,
    records: VecDeque<Record>,
    last_arrival: Timestamp,
}

impl MemoryLog {
    /// An empty log; `shards` of at least one.
    pub fn new(context: Context, shards: u16) -> Self {
        let shards = shards.max(1);
        Self {
            context,
            shards: Mutex::new((0..shards).map(|_| Kept::default()).collect()),
            ends: (0..shards).map(|_| watch::Sender::new(Position(0))).collect(),
        }
    }

    fn kept(&self) -> MutexGuard<'_, Vec<Kept>> {
        self.shards.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn end(&self) -> Position {
        Position(self.first.0 + self.records.len() as u64)
    }

    fn push(&mut self, partition: Partition, bytes: Bytes, now: Timestamp) -> Position {
        let position = self.end();
        self.last_arrival = self.last_arrival.max(now);
        self.records.push_back(Record { position, partition, arrival: self.last_arrival, bytes });
        position
    }

    fn read(&self, from: Position, bytes_max: usize) -> Result<Vec<Record>, LogError> {
        if from < self.first {
            return Err(LogError::Trimmed(self.first));
        }
        if from > self.end() {
            return Err(LogError::BeyondEnd { asked: from, end: self.end() });
        }
        let mut read = Vec::new();
        let mut read_bytes = 0;
        for record in self.records.iter().skip((from.0 - self.first.0) as usize).take(RECORDS_MAX) {
            read_bytes += record.bytes.len();
            if read_bytes > bytes_max && !read.is_empty() {
                break;
            }
            read.push(record.clone());
        }
        Ok(read)
    }
}

#[async_trait]
impl Log for MemoryLog {
    fn shards(&self) -> u16 {
        self.ends.len() as u16
    }

    async fn append(&self, records: Vec<(Partition, Bytes)>) -> Result<Vec<Position>, LogError> {
        check_append(&records)?;
        let mut positions = Vec::with_capacity(records.len());
        let mut kept = self.kept();
        let now = self.context.now();
        for (partition, bytes) in records {
            let shard = self.shard_of(partition);
            positions.push(kept[usize::from(shard.0)].push(partition, bytes, now));
        }
        for (shard, end) in kept.iter().zip(&self.ends) {
            end.send_if_modified(|published| std::mem::replace(published, shard.end()) != shard.end());
        }
        Ok(positions)
    }

    async fn read(&self, shard: Shard, from: Position, bytes_max: usize) -> Result<Vec<Record>, LogError> {
        match self.kept().get(usize::from(shard.0)) {
            Some(kept) => kept.read(from, bytes_max),
            None => Kept::default().read(from, bytes_max),
        }
    }

    fn end(&self, shard: Shard) -> Position {
        self.ends.get(usize::from(shard.0)).map_or(Position(0), |end| *end.borrow())
    }

    async fn wait_beyond(&self, shard: Shard, position: Position) -> Result<(), LogError> {
        let Some(end) = self.ends.get(usize::from(shard.0)) else {
            return Err(LogError::BeyondEnd { asked: position, end: Position(0) });
        };
        match end.subscribe().wait_for(|end| *end > position).await {
            Ok(_) => Ok(()),
            Err(closed) => Err(LogError::Failed(Box::new(closed))),
        }
    }

    async fn trim(&self, shard: Shard, to: Position) -> Result<(), LogError> {
        if let Some(kept) = self.kept().get_mut(usize::from(shard.0)) {
            let to = to.min(kept.end());
            while kept.first < to {
                kept.records.pop_front();
                kept.first = kept.first.next();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::log::contract;

    #[tokio::test]
    async fn one_shard_keeps_the_contract() {
        contract::all(async |context| Arc::new(MemoryLog::new(context, 1)) as Arc<dyn Log>).await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn five_shards_keep_the_contract() {
        contract::all(async |context| Arc::new(MemoryLog::new(context, 5)) as Arc<dyn Log>).await;
    }
}
