//! The dispatcher: how a message leaves.
//!
//! ```text
//! page ─► claim: next ≤ 100 recipients, decided on their state now
//!         commit durably: cursor of the page + intent + what caps count        (in order, one at a time)
//!      ─► send: render, hand over, append the outcome to the log               (many at once)
//!      ─► projection: clears the intent, moves counters, makes retries due
//! ```
//!
//! After a crash an intent without an outcome means that nobody knows whether its messages left: they are counted as
//! unknown and listed, and never sent again by themselves ([`fn@recover`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use deliver::{EmailTransport, ListUnsubscribe};
use domain::time::Timestamp;
use store::tables::outbox::{
    CLAIM_RECIPIENTS_MAX, Claimed, Intent, Lane, Page, Queue, claimed_key, pages_from, place_of,
};
use store::value::decode;
use store::{Key, KvError, LogError, Version, Versioned};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::Engine;
use crate::handle::SHARD;

mod claim;
mod content;
mod direct;
mod overrides;
mod queues;
mod rates;
mod received;
mod recover;
mod rows;
mod send;
mod waiters;

pub use claim::delivery_id;
pub use direct::put_direct;
use queues::Entry;
pub use queues::Queues;
use rates::Rates;
pub use recover::recover;
pub use rows::Rows;
pub use send::send;
pub(crate) use send::send_unrecorded;
pub use waiters::{Deliveries, DeliveryOutcome};

/// Pages and runs whose content is kept compiled.
const CONTENTS_MAX: usize = 64;

/// The first pause after a push-back that names none; doubles until the provider takes a message again.
const PAUSE: Duration = Duration::from_secs(5);
const PAUSE_MAX: Duration = Duration::from_mins(5);
/// The wait before a page is looked at again that could not be read.
const UNREADABLE_AGAIN: Duration = Duration::from_hours(1);
/// The wait after a claim that lost against a change of what it was made of.
const CONFLICT_AGAIN: Duration = Duration::from_millis(1);

/// What the dispatcher may do.
#[derive(Debug, Clone)]
pub struct DispatchOptions {
    /// Attempts for a message that fails for now, the first one included.
    pub attempts_max: u16,
    /// The wait before the second attempt; doubles with each further one, up to [`DispatchOptions::backoff_max`].
    pub backoff: Duration,
    pub backoff_max: Duration,
    /// Messages a second that all pages of a lane may send together; `None`: as many as the transport takes.
    pub messages_per_second: Option<u32>,
    /// A variable without a value in a campaign's message: send with a blank, or do not send (spec/97 C19). A direct message
    /// is sent with a blank.
    pub missing_values: MissingValues,
    /// Where the recipient of a campaign's mail unsubscribes (RFC 8058); `{delivery_id}` in it becomes the id of the delivery. A
    /// header of the campaign's own comes first.
    pub list_unsubscribe: Option<ListUnsubscribe>,
}

/// What becomes of a message whose template needs a value that the recipient does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingValues {
    Blank,
    /// The message is not sent: `RENDERING_FAILURE`.
    Refuse,
}

impl Default for DispatchOptions {
    fn default() -> Self {
        Self {
            attempts_max: 6,
            backoff: Duration::from_secs(30),
            backoff_max: Duration::from_hours(1),
            messages_per_second: None,
            missing_values: MissingValues::Refuse,
            list_unsubscribe: None,
        }
    }
}

