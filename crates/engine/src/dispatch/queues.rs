//! Which queues of the outbox have pages, and whose turn it is.
//!
//! Kept in memory, because the dispatcher asks before every claim: a scan of the outbox itself would pass by the pages of
//! every campaign that may not send now, and over those that were sent and deleted. Whoever has committed a page says so
//! ([`Queues::written`]); at the start, before anybody writes, the queues are read from the store ([`Queues::load`]).
//!
//! Accounts take turns, and within an account its queues: no account waits for another's campaign, however long that is.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::ids::AccountId;
use domain::time::Timestamp;
use store::tables::outbox::{Lane, Queue, pages, place_of};
use store::{Kv, KvError};
use tokio::sync::Notify;

use super::rows::Rows;
use crate::handle::SHARD;

/// Pages that are read at a time when the queues are loaded.
const LOADED_AT_ONCE: usize = 100;

/// The queues of all lanes.
#[derive(Debug, Default)]
pub struct Queues {
    /// How many pages there are, by account.
    pub rows: Rows,
    lanes: [Waiting; Lane::ALL.len()],
}

/// The queues of a lane.
#[derive(Debug, Default)]
struct Waiting {
    turns: Mutex<Turns>,
    /// Wakes the dispatcher.
    wake: Notify,
}

#[derive(Debug, Default)]
struct Turns {
    queues: BTreeMap<Queue, Entry>,
    /// Whose turn it was last.
    account: Option<AccountId>,
    /// By account: the queue that was served last.
    served: HashMap<AccountId, Queue>,
}

/// When a queue is worth looking at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// None of its pages may be sent before; earlier ones were sent and deleted.
    pub(super) from: Timestamp,
    /// It is not worth looking before.
    pub(super) ready: Timestamp,
}

impl Queues {
    /// Reads which queues have pages, and how many. Once, before anybody writes pages or sends them.
    pub async fn load(&self, kv: &dyn Kv) -> Result<(), KvError> {
        for lane in Lane::ALL {
            let mut range = pages(SHARD, lane).prefix();
            loop {
                let rows = kv.scan(range.clone(), LOADED_AT_ONCE).await?;
                let Some((last, _)) = rows.last() else { break };
                range.from = last.successor();
                for (queue, due) in rows.iter().filter_map(|(key, _)| place_of(SHARD, lane, key)) {
                    self.written(lane, queue, due, 1);
                }
            }
        }
        Ok(())
    }

    /// So many pages were committed that may be sent from `due` on.
    pub fn written(&self, lane: Lane, queue: Queue, due: Timestamp, pages: usize) {
        self.rows.written(&queue.app.account, pages);
        self.put_back(lane, queue, Entry { from: due, ready: due });
        self.lanes[lane as usize].wake.notify_one();
    }

    /// Waits until a page is written.
    pub async fn wait(&self, lane: Lane) {
        self.lanes[lane as usize].wake.notified().await;
    }

    /// Takes the queue whose turn it is among those that are ready. It is to be put back after it was looked at, unless it
    /// has no page: what is written in between puts it back too.
    pub(super) fn take(&self, lane: Lane, now: Timestamp) -> Option<(Queue, Entry)> {
        let mut turns = self.turns(lane);
        let queue = turns.next(now)?;
        let entry = turns.queues.remove(&queue)?;
        turns.account = Some(queue.app.account.clone());
        turns.served.insert(queue.app.account.clone(), queue.clone());
        Some((queue, entry))
    }

    pub(super) fn put_back(&self, lane: Lane, queue: Queue, entry: Entry) {
        let mut turns = self.turns(lane);
        let known = turns.queues.entry(queue).or_insert(entry);
        known.from = known.from.min(entry.from);
        known.ready = known.ready.min(entry.ready);
    }

    /// When the next queue is worth looking at.
    pub(super) fn next_ready(&self, lane: Lane) -> Option<Timestamp> {
        self.turns(lane).queues.values().map(|entry| entry.ready).min()
    }

    /// Since when the oldest page that may be sent has been waiting; a lower bound.
    pub fn oldest_due(&self, lane: Lane) -> Option<Timestamp> {
        self.turns(lane).queues.values().map(|entry| entry.from).min()
    }

