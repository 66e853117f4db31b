//! The outbox: pages of recipients to be sent, claims of them that are under way, and what became of each delivery.
//!
//! A page is immutable. A claim moves a cursor over the page and leaves an intent in the same durable commit; the projection
//! clears the intent with the outcome. So after a crash every recipient is in exactly one place: behind the cursor of a
//! page, in an intent, or counted.

use std::time::Duration;

use domain::audience::AppKey;
use domain::records::SendStatus;
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::expiries;
use crate::key::{Key, KeyRange, Table};
use crate::kv::Batch;
use crate::log::Shard;
use crate::value::{Stored, encode};

/// Recipients of a page, at most.
pub const PAGE_RECIPIENTS_MAX: usize = 1_000;
/// For how long a request is kept after its pages have expired: the clock may be set back meanwhile.
const REQUEST_KEPT: Duration = Duration::from_mins(10);
/// Recipients of a claim, at most: how many deliveries a crash can leave unknown.
pub const CLAIM_RECIPIENTS_MAX: usize = 100;

/// Lanes keep a large campaign from delaying a one-time code. Lower is served first; stored by position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Lane {
    Transactional,
    Campaign,
}

impl Lane {
    pub const ALL: [Self; 2] = [Self::Transactional, Self::Campaign];
}

/// A page of recipients. Never changed once written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// Unique; also what outcomes refer to.
    pub id: String,
    pub app: AppKey,
    pub lane: Lane,
    pub source: Source,
    /// Counted from 1; a retry is a page of its own.
    pub attempt: u16,
    pub created: Timestamp,
    /// After this instant nothing of the page is sent.
    pub expires: Timestamp,
    pub recipients: Vec<Recipient>,
}

impl Stored for Page {
    const FORMAT: u8 = 1;
}

impl Page {
    /// The page retries recipients of another one: what they may receive was counted with that one.
    pub fn is_retry(&self) -> bool {
        is_retry(&self.id)
    }
}

/// Pages of retries are named after the page that they come from, and what follows its dot.
pub fn is_retry(page: &str) -> bool {
    page.contains('.')
}

/// By what the messages of a page are sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Source {
    Campaign {
        campaign: String,
        version: u32,
        run: String,
    },
    /// `SendMessages` and `SendUsersMessages`: the id of the request, which stands in a row of its own ([`Request`]): a page, each
    /// claim of it and each retry would else hold megabytes.
    Direct {
        request: String,
    },
}

/// A direct message's request, JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request(pub String);

impl Stored for Request {
    const FORMAT: u8 = 1;
}

/// Whom a message goes to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Recipient {
    /// An endpoint of a run's audience.
    Ordinal(u32),
    /// An endpoint that was named, by folded id; `user`: through which user.
    Endpoint { endpoint: String, user: Option<String> },
    /// A bare address, as the key of the request names it.
    Address(String),
}

/// A claim under way: its messages may have been handed over, and their outcome is not projected yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    pub app: AppKey,
    pub page: String,
    pub from: u32,
    pub lane: Lane,
    pub source: Source,
    pub attempt: u16,
    pub expires: Timestamp,
    pub at: Timestamp,
    pub deliveries: Vec<Delivery>,
}

impl Stored for Intent {
    const FORMAT: u8 = 1;
}

/// One recipient of a claim, decided.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    pub id: String,
    pub recipient: Recipient,
    /// As shown: the endpoint's id and address.
    pub endpoint: String,
    pub ordinal: Option<u32>,
    pub address: String,
    pub channel: Option<domain::channels::ChannelType>,
    pub treatment: u8,
    /// `None`: handed over with this claim. Else: withheld, for this reason.
    pub skipped: Option<SendStatus>,
    pub detail: String,
}

/// What became of a delivery: why it was, or was not, sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub endpoint: String,
    pub address: String,
    pub campaign: Option<String>,
    pub run: Option<String>,
    pub treatment: u8,
    pub status: SendStatus,
    pub attempt: u16,
    pub code: Option<u16>,
    pub detail: String,
    pub sent: Timestamp,
}

impl Stored for Outcome {
    const FORMAT: u8 = 1;
}

/// How many recipients of a page are claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claimed(pub u32);

impl Stored for Claimed {
    const FORMAT: u8 = 1;
}

