//! The two AWS protocols, as far as they differ: how an answer and an error look.
//!
//! Pinpoint speaks REST-JSON, SMS and Voice v2 JSON 1.0. Handlers know neither: they return outputs and [`ApiError`]s.

use bytes::Bytes;
use domain::ids::RequestId;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use model::{Service, pinpoint, sms_voice_v2};
use serde_json::json;

use crate::error::{ApiError, Code};

/// Names the operation of a JSON 1.0 request.
pub(crate) const TARGET_HEADER: &str = "x-amz-target";

const REQUEST_ID_HEADER: &str = "x-amzn-requestid";
/// SDKs take the error's code from here first (spec/00 §3).
const ERROR_TYPE_HEADER: &str = "x-amzn-errortype";

const ALLOW_ORIGIN: &str = "access-control-allow-origin";
const EXPOSE_HEADERS: &str = "access-control-expose-headers";

/// What scripts of any origin may read: every answer is CORS-enabled, as the service's are (spec/97 §1.9).
const EXPOSED: HeaderValue =
    HeaderValue::from_static("x-amzn-RequestId,x-amzn-ErrorType,x-amzn-errortype,Retry-After,Date");
/// What scripts of any origin may send.
const CORS_PREFLIGHT: [(&str, HeaderValue); 3] = [
    ("access-control-allow-methods", HeaderValue::from_static("GET,POST,PUT,DELETE,OPTIONS,HEAD,PATCH")),
    (
        "access-control-allow-headers",
        HeaderValue::from_static(
            "authorization,content-type,x-amz-date,x-amz-security-token,x-amz-content-sha256,x-amz-target,\
             x-amz-user-agent,amz-sdk-invocation-id,amz-sdk-request,x-amzn-trace-id,x-api-key",
        ),
    ),
    ("access-control-max-age", HeaderValue::from_static("86400")),
];

/// A protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    RestJson,
    Json10,
}

impl Protocol {
    /// The protocol of a request: JSON 1.0 names its operation in a header.
    pub fn of(headers: &HeaderMap) -> Self {
        if headers.contains_key(TARGET_HEADER) { Self::Json10 } else { Self::RestJson }
    }

    /// The protocol that a service speaks.
    pub fn of_service(service: Service) -> Self {
        match service {
            Service::Pinpoint => Self::RestJson,
            Service::SmsVoiceV2 => Self::Json10,
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::RestJson => "application/json",
            Self::Json10 => "application/x-amz-json-1.0",
        }
    }
}

/// What is sent back, before the headers that every answer has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub content_type: &'static str,
    pub body: Bytes,
    /// The code of an error, for `x-amzn-ErrorType`.
    pub error_type: Option<&'static str>,
    /// Whole seconds.
    pub retry_after_seconds: Option<u64>,
}

impl Answer {
    /// A document in the protocol's content type.
    pub fn document(protocol: Protocol, status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            content_type: protocol.content_type(),
            body: body.into(),
            error_type: None,
            retry_after_seconds: None,
        }
    }

    /// 200 with JSON: for our own API.
    pub fn json(body: impl Into<Bytes>) -> Self {
        Self::document(Protocol::RestJson, StatusCode::OK.as_u16(), body)
    }

    /// 200 with another content type: for metrics and pages.
    pub fn text(content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { content_type, ..Self::json(body) }
    }

    /// An error as the protocol shows it.
    pub fn error(protocol: Protocol, error: &ApiError, request_id: &RequestId) -> Self {
        let (status, name, body) = match protocol {
            Protocol::RestJson => rest_error(error, request_id),
            Protocol::Json10 => json10_error(error),
        };
        let retry_after_seconds =
            error.retry_after.map(|wait| wait.as_millis().div_ceil(1_000).max(1) as u64);
        Self {
            error_type: Some(name),
            retry_after_seconds,
            ..Self::document(protocol, status, body.to_string())
        }
    }

    /// The response with the headers that every one has.
    pub(crate) fn into_response(self, request_id: &RequestId) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        if let Ok(id) = HeaderValue::from_str(request_id.as_str()) {
            headers.insert(REQUEST_ID_HEADER, id);
        }
        if let Some(name) = self.error_type {
            headers.insert(ERROR_TYPE_HEADER, HeaderValue::from_static(name));
        }
        if let Some(seconds) = self.retry_after_seconds {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        headers.insert(ALLOW_ORIGIN, HeaderValue::from_static("*"));
        headers.insert(EXPOSE_HEADERS, EXPOSED);
        response
    }
}

/// The answer to a CORS preflight, for any path.
pub(crate) fn preflight(request_id: &RequestId) -> Response<Full<Bytes>> {
    let mut response = Answer::json(Bytes::new()).into_response(request_id);
    for (name, value) in CORS_PREFLIGHT {
        response.headers_mut().insert(name, value);
    }
    response
}

fn rest_error(error: &ApiError, request_id: &RequestId) -> (u16, &'static str, serde_json::Value) {
    let (name, body) = match error.code {
        Code::Service(code) => {
            (code.name(), json!({"Message": error.message, "RequestID": request_id.as_str()}))
        }
        Code::AccessDenied => {
            ("AccessDeniedException", json!({"Message": error.message, "RequestID": request_id.as_str()}))
        }
        // The gateway's own form (spec/97 §6.3).
        Code::Gateway(name) => (name, json!({"message": error.message})),
    };
    (error.status(), name, body)
}

fn json10_error(error: &ApiError) -> (u16, &'static str, serde_json::Value) {
    let code = match error.code {
        Code::Gateway(name) => {
            return (error.status(), name, json!({"__type": name, "message": error.message}));
        }
        Code::AccessDenied => sms_voice_v2::ErrorCode::AccessDenied,
        Code::Service(code) => sms_voice_v2_code(code),
    };
    let mut body = json!({"__type": code.name(), "Message": error.message});
    let reason = error.reason.or((code == sms_voice_v2::ErrorCode::Validation).then_some("OTHER"));
    if let Some(reason) = reason {
        body["Reason"] = reason.into();
    }
    (code.status(), code.name(), body)
}

/// The error of SMS and Voice v2 that says the same.
fn sms_voice_v2_code(code: pinpoint::ErrorCode) -> sms_voice_v2::ErrorCode {
    use pinpoint::ErrorCode;
    match code {
        ErrorCode::BadRequest | ErrorCode::MethodNotAllowed | ErrorCode::PayloadTooLarge => {
            sms_voice_v2::ErrorCode::Validation
        }
        ErrorCode::Conflict => sms_voice_v2::ErrorCode::Conflict,
        ErrorCode::Forbidden => sms_voice_v2::ErrorCode::AccessDenied,
        ErrorCode::NotFound => sms_voice_v2::ErrorCode::ResourceNotFound,
        ErrorCode::TooManyRequests => sms_voice_v2::ErrorCode::Throttling,
        ErrorCode::InternalServerError => sms_voice_v2::ErrorCode::InternalServer,
    }
}
