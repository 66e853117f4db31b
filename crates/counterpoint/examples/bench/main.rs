//! The measurements of docs/performance.md: a load process beside the real server, on the same machine.
//!
//! `cargo xtask bench` builds the release binary and this, and runs it. Every figure that is a claim is a ratio of two
//! things measured in the same run.

use std::time::Duration;

use anyhow::bail;
use engine::simulation::World;

mod audience;
mod baseline;
mod bodies;
mod campaign;
mod client;
mod crash;
mod ingest;
mod report;
mod server;
mod sink;

use report::Report;

/// The command by which this program starts itself to send mails and do nothing else.
pub(crate) const PLAIN_CLIENT: &str = "plain-client";

fn number(arguments: &[String], place: usize, default: u64) -> anyhow::Result<u64> {
    arguments.get(place).map_or(Ok(default), |text| Ok(text.parse()?))
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut runtime = match arguments.first().map(String::as_str) {
        // A seed tells the same story each time only where one thing happens after the other.
        Some("sim") => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    // What stands in the server's place has as many threads as the server has; the load has one.
    if arguments.first().is_none_or(|command| command != PLAIN_CLIENT) {
        runtime.worker_threads(1);
    }
    runtime.enable_all().build()?.block_on(run(&arguments))
}

async fn run(arguments: &[String]) -> anyhow::Result<()> {
    let mut report = Report::default();
    match arguments.first().map(String::as_str) {
        Some("ingest") => {
            let sustained = Duration::from_secs(number(arguments, 1, 300)?);
            ingest::run(sustained, &mut report).await
        }
        Some("audience") => audience::run(number(arguments, 1, 1_000_000)?, &mut report).await,
        Some("campaign") => {
            let connections = number(arguments, 2, campaign::CONNECTIONS)?;
            campaign::run(number(arguments, 1, 100_000)?, connections, &mut report).await
        }
        Some("crash") => crash::run(number(arguments, 1, 100)?, number(arguments, 2, 1)?, &mut report).await,
        Some("sim") => simulate(number(arguments, 1, 2_000)?, number(arguments, 2, 0)?, &mut report).await,
        Some("baseline-server") => {
            let kind = match arguments.get(1).map(String::as_str) {
                Some("bare") => baseline::Kind::Bare,
                _ => baseline::Kind::Verified,
            };
            baseline::serve(kind, arguments.get(2).map_or("", String::as_str)).await
        }
        Some(PLAIN_CLIENT) => {
            let address = arguments.get(1).map_or("", String::as_str);
            campaign::plain_client(address, number(arguments, 2, 1)?, number(arguments, 3, 1)?).await
        }
        _ => bail!(
            "usage: bench ingest [SECONDS] | audience [ENDPOINTS] | campaign [MAILS] [CONNECTIONS] | crash [KILLS] [SEED] | sim [SEEDS] [FIRST]"
        ),
    }
}

/// Plays many stories of the simulated world.
async fn simulate(seeds: u64, first: u64, report: &mut Report) -> anyhow::Result<()> {
    let start = std::time::Instant::now();
    let mut crashes = 0;
    let mut accepted = 0;
    for seed in first..first + seeds {
        match World::run(seed, 600).await {
            Ok(told) => {
                crashes += told.crashes;
                accepted += told.accepted;
            }
            Err(violation) => bail!("seed {seed}: {violation}"),
        }
    }
    report.section("Simulated worlds");
    report.line("seeds", seeds as f64);
    report.line("crashes", crashes as f64);
    report.line("mails taken", accepted as f64);
    report.line("violations", 0.0);
    report.line("seconds", start.elapsed().as_secs_f64());
    Ok(())
}
