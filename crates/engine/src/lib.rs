//! The workers: fold the log into state, run campaigns, dispatch the outbox, run jobs.
//!
//! Every loop is a public `step()` that a test can call; nothing here knows HTTP, the AWS wire, SMTP or Parquet. Start at
//! [`Engine`], then [`project`] (how a record becomes state) and [`dispatch`] (how a message leaves).

#![warn(clippy::wildcard_enum_match_arm)]

mod apps;
pub mod audiences;
mod bitmap;
pub mod campaigns;
pub mod contacts;
pub mod dispatch;
pub mod due;
pub mod expiries;
mod fingerprint;
pub mod handle;
pub mod ids;
pub mod index;
pub mod jobs;
mod lag;
mod low_water;
pub mod names;
pub mod objects;
pub mod project;
mod readings;
pub mod reads;
pub mod retention;
pub mod segments;
pub mod simulation;
pub mod templates;
pub mod usage;

pub use handle::{Engine, NotProjected, SHARD};
