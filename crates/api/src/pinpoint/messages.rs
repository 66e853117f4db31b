//! Direct messages: written to the outbox like every other message, and answered with the outcome of the first hand-off
//! (spec/80-messaging.md §1, §2; design §6).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::audience::AppKey;
use domain::ids::UserId;
use domain::messages::DirectRequest;
use domain::records::SendStatus;
use engine::dispatch::{DeliveryOutcome, delivery_id, put_direct};
use engine::reads;
use model::pinpoint::{
    DeliveryStatus, EndpointMessageResult, MessageResponse, MessageResult, SendMessagesRequest,
    SendUsersMessageResponse, SendUsersMessagesRequest,
};
use store::Batch;
use store::tables::outbox::{Lane, Page, Recipient};

use crate::context::Cx;
use crate::error::ApiError;

/// How long a caller waits for the outcomes; what has none by then is answered as `UNKNOWN_FAILURE`.
const OUTCOME_WITHIN: Duration = Duration::from_secs(10);
/// The wait between two looks for an outcome that another call caused.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// When an account that has as many pages in the outbox as it may is to try again: most of them wait for a provider.
const OUTBOX_FULL_RETRY_AFTER: Duration = Duration::from_secs(1);

pub(super) async fn send_messages(cx: Cx, input: SendMessagesRequest) -> Result<MessageResponse, ApiError> {
    let app = cx.app(&input.application_id).await?;
    let request = DirectRequest::from(input.message_request);
    request.check()?;
    let mut recipients: Vec<Recipient> = Vec::new();
    let mut duplicates: Vec<String> = Vec::new();
    let mut seen = BTreeSet::new();
    for address in request.addresses.keys() {
        if seen.insert(address.trim().to_lowercase()) {
            recipients.push(Recipient::Address(address.clone()));
        } else {
            duplicates.push(address.clone());
        }
    }
    // The endpoint ids as they were sent are the keys of the answer.
    let mut named: BTreeMap<String, String> = BTreeMap::new();
    for id in request.endpoints.keys() {
        let folded = domain::ids::folded(id).into_owned();
        if named.insert(folded.clone(), id.clone()).is_none() {
            recipients.push(Recipient::Endpoint { endpoint: folded, user: None });
        }
    }
    let outcomes = deliver(&cx, &app, &request, recipients).await?;
    let mut result = BTreeMap::new();
    let mut endpoint_result = BTreeMap::new();
    for outcome in &outcomes {
        match &outcome.recipient {
            Recipient::Address(address) => {
                result.insert(address.clone(), address_result(outcome));
            }
            Recipient::Endpoint { endpoint, .. } => {
                let id = named.get(endpoint).unwrap_or(endpoint);
                endpoint_result.insert(id.clone(), endpoint_message_result(outcome));
            }
            Recipient::Ordinal(_) => {}
        }
    }
    for address in duplicates {
        result.insert(address, duplicate());
    }
    let output = MessageResponse {
        application_id: input.application_id,
        endpoint_result: (!endpoint_result.is_empty()).then_some(endpoint_result),
        request_id: Some(cx.request_id.to_string()),
        result: (!result.is_empty()).then_some(result),
    };
    cx.commit(Batch::default(), &output).await?;
    Ok(output)
}

pub(super) async fn send_users_messages(
    cx: Cx,
    input: SendUsersMessagesRequest,
) -> Result<SendUsersMessageResponse, ApiError> {
    let app = cx.app(&input.application_id).await?;
    let request = DirectRequest::from(input.send_users_message_request);
    request.check()?;
    let mut recipients: Vec<Recipient> = Vec::new();
    let mut result: BTreeMap<String, BTreeMap<String, EndpointMessageResult>> = BTreeMap::new();
    for user_id in request.users.keys() {
        let found = reads::user_endpoints(&*cx.engine().kv, &app, &UserId::new(user_id)).await?;
        let endpoints = found.map(|(_, endpoints)| endpoints).unwrap_or_default();
        if endpoints.is_empty() {
            result.entry(user_id.clone()).or_default().insert(user_id.clone(), no_endpoints());
        }
        recipients.extend(endpoints.iter().map(|endpoint| Recipient::Endpoint {
            endpoint: endpoint.id.folded().as_ref().to_owned(),
            user: Some(user_id.clone()),
        }));
    }
    for outcome in deliver(&cx, &app, &request, recipients).await? {
        let Recipient::Endpoint { user: Some(user), endpoint } = &outcome.recipient else { continue };
        let id = if outcome.endpoint.is_empty() { endpoint } else { &outcome.endpoint };
        result.entry(user.clone()).or_default().insert(id.clone(), endpoint_message_result(&outcome));
    }
    let output = SendUsersMessageResponse {
        application_id: input.application_id,
        request_id: Some(cx.request_id.to_string()),
        result: Some(result),
    };
    cx.commit(Batch::default(), &output).await?;
    Ok(output)
}

