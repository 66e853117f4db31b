//! Batches of events that a request handler has read, kept until the projection folds their records: it need not read them
//! again, which would be a third of its work.
//!
//! A batch that is missing here is simply read again, after a restart every one; so the memory is bounded by starting over.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use domain::audience::AppKey;
use domain::endpoints::{EndpointUpdate, Invalid};
use domain::events::{EventBatch, EventItem, endpoint_update};
use domain::ids::{RequestId, folded};
use domain::time::Timestamp;

use crate::fingerprint::Fingerprint;

/// Items and events of all batches that are kept: some 20 MB.
const ENTRIES_MAX: usize = 400_000;

/// Readings by the request that brought the batch.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    readings: HashMap<RequestId, Reading>,
    entries: usize,
}

/// What the projection needs of a batch.
#[derive(Debug)]
pub(crate) struct Reading {
    pub(crate) items: Vec<ItemReading>,
    /// In which the batch itself shows no fault.
    pub(crate) events: Vec<EventReading>,
}

/// What a batch says of one endpoint.
#[derive(Debug)]
pub(crate) struct ItemReading {
    id: Text,
    /// The `Endpoint` member, if there is one.
    endpoint: Option<Text>,
    /// Of the endpoint, as [`crate::contacts::Contacts`] know it.
    pub(crate) contact: Fingerprint,
}

/// An event that counts unless it is a repeat.
#[derive(Debug)]
pub(crate) struct EventReading {
    /// Counted over the batch, faulty events included.
    pub(crate) number: u32,
    pub(crate) fingerprint: Fingerprint,
    event_type: Text,
    pub(crate) timestamp: Timestamp,
}

/// A text of a batch: where it stands in the body, or itself where it is not written there as it is.
#[derive(Debug)]
enum Text {
    At { start: u32, bytes: u32 },
    Own(Box<str>),
}

impl Readings {
    /// Keeps what was read, unless the names of its events have yet to be taken or refused.
    pub(crate) fn keep(&self, app: &AppKey, request: &RequestId, json: &str, batch: &EventBatch<'_>) {
        let has_new_names =
            batch.items.iter().flat_map(|item| &item.events).any(|event| !event.new_names.is_empty());
        if has_new_names {
            return;
        }
        let reading = Reading::of(app, json, batch);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.entries + reading.entries() > ENTRIES_MAX {
            *kept = Kept::default();
        }
        kept.entries += reading.entries();
        if let Some(before) = kept.readings.insert(request.clone(), reading) {
            kept.entries -= before.entries();
        }
    }

    /// Hands over what was read for a request, once.
    pub(crate) fn take(&self, request: &RequestId) -> Option<Reading> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let reading = kept.readings.remove(request)?;
        kept.entries -= reading.entries();
        Some(reading)
    }

    /// Gives the memory back: the projection has folded everything, and what is left was never appended.
    pub(crate) fn forget(&self) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = Kept::default();
    }
}

impl Reading {
    pub(crate) fn of(app: &AppKey, json: &str, batch: &EventBatch<'_>) -> Self {
        let mut events = Vec::with_capacity(batch.events());
        each_accepted(app, batch, |number, fingerprint, event| {
            let event_type = Text::of(json, &event.event_type);
            events.push(EventReading { number, fingerprint, event_type, timestamp: event.timestamp });
        });
        let item = |item: &domain::events::EndpointItem<'_>| ItemReading {
            id: Text::of(json, &item.id),
            endpoint: item.endpoint.map(|raw| Text::of(json, raw.get())),
            contact: contact(app, &folded(&item.id)),
        };
        Self { items: batch.items.iter().map(item).collect(), events }
    }

    fn entries(&self) -> usize {
        self.items.len() + self.events.len()
    }
}

impl ItemReading {
    /// The endpoint's id as sent.
    pub(crate) fn id<'a>(&'a self, json: &'a str) -> &'a str {
        self.id.of_body(json)
    }

    /// What is said of the endpoint, or why it is refused.
    pub(crate) fn update(&self, json: &str) -> Result<EndpointUpdate, Invalid> {
        endpoint_update(self.id(json), self.endpoint.as_ref().map(|raw| raw.of_body(json)))
    }
}

