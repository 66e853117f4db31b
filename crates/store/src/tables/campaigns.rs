//! What happens to a campaign while it runs: its state, its runs, their audience and counters.

use std::collections::BTreeMap;

use domain::audience::AppKey;
use domain::campaigns::{Limits, QuietTime, ReceivedRow};
use domain::records::SendStatus;
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::key::{Key, Table};
use crate::value::Stored;

/// Ordinals in one chunk of a run's audience.
pub const CHUNK_ORDINALS: u32 = 1 << 20;

/// The status machine of spec/50-campaigns.md §2. Stored by position: append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    Scheduled,
    Executing,
    PendingNextRun,
    Completed,
    Paused,
    /// Its segment was deleted.
    Deleted,
    Invalid,
}

impl Status {
    /// Counts against the quota of active campaigns (spec/50-campaigns.md §2).
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Scheduled | Self::Executing | Self::PendingNextRun)
    }

    /// Has a run to come, once it is not paused any more.
    pub const fn waits(self) -> bool {
        matches!(self, Self::Scheduled | Self::Paused | Self::PendingNextRun)
    }

    /// Nothing is sent by the campaign any more, whatever happens.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Deleted | Self::Invalid)
    }
}

/// Where a campaign stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CampaignState {
    pub status: Status,
    /// The version that runs.
    pub version: u32,
    pub is_paused: bool,
    /// When the next run is due; its due row stands there.
    pub due: Option<Timestamp>,
    /// The run in progress, or the latest.
    pub run: Option<String>,
    pub runs: u32,
    /// The application's defaults at the time the campaign was made (spec/50 §5).
    pub default_limits: Limits,
    pub default_quiet_time: Option<QuietTime>,
    /// Why the campaign became invalid.
    pub fault: Option<String>,
}

impl Stored for CampaignState {
    const FORMAT: u8 = 1;
}

/// A run while its pages are written: gone once all are. Its audience is fixed when it starts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub id: String,
    pub campaign: String,
    pub version: u32,
    pub scheduled: Timestamp,
    pub started: Timestamp,
    pub expires: Timestamp,
    /// Endpoints in the audience.
    pub audience: u64,
    /// Chunks of the audience, of [`CHUNK_ORDINALS`] ordinals each; empty ones are not stored.
    pub chunks: Vec<u32>,
    /// The next ordinal to page; everything below it stands in a page.
    pub next_ordinal: u32,
    pub pages: u32,
    /// Recipients in those pages.
    pub paged: u64,
}

impl Stored for Run {
    const FORMAT: u8 = 1;
}

/// A chunk of a run's audience: a serialised roaring bitmap of ordinals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk(#[serde(with = "serde_bytes_vec")] pub Vec<u8>);

impl Stored for Chunk {
    const FORMAT: u8 = 1;
}

/// Bytes in one piece instead of number by number.
mod serde_bytes_vec {
    use std::fmt;

    use serde::de::Visitor;
    use serde::{Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }
            fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
        }
        deserializer.deserialize_byte_buf(Bytes)
    }
}

/// What a run has done so far: kept by the projection, from the records of its outcomes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    pub run: String,
    pub scheduled: Timestamp,
    pub started: Timestamp,
    /// Everybody has a final outcome, or the run was cut short: then `done` is less than `audience`.
    pub ended: Option<Timestamp>,
    /// Endpoints in the audience.
    pub audience: u64,
    /// Endpoints with a final outcome.
    pub done: u64,
    /// By treatment, then reason.
    pub treatments: Vec<BTreeMap<SendStatus, u64>>,
}

impl Stored for Progress {
    const FORMAT: u8 = 1;
}

/// Before the first release each endpoint had a row of its own: format 1.
impl Stored for ReceivedRow {
    const FORMAT: u8 = 2;
}

fn scope(table: Table, app: &AppKey) -> Key {
    Key::new(table).text(app.account.as_str()).text(app.app.as_str())
}

/// States of an application's campaigns.
pub fn states(app: &AppKey) -> Key {
    scope(Table::Runs, app).text("state")
}

pub fn state_key(app: &AppKey, campaign: &str) -> Key {
    states(app).text(campaign)
}

/// Runs of an application whose pages are being written.
pub fn runs(app: &AppKey) -> Key {
    scope(Table::Runs, app).text("run")
}

pub fn run_key(app: &AppKey, run: &str) -> Key {
    runs(app).text(run)
}

pub fn chunk_key(app: &AppKey, run: &str, chunk: u32) -> Key {
    scope(Table::RunAudiences, app).text(run).ordinal(chunk)
}

/// Progress of all runs of a campaign, by run id.
pub fn progresses(app: &AppKey, campaign: &str) -> Key {
    scope(Table::Activities, app).text(campaign)
}

pub fn progress_key(app: &AppKey, campaign: &str, run: &str) -> Key {
    progresses(app, campaign).text(run)
}

/// What some endpoints received lately; `row`: [`ReceivedRow::row_of`] their ordinals.
pub fn received_key(app: &AppKey, row: u32) -> Key {
    scope(Table::Caps, app).ordinal(row)
}
