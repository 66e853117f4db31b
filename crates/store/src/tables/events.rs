//! Counts of events by day and type, the names that events have, and the cursor of the projection.

use domain::audience::AppKey;
use domain::events::EventNames;
use serde::{Deserialize, Serialize};

use crate::key::{Key, Table};
use crate::log::Shard;
use crate::value::Stored;

/// A number of events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count(pub u64);

impl Stored for Count {
    const FORMAT: u8 = 1;
}

impl Stored for EventNames {
    const FORMAT: u8 = 1;
}

/// Up to where the log is folded into the state; committed with what was folded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The next record to fold.
    pub next: u64,
    /// The first record that the window of recent event ids reaches back to: where a restart begins to rebuild it.
    pub window_start: u64,
}

impl Stored for Cursor {
    const FORMAT: u8 = 1;
}

/// The row of the projection's cursor.
pub fn cursor_key(shard: Shard) -> Key {
    Key::new(Table::Meta).text("projection").number(u64::from(shard.0))
}

/// Counts of an application: (UTC day of the event since 1970, event type).
pub fn counts(app: &AppKey) -> Key {
    Key::new(Table::EventCounts).text(app.account.as_str()).text(app.app.as_str())
}

/// The names that an application's events have had.
pub fn names_key(app: &AppKey) -> Key {
    Key::new(Table::EventNames).text(app.account.as_str()).text(app.app.as_str())
}

pub fn count_key(app: &AppKey, day: i64, event_type: &str) -> Key {
    counts(app).number(day.max(0) as u64).text(event_type)
}
