//! The wire: HTTP, SigV4, the two AWS protocols, and one handler for each operation.
//!
//! A request passes, in this order ([`request`]):
//!
//! 1. **read**: at most 7 MB (`PutEvents` 4 MB), else 413; room for all bodies together is limited;
//! 2. **authenticate** ([`sigv4`], [`callers`]): SigV4 in header or query; the Host header counts as received;
//! 3. **route** (`router`) on the *raw* path, or on `X-Amz-Target`; labels are decoded after splitting;
//! 4. **authorise** ([`policy`]): the key's policy on action and resource ARN, then the account's rate ([`throttle`]);
//! 5. **decode**: the operation's input; what is not well formed is a 400;
//! 6. **handle** ([`pinpoint`], [`sms_voice_v2`]): a repeat of an SDK gets the answer of the first call, a handler that
//!    lost a race decides again ([`mod@routes`]);
//! 7. **encode** ([`protocol`]): the output, or an [`ApiError`] in the form of the protocol that was spoken.
//!
//! A preflight (`OPTIONS`), `GET /health` and what the binary adds with [`Server::open`] need no signature. Our own API is
//! added with [`Server::own`]. Start reading at [`pinpoint`]: the list of routes is the index of the handlers, and
//! [`Cx`] is what a handler gets.
//!
//! Only this crate knows SigV4, ARNs and error codes. It decides nothing about campaigns or endpoints: `domain` does.

pub mod callers;
pub mod context;
pub mod error;
pub mod keys;
pub mod own;
pub mod paging;
pub mod pinpoint;
pub mod policy;
pub mod protocol;
pub mod request;
mod router;
pub mod routes;
pub mod secrets;
mod serve;
pub mod server;
pub mod sigv4;
pub mod sms_voice_v2;
pub mod telemetry;
pub mod throttle;

pub use callers::{CALLER_AGE_MAX, Caller, access_key_row};
pub use context::{App, Cx, INVOCATION_KEPT};
pub use error::{ApiError, Code};
pub use paging::{Page, Place};
pub use protocol::{Answer, Protocol};
pub use request::{BODY_BYTES_MAX, PUT_EVENTS_BODY_BYTES_MAX};
pub use routes::{BoxFuture, Labels, RawAnswer, Routes};
pub use serve::{CONNECTIONS_MAX, DRAIN_MAX, serve};
pub use server::{OWN_PREFIX, Options, OwnRequest, Quotas, Server};

/// The handlers of both services.
pub fn routes() -> Routes {
    sms_voice_v2::routes(pinpoint::routes(Routes::new()))
}
