//! `cargo xtask bench <measurement>`: the measurements of docs/performance.md, on this machine.

use clap::ValueEnum;

use crate::workspace;

/// What is measured; the example `bench` of the binary's package says what each takes as arguments.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Measurement {
    /// Events accepted a second: [SECONDS]
    Ingest,
    /// Segments over many endpoints: [ENDPOINTS]
    Audience,
    /// Mails of a campaign a second: [MAILS]
    Campaign,
    /// Kill the server under load, and count: [KILLS] [SEED]
    Crash,
    /// Stories of the simulated world: [SEEDS] [FIRST]
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
    match workspace::become_example("bench", &all)? {}
}
