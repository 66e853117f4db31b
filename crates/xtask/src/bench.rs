//! `cargo xtask bench <measurement>`: the measurements of docs/performance.md, on this machine.

use clap::ValueEnum;

use crate::workspace;

/// What is measured. All arguments may be left out.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Measurement {
    /// Events accepted a second; arguments: SECONDS
    Ingest,
    /// Segments over many endpoints; arguments: ENDPOINTS
    Audience,
    /// Mails of a campaign a second; arguments: MAILS CONNECTIONS
    Campaign,
    /// Kill the server under load, and count; arguments: KILLS SEED
    Crash,
    /// Stories of the simulated world; arguments: SEEDS FIRST
    Sim,
}

impl Measurement {
    fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Audience => "audience",
            Self::Campaign => "campaign",
            Self::Crash => "crash",
            Self::Sim => "sim",
        }
    }
}

pub(crate) fn run(measurement: Measurement, arguments: &[String]) -> anyhow::Result<()> {
    let mut all = vec![measurement.name()];
    all.extend(arguments.iter().map(String::as_str));
    // What is shipped is what is measured.
    match workspace::become_example("dist", "bench", &all)? {}
}
