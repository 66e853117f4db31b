//! `PutEvents`: reading and checking a batch of events (spec/20-events.md §1, §2).
//!
//! This is the hot path: the visitors check everything and keep only what the answer and the projection need, borrowed
//! from the body. The same function runs in the request handler and in every consumer of the log, so all of them agree on
//! which items count.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::endpoints::{EndpointUpdate, Invalid, check_endpoint_id};
use crate::names::NameHashes;
use crate::time::Timestamp;

mod names;
#[cfg(test)]
mod tests;
mod visitors;

pub use names::{ATTRIBUTE_KEYS_MAX, EVENT_TYPES_MAX, EventNames, METRIC_KEYS_MAX, Name, NameKind};

/// Endpoints of one request: as many as there can be events, and as in `UpdateEndpointsBatch` (spec/95-limits.md §2).
pub const ENDPOINTS_MAX: usize = 100;
/// Events of one request, over all its endpoints (spec/95-limits.md §2).
pub const EVENTS_MAX: usize = 100;
/// Bytes of one event.
pub const EVENT_BYTES_MAX: usize = 1_000 * 1024;
/// Attribute and metric keys of one event, together.
pub const EVENT_KEYS_MAX: usize = 40;
/// Characters of a key of an event's attribute or metric, and of its type.
pub const EVENT_KEY_CHARACTERS_MAX: usize = 50;
/// Characters of an event's attribute value; a longer one drops the event.
pub const EVENT_VALUE_CHARACTERS_MAX: usize = 200;

/// A checked batch, borrowed from the request body.
#[derive(Debug, Default)]
pub struct EventBatch<'a> {
    pub items: Vec<EndpointItem<'a>>,
}

/// What a batch says of one endpoint.
#[derive(Debug)]
pub struct EndpointItem<'a> {
    /// As sent.
    pub id: Cow<'a, str>,
    /// The `Endpoint` member as sent; `None` when it is absent or null.
    pub endpoint: Option<&'a RawValue>,
    pub events: Vec<EventItem<'a>>,
}

/// An event that was sent.
#[derive(Debug)]
pub struct EventItem<'a> {
    pub id: Cow<'a, str>,
    pub event_type: Cow<'a, str>,
    /// When it happened, by the client's clock; meaningless where `fault` is set.
    pub timestamp: Timestamp,
    /// Why this event is not taken: the `Message` of its 400.
    pub fault: Option<EventFault>,
    /// Its names that were not known to the application when the batch was read; see [`EventBatch::parse_known`].
    pub new_names: Vec<Name<'a>>,
}

/// Why an event is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EventFault {
    #[error("Missing EventType")]
    MissingType,
    #[error("EventType has more than 50 characters")]
    TypeTooLong,
    #[error("Missing Timestamp")]
    MissingTimestamp,
    #[error("Timestamp is not an ISO 8601 date")]
    BadTimestamp,
    #[error("Event has more than 40 attributes and metrics")]
    TooManyKeys,
    #[error("Name of an attribute or metric has more than 50 characters")]
    KeyTooLong,
    #[error("Value of an attribute has more than 200 characters")]
    ValueTooLong,
    #[error("ClientSdkVersion must not be empty")]
    EmptySdkVersion,
    #[error("Missing Session Id")]
    MissingSessionId,
    #[error("Missing Session StartTimestamp")]
    MissingSessionStart,
    #[error("Session timestamp is not an ISO 8601 date")]
    BadSessionTimestamp,
    #[error("Session duration in milliseconds must be equal to the difference of start and stop timestamp")]
    WrongSessionDuration,
    #[error("Event is larger than 1000 KB")]
    TooLarge,
    #[error("Too many custom event types: an application has at most {EVENT_TYPES_MAX}")]
    TooManyTypes,
    #[error("Too many attribute keys: the events of an application have at most {ATTRIBUTE_KEYS_MAX}")]
    TooManyAttributeKeys,
    #[error("Too many metric keys: the events of an application have at most {METRIC_KEYS_MAX}")]
    TooManyMetricKeys,
}

impl<'a> EventBatch<'a> {
    /// Reads a whole body: `{"BatchItem": {"<endpoint id>": {"Endpoint": {..}, "Events": {"<event id>": {..}}}}}`. Fails when
    /// it is not of that shape or holds more than [`EVENTS_MAX`] events or [`ENDPOINTS_MAX`] endpoints: a 400 for the call.
    /// Faults of single events are marked on them.
    pub fn parse(body: &'a str) -> Result<Self, Invalid> {
        Self::read(body, None)
    }

    /// As [`Self::parse`]; collects the names that are not among `known` in the events that have no fault. Of those it is not
    /// decided here whether the application may have them: [`EventNames::take`] does.
    pub fn parse_known(body: &'a str, known: &NameHashes) -> Result<Self, Invalid> {
        Self::read(body, Some(known))
    }

    fn read(body: &'a str, known: Option<&NameHashes>) -> Result<Self, Invalid> {
        let mut batch = visitors::batch(body, known).map_err(|fault| Invalid::new(fault.to_string()))?;
        if batch.items.len() > ENDPOINTS_MAX {
            return Err(Invalid::new(format!("A request holds at most {ENDPOINTS_MAX} endpoints")));
        }
        if batch.events() > EVENTS_MAX {
            return Err(Invalid::new(format!("A request holds at most {EVENTS_MAX} events")));
        }
        if body.len() > EVENT_BYTES_MAX {
            visitors::mark_too_large(body, &mut batch);
        }
        Ok(batch)
    }

    /// The number of events, faulty ones included.
    pub fn events(&self) -> usize {
        self.items.iter().map(|item| item.events.len()).sum()
    }
}

impl EndpointItem<'_> {
    /// What is said of the endpoint: see [`endpoint_update`].
    pub fn update(&self) -> Result<EndpointUpdate, Invalid> {
        endpoint_update(&self.id, self.endpoint.map(RawValue::get))
    }
}

/// The endpoint data of an item, read and checked; the error is the `Message` of the item's 400. An absent `Endpoint` reads
/// as an empty update: the endpoint is made when it does not exist.
pub fn endpoint_update(endpoint_id: &str, json: Option<&str>) -> Result<EndpointUpdate, Invalid> {
    check_endpoint_id(endpoint_id)?;
    match json {
        None | Some("{}") => Ok(EndpointUpdate::default()),
        Some(json) => {
            let update = EndpointUpdate::parse(json)?;
            update.check()?;
            Ok(update)
        }
    }
}
