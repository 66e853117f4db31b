//! PutEvents: the hot path. The body is checked without being kept, appended as it came, and answered (design §5).

use std::time::Duration;

use bytes::Bytes;
use domain::audience::AppKey;
use domain::endpoints::{EndpointUpdate, Invalid};
use domain::events::{EndpointItem, EventBatch};
use domain::ids::EndpointId;
use domain::records::{Body, Record};
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
    let batch = EventBatch::parse(json)?;
    let updates: Vec<Result<EndpointUpdate, Invalid>> =
        batch.items.iter().map(EndpointItem::update).collect();
    let record = Record {
        account: app.account.as_str(),
        app: app.app.as_str(),
        request_id: cx.request_id.as_str(),
        body: Body::Events { json },
    };
    let position = cx.engine().append(&app, &record).await?;
    let waits = batch.items.iter().zip(&updates).any(|(item, update)| must_wait(&cx, &app, item, update));
    if waits {
        wait_visible(&cx, position).await?;
    }
    let verdict = |item: usize| match &updates[item] {
        Err(Invalid(message)) => Some(message.clone()),
        Ok(_) if waits => cx.engine().verdict(position, item as u32),
        Ok(_) => None,
    };
    Ok(RawAnswer { status: 202, body: answer(&batch, verdict)? })
}

/// Only what could be refused by the state waits for the projection's verdict.
fn must_wait(
    cx: &Cx,
    app: &AppKey,
    item: &EndpointItem<'_>,
    update: &Result<EndpointUpdate, Invalid>,
) -> bool {
    let Ok(update) = update else { return false };
    if update.is_empty() {
        return false;
    }
    let folded = EndpointId::new(&item.id).folded();
    !cx.engine().contacts.leaves(app, &folded, update)
}

/// EventsResponse, written straight: the ids are the only texts that can need escaping.
fn answer(batch: &EventBatch<'_>, verdict: impl Fn(usize) -> Option<String>) -> Result<Vec<u8>, ApiError> {
    const ACCEPTED: &[u8] = br#"{"Message":"Accepted","StatusCode":202}"#;
    let mut out = Vec::with_capacity(64 + batch.events() * 96);
    out.extend_from_slice(br#"{"Results":{"#);
    for (number, item) in batch.items.iter().enumerate() {
        separate(&mut out, number);
        serde_json::to_writer(&mut out, &item.id)?;
        out.extend_from_slice(br#":{"EndpointItemResponse":"#);
        match verdict(number) {
            None => out.extend_from_slice(ACCEPTED),
            Some(message) => refused(&mut out, &message)?,
        }
        out.extend_from_slice(br#","EventsItemResponse":{"#);
        for (number, event) in item.events.iter().enumerate() {
            separate(&mut out, number);
            serde_json::to_writer(&mut out, &event.id)?;
            out.push(b':');
            match event.fault {
                None => out.extend_from_slice(ACCEPTED),
                Some(fault) => refused(&mut out, &fault.to_string())?,
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
