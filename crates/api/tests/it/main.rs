//! The server over HTTP: driven by AWS's own SDK, and by hand where the bytes count.

#![expect(clippy::unwrap_used, reason = "helpers of tests count as tests")]

mod apps;
mod channels;
mod coverage;
mod jobs;
mod limits;
mod settings;
mod support;
mod tags;
mod templates;
mod wire;
