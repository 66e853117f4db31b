//! The sandbox: a place where messages really arrive, without a provider.
//!
//! [`SmtpSink`] is an SMTP server in the process; what it takes can be read in a [`Mailbox`], which survives a restart when
//! it has a directory. A recipient's local part chooses how the sink behaves, with or without a `+label` behind it, at any
//! domain:
//!
//! | local part | what happens |
//! |---|---|
//! | `bounce` | refused for good: 550 5.1.1 |
//! | `busy` | refused for now (451 4.3.0) the first time a mail comes, taken when it comes again |
//! | `slow` | taken after a delay ([`SinkOptions::slow`]) |
//! | any other | taken at once |

mod arrived;
mod mailbox;
mod session;
mod sink;
mod spool;

#[cfg(test)]
mod tests;

pub use mailbox::{Filter, Mailbox, MailboxLimits, Page, SandboxMessage};
pub use sink::{SinkOptions, SmtpSink};
pub use spool::SpoolError;
