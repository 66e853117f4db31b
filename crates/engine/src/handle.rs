//! What everybody shares: the context, the seams, how far the projection is, and who is to be woken.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use domain::audience::AppKey;
use domain::events::EventBatch;
use domain::ids::RequestId;
use domain::records::{Body, Record};
use domain::time::Timestamp;
use store::{Context, Kv, Log, LogError, Partition, Position, Shard};
use tokio::sync::watch;

use crate::audiences::Audiences;
use crate::contacts::Contacts;
use crate::dispatch::{Deliveries, Queues};
use crate::due::DueQueue;
use crate::expiries;
use crate::jobs::is_job;
use crate::lag::Lag;
use crate::low_water::LowWater;
use crate::names::Names;
use crate::objects::Objects;
use crate::readings::Readings;

/// Refusals kept for those who wait for them; an older one is dropped when there are more.
const VERDICTS_MAX: usize = 100_000;

/// A record gets its time of arrival, and is at the log's end before this has passed: a sync of the disk lies between.
const WRITTEN_WITHIN: Duration = Duration::from_mins(1);

/// Verdicts of events stand behind those of the record's items.
pub(crate) const FIRST_EVENT: u32 = 1 << 16;

/// The one shard of the embedded log.
pub const SHARD: Shard = Shard(0);

/// The engine as request handlers and workers see it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine(Arc<Shared>);

#[derive(Debug)]
pub struct Shared {
    pub context: Context,
    pub kv: Arc<dyn Kv>,
    pub log: Arc<dyn Log>,
    /// Where the objects of import and export jobs are.
    pub objects: Objects,
    /// The audience indexes, kept by the projection.
    pub audiences: Audiences,
    /// How endpoints are reached, kept by the projection.
    pub contacts: Contacts,
    /// Names that applications have used, kept by the projection.
    pub names: Names,
    /// Batches of events that were read and are not folded yet.
    pub(crate) readings: Readings,
    progress: watch::Sender<Folded>,
    verdicts: Mutex<BTreeMap<(Position, u32), String>>,
    lag: Lag,
    /// Due rows of everything but jobs; wakes whoever carries them out.
    pub due: DueQueue,
    /// Due rows of import and export jobs; wakes whoever carries them out.
    pub jobs: DueQueue,
    /// Rows that expire.
    pub(crate) expiries: LowWater,
    /// Which queues of the outbox have pages.
    pub queues: Queues,
    /// Who waits for the outcome of a page.
    pub deliveries: Deliveries,
}

impl std::ops::Deref for Engine {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

/// How far the projection is.
#[derive(Debug, Clone, Copy)]
struct Folded {
    /// The next record that it will fold; everything before it is in the state and in the indexes.
    next: Position,
    /// When the last one arrived that it has folded since the start.
    arrival: Timestamp,
}

/// The record was not projected in time: the caller answers a retryable error; the record will be projected all the same.
#[derive(Debug, thiserror::Error)]
#[error("the record was accepted but is not visible yet")]
pub struct NotProjected;

impl Engine {
    /// An engine without a place for objects: jobs are refused.
    pub fn new(context: Context, kv: Arc<dyn Kv>, log: Arc<dyn Log>) -> Self {
        Self::with_objects(context, kv, log, Objects::None)
    }

    pub fn with_objects(context: Context, kv: Arc<dyn Kv>, log: Arc<dyn Log>, objects: Objects) -> Self {
        Self(Arc::new(Shared {
            context,
            kv,
            log,
            objects,
            audiences: Audiences::default(),
            contacts: Contacts::default(),
            names: Names::default(),
            readings: Readings::default(),
            progress: watch::Sender::new(Folded { next: Position(0), arrival: Timestamp::default() }),
            verdicts: Mutex::default(),
            lag: Lag::default(),
            due: DueQueue::new(|task| !is_job(task)),
            jobs: DueQueue::new(is_job),
            expiries: LowWater::new(expiries::RESCAN_EVERY),
            queues: Queues::default(),
            deliveries: Deliveries::default(),
        }))
    }

    /// Appends a record; durable on return.
    pub async fn append(&self, app: &AppKey, record: &Record<'_>) -> Result<Position, LogError> {
        first(&self.log.append(vec![(partition(app, ""), record.encode().into())]).await?)
    }

