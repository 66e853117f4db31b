//! Events: repeats recognised, activity remembered, events counted.

use domain::events::EventBatch;
pub(super) use domain::ids::folded;
use domain::records::{Body, Record};
use domain::time::Timestamp;
use store::Position;

use super::window::Window;
use super::working::app_key;
use crate::readings::each_accepted;

/// Adds a record's events to the window, as folding did before the restart.
pub(super) fn remember(window: &mut Window, record: &Record<'_>, position: Position, arrival: Timestamp) {
    let (Body::Events { json } | Body::EventsOfKnown { json }) = &record.body else { return };
    let Ok(batch) = EventBatch::parse(json) else { return };
    each_accepted(&app_key(record), &batch, |_, fingerprint, _| {
        window.add(fingerprint, position, arrival);
    });
}

/// The UTC day that an event counts for: its own, or that of its arrival when its clock runs ahead (spec/95-limits.md §4).
pub(super) fn day(event: Timestamp, arrival: Timestamp) -> i64 {
    event.min(arrival).day()
}
