//! What an endpoint, segment, template and campaign *does*.
//!
//! Pure functions and plain types: state, record and now go in; writes, actions and named refusals come out. This crate
//! knows no clock, no runtime, no database and no HTTP, and holds no handle. Start at [`records`] (what can happen) and
//! [`endpoints`] (what a record does to an endpoint); [`campaigns`] decides who is messaged.

#![warn(clippy::wildcard_enum_match_arm)]

pub mod audience;
pub mod campaigns;
pub mod channels;
pub mod email;
pub mod endpoints;
pub mod events;
pub mod hashes;
pub mod ids;
pub mod import;
pub mod jobs;
pub mod messages;
pub mod names;
pub mod records;
pub mod rendering;
pub mod segments;
pub mod templates;
pub mod time;
