//! What became of a message, by what the caller does next.

use std::time::Duration;

/// The end of one hand-off. `code` is the provider's own status (SMTP: three digits), `detail` its words or ours; both end
/// up in the record of the delivery and are read by people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The provider took the message over; `detail` holds its id or text.
    Accepted { detail: String },
    /// Not now, because of this message or recipient (greylisting, mailbox busy, a connection broken before the message was
    /// handed over): try again later. Costs an attempt.
    Transient { code: Option<u16>, detail: String, retry_after: Option<Duration> },
    /// The provider pushes back on the lane, not on this message (421, rate limits, no connection, refused credentials): slow
    /// down and try again. Costs no attempt.
    PushBack { code: Option<u16>, detail: String, retry_after: Option<Duration> },
    /// Never: the provider refused for good, or the message cannot be sent as it is.
    Permanent { code: Option<u16>, detail: String },
    /// The connection broke after the whole message was handed over and before its answer: nobody knows. Must not be
    /// retried by itself unless the transport de-duplicates.
    Unknown { detail: String },
}

impl Outcome {
    /// The message was certainly not delivered and may be tried again.
    pub fn may_retry(&self) -> bool {
        matches!(self, Self::Transient { .. } | Self::PushBack { .. })
    }
}
