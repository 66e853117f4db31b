//! Events: repeats recognised, activity remembered, events counted.

use domain::events::{EventBatch, EventItem};
pub(super) use domain::ids::folded;
use domain::records::{Body, Record};
use domain::time::Timestamp;
use store::Position;

use super::window::Window;
use super::working::app_key;

/// Adds a record's events to the window, as folding did before the restart.
pub(super) fn remember(window: &mut Window, record: &Record<'_>, position: Position, arrival: Timestamp) {
    let (Body::Events { json } | Body::EventsOfKnown { json }) = &record.body else { return };
    let Ok(batch) = EventBatch::parse(json) else { return };
    let app = app_key(record);
    each_accepted(&batch, |_, endpoint, event| {
        window.add(&app, endpoint, event.id.as_ref(), position, arrival);
    });
}

/// Calls `take` with the number, endpoint and event of everything in which the batch itself shows no fault.
pub(super) fn each_accepted(batch: &EventBatch<'_>, mut take: impl FnMut(u32, &str, &EventItem<'_>)) {
    let mut numbers = 0..;
    for item in &batch.items {
        let endpoint = folded(&item.id);
        for (event, number) in item.events.iter().zip(numbers.by_ref()) {
            if event.fault.is_none() {
                take(number, &endpoint, event);
            }
        }
    }
}

/// The UTC day that an event counts for: its own, or that of its arrival when its clock runs ahead (spec/95-limits.md §4).
pub(super) fn day(event: Timestamp, arrival: Timestamp) -> i64 {
    event.min(arrival).day()
}
