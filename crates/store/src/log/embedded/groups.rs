//! Groups of records in memory: those just written, for the consumers that follow right behind the writer, and those just
//! decompressed, for the consumers that follow further behind.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use domain::time::Timestamp;

use crate::log::{Partition, Position, RECORDS_MAX, Record};

/// What was written last is kept up to this size: a sixth of a second at 200 MB/s. Given back when the log is idle.
const RECENT_BYTES_MAX: usize = 32 << 20;

/// So many decompressed groups are kept that a reader took only in part: one for each of a few consumers.
const DECODED_GROUPS_MAX: usize = 4;

/// What a record costs in memory beside its bytes.
pub(super) const RECORD_COST_BYTES: usize = 64;

/// The records of one frame.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) first: Position,
    pub(super) arrival: Timestamp,
    pub(super) records: Vec<(Partition, Bytes)>,
}

impl Group {
    fn end(&self) -> Position {
        Position(self.first.0 + self.records.len() as u64)
    }

    fn contains(&self, position: Position) -> bool {
        self.first <= position && position < self.end()
    }

    fn cost_bytes(&self) -> usize {
        self.records.iter().map(|(_, bytes)| bytes.len() + RECORD_COST_BYTES).sum()
    }
}

/// The groups in memory.
#[derive(Debug, Default)]
pub(super) struct GroupCache(Mutex<Cached>);

#[derive(Debug, Default)]
struct Cached {
    /// The newest groups, without gaps, oldest first.
    recent: VecDeque<(Arc<Group>, usize)>,
    recent_bytes: usize,
    decoded: VecDeque<Arc<Group>>,
}

impl GroupCache {
    /// Adds the group that was just written.
    pub(super) fn push_written(&self, group: Group) {
        let cost_bytes = group.cost_bytes();
        let mut cached = self.lock();
        cached.recent.push_back((Arc::new(group), cost_bytes));
        cached.recent_bytes += cost_bytes;
        while cached.recent_bytes > RECENT_BYTES_MAX {
            let Some((_, dropped_bytes)) = cached.recent.pop_front() else { break };
            cached.recent_bytes -= dropped_bytes;
        }
    }

    /// Keeps a group that was read from disk and will be asked for again.
    pub(super) fn push_decoded(&self, group: Arc<Group>) {
        let mut cached = self.lock();
        cached.decoded.retain(|other| other.first != group.first);
        cached.decoded.push_back(group);
        if cached.decoded.len() > DECODED_GROUPS_MAX {
            cached.decoded.pop_front();
        }
    }

    /// The page from a position on, if its first record is in memory.
    pub(super) fn page(&self, mut page: Page) -> Option<Page> {
        // the groups are taken under the lock, their records after it
        for group in self.groups_from(&page) {
            if !page.take(&group) {
                break;
            }
        }
        if page.records.is_empty() { None } else { Some(page) }
    }

    fn groups_from(&self, page: &Page) -> Vec<Arc<Group>> {
        let cached = self.lock();
        let behind = cached.recent.partition_point(|(group, _)| group.first <= page.next);
        let start = behind.saturating_sub(1);
        if cached.recent.get(start).is_none_or(|(group, _)| !group.contains(page.next)) {
            return cached
                .decoded
                .iter()
                .filter(|group| group.contains(page.next))
                .map(Arc::clone)
                .take(1)
                .collect();
        }
        let mut groups = Vec::new();
        let mut whole_bytes = 0;
        for (group, cost_bytes) in cached.recent.range(start..) {
            groups.push(Arc::clone(group));
            // the first group may be wanted in part only
            whole_bytes += if groups.len() == 1 { 0 } else { *cost_bytes };
            if whole_bytes > page.bytes_max || groups.len() >= RECORDS_MAX {
                break;
            }
        }
        groups
    }

    /// Gives the memory back.
    pub(super) fn clear(&self) {
        *self.lock() = Cached::default();
    }

    fn lock(&self) -> MutexGuard<'_, Cached> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The answer to a read while it is put together.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) records: Vec<Record>,
    /// The position of the next record to take.
    pub(super) next: Position,
    /// Nothing is read from here on: it may not be durable.
    pub(super) end: Position,
    pub(super) bytes_max: usize,
    bytes: usize,
}

impl Page {
    pub(super) fn new(next: Position, end: Position, bytes_max: usize) -> Self {
        Self { records: Vec::new(), next, end, bytes_max, bytes: 0 }
    }

    /// Takes the records of the group that holds the next position; false when the page is full.
    pub(super) fn take(&mut self, group: &Group) -> bool {
        let skip = (self.next.0 - group.first.0) as usize;
        for (partition, bytes) in &group.records[skip..] {
            let fits = self.records.is_empty() || self.bytes + bytes.len() <= self.bytes_max;
            if !fits || self.next >= self.end || self.records.len() >= RECORDS_MAX {
                return false;
            }
            self.bytes += bytes.len();
            self.records.push(Record {
                position: self.next,
                partition: *partition,
                arrival: group.arrival,
                bytes: bytes.clone(),
            });
            self.next = self.next.next();
        }
        true
    }
}
