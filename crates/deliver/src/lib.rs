//! A message in, an outcome out.
//!
//! [`EmailTransport`] hands one [`Email`] to one recipient over SMTP and answers with an [`Outcome`], which says what the
//! caller does next. [`sandbox`] is a real SMTP server in the process with a mailbox that can be read: the default
//! transport, so that a new installation can be tried without a mail provider. This crate knows no campaigns, no segments
//! and no store; time comes in with each mail. Start at [`email`], then [`transport`].

pub mod dkim;
pub mod email;
mod lines;
pub mod mime;
pub mod outcome;
pub mod rate;
pub mod sandbox;
pub mod smtp;
pub mod transport;

pub use dkim::{DkimKey, DkimKeyError};
pub use email::{Email, ListUnsubscribe};
pub use outcome::Outcome;
pub use smtp::{SmtpOptions, SmtpOptionsError};
pub use transport::{EmailTransport, EmailTransportError};
