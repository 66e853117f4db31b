//! What a client is told when a call fails: one type for all handlers, and one `From` for each internal error.
//!
//! A handler never chooses a status: the code decides it (the generated table of `model`), and [`crate::protocol`] writes
//! the body in the form of the protocol that was spoken. Details of internal faults go to the log, not to the client.

use std::borrow::Cow;
use std::time::Duration;

use domain::endpoints::Invalid;
use model::DecodeError;
use model::pinpoint::ErrorCode;
use store::value::ValueError;
use store::{KvError, LogError};

use crate::secrets::SecretsError;
use crate::sigv4::SignatureError;

/// The text of a 404 for an application (spec/97 §6.2).
pub const APPLICATION_NOT_FOUND: &str = "Application not found";
/// The text of a 404 for anything else.
pub const RESOURCE_NOT_FOUND: &str = "Resource not found";

/// After how long a call that lost against others is worth another try.
const BUSY_RETRY_AFTER: Duration = Duration::from_secs(1);

/// Which error it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// An error of Pinpoint's model. SMS and Voice v2 has a like one for each; see [`crate::protocol`].
    Service(ErrorCode),
    /// The caller is known, but his policy does not allow the call.
    AccessDenied,
    /// The signature was refused in front of the service, as the AWS gateway does it: always 403.
    Gateway(&'static str),
}

/// A failed call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    pub code: Code,
    /// For the client: no secret, nothing internal.
    pub message: Cow<'static, str>,
    /// Sent as `Retry-After`.
    pub retry_after: Option<Duration>,
    /// SMS and Voice v2 names a reason beside the code, such as `UNKNOWN_OPERATION`.
    pub reason: Option<&'static str>,
    /// A row that the handler read was changed before it committed: the handler is to be called again.
    pub(crate) decide_again: bool,
}

impl ApiError {
    /// An error of the model, with the text that the client reads.
    pub fn new(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self::with_code(Code::Service(code), message)
    }

    fn with_code(code: Code, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), retry_after: None, reason: None, decide_again: false }
    }

    /// 400: the request is wrong, and `message` says what.
    pub fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::BadRequest, message)
    }

    /// 404 `Application not found`.
    pub fn app_not_found() -> Self {
        Self::new(ErrorCode::NotFound, APPLICATION_NOT_FOUND)
    }

    /// 404 `Resource not found`.
    pub fn not_found() -> Self {
        Self::new(ErrorCode::NotFound, RESOURCE_NOT_FOUND)
    }

    /// 405: the path exists, but not with this method.
    pub fn method_not_allowed() -> Self {
        Self::new(ErrorCode::MethodNotAllowed, "Method not allowed")
    }

    /// 409.
    pub fn conflict(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::Conflict, message)
    }

    /// 413.
    pub fn payload_too_large(bytes_max: usize) -> Self {
        Self::new(ErrorCode::PayloadTooLarge, format!("Request body is larger than {bytes_max} bytes"))
    }

    /// 429, to be tried again after `retry_after` at the earliest.
    pub fn too_many_requests(retry_after: Duration) -> Self {
        Self::new(ErrorCode::TooManyRequests, "Too many requests").retry_after(retry_after)
    }

    /// 500: a fault of ours, of which the client learns only that it may try again. The caller logs the cause.
    pub fn internal() -> Self {
        Self::new(ErrorCode::InternalServerError, "Internal server error")
    }

    /// 500 with a text: the call may succeed later.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorCode::InternalServerError, message)
    }

    /// 403: the policy does not allow it; `message` from [`crate::policy::denial`].
    pub fn access_denied(message: String) -> Self {
        Self::with_code(Code::AccessDenied, message)
    }

    /// Adds a `Retry-After`.
    #[must_use]
    pub fn retry_after(mut self, retry_after: Duration) -> Self {
        self.retry_after = Some(retry_after);
        self
    }

    /// Adds the reason that SMS and Voice v2 shows.
    #[must_use]
    pub fn reason(mut self, reason: &'static str) -> Self {
        self.reason = Some(reason);
        self
    }

    /// The HTTP status in Pinpoint's protocol.
    pub fn status(&self) -> u16 {
        match self.code {
            Code::Service(code) => code.status(),
            Code::AccessDenied | Code::Gateway(_) => SignatureError::STATUS,
        }
    }
}

impl From<KvError> for ApiError {
    fn from(error: KvError) -> Self {
        match error {
            KvError::Conflict(_) => Self { decide_again: true, ..Self::too_many_requests(BUSY_RETRY_AFTER) },
            KvError::Full => Self::unavailable("No space is left to store this; try again later"),
            KvError::TooLarge { .. } | KvError::Corrupt(_) | KvError::Failed(_) => {
                tracing::error!(error = &error as &dyn std::error::Error, "state store refused a call");
                Self::internal()
            }
        }
    }
}

impl From<LogError> for ApiError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Full => Self::unavailable("No space is left to store this; try again later"),
            LogError::TooLarge(_) => {
                Self::new(ErrorCode::PayloadTooLarge, "Request is too large to be stored")
            }
            LogError::Trimmed(_)
            | LogError::BeyondEnd { .. }
            | LogError::Corrupt(_)
            | LogError::Failed(_) => {
                tracing::error!(error = &error as &dyn std::error::Error, "log refused a call");
                Self::internal()
            }
        }
    }
}

impl From<ValueError> for ApiError {
    fn from(error: ValueError) -> Self {
        KvError::from(error).into()
    }
}

impl From<SecretsError> for ApiError {
    fn from(error: SecretsError) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "a secret could not be sealed or opened");
        Self::internal()
    }
}

/// A document of ours that does not read or write: never the client's fault.
impl From<serde_json::Error> for ApiError {
    fn from(error: serde_json::Error) -> Self {
        tracing::error!(error = &error as &dyn std::error::Error, "a document could not be read or written");
        Self::internal()
    }
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        Self::bad_request(invalid.0)
    }
}

impl From<DecodeError> for ApiError {
    fn from(error: DecodeError) -> Self {
        Self::bad_request(error.message)
    }
}

impl From<SignatureError> for ApiError {
    fn from(error: SignatureError) -> Self {
        Self::with_code(Code::Gateway(error.aws_code()), error.to_string())
    }
}