/// Writes the pages of a direct message durably and waits for the first outcome of each recipient.
///
/// The pages' ids follow from the call, so that an SDK's retry of it finds them written: no message is sent twice because
/// an answer was slow.
async fn deliver(
    cx: &Cx,
    app: &AppKey,
    request: &DirectRequest,
    recipients: Vec<Recipient>,
) -> Result<Vec<DeliveryOutcome>, ApiError> {
    if recipients.is_empty() {
        return Ok(Vec::new());
    }
    let now = cx.now();
    let id = cx.effect_id();
    // A repeat of a call that has written its pages finds out what became of them.
    if !cx.engine().queues.rows.may_write(&app.account) && !cx.has_begun(&id).await? {
        return Err(ApiError::too_many_requests(OUTBOX_FULL_RETRY_AFTER));
    }
    let mut batch = Batch::default();
    let pages = put_direct(&mut batch, app, &id, serde_json::to_string(request)?, &recipients, now);
    let queue = pages.first().map(Page::queue);
    let waiting: Vec<Waiting> = pages
        .into_iter()
        .map(|page| {
            let receiver = cx.engine().deliveries.wait_for(&page.id);
            (page.id, page.recipients, receiver)
        })
        .collect();
    let pages: Vec<String> = waiting.iter().map(|(page, ..)| page.clone()).collect();
    let outcomes = match cx.begin_effect(batch, &id).await {
        Ok(true) => {
            if let Some(queue) = queue {
                cx.engine().queues.written(Lane::Transactional, queue, now, pages.len());
            }
            Ok(collect(waiting).await)
        }
        Ok(false) => look_up(cx, app, waiting).await,
        Err(error) => Err(error),
    };
    for page in &pages {
        cx.engine().deliveries.forget(page);
    }
    outcomes
}

type Waiting = (String, Vec<Recipient>, tokio::sync::mpsc::UnboundedReceiver<DeliveryOutcome>);

async fn collect(waiting: Vec<Waiting>) -> Vec<DeliveryOutcome> {
    let deadline = tokio::time::Instant::now() + OUTCOME_WITHIN;
    let mut outcomes = Vec::new();
    for (_, recipients, mut receiver) in waiting {
        let mut missing = recipients;
        while !missing.is_empty() {
            let Ok(Some(outcome)) = tokio::time::timeout_at(deadline, receiver.recv()).await else { break };
            missing.retain(|recipient| *recipient != outcome.recipient);
            outcomes.push(outcome);
        }
        outcomes.extend(missing.into_iter().map(not_known_yet));
    }
    outcomes
}

/// A repeat of a call whose messages are written already, maybe sent already, maybe before a restart: the outcomes are read
/// where the projection keeps them.
async fn look_up(cx: &Cx, app: &AppKey, waiting: Vec<Waiting>) -> Result<Vec<DeliveryOutcome>, ApiError> {
    let deadline = tokio::time::Instant::now() + OUTCOME_WITHIN;
    let mut outcomes = Vec::new();
    for (page, recipients, _) in waiting {
        for recipient in recipients {
            let delivery_id = delivery_id(&page, &recipient);
            let named = match &recipient {
                Recipient::Address(address) => address.clone(),
                Recipient::Endpoint { endpoint, .. } => endpoint.clone(),
                Recipient::Ordinal(_) => continue,
            };
            let found = loop {
                let found = reads::outcome(&*cx.engine().kv, app, &named, &delivery_id).await?;
                let found = found.filter(|outcome| outcome.status.is_final());
                if found.is_some() || tokio::time::Instant::now() >= deadline {
                    break found;
                }
                tokio::time::sleep(LOOK_AGAIN).await;
            };
            outcomes.push(match found {
                Some(outcome) => DeliveryOutcome {
                    delivery_id,
                    endpoint: outcome.endpoint,
                    address: outcome.address,
                    status: outcome.status,
                    code: outcome.code,
                    detail: outcome.detail,
                    recipient,
                },
                None => not_known_yet(recipient),
            });
        }
    }
    Ok(outcomes)
}