    /// Appends the events of a request, whose body `json` was read with [`EventBatch::parse_known`] and the names that are
    /// known here; durable on return. Endpoints are made unless the account has as many as it may.
    pub async fn append_events(
        &self,
        app: &AppKey,
        request: &RequestId,
        json: &str,
        batch: &EventBatch<'_>,
        may_create: bool,
    ) -> Result<Position, LogError> {
        self.readings.keep(app, request, json, batch);
        let body = if may_create { Body::Events { json } } else { Body::EventsOfKnown { json } };
        let (account, request_id) = (app.account.as_str(), request.as_str());
        self.append(app, &Record { account, app: app.app.as_str(), request_id, body }).await
    }

    /// Appends the outcome of what was done already, with the space that the log keeps free for it; durable on return.
    pub(crate) async fn append_within_reserve(
        &self,
        app: &AppKey,
        record: &Record<'_>,
    ) -> Result<Position, LogError> {
        let records = vec![(partition(app, ""), record.encode().into())];
        first(&self.log.append_within_reserve(records).await?)
    }

    /// Appends encoded records of an application, in order; durable on return.
    pub async fn append_many(&self, app: &AppKey, records: Vec<Bytes>) -> Result<Vec<Position>, LogError> {
        let partition = partition(app, "");
        self.log.append(records.into_iter().map(|record| (partition, record)).collect()).await
    }

    /// The next record to be folded.
    pub fn projected(&self) -> Position {
        self.progress.borrow().next
    }

    /// Every record that arrived before this instant is folded, and none will arrive before it any more: what only those could
    /// ask for may go.
    pub(crate) fn folded_before(&self) -> Timestamp {
        let settled = self.context.now().minus(WRITTEN_WITHIN);
        let folded = *self.progress.borrow();
        if folded.next == self.log.end(SHARD) { settled } else { settled.min(folded.arrival) }
    }

    /// Waits until the record at `position` is in the state and in the index.
    pub async fn wait_projected(&self, position: Position) {
        let mut progress = self.progress.subscribe();
        // The sender lives as long as the engine, so waiting cannot fail.
        let _ = progress.wait_for(|folded| folded.next > position).await;
    }

    /// For how long the oldest record has been waiting that is not projected, in milliseconds; 0 when there is none.
    pub fn lag_ms(&self) -> u64 {
        self.lag.look(self.projected(), self.log.end(SHARD), self.context.clock.monotonic_ms())
    }

    /// Why an item of a record was refused; `None`: it was taken. Ask after [`Engine::wait_projected`].
    pub fn verdict(&self, position: Position, item: u32) -> Option<String> {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner).get(&(position, item)).cloned()
    }

    /// Why an event of a record was refused. `event`: counted over the whole record.
    pub fn event_verdict(&self, position: Position, event: u32) -> Option<String> {
        self.verdict(position, FIRST_EVENT + event)
    }

    /// Everything before `next` is folded, the last of it arrived at `arrival`.
    pub(crate) fn publish(
        &self,
        next: Position,
        arrival: Timestamp,
        refusals: Vec<((Position, u32), String)>,
    ) {
        if !refusals.is_empty() {
            let mut verdicts = self.verdicts.lock().unwrap_or_else(PoisonError::into_inner);
            verdicts.extend(refusals);
            while verdicts.len() > VERDICTS_MAX {
                verdicts.pop_first();
            }
        }
        self.progress.send_replace(Folded { next, arrival });
        // Whoever asks next finds a mark of this moment.
        self.lag_ms();
    }
}

fn first(positions: &[Position]) -> Result<Position, LogError> {
    positions.first().copied().ok_or_else(|| LogError::Corrupt("append answered no position".to_owned()))
}

/// The ordering key of what happens to an endpoint: a hash of account, application and folded endpoint id.
pub fn partition(app: &AppKey, folded: &str) -> Partition {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let parts = [app.account.as_str().as_bytes(), b"/", app.app.as_str().as_bytes(), b"/", folded.as_bytes()];
    for byte in parts.into_iter().flatten() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    Partition(((hash >> 32) % u64::from(store::log::PARTITIONS)) as u16)
}
