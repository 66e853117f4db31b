//! Endpoints and users. Changes go through the log; a caller waits until its own is visible (design §5).

use std::time::Duration;

use bytes::Bytes;
use domain::audience::{AppKey, AttributeKind, TOO_MANY_ENDPOINTS};
use domain::endpoints::{Endpoint, EndpointUpdate, Invalid, User, check_endpoint_id, document};
use domain::ids::{EndpointId, UserId, folded};
use domain::records::{Body, Deletion, EndpointItem, KeptAnswer, Record};
use engine::reads;
use model::pinpoint::{
    AttributesResource, DeleteEndpointRequest, DeleteUserEndpointsRequest, EndpointResponse,
    EndpointsResponse, GetEndpointRequest, GetUserEndpointsRequest, RemoveAttributesRequest,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use store::tables::audiences::{endpoint_key, summary_key};
use store::tables::invocations;
use store::value::decode;
use store::{Batch, Key, Position};

use crate::context::Cx;
use crate::error::ApiError;
use crate::routes::{Labels, RawAnswer};

/// How long a caller waits to see its own change; then it is told to try again, which is harmless.
const VISIBLE_WITHIN: Duration = Duration::from_secs(5);
/// Endpoints of one batch (spec/95-limits.md §2).
const BATCH_MAX: usize = 100;
/// Globs of one `RemoveAttributes` call.
const BLACKLIST_MAX: usize = 250;

pub(super) async fn update_endpoint(cx: Cx, labels: Labels, body: Bytes) -> Result<RawAnswer, ApiError> {
    let app = cx.app(labels.get("application-id")).await?;
    let id = labels.get("endpoint-id");
    let json = text(&body)?;
    check_endpoint_id(id)?;
    EndpointUpdate::parse(json)?.check()?;
    check_quota(&cx, &app, std::slice::from_ref(&id)).await?;
    let items = vec![EndpointItem { id, json }];
    let position = append(&cx, &app, Body::Endpoints { items }).await?;
    match cx.engine().verdict(position, 0) {
        Some(refusal) => Err(ApiError::bad_request(refusal)),
        None => accepted(&cx),
    }
}

pub(super) async fn update_endpoints_batch(
    cx: Cx,
    labels: Labels,
    body: Bytes,
) -> Result<RawAnswer, ApiError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Request<'a> {
        #[serde(borrow)]
        item: Vec<&'a RawValue>,
    }
    let app = cx.app(labels.get("application-id")).await?;
    let request: Request<'_> =
        serde_json::from_str(text(&body)?).map_err(|error| Invalid::new(error.to_string()))?;
    if request.item.is_empty() || request.item.len() > BATCH_MAX {
        return Err(ApiError::bad_request(format!("A batch holds 1 to {BATCH_MAX} endpoints")));
    }
    let mut ids = Vec::with_capacity(request.item.len());
    for (number, raw) in request.item.iter().enumerate() {
        let named = |Invalid(message)| Invalid(format!("Item {number}: {message}"));
        let update = EndpointUpdate::parse(raw.get()).and_then(|update| update.check().map(|()| update));
        let id = update.map_err(named)?.id.unwrap_or_default();
        check_endpoint_id(&id).map_err(named)?;
        ids.push(id);
    }
    check_quota(&cx, &app, &ids).await?;
    let items = ids.iter().zip(&request.item).map(|(id, raw)| EndpointItem { id, json: raw.get() }).collect();
    let position = append(&cx, &app, Body::Endpoints { items }).await?;
    let refusals: Vec<String> = (0u32..)
        .zip(&ids)
        .filter_map(|(item, id)| {
            cx.engine().verdict(position, item).map(|message| format!("{id}: {message}"))
        })
        .collect();
    match refusals.first() {
        // The answer has no place for verdicts of items: the others were applied, and the text says so.
        Some(first) => Err(ApiError::bad_request(format!(
            "{} of {} endpoints were refused, the others were updated; {first}",
            refusals.len(),
            ids.len()
        ))),
        None => accepted(&cx),
    }
}

pub(super) async fn get_endpoint(cx: Cx, input: GetEndpointRequest) -> Result<EndpointResponse, ApiError> {
    let app = cx.app(&input.application_id).await?;
    let folded = EndpointId::new(&input.endpoint_id).folded();
    let found = reads::endpoint(&*cx.engine().kv, &app, &folded).await?;
    let (endpoint, user) = found.ok_or_else(ApiError::not_found)?;
    response(&app, &endpoint, user.as_ref())
}

pub(super) async fn delete_endpoint(
    cx: Cx,
    input: DeleteEndpointRequest,
) -> Result<EndpointResponse, ApiError> {
    let app = cx.app(&input.application_id).await?;
    let folded = EndpointId::new(&input.endpoint_id).folded();
    let found = reads::endpoint(&*cx.engine().kv, &app, &folded).await?;
    let (endpoint, user) = found.ok_or_else(ApiError::not_found)?;
    let output = response(&app, &endpoint, user.as_ref())?;
    delete(&cx, &app, Deletion::Endpoint(&folded), &output).await?;
    Ok(output)
}

pub(super) async fn get_user_endpoints(
    cx: Cx,
    input: GetUserEndpointsRequest,
) -> Result<EndpointsResponse, ApiError> {
    let app = cx.app(&input.application_id).await?;
    user_endpoints(&cx, &app, &input.user_id).await
}

