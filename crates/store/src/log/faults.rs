//! A log that fails where a test plans it: refused appends, lost answers, crashes that tear an append.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use super::{Log, LogError, Partition, Position, Record, Shard};

/// What happens to one append.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is kept and the caller is told so ([`LogError::Full`]): it may retry without a repeat.
    Refuse,
    /// The append lets other tasks run this many times before it is done.
    Yield(u32),
    /// Everything is kept, and the caller is told that it failed: its retry is a repeat.
    LoseAnswer,
    /// The process ends in the middle: of the append's records only the first `keep_records` survive, and every later call
    /// fails until [`FaultyLog::revive`].
    Crash { keep_records: usize },
}

/// The error behind [`LogError::Failed`] of a planned fault.
#[derive(Debug, thiserror::Error)]
#[error("planned fault: {0}")]
pub struct PlannedFault(&'static str);

/// Wraps a log and fails as planned, and only so: the same plan fails in the same way. The world that crashes keeps the
/// inner log, as a machine keeps its disk.
#[derive(Debug)]
pub struct FaultyLog {
    inner: Arc<dyn Log>,
    plan: Mutex<Plan>,
    crashed: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Plan {
    /// By the number of the append, from 0.
    faults: BTreeMap<u64, Fault>,
    appends: u64,
}

impl FaultyLog {
    pub fn new(inner: Arc<dyn Log>) -> Self {
        Self { inner, plan: Mutex::new(Plan::default()), crashed: watch::Sender::new(false) }
    }

    /// Plans a fault for the append with this number (from 0, counted over the wrapper's life).
    pub fn plan(&self, append_number: u64, fault: Fault) {
        self.lock().faults.insert(append_number, fault);
    }

    /// Plans a crash within the next append, which keeps only its first `keep_records` records.
    pub fn crash_during_append(&self, keep_records: usize) {
        let mut plan = self.lock();
        let next = plan.appends;
        plan.faults.insert(next, Fault::Crash { keep_records });
    }

    /// The number of appends so far, failed ones included: the number of the next one.
    pub fn appends(&self) -> u64 {
        self.lock().appends
    }

    /// Whether every call fails at present.
    pub fn is_crashed(&self) -> bool {
        *self.crashed.borrow()
    }

    /// Every call fails from now on, between two appends.
    pub fn crash(&self) {
        self.crashed.send_replace(true);
    }

    /// The restart after a crash. Planned faults stay planned.
    pub fn revive(&self) {
        self.crashed.send_replace(false);
    }

    fn lock(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next_fault(&self) -> Option<Fault> {
        let mut plan = self.lock();
        let number = plan.appends;
        plan.appends += 1;
        plan.faults.remove(&number)
    }

    /// Appends as planned. `within_reserve`: as [`Log::append_within_reserve`].
    async fn append_to(
        &self,
        mut records: Vec<(Partition, Bytes)>,
        within_reserve: bool,
    ) -> Result<Vec<Position>, LogError> {
        self.check_running()?;
        let append = async |records| {
            if within_reserve {
                self.inner.append_within_reserve(records).await
            } else {
                self.inner.append(records).await
            }
        };
        match self.next_fault() {
            None => append(records).await,
            Some(Fault::Refuse) => Err(LogError::Full),
            Some(Fault::Yield(times)) => {
                for _ in 0..times {
                    tokio::task::yield_now().await;
                }
                // Another task may have crashed the process meanwhile.
                self.check_running()?;
                append(records).await
            }
            Some(Fault::LoseAnswer) => {
                append(records).await?;
                Err(failed("answer of an append was lost"))
            }
            Some(Fault::Crash { keep_records }) => {
                self.crash();
                records.truncate(keep_records);
                append(records).await?;
                Err(failed("log crashed during an append"))
            }
        }
    }

    fn check_running(&self) -> Result<(), LogError> {
        if self.is_crashed() { Err(failed("log has crashed")) } else { Ok(()) }
    }
}

fn failed(what: &'static str) -> LogError {
    LogError::Failed(Box::new(PlannedFault(what)))
}

#[async_trait]
impl Log for FaultyLog {
    fn shards(&self) -> u16 {
        self.inner.shards()
    }

    fn shard_of(&self, partition: Partition) -> Shard {
        self.inner.shard_of(partition)
    }

    async fn append(&self, records: Vec<(Partition, Bytes)>) -> Result<Vec<Position>, LogError> {
        self.append_to(records, false).await
    }

    async fn append_within_reserve(
        &self,
        records: Vec<(Partition, Bytes)>,
    ) -> Result<Vec<Position>, LogError> {
        self.append_to(records, true).await
    }

    async fn read(&self, shard: Shard, from: Position, bytes_max: usize) -> Result<Vec<Record>, LogError> {
        self.check_running()?;
        self.inner.read(shard, from, bytes_max).await
    }

    fn end(&self, shard: Shard) -> Position {
        self.inner.end(shard)
    }

    async fn wait_beyond(&self, shard: Shard, position: Position) -> Result<(), LogError> {
        let mut crashed = self.crashed.subscribe();
        tokio::select! {
            biased;
            _ = crashed.wait_for(|crashed| *crashed) => Err(failed("log has crashed")),
            result = self.inner.wait_beyond(shard, position) => result,
        }
    }

    async fn trim(&self, shard: Shard, to: Position) -> Result<(), LogError> {
        self.check_running()?;
        self.inner.trim(shard, to).await
    }
}

#[cfg(test)]
mod tests;