/// Pages that wait for each other: those of a campaign, or an application's direct messages. Other queues of the lane do not
/// wait for them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Queue {
    pub app: AppKey,
    /// The campaign; empty for direct messages.
    pub campaign: String,
}

impl Page {
    /// The queue that the page stands in.
    pub fn queue(&self) -> Queue {
        let campaign = match &self.source {
            Source::Campaign { campaign, .. } => campaign.clone(),
            Source::Direct { .. } => String::new(),
        };
        Queue { app: self.app.clone(), campaign }
    }
}

/// All pages of a lane, by account, application and campaign.
pub fn pages(shard: Shard, lane: Lane) -> Key {
    Key::new(Table::Outbox).number(u64::from(shard.0)).number(lane as u64)
}

/// An application's pages of a lane.
pub fn pages_of_app(shard: Shard, lane: Lane, app: &AppKey) -> Key {
    pages(shard, lane).text(app.account.as_str()).text(app.app.as_str())
}

/// A queue's pages, in order of the time from which on they may be sent.
pub fn pages_of_queue(shard: Shard, lane: Lane, queue: &Queue) -> Key {
    pages_of_app(shard, lane, &queue.app).text(&queue.campaign)
}

/// A queue's pages that may not be sent before `due`.
pub fn pages_from(shard: Shard, lane: Lane, queue: &Queue, due: Timestamp) -> KeyRange {
    let prefix = pages_of_queue(shard, lane, queue);
    KeyRange { from: prefix.clone().number(due.0.max(0) as u64), to: prefix.after_prefix() }
}

/// Where a page stands that may be sent from `due` on.
pub fn page_key(shard: Shard, page: &Page, due: Timestamp) -> Key {
    pages_of_queue(shard, page.lane, &page.queue()).number(due.0.max(0) as u64).text(&page.id)
}

/// A page's queue and the time from which on it may be sent, from its key.
pub fn place_of(shard: Shard, lane: Lane, key: &Key) -> Option<(Queue, Timestamp)> {
    let mut components = key.components_behind(&pages(shard, lane));
    let app = AppKey { account: components.text()?.into(), app: components.text()?.into() };
    let campaign = components.text()?;
    let due = Timestamp(components.number()? as i64);
    Some((Queue { app, campaign }, due))
}

/// The request of a direct message.
pub fn request_key(shard: Shard, request: &str) -> Key {
    Key::new(Table::Requests).number(u64::from(shard.0)).text(request)
}

/// Writes the request of a direct message. It goes some time after its pages have expired, however many they are and whatever
/// became of them.
pub fn put_request(batch: &mut Batch, shard: Shard, id: &str, document: String, pages_expire: Timestamp) {
    let key = request_key(shard, id);
    batch.put(key.clone(), encode(&Request(document)));
    batch.put(expiries::key(pages_expire.plus(REQUEST_KEPT), &key), Vec::new());
}

/// The cursor of a page.
pub fn claimed_key(shard: Shard, page: &str) -> Key {
    Key::new(Table::Claims).number(u64::from(shard.0)).text(page)
}

/// All intents.
pub fn intents(shard: Shard) -> Key {
    Key::new(Table::Intents).number(u64::from(shard.0))
}

pub fn intent_key(shard: Shard, page: &str, from: u32) -> Key {
    intents(shard).text(page).ordinal(from)
}

/// Outcomes of an application's deliveries, by endpoint, then delivery.
pub fn outcomes(app: &AppKey) -> Key {
    Key::new(Table::Deliveries).text(app.account.as_str()).text(app.app.as_str())
}

/// Outcomes of an endpoint's deliveries. `endpoint`: the folded id, or the address where no endpoint was named.
pub fn outcomes_of(app: &AppKey, endpoint: &str) -> Key {
    outcomes(app).text(&super::audiences::short(endpoint))
}

/// `endpoint`: as for [`outcomes_of`].
pub fn outcome_key(app: &AppKey, endpoint: &str, delivery: &str) -> Key {
    outcomes_of(app, endpoint).text(delivery)
}

/// Deliveries of an application whose outcome nobody knows.
pub fn unknowns(app: &AppKey) -> Key {
    Key::new(Table::Unknown).text(app.account.as_str()).text(app.app.as_str())
}

pub fn unknown_key(app: &AppKey, delivery: &str) -> Key {
    unknowns(app).text(delivery)
}
