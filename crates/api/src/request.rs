//! The path of one request: see the crate's documentation for its order.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use domain::ids::RequestId;
use domain::time::Timestamp;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::header::{DATE, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response};
use model::{OperationSpec, RequestParts, Service};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::callers::Caller;
use crate::context::Cx;
use crate::error::ApiError;
use crate::policy::{Decision, denial};
use crate::protocol::{Answer, Protocol, TARGET_HEADER, preflight};
use crate::router::{Found, decode_label, decode_query};
use crate::routes::{Handler, Labels, Route};
use crate::server::{BODY_UNIT_BYTES, OWN_PREFIX, OwnRequest, Server};
use crate::sigv4::{self, Presented, SignatureError};
use crate::telemetry;

/// Bytes of a request body (spec/95 §1).
pub const BODY_BYTES_MAX: usize = 7 << 20;
/// Bytes of the body of `PutEvents`.
pub const PUT_EVENTS_BODY_BYTES_MAX: usize = 4 << 20;
/// Bytes that are read and thrown away behind a body that is too large. A client that is still writing when the
/// connection closes would see it reset, and not the 413.
const DISCARDED_BYTES_MAX: usize = 32 << 20;
/// When to come back where there was no room for a body.
const NO_ROOM_RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long a client may take to send a body.
const BODY_READ_MAX: Duration = Duration::from_secs(30);

/// Operations whose bodies count as ingest.
const INGEST: [&str; 3] = ["PutEvents", "UpdateEndpoint", "UpdateEndpointsBatch"];

/// The name of our own API in policies and ARNs.
const OWN_SERVICE: &str = "counterpoint";
/// Our own API, as far as it resembles an operation: for throttling and for what is logged.
const OWN_READ: &OperationSpec =
    &OperationSpec { name: "Read", method: "GET", action: "counterpoint:Read", mutating: false, ..OWN };
const OWN_WRITE: &OperationSpec =
    &OperationSpec { name: "Write", method: "POST", action: "counterpoint:Write", mutating: true, ..OWN };
const OWN: OperationSpec = OperationSpec {
    service: Service::Pinpoint,
    name: "",
    method: "",
    path: OWN_PREFIX,
    status: 200,
    action: "",
    resource: "",
    mutating: true,
};

/// Answers one request.
pub(crate) async fn answer(server: Arc<Server>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let request_id = RequestId::from(server.engine.context.ids.uuid());
    let (head, body) = request.into_parts();
    let in_flight = server.enter();
    let task = server.tasks.spawn({
        let (server, request_id) = (Arc::clone(&server), request_id.clone());
        async move {
            let response = respond(&server, &head, body, &request_id).await;
            drop(in_flight);
            response
        }
    });
    // The task ends by itself even where this future is dropped because the client hung up.
    let mut response = task.await.unwrap_or_else(|fault| {
        tracing::error!(%fault, request.id = request_id.as_str(), "request handler panicked");
        Answer::error(Protocol::RestJson, &ApiError::internal(), &request_id).into_response(&request_id)
    });
    response.headers_mut().insert(DATE, date(server.engine.context.now()));
    response
}

/// The `Date` header. SDKs set their clock by it, so it must be that by which signatures are judged.
fn date(now: Timestamp) -> HeaderValue {
    let now = now.clamp(Timestamp(0), Timestamp::MAX);
    let text =
        httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + Duration::from_millis(now.as_millis() as u64));
    HeaderValue::try_from(text).expect("an HTTP date is ASCII text")
}

async fn respond(
    server: &Arc<Server>,
    head: &Parts,
    body: Incoming,
    request_id: &RequestId,
) -> Response<Full<Bytes>> {
    if head.method == Method::OPTIONS {
        return preflight(request_id);
    }
    if let Some(answer) = open(server, head).await {
        return answer.into_response(request_id);
    }
    let started_ms = server.engine.context.clock.monotonic_ms();
    let mut call = Call { server, head, request_id, operation: None };
    let answer = match call.answer(body).await {
        Ok(answer) => answer,
        Err(error) => Answer::error(Protocol::of(&head.headers), &error, request_id),
    };
    let took_ms = server.engine.context.clock.monotonic_ms().saturating_sub(started_ms);
    telemetry::answered(call.operation, &answer, took_ms);
    answer.into_response(request_id)
}

/// What anybody may read.
async fn open(server: &Server, head: &Parts) -> Option<Answer> {
    if head.method != Method::GET && head.method != Method::HEAD {
        return None;
    }
    let path = head.uri.path();
    if path == "/health" {
        return Some(Answer::json(&br#"{"status":"ok"}"#[..]));
    }
    let (_, handler) = server.open.iter().find(|(open, _)| *open == path)?;
    Some(handler().await)
}

/// A request on its way.
struct Call<'a> {
    server: &'a Arc<Server>,
    head: &'a Parts,
    request_id: &'a RequestId,
    /// Known once it is routed.
    operation: Option<&'static OperationSpec>,
}

/// Who is asked for.
enum Target<'a> {
    Operation {
        route: &'a Route,
        labels: Labels,
    },
    /// The place among the handlers of our own API, and the path behind [`OWN_PREFIX`].
    Own {
        place: usize,
        path: &'a str,
    },
}

