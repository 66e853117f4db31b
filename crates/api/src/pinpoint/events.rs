//! `PutEvents`: the hot path. The body is checked without being kept, appended as it came, and answered (design §5).

use std::time::Duration;

use bytes::Bytes;
use domain::audience::AppKey;
use domain::endpoints::{EndpointUpdate, Invalid};
use domain::events::{EndpointItem, EventBatch};
use engine::names::AppNames;
use serde_json::json;

use super::endpoints::{text, wait_visible};
use crate::context::Cx;
use crate::error::ApiError;
use crate::routes::{Labels, RawAnswer};

/// Ingest is slowed down when the projection is further behind than this.
const LAG_MS_MAX: u64 = 2_000;
/// What a slowed-down caller is told to wait.
const LAG_RETRY_AFTER: Duration = Duration::from_secs(1);

pub(super) async fn put_events(cx: Cx, labels: Labels, body: Bytes) -> Result<RawAnswer, ApiError> {
    let app = cx.app(labels.get("application-id")).await?;
    if cx.engine().lag_ms() > LAG_MS_MAX {
        return Err(ApiError::too_many_requests(LAG_RETRY_AFTER));
    }
    let json = text(&body)?;
    let names = cx.engine().names.of(&app);
    let batch = EventBatch::parse_known(json, &names.events)?;
    let updates: Vec<Result<EndpointUpdate, Invalid>> =
        batch.items.iter().map(EndpointItem::update).collect();
    let may_create = cx.engine().audiences.usage.may_create(cx.account());
    let position = cx.engine().append_events(&app, &cx.request_id, json, &batch, may_create).await?;
    let rules = Rules { cx: &cx, app: &app, names: &names, may_create };
    let waits = batch.items.iter().zip(&updates).any(|(item, update)| rules.may_refuse(item, update));
    if waits {
        wait_visible(&cx, position).await?;
    }
    let of_item = |item: usize| match &updates[item] {
        Err(Invalid(message)) => Some(message.clone()),
        Ok(_) if waits => cx.engine().verdict(position, item as u32),
        Ok(_) => None,
    };
    let of_event = |event: u32| if waits { cx.engine().event_verdict(position, event) } else { None };
    Ok(RawAnswer { status: 202, body: answer(&batch, of_item, of_event)? })
}

/// What the state could refuse waits for the projection's verdict, and nothing else does.
struct Rules<'a> {
    cx: &'a Cx,
    app: &'a AppKey,
    names: &'a AppNames,
    may_create: bool,
}

impl Rules<'_> {
    fn may_refuse(&self, item: &EndpointItem<'_>, update: &Result<EndpointUpdate, Invalid>) -> bool {
        let contacts = &self.cx.engine().contacts;
        let may_refuse_endpoint = match update {
            // It is refused already.
            Err(_) => false,
            Ok(update) if update.is_empty() => !self.may_create && !contacts.know(self.app, &item.id),
            Ok(update) => !contacts.allow(self.app, &item.id, update) || !self.names.hold(update),
        };
        may_refuse_endpoint || item.events.iter().any(|event| !event.new_names.is_empty())
    }
}

/// `EventsResponse`, written straight: the ids are the only texts that can need escaping.
fn answer(
    batch: &EventBatch<'_>,
    of_item: impl Fn(usize) -> Option<String>,
    of_event: impl Fn(u32) -> Option<String>,
) -> Result<Vec<u8>, ApiError> {
    const ACCEPTED: &[u8] = br#"{"Message":"Accepted","StatusCode":202}"#;
    let mut out = Vec::with_capacity(64 + batch.events() * 96);
    let mut numbers = 0..;
    out.extend_from_slice(br#"{"Results":{"#);
    for (number, item) in batch.items.iter().enumerate() {
        separate(&mut out, number);
        serde_json::to_writer(&mut out, &item.id)?;
        out.extend_from_slice(br#":{"EndpointItemResponse":"#);
        match of_item(number) {
            None => out.extend_from_slice(ACCEPTED),
            Some(message) => refused(&mut out, &message)?,
        }
        out.extend_from_slice(br#","EventsItemResponse":{"#);
        for (place, (event, number)) in item.events.iter().zip(numbers.by_ref()).enumerate() {
            separate(&mut out, place);
            serde_json::to_writer(&mut out, &event.id)?;
            out.push(b':');
            match event.fault.map(|fault| fault.to_string()).or_else(|| of_event(number)) {
                None => out.extend_from_slice(ACCEPTED),
                Some(message) => refused(&mut out, &message)?,
            }
        }
        out.extend_from_slice(b"}}");
    }
    out.extend_from_slice(b"}}");
    Ok(out)
}

fn separate(out: &mut Vec<u8>, number: usize) {
    if number > 0 {
        out.push(b',');
    }
}

fn refused(out: &mut Vec<u8>, message: &str) -> Result<(), ApiError> {
    serde_json::to_writer(out, &json!({ "Message": message, "StatusCode": 400 }))?;
    Ok(())
}