impl EventReading {
    pub(crate) fn event_type<'a>(&'a self, json: &'a str) -> &'a str {
        self.event_type.of_body(json)
    }
}

impl Text {
    /// A text that is borrowed from the body stands in it.
    fn of(json: &str, text: &str) -> Self {
        let start = text.as_ptr().addr().wrapping_sub(json.as_ptr().addr());
        let stands_there = json.get(start..start.saturating_add(text.len())) == Some(text);
        match (u32::try_from(start), u32::try_from(text.len())) {
            (Ok(start), Ok(bytes)) if stands_there => Self::At { start, bytes },
            _ => Self::Own(Box::from(text)),
        }
    }

    fn of_body<'a>(&'a self, json: &'a str) -> &'a str {
        match self {
            Self::At { start, bytes } => {
                json.get(*start as usize..(*start + *bytes) as usize).unwrap_or_default()
            }
            Self::Own(text) => text,
        }
    }
}

/// Calls `take` with number, fingerprint and event of everything in which the batch itself shows no fault.
pub(crate) fn each_accepted(
    app: &AppKey,
    batch: &EventBatch<'_>,
    mut take: impl FnMut(u32, Fingerprint, &EventItem<'_>),
) {
    let mut numbers = 0..;
    for item in &batch.items {
        let endpoint = folded(&item.id);
        for (event, number) in item.events.iter().zip(numbers.by_ref()) {
            if event.fault.is_none() {
                take(number, Fingerprint::of(&(app, &*endpoint, &*event.id)), event);
            }
        }
    }
}

/// By which an endpoint is known.
pub(crate) fn contact(app: &AppKey, folded: &str) -> Fingerprint {
    Fingerprint::of(&(app, folded))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app() -> AppKey {
        AppKey { account: "1".into(), app: "a".into() }
    }

    /// One event of a type, with an escape in each id, and one with a fault.
    const BODY: &str = r#"{"BatchItem":{"E\u0031":{"Endpoint":{"Address":"x"},"Events":{
        "a":{"EventType":"t\u0031","Timestamp":"2026-11-23T00:00:00Z"},
        "b":{"Timestamp":"2026-11-23T00:00:00Z"},
        "c\n":{"EventType":"plain","Timestamp":"2026-11-23T00:00:01Z"}}},"e2":{"Endpoint":{},"Events":{}}}}"#;

    #[test]
    fn a_reading_says_what_the_batch_says() {
        let batch = EventBatch::parse(BODY).unwrap();
        let reading = Reading::of(&app(), BODY, &batch);
        let ids: Vec<_> = reading.items.iter().map(|item| item.id(BODY)).collect();
        assert_eq!(ids, ["E1", "e2"]);
        assert_eq!(reading.items[0].contact, contact(&app(), "e1"));
        assert_eq!(reading.items[0].update(BODY).unwrap().address.as_deref(), Some("x"));
        assert!(reading.items[1].update(BODY).unwrap().is_empty());
        let events: Vec<_> =
            reading.events.iter().map(|event| (event.number, event.event_type(BODY))).collect();
        assert_eq!(events, [(0, "t1"), (2, "plain")]);
        assert_eq!(reading.events[1].fingerprint, Fingerprint::of(&(&app(), "e1", "c\n")));
        assert_eq!(reading.events[1].timestamp.to_string(), "2026-11-23T00:00:01.000Z");
        assert!(matches!(reading.events[1].event_type, Text::At { .. }));
    }

    #[test]
    fn a_reading_is_handed_over_once_and_the_memory_has_an_end() {
        let readings = Readings::default();
        let batch = EventBatch::parse(BODY).unwrap();
        let requests = ENTRIES_MAX / 4 + 1;
        for number in 0..requests {
            readings.keep(&app(), &RequestId::new(number.to_string()), BODY, &batch);
        }
        assert_eq!(readings.kept.lock().unwrap().entries, 4);
        assert!(readings.take(&RequestId::new("0")).is_none());
        let last = RequestId::new((requests - 1).to_string());
        assert!(readings.take(&last).is_some() && readings.take(&last).is_none());
        assert_eq!(readings.kept.lock().unwrap().entries, 0);
    }
}