pub(super) async fn delete_user_endpoints(
    cx: Cx,
    input: DeleteUserEndpointsRequest,
) -> Result<EndpointsResponse, ApiError> {
    let app = cx.app(&input.application_id).await?;
    let output = user_endpoints(&cx, &app, &input.user_id).await?;
    delete(&cx, &app, Deletion::User(&input.user_id), &output).await?;
    Ok(output)
}

pub(super) async fn remove_attributes(
    cx: Cx,
    input: RemoveAttributesRequest,
) -> Result<AttributesResource, ApiError> {
    let app = cx.app(&input.application_id).await?;
    let kind = match input.attribute_type.as_str() {
        "endpoint-custom-attributes" => AttributeKind::Endpoint,
        "endpoint-metric-attributes" => AttributeKind::Metric,
        "endpoint-user-attributes" => AttributeKind::User,
        other => return Err(ApiError::bad_request(format!("Unknown attribute type {other:?}"))),
    };
    let blacklist = input.update_attributes_request.blacklist.unwrap_or_default();
    if blacklist.is_empty() || blacklist.len() > BLACKLIST_MAX || blacklist.iter().any(String::is_empty) {
        return Err(ApiError::bad_request(format!(
            "Blacklist must hold 1 to {BLACKLIST_MAX} names or patterns"
        )));
    }
    let patterns = blacklist.iter().map(String::as_str).collect();
    let position = append(&cx, &app, Body::AttributesBlocked { kind, patterns }).await?;
    if let Some(refusal) = cx.engine().verdict(position, 0) {
        return Err(ApiError::bad_request(refusal));
    }
    let row = cx.engine().kv.get(&summary_key(&app)).await?;
    let summary: domain::audience::Summary =
        row.map(|row| decode(&row.value)).transpose()?.unwrap_or_default();
    // The whole list is answered: names that earlier calls gave too (spec/97 §12).
    let blocked = summary.blocked.get(&kind).into_iter().flatten().cloned().collect();
    let output = AttributesResource {
        application_id: input.application_id,
        attribute_type: input.attribute_type,
        attributes: Some(blocked),
    };
    cx.commit(Batch::default(), &output).await?;
    Ok(output)
}

/// Deletes, and keeps the answer for repeats of the SDK in the same record: one that comes when the deletion is visible finds
/// nothing to show any more.
async fn delete<T: Serialize>(cx: &Cx, app: &AppKey, of: Deletion<'_>, output: &T) -> Result<(), ApiError> {
    let kept = cx.kept_answer(output)?;
    let body = match (&kept, of) {
        (Some((row, invocations::Answer { status, body, expires })), of) => {
            let answer = KeptAnswer { row: row.as_bytes(), status: *status, body, expires: *expires };
            Body::AnsweredDeletion { of, answer }
        }
        (None, Deletion::Endpoint(endpoint)) => Body::EndpointDeleted { endpoint },
        (None, Deletion::User(user)) => Body::UserDeleted { user },
    };
    append(cx, app, body).await?;
    Ok(())
}

async fn user_endpoints(cx: &Cx, app: &AppKey, user_id: &str) -> Result<EndpointsResponse, ApiError> {
    let found = reads::user_endpoints(&*cx.engine().kv, app, &UserId::new(user_id)).await?;
    let (user, endpoints) = found.ok_or_else(ApiError::not_found)?;
    let item =
        endpoints.iter().map(|endpoint| response(app, endpoint, Some(&user))).collect::<Result<_, _>>()?;
    Ok(EndpointsResponse { item })
}

/// Refuses the call where one of the endpoints does not exist and the account has as many as it may (design §10).
async fn check_quota<T: AsRef<str>>(cx: &Cx, app: &AppKey, ids: &[T]) -> Result<(), ApiError> {
    if cx.engine().audiences.usage.may_create(cx.account()) {
        return Ok(());
    }
    let keys: Vec<Key> = ids.iter().map(|id| endpoint_key(app, &folded(id.as_ref()))).collect();
    let exist = cx.engine().kv.get_many(&keys).await?.iter().all(Option::is_some);
    if exist { Ok(()) } else { Err(ApiError::bad_request(TOO_MANY_ENDPOINTS)) }
}

/// Appends a record and waits until it is visible.
pub(super) async fn append(cx: &Cx, app: &AppKey, body: Body<'_>) -> Result<Position, ApiError> {
    let record = Record {
        account: app.account.as_str(),
        app: app.app.as_str(),
        request_id: cx.request_id.as_str(),
        body,
    };
    let position = cx.engine().append(app, &record).await?;
    wait_visible(cx, position).await?;
    Ok(position)
}

/// Waits until a record is folded and indexed; after [`VISIBLE_WITHIN`] the caller gets a retryable error.
pub(super) async fn wait_visible(cx: &Cx, position: Position) -> Result<(), ApiError> {
    let visible = cx.engine().wait_projected(position);
    tokio::time::timeout(VISIBLE_WITHIN, visible).await.map_err(|_| {
        ApiError::unavailable("The change was accepted but is not visible yet; repeating it is harmless")
    })
}

pub(super) fn text(body: &[u8]) -> Result<&str, ApiError> {
    if body.is_empty() {
        return Err(ApiError::bad_request("request body is required"));
    }
    std::str::from_utf8(body).map_err(|_| ApiError::bad_request("request body is not UTF-8"))
}

fn accepted(cx: &Cx) -> Result<RawAnswer, ApiError> {
    Ok(RawAnswer { status: 202, body: serde_json::to_vec(&super::accepted(cx))? })
}

fn response(app: &AppKey, endpoint: &Endpoint, user: Option<&User>) -> Result<EndpointResponse, ApiError> {
    Ok(serde_json::from_value(document(&app.app, endpoint, user))?)
}