impl<'a> Call<'a> {
    async fn answer(&mut self, body: Incoming) -> Result<Answer, ApiError> {
        let mut room = Room { units: &self.server.body_units, taken: None };
        let body = read(body, &mut room).await?;
        let (caller, presented, body) = self.authenticate(&body).await?;
        let target = self.route()?;
        let operation = match &target {
            Target::Operation { route, .. } => route.spec,
            Target::Own { .. } if self.head.method == Method::GET => OWN_READ,
            Target::Own { .. } => OWN_WRITE,
        };
        self.operation = Some(operation);
        if body.len() > body_bytes_max(operation) {
            return Err(ApiError::payload_too_large(body_bytes_max(operation)));
        }
        check_service(&presented, &target)?;
        let cx =
            Cx::new(Arc::clone(self.server), self.request_id.clone(), caller, &presented.region, operation);
        authorise(&cx, &target)?;
        self.throttle(&cx, body.len())?;
        match target {
            Target::Operation { route, labels } => self.call(cx, route, labels, body).await,
            Target::Own { place, path } => self.call_own(cx, place, path, body).await,
        }
    }

    async fn authenticate(&self, body: &Bytes) -> Result<(Arc<Caller>, Presented, Bytes), ApiError> {
        let server = self.server;
        let request = sigv4::Request::from(self.head);
        let presented = sigv4::parse(&request)?;
        // A security token is ignored: keys here are permanent, and the signature says all that a token would.
        let caller = server.callers.get(
            &*server.engine.kv,
            &server.master_key,
            &presented.access_key_id,
            server.engine.context.clock.monotonic_ms(),
        );
        let caller = caller.await?;
        let now = server.engine.context.now();
        let body = server.signing_keys.verify(&presented, &request, &caller.secret, body, now)?;
        Ok((caller, presented, body))
    }

    fn route(&self) -> Result<Target<'a>, ApiError> {
        let (server, path) = (self.server, self.head.uri.path());
        if let Some(target) = target_header(&self.head.headers) {
            return match server.routes.target(target) {
                _ if path != "/" => Err(ApiError::not_found()),
                _ if self.head.method != Method::POST => Err(ApiError::method_not_allowed()),
                None => Err(ApiError::bad_request("Unknown operation").reason("UNKNOWN_OPERATION")),
                Some(place) => {
                    Ok(Target::Operation { route: server.routes.route(place), labels: Labels::default() })
                }
            };
        }
        if let Some(path) = path.strip_prefix(OWN_PREFIX) {
            let place = server.own.iter().position(|(prefix, _)| is_below(path, prefix));
            return place.map(|place| Target::Own { place, path }).ok_or_else(ApiError::not_found);
        }
        match server.routes.find(self.head.method.as_str(), path) {
            Found::Route { route, labels: raw } => {
                let route = server.routes.route(route);
                let decoded = raw.into_iter().map(decode_label).collect::<Result<Vec<_>, _>>()?;
                Ok(Target::Operation {
                    labels: Labels(route.labels.iter().copied().zip(decoded).collect()),
                    route,
                })
            }
            Found::WrongMethod => Err(ApiError::method_not_allowed()),
            Found::Nothing => Err(ApiError::not_found()),
        }
    }

    fn throttle(&self, cx: &Cx, body_bytes: usize) -> Result<(), ApiError> {
        let Server { options, throttles, .. } = &**self.server;
        let now_ms = self.server.engine.context.clock.monotonic_ms();
        if let Some(scale) = options.throttle_scale {
            let taken = throttles.take(cx.account(), cx.operation, scale, now_ms);
            taken.map_err(ApiError::too_many_requests)?;
        }
        if let Some(per_second) = options.quotas.ingest_bytes_per_second
            && INGEST.contains(&cx.operation.name)
        {
            let taken = throttles.take_bytes(cx.account(), body_bytes, per_second, now_ms);
            taken.map_err(ApiError::too_many_requests)?;
        }
        Ok(())
    }

    async fn call(&self, cx: Cx, route: &Route, labels: Labels, body: Bytes) -> Result<Answer, ApiError> {
        let uri = &self.head.uri;
        match &route.handler {
            Handler::Raw(handler) => {
                let answer = handler(cx, labels, body).await?;
                Ok(Answer::document(Protocol::of_service(route.spec.service), answer.status, answer.body))
            }
            Handler::Typed(handler) => {
                let cx = cx.with_invocation(
                    &self.head.headers,
                    uri.path_and_query().map_or("", hyper::http::uri::PathAndQuery::as_str),
                    &body,
                );
                let query = decode_query(uri.query().unwrap_or_default())?;
                let parts = RequestParts { labels: labels.0, query, body: body.as_ref().into() };
                handler(cx, &parts)?.await
            }
        }
    }

    async fn call_own(&self, cx: Cx, place: usize, path: &str, body: Bytes) -> Result<Answer, ApiError> {
        let (prefix, handler) = &self.server.own[place];
        let uri = &self.head.uri;
        let path_and_query = uri.path_and_query().map_or("", hyper::http::uri::PathAndQuery::as_str);
        let cx = cx.with_invocation(&self.head.headers, path_and_query, &body);
        let request = OwnRequest {
            method: self.head.method.clone(),
            path: path[prefix.len()..].to_owned(),
            query: decode_query(uri.query().unwrap_or_default())?,
            body,
        };
        handler(cx, request).await
    }
}

