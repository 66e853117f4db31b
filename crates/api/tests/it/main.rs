//! The server over HTTP: driven by AWS's own SDK, and by hand where the bytes count.

#![expect(clippy::unwrap_used, reason = "helpers of tests count as tests")]

mod apps;
mod campaigns;
mod channels;
mod coverage;
mod endpoints;
mod events;
mod jobs;
mod limits;
mod messages;
mod segments;
mod sending;
mod settings;
mod support;
mod tags;
mod templates;
mod wire;