    fn turns(&self, lane: Lane) -> MutexGuard<'_, Turns> {
        // A panic cannot leave the turns half changed.
        self.lanes[lane as usize].turns.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turns {
    /// The account behind the one that was served last that has a ready queue; of its queues the one behind the last.
    fn next(&mut self, now: Timestamp) -> Option<Queue> {
        if self.queues.is_empty() {
            self.served.clear();
            return None;
        }
        let is_ready = |(queue, entry): (&Queue, &Entry)| (entry.ready <= now).then(|| queue.clone());
        let last = self.account.clone();
        let is_behind = |queue: &Queue| last.as_ref().is_some_and(|last| queue.app.account > *last);
        let mut behind = self.queues.iter().filter(|(queue, _)| is_behind(queue)).filter_map(is_ready);
        let first = behind.next().or_else(|| self.queues.iter().find_map(is_ready))?;
        let account = &first.app.account;
        let Some(served) = self.served.get(account) else { return Some(first) };
        let after = self.queues.range((Bound::Excluded(served), Bound::Unbounded));
        let mut after = after.take_while(|(queue, _)| queue.app.account == *account).filter_map(is_ready);
        Some(after.next().unwrap_or(first))
    }
}

#[cfg(test)]
mod tests {
    use domain::audience::AppKey;
    use store::kv::memory::MemoryKv;

    use super::*;

    const LANE: Lane = Lane::Campaign;

    fn queue(name: &str) -> Queue {
        let (account, campaign) = name.split_once('/').unwrap();
        Queue { app: AppKey { account: account.into(), app: "app".into() }, campaign: campaign.to_owned() }
    }

    /// Takes `times` queues, each of which has more pages.
    fn turns(queues: &Queues, now: i64, times: usize) -> String {
        let mut names = Vec::new();
        for _ in 0..times {
            let Some((queue, entry)) = queues.take(LANE, Timestamp(now)) else { break };
            names.push(format!("{}/{}", queue.app.account, queue.campaign));
            queues.put_back(LANE, queue, entry);
        }
        names.join(" ")
    }

    #[test]
    fn accounts_take_turns_and_their_queues_too() {
        let queues = Queues::default();
        for name in ["a/1", "a/2", "a/3", "b/1"] {
            queues.written(LANE, queue(name), Timestamp(5), 1);
        }
        assert_eq!(turns(&queues, 4, 3), "");
        assert_eq!(turns(&queues, 5, 7), "a/1 b/1 a/2 b/1 a/3 b/1 a/1");
        assert_eq!(queues.next_ready(Lane::Transactional), None);
    }

    #[test]
    fn a_queue_that_is_not_ready_is_passed_by() {
        let queues = Queues::default();
        queues.written(LANE, queue("a/slow"), Timestamp(1), 1);
        queues.written(LANE, queue("a/fast"), Timestamp(1), 1);
        let slow = loop {
            let (queue, entry) = queues.take(LANE, Timestamp(1)).unwrap();
            let is_slow = queue.campaign == "slow";
            queues.put_back(LANE, queue.clone(), entry);
            if is_slow {
                break queue;
            }
        };
        let _ = queues.turns(LANE).queues.remove(&slow);
        queues.put_back(LANE, slow, Entry { from: Timestamp(1), ready: Timestamp(50) });
        assert_eq!(turns(&queues, 10, 3), "a/fast a/fast a/fast");
        // A page that is written makes it ready again: who wrote it knows more.
        queues.written(LANE, queue("a/slow"), Timestamp(9), 1);
        assert_eq!(turns(&queues, 10, 2), "a/slow a/fast");
        assert_eq!(queues.oldest_due(LANE), Some(Timestamp(1)));
    }

    #[tokio::test]
    async fn the_queues_of_a_store_are_found() {
        use store::tables::outbox::{Page, Source, page_key};
        let kv = MemoryKv::new();
        let mut batch = store::Batch::default();
        for (name, due) in [("a/1", 7), ("a/1", 8), ("b/2", 3)] {
            let queue = queue(name);
            let source = Source::Campaign { campaign: queue.campaign, version: 1, run: String::new() };
            let page = Page {
                id: due.to_string(),
                app: queue.app,
                lane: LANE,
                source,
                attempt: 1,
                created: Timestamp(0),
                expires: Timestamp::MAX,
                recipients: Vec::new(),
            };
            batch.put(page_key(SHARD, &page, Timestamp(due)), store::value::encode(&page));
        }
        kv.commit(batch, store::Durability::Durable).await.unwrap();
        let queues = Queues::default();
        queues.load(&kv).await.unwrap();
        let found: Vec<_> =
            queues.turns(LANE).queues.iter().map(|(queue, entry)| (queue.clone(), entry.from)).collect();
        assert_eq!(found, [(queue("a/1"), Timestamp(7)), (queue("b/2"), Timestamp(3))]);
        assert_eq!((queues.rows.of(&"a".into()), queues.rows.of(&"b".into())), (2, 1));
    }
}
