//! The one thread that writes: takes all commits that wait, applies them in order, syncs once.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use fjall::PersistMode;
use tokio::sync::{mpsc, oneshot};

use super::{Rows, SEQUENCE_KEY, SequenceRow, join};
use crate::directory::free_bytes;
use crate::key::Key;
use crate::kv::{Batch, Durability, KvError, Version};

/// The most commits that share one `fdatasync`: bounds how long the first of them waits for the others.
const GROUP_COMMITS_MAX: usize = 256;

type Answer = oneshot::Sender<Result<Version, KvError>>;

/// A commit that waits for the writer.
pub(super) struct Request {
    pub(super) batch: Batch,
    pub(super) durability: Durability,
    pub(super) answer: Answer,
}

pub(super) struct Writer {
    rows: Rows,
    /// Of the latest commit.
    sequence: u64,
    /// Of the latest commit that is known to be on disk.
    synced: u64,
    path: PathBuf,
    reserve_bytes: u64,
}

impl Writer {
    pub(super) fn new(rows: Rows, sequence: u64, path: PathBuf, reserve_bytes: u64) -> Self {
        // opening has synced what it found
        Self { rows, sequence, synced: sequence, path, reserve_bytes }
    }

    /// Serves until every sender is gone.
    pub(super) fn run(mut self, mut requests: mpsc::Receiver<Request>) {
        let mut group = Vec::new();
        while let Some(first) = requests.blocking_recv() {
            group.push(first);
            while group.len() < GROUP_COMMITS_MAX
                && let Ok(next) = requests.try_recv()
            {
                group.push(next);
            }
            self.serve(&mut group);
        }
    }

    fn serve(&mut self, group: &mut Vec<Request>) {
        let has_space = self.has_space();
        let (mut buffered, mut durable) = (Vec::new(), Vec::new());
        for Request { batch, durability, answer } in group.drain(..) {
            match (self.apply(batch, has_space), durability) {
                (Ok(version), Durability::Buffered) => buffered.push((answer, version)),
                (Ok(version), Durability::Durable) => durable.push((answer, version)),
                (Err(error), _) => respond(answer, Err(error)),
            }
        }
        // buffered commits need not wait for the disk that durable ones of the same group wait for
        self.acknowledge(buffered, PersistMode::Buffer);
        self.acknowledge(durable, PersistMode::SyncData);
    }

    /// Checks and applies one batch; visible on return, not yet handed to the operating system.
    fn apply(&mut self, batch: Batch, has_space: bool) -> Result<Version, KvError> {
        self.rows.check_alive()?;
        let Batch { checks, writes } = batch;
        let (keys, expected): (Vec<Key>, Vec<Version>) = checks.into_iter().unzip();
        let current = self.rows.get_many(&keys)?;
        for ((key, expected), current) in keys.into_iter().zip(expected).zip(current) {
            if current.map_or(Version::ABSENT, |row| row.version) != expected {
                return Err(KvError::Conflict(key));
            }
        }
        if writes.is_empty() {
            return Ok(Version(self.sequence));
        }
        if !has_space && writes.iter().any(|(_, value)| value.is_some()) {
            return Err(KvError::Full);
        }
        self.write(writes)
    }

    fn write(&mut self, writes: Vec<(Key, Option<Arc<[u8]>>)>) -> Result<Version, KvError> {
        let version = Version(self.sequence + 1);
        let mut changes = self.rows.database.batch();
        // first, where a torn batch most likely still has it
        let sequence_row = SequenceRow { sequence: version.0, synced: self.synced };
        changes.insert(&self.rows.tree, SEQUENCE_KEY, sequence_row.encode());
        // the tree cannot order two writes of a key within a batch; collecting keeps the last one
        for (key, value) in writes.into_iter().collect::<BTreeMap<_, _>>() {
            match value {
                Some(value) => changes.insert(&self.rows.tree, key.as_bytes(), join(version, &value)),
                None => changes.remove(&self.rows.tree, key.as_bytes()),
            }
        }
        changes.commit().map_err(|error| self.rows.fail(error))?;
        self.sequence = version.0;
        Ok(version)
    }

    fn acknowledge(&mut self, commits: Vec<(Answer, Version)>, mode: PersistMode) {
        if commits.is_empty() {
            return;
        }
        let persisted = self.rows.database.persist(mode).map_err(|error| self.rows.fail(error));
        if persisted.is_ok() && mode == PersistMode::SyncData {
            self.synced = self.sequence;
        }
        for (answer, version) in commits {
            // the first failure is logged and remembered; each waiter gets it in words
            let result =
                if persisted.is_ok() { Ok(version) } else { self.rows.check_alive().map(|()| version) };
            respond(answer, result);
        }
    }

    /// A disk whose free space cannot be read is taken as having some: writing will tell.
    fn has_space(&self) -> bool {
        free_bytes(&self.path).map_or(true, |free| free >= self.reserve_bytes)
    }
}

/// Whoever stopped waiting needs no answer.
fn respond(answer: Answer, result: Result<Version, KvError>) {
    drop(answer.send(result));
}