/// The dispatcher cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    #[error("cannot keep the outbox")]
    Kv(#[from] KvError),
    #[error("cannot record an outcome")]
    Log(#[from] LogError),
    /// It panicked: what it had begun is in its intent.
    #[error("a hand that carried out a claim has ended")]
    Hand(#[from] tokio::task::JoinError),
}

/// What a step found.
#[derive(Debug)]
pub enum Next {
    /// A claim: to be given to [`fn@send`].
    Claim(Box<Claim>),
    /// Nothing may be sent before then.
    Wait(Option<Timestamp>),
}

/// What a look at a queue found.
struct Looked {
    claim: Option<Box<Claim>>,
    /// When the queue is worth looking at again; `None`: it has no page.
    entry: Option<Entry>,
}

/// Recipients that are to be handed over now; their intent is durable.
#[derive(Debug)]
pub struct Claim {
    pub intent: Intent,
    content: Arc<content::Content>,
    /// For each delivery of the intent that is to be handed over: who reads it.
    readers: Vec<Option<claim::Known>>,
}

/// A lane that the provider pushes back on: it waits, longer each time, until the provider takes a message again.
#[derive(Debug, Default)]
pub struct Pause(Mutex<PauseState>);

#[derive(Debug, Default)]
struct PauseState {
    until: Option<Timestamp>,
    /// Pauses since the provider took a message.
    times: u32,
}

impl Pause {
    /// Begins a pause, or goes on with the one that there is; answers its end.
    fn begin(&self, now: Timestamp, retry_after: Option<Duration>) -> Timestamp {
        let mut state = self.state();
        let current = state.until.filter(|until| *until > now);
        let wait = match (retry_after, current) {
            (Some(wait), _) => wait,
            // Other messages of the same moment met the same refusal.
            (None, Some(until)) => return until,
            (None, None) => PAUSE.saturating_mul(1 << state.times.min(16)).min(PAUSE_MAX),
        };
        if current.is_none() {
            state.times += 1;
        }
        let until = current.map_or(now.plus(wait), |until| until.max(now.plus(wait)));
        state.until = Some(until);
        until
    }

    /// The provider took a message.
    fn end(&self) {
        self.state().times = 0;
    }

    fn until(&self, now: Timestamp) -> Option<Timestamp> {
        self.state().until.filter(|until| *until > now)
    }

    fn state(&self) -> MutexGuard<'_, PauseState> {
        // A panic cannot leave it half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Claims pages of a lane of the outbox, one claim at a time. There is exactly one per shard and lane, each with a transport
/// of its own: what the provider pushes back on in one lane does not delay the other.
#[derive(Debug)]
pub struct Dispatcher {
    pub(crate) engine: Engine,
    lane: Lane,
    contents: HashMap<content::ContentKey, Arc<content::Content>>,
    /// The page that was looked at last.
    page: Option<(Key, Version, Arc<Page>)>,
    rates: Rates,
    sender: Sender,
}

/// What [`fn@send`] needs; cheap to clone into a task.
#[derive(Debug, Clone)]
pub struct Sender {
    pub engine: Engine,
    pub transport: EmailTransport,
    pub options: Arc<DispatchOptions>,
    pause: Arc<Pause>,
    /// As many as the transport hands over at a time: what has to wait can still be put off.
    slots: Arc<Semaphore>,
    slots_max: usize,
    /// Nothing more is handed over once this is cancelled.
    stop: CancellationToken,
}

impl Dispatcher {
    /// After `stop` nothing is handed over any more: what is claimed and waits for its turn is put off.
    pub fn new(
        engine: Engine,
        lane: Lane,
        transport: EmailTransport,
        options: DispatchOptions,
        stop: CancellationToken,
    ) -> Self {
        let slots_max = transport.mails_in_flight_max().min(Semaphore::MAX_PERMITS);
        let sender = Sender {
            engine: engine.clone(),
            transport,
            options: Arc::new(options),
            pause: Arc::default(),
            slots: Arc::new(Semaphore::new(slots_max)),
            slots_max,
            stop,
        };
        Self { engine, lane, contents: HashMap::new(), page: None, rates: Rates::default(), sender }
    }

    /// What tasks that carry out claims share with this dispatcher.
    pub fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// Claims the next recipients that may be sent to, of the queue whose turn it is.
    pub async fn step(&mut self) -> Result<Next, DispatchError> {
        let now = self.engine.context.now();
        if let Some(until) = self.sender.pause.until(now) {
            return Ok(Next::Wait(Some(until)));
        }
        let engine = self.engine.clone();
        while let Some((queue, entry)) = engine.queues.take(self.lane, now) {
            match self.look(&queue, entry, now).await {
                Ok(Looked { claim, entry }) => {
                    if let Some(entry) = entry {
                        engine.queues.put_back(self.lane, queue, entry);
                    }
                    if let Some(claim) = claim {
                        return Ok(Next::Claim(claim));
                    }
                }
                Err(error) => {
                    engine.queues.put_back(self.lane, queue, entry);
                    return Err(error.into());
                }
            }
        }
        Ok(Next::Wait(engine.queues.next_ready(self.lane)))
    }

    /// Claims of the first page of a queue, if it may be sent now.
    async fn look(&mut self, queue: &Queue, entry: Entry, now: Timestamp) -> Result<Looked, KvError> {
        let later = |from, ready| Ok(Looked { claim: None, entry: Some(Entry { from, ready }) });
        let pages = pages_from(SHARD, self.lane, queue, entry.from);
        let Some((key, row)) = self.engine.kv.scan(pages, 1).await?.pop() else {
            return Ok(Looked { claim: None, entry: None });
        };
        let due = place_of(SHARD, self.lane, &key).map_or(entry.from, |(_, due)| due);
        if due > now {
            return later(due, due);
        }
        let page = match self.page(&key, &row) {
            Ok(page) => page,
            Err(error) => {
                tracing::error!(?key, %error, "a page of the outbox cannot be read: its queue is held up");
                return later(due, now.plus(UNREADABLE_AGAIN));
            }
        };
        let content = self.content(&page).await?;
        let claimed = self.claimed(&page).await?;
        let left = page.recipients.len().saturating_sub(claimed.0 as usize).clamp(1, CLAIM_RECIPIENTS_MAX);
        let permits = match self.permits(queue, &content, left as u32) {
            Ok(permits) => permits,
            Err(at) => return later(due, at),
        };
        let claim = self.claim((key, row.version), &page, claimed, content, permits as usize).await?;
        let used = claim.as_ref().map_or(0, |claim| claim.readers.iter().flatten().count() as u32);
        self.rates.give_back(&queue.campaign, permits.saturating_sub(used));
        let ready = if claim.is_some() { now } else { now.plus(CONFLICT_AGAIN) };
        Ok(Looked { claim: claim.map(Box::new), entry: Some(Entry { from: due, ready }) })
    }

    /// The page of a row. It is claimed in many parts and never changes: the last one is kept as it was read.
    fn page(&mut self, key: &Key, row: &Versioned) -> Result<Arc<Page>, KvError> {
        if let Some((last, version, page)) = &self.page
            && (last, *version) == (key, row.version)
        {
            return Ok(Arc::clone(page));
        }
        let page = Arc::new(decode::<Page>(&row.value)?);
        self.page = Some((key.clone(), row.version, Arc::clone(&page)));
        Ok(page)
    }

    /// How many recipients of a queue may be claimed now; the error is when there will be some.
    fn permits(&mut self, queue: &Queue, content: &content::Content, wanted: u32) -> Result<u32, Timestamp> {
        let clock = &self.engine.context.clock;
        let campaign = content.messages_per_second().map(|per_second| (queue.campaign.as_str(), per_second));
        let lane = self.sender.options.messages_per_second;
        let permits = self.rates.take(lane, campaign, wanted, clock.monotonic_ms());
        permits.map_err(|wait_ms| clock.now().plus(Duration::from_millis(wait_ms)))
    }

    /// How far the page is claimed, and the version of the row that says so.
    async fn claimed(&self, page: &Page) -> Result<(u32, Key, Version), KvError> {
        let key = claimed_key(SHARD, &page.id);
        Ok(match self.engine.kv.get(&key).await? {
            Some(row) => (decode::<Claimed>(&row.value)?.0, key, row.version),
            None => (0, key, Version::ABSENT),
        })
    }
}
