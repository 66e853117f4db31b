//! The workers: fold the log into state, run campaigns, dispatch the outbox, run jobs.
//!
//! Every loop is a public `step()` that a test can call; nothing here knows HTTP, the AWS wire, SMTP or Parquet. Start at
//! [`Engine`], then [`project`] (how a record becomes state) and [`dispatch`] (how a message leaves).

mod handle;
pub mod index;

pub use handle::Engine;
