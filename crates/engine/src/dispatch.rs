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
//! unknown and listed, and never sent again by themselves ([`recover`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deliver::EmailTransport;
use domain::time::Timestamp;
use store::tables::outbox::{CLAIM_RECIPIENTS_MAX, Claimed, Intent, Lane, Page, Source, claimed_key, pages_until};
use store::value::decode;
use store::{Key, KvError, LogError, Version};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::Engine;
use crate::handle::SHARD;

mod claim;
mod content;
mod rates;
mod recover;
mod send;
mod waiters;

pub use claim::delivery_id;
pub use recover::recover;
pub use send::send;
pub(crate) use send::send_unrecorded;
use rates::Rates;
pub use waiters::{Deliveries, DeliveryOutcome};

/// Pages that are looked at to find one that may be sent.
const PAGES_LOOKED_AT: usize = 64;
/// Pages and runs whose content is kept compiled.
const CONTENTS_MAX: usize = 64;

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
    /// A variable without a value: send with a blank, or do not send (spec/97 C19).
    pub missing_values: MissingValues,
}

/// What becomes of a message whose template needs a value that the recipient does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MissingValues {
    Blank,
    /// The message is not sent: RENDERING_FAILURE.
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
}

/// What a step found.
#[derive(Debug)]
pub enum Next {
    /// A claim: to be given to [`send`].
    Claim(Box<Claim>),
    /// Nothing may be sent before then.
    Wait(Option<Timestamp>),
}

/// Recipients that are to be handed over now; their intent is durable.
#[derive(Debug)]
pub struct Claim {
    pub intent: Intent,
    content: Arc<content::Content>,
    /// For each delivery of the intent that is to be handed over: what its template reads.
    documents: Vec<Option<serde_json::Value>>,
}

/// A lane that the provider pushes back on.
#[derive(Debug, Default)]
pub struct Pause {
    until: Mutex<Option<Timestamp>>,
}

impl Pause {
    fn extend(&self, until: Timestamp) {
        let mut pause = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        *pause = (*pause).max(Some(until));
    }

    fn until(&self, now: Timestamp) -> Option<Timestamp> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner).filter(|until| *until > now)
    }
}

/// Claims pages of a lane of the outbox, one claim at a time. There is exactly one per shard and lane, each with a transport
/// of its own: what the provider pushes back on in one lane does not delay the other.
#[derive(Debug)]
pub struct Dispatcher {
    pub(crate) engine: Engine,
    lane: Lane,
    contents: HashMap<content::ContentKey, Arc<content::Content>>,
    rates: Rates,
    sender: Sender,
}

/// What [`send`] needs; cheap to clone into a task.
#[derive(Debug, Clone)]
pub struct Sender {
    pub engine: Engine,
    pub transport: EmailTransport,
    pub options: Arc<DispatchOptions>,
    pause: Arc<Pause>,
    /// As many as the transport hands over at a time: what has to wait can still be put off.
    slots: Arc<Semaphore>,
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
        let slots = transport.mails_in_flight_max().min(Semaphore::MAX_PERMITS);
        let sender = Sender {
            engine: engine.clone(),
            transport,
            options: Arc::new(options),
            pause: Arc::default(),
            slots: Arc::new(Semaphore::new(slots)),
            stop,
        };
        Self { engine, lane, contents: HashMap::new(), rates: Rates::default(), sender }
    }

    /// What tasks that carry out claims share with this dispatcher.
    pub fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// Claims the next recipients that may be sent to.
    pub async fn step(&mut self) -> Result<Next, DispatchError> {
        let now = self.engine.context.now();
        let mut earliest: Option<Timestamp> = self.sender.pause.until(now);
        if earliest.is_some() {
            return Ok(Next::Wait(earliest));
        }
        let rows = self.engine.kv.scan(pages_until(SHARD, self.lane, now), PAGES_LOOKED_AT).await?;
        for (key, row) in rows {
            let page: Page = decode(&row.value).map_err(KvError::from)?;
            let content = self.content(&page).await?;
            match self.permits(&page, &content) {
                Ok(permits) => {
                    let claim = self.claim(key, row.version, page, content, permits).await?;
                    if let Some(claim) = claim {
                        return Ok(Next::Claim(Box::new(claim)));
                    }
                }
                Err(at) => earliest = earliest.map_or(Some(at), |earliest| Some(earliest.min(at))),
            }
        }
        Ok(Next::Wait(earliest.or(self.next_due().await?)))
    }

    /// When the first page may be sent.
    async fn next_due(&self) -> Result<Option<Timestamp>, KvError> {
        let rows = self.engine.kv.scan(store::tables::outbox::pages(SHARD, self.lane), 1).await?;
        Ok(rows.first().and_then(|(key, _)| store::tables::outbox::due_of(key)))
    }

    /// How many recipients of the page may be claimed now; the error is when there will be some.
    fn permits(&mut self, page: &Page, content: &content::Content) -> Result<usize, Timestamp> {
        let clock = &self.engine.context.clock;
        let campaign = match (&page.source, content.messages_per_second()) {
            (Source::Campaign { campaign, .. }, Some(per_second)) => Some((campaign.as_str(), per_second)),
            _ => None,
        };
        let lane = self.sender.options.messages_per_second;
        let permits = self.rates.take(lane, campaign, CLAIM_RECIPIENTS_MAX as u32, clock.monotonic_ms());
        permits
            .map(|permits| permits as usize)
            .map_err(|wait_ms| clock.now().plus(Duration::from_millis(wait_ms)))
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
