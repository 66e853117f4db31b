//! An SMTP client that knows, for every way a hand-off can end, whether the message may have been delivered.
//!
//! [`SmtpClient`] keeps a bounded pool of connections; a transaction hands one message over in two round
//! trips where the server takes pipelined commands (RFC 2920). The boundary is the end of the message: until its last byte
//! was written, a failure means "certainly not delivered"; from then to the reply it means "nobody knows"
//! ([`Outcome::Unknown`](crate::Outcome::Unknown)). Why not a library's client: docs/decisions/003-smtp-client.md.

mod connection;
mod options;
mod pool;
mod reply;
mod tls;
mod transaction;

#[cfg(test)]
mod tests;

pub use options::{Credentials, SmtpOptions, SmtpOptionsError, Timeouts, TlsMode};
pub use pool::SmtpClient;
pub use tls::TlsError;
