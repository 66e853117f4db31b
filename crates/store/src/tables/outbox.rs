//! The outbox: pages of recipients to be sent, claims of them that are under way, and what became of each delivery.
//!
//! A page is immutable. A claim moves a cursor over the page and leaves an intent in the same durable commit; the projection
//! clears the intent with the outcome. So after a crash every recipient is in exactly one place: behind the cursor of a
//! page, in an intent, or counted.

use domain::audience::AppKey;
use domain::records::SendStatus;
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::key::{Key, KeyRange, Table};
use crate::log::Shard;
use crate::value::Stored;

/// Recipients of a page, at most.
pub const PAGE_RECIPIENTS_MAX: usize = 1_000;
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
    /// SendMessages and SendUsersMessages: the request, JSON.
    Direct {
        request: String,
    },
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

fn lane_base(shard: Shard, lane: Lane) -> Key {
    Key::new(Table::Outbox).number(u64::from(shard.0)).number(lane as u64)
}

/// Where a page stands: by lane, then the time from which on it may be sent.
pub fn page_key(shard: Shard, lane: Lane, due: Timestamp, page: &str) -> Key {
    lane_base(shard, lane).number(due.0.max(0) as u64).text(page)
}

/// Pages of a lane that may be sent at `now`, earliest first.
pub fn pages_until(shard: Shard, lane: Lane, now: Timestamp) -> KeyRange {
    let base = lane_base(shard, lane);
    KeyRange { to: base.clone().number(now.0.max(0) as u64 + 1), from: base }
}

/// All pages of a lane.
pub fn pages(shard: Shard, lane: Lane) -> KeyRange {
    lane_base(shard, lane).prefix()
}

/// From when on a page may be sent, from its key.
pub fn due_of(key: &Key) -> Option<Timestamp> {
    let mut components = key.components();
    components.number()?;
    components.number()?;
    Some(Timestamp(components.number()? as i64))
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
