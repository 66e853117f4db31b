//! The server over HTTP: driven by AWS's own SDK, and by hand where the bytes count.

mod apps;
mod channels;
mod coverage;
mod limits;
mod settings;
mod support;
mod tags;
mod templates;
mod wire;
