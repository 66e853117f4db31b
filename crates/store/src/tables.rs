//! The typed tables over [`Kv`](crate::Kv): key layout and stored types, one module per noun.
//!
//! Keys of tenant tables begin with the account, then the application. Work tables (due rows, outbox, intents) begin with
//! the shard, so that one owner scans what is his.

pub mod accounts;
pub mod apps;
pub mod audiences;
pub mod campaigns;
pub mod definitions;
pub mod due;
pub mod events;
pub mod expiries;
pub mod invocations;
pub mod jobs;
pub mod outbox;

#[cfg(test)]
mod tests;