fn not_known_yet(recipient: Recipient) -> DeliveryOutcome {
    DeliveryOutcome {
        delivery_id: String::new(),
        endpoint: String::new(),
        address: String::new(),
        status: SendStatus::Unknown,
        code: None,
        detail: "The message was accepted, its outcome is not known yet".to_owned(),
        recipient,
    }
}

/// `DeliveryStatus` and `StatusCode` of an outcome (spec/80 §1 and its corrections in spec/97 §1).
fn status(outcome: &DeliveryOutcome) -> (DeliveryStatus, i32) {
    match outcome.status {
        SendStatus::Success => (DeliveryStatus::Successful, 200),
        SendStatus::OptOut => (DeliveryStatus::OptOut, 400),
        SendStatus::Deferred | SendStatus::TransientFailure | SendStatus::Expired => {
            (DeliveryStatus::TemporaryFailure, 500)
        }
        SendStatus::Throttled => (DeliveryStatus::Throttled, 429),
        SendStatus::Unknown => (DeliveryStatus::UnknownFailure, 500),
        SendStatus::DuplicateAddress => (DeliveryStatus::Duplicate, 400),
        SendStatus::EndpointDeleted => (DeliveryStatus::PermanentFailure, 404),
        SendStatus::FailurePermanent
        | SendStatus::Holdout
        | SendStatus::DailyCap
        | SendStatus::CampaignCap
        | SendStatus::QuietTime
        | SendStatus::Inactive
        | SendStatus::MissingAddress
        | SendStatus::MissingChannel
        | SendStatus::Cancelled
        | SendStatus::ChannelMismatch
        | SendStatus::UnsupportedChannel
        | SendStatus::RenderingFailure => (DeliveryStatus::PermanentFailure, 400),
    }
}

fn address_result(outcome: &DeliveryOutcome) -> MessageResult {
    let (delivery_status, status_code) = status(outcome);
    MessageResult {
        delivery_status,
        message_id: message_id(outcome),
        status_code,
        status_message: Some(status_message(outcome)),
        updated_token: None,
    }
}

fn endpoint_message_result(outcome: &DeliveryOutcome) -> EndpointMessageResult {
    let (delivery_status, status_code) = status(outcome);
    EndpointMessageResult {
        address: (!outcome.address.is_empty()).then(|| outcome.address.clone()),
        delivery_status,
        message_id: message_id(outcome),
        status_code,
        status_message: Some(status_message(outcome)),
        updated_token: None,
    }
}

/// The words of an outcome, with the provider's own code where it refused (`StatusCode` is that of HTTP, spec/80 §1).
fn status_message(outcome: &DeliveryOutcome) -> String {
    match outcome.code.filter(|code| *code >= 400) {
        Some(code) => format!("{code} {}", outcome.detail),
        None => outcome.detail.clone(),
    }
}

fn message_id(outcome: &DeliveryOutcome) -> Option<String> {
    (outcome.status == SendStatus::Success).then(|| outcome.delivery_id.clone())
}

fn duplicate() -> MessageResult {
    MessageResult {
        delivery_status: DeliveryStatus::Duplicate,
        status_code: 400,
        status_message: Some("The address stands twice in the request".to_owned()),
        ..MessageResult::default()
    }
}

/// A user without endpoints (spec/97 §1.4).
fn no_endpoints() -> EndpointMessageResult {
    EndpointMessageResult {
        delivery_status: DeliveryStatus::PermanentFailure,
        status_code: 400,
        status_message: Some("No endpoints found for userId.".to_owned()),
        ..EndpointMessageResult::default()
    }
}