/// Bytes of the body of an operation, at most.
fn body_bytes_max(operation: &OperationSpec) -> usize {
    if operation.name == "PutEvents" { PUT_EVENTS_BODY_BYTES_MAX } else { BODY_BYTES_MAX }
}

/// The room that a body takes among all bodies, held until the request is answered.
struct Room<'a> {
    units: &'a Semaphore,
    taken: Option<SemaphorePermit<'a>>,
}

impl Room<'_> {
    /// Takes room for what was received. Nobody waits for room: of those who did, each would hold what the others need.
    fn take(&mut self, bytes: usize) -> Result<(), ApiError> {
        let units = bytes.div_ceil(BODY_UNIT_BYTES) as u32;
        let permit = self
            .units
            .try_acquire_many(units)
            .map_err(|_| ApiError::too_many_requests(NO_ROOM_RETRY_AFTER))?;
        match &mut self.taken {
            Some(taken) => taken.merge(permit),
            None => self.taken = Some(permit),
        }
        Ok(())
    }
}

/// The whole body.
async fn read(body: Incoming, room: &mut Room<'_>) -> Result<Bytes, ApiError> {
    let collected = tokio::time::timeout(BODY_READ_MAX, collect(body, room)).await;
    collected.unwrap_or_else(|_| Err(ApiError::bad_request("Request body was not received in time")))
}

async fn collect(mut body: Incoming, room: &mut Room<'_>) -> Result<Bytes, ApiError> {
    let mut first = Bytes::new();
    let mut joined = BytesMut::new();
    let mut received_bytes = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| ApiError::bad_request("Request body ended too early"))?;
        let Ok(data) = frame.into_data() else { continue };
        received_bytes += data.len();
        if received_bytes > BODY_BYTES_MAX {
            // Too large already: the rest is only read away.
            (first, joined) = (Bytes::new(), BytesMut::new());
            if received_bytes > BODY_BYTES_MAX + DISCARDED_BYTES_MAX {
                break;
            }
            continue;
        }
        room.take(data.len())?;
        if first.is_empty() && joined.is_empty() {
            // Most bodies come in one piece, which is not copied.
            first = data;
        } else {
            joined.extend_from_slice(&std::mem::take(&mut first));
            joined.extend_from_slice(&data);
        }
    }
    if received_bytes > BODY_BYTES_MAX {
        return Err(ApiError::payload_too_large(BODY_BYTES_MAX));
    }
    Ok(if joined.is_empty() { first } else { joined.freeze() })
}

fn target_header(headers: &HeaderMap) -> Option<&str> {
    headers.get(TARGET_HEADER).map(|value| value.to_str().unwrap_or_default())
}

/// `path` is `prefix` or lies below it.
fn is_below(path: &str, prefix: &str) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A signature for one service is not good for another.
fn check_service(presented: &Presented, target: &Target<'_>) -> Result<(), ApiError> {
    let is_right = match target {
        Target::Operation { route, .. } => presented.service == route.spec.service.signing_name(),
        // The console signs with the client of Pinpoint.
        Target::Own { .. } => {
            presented.service == OWN_SERVICE || presented.service == Service::Pinpoint.signing_name()
        }
    };
    if is_right {
        return Ok(());
    }
    Err(SignatureError::IncompleteSignature("Credential should be scoped to correct service.").into())
}

fn authorise(cx: &Cx, target: &Target<'_>) -> Result<(), ApiError> {
    let resource = match target {
        Target::Operation { route, labels } => resource_arn(cx, route.spec, labels),
        Target::Own { path, .. } => {
            format!("arn:aws:{OWN_SERVICE}:{}:{}:{path}", cx.region, cx.account())
        }
    };
    match cx.caller.policy.decide(cx.operation.action, &resource) {
        Decision::Allow => Ok(()),
        Decision::ExplicitDeny | Decision::ImplicitDeny => {
            Err(ApiError::access_denied(denial(&cx.caller.arn(), cx.operation.action, &resource)))
        }
    }
}

/// The ARN that is authorised: the template of the table with the decoded labels filled in.
fn resource_arn(cx: &Cx, spec: &OperationSpec, labels: &Labels) -> String {
    if spec.resource == "{resource-arn}" {
        return labels.get("resource-arn").to_owned();
    }
    let mut resource = String::with_capacity(spec.resource.len() + 64);
    let mut rest = spec.resource;
    while let Some((before, label)) = rest.split_once('{') {
        let (name, after) = label.split_once('}').unwrap_or((label, ""));
        resource.push_str(before);
        resource.push_str(labels.get(name));
        rest = after;
    }
    resource.push_str(rest);
    cx.arn(&resource)
}
