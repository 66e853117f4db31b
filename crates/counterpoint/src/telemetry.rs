//! What is logged and measured.

use std::io::IsTerminal as _;

use anyhow::Context as _;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::{LogFormat, Telemetry};

/// Upper bounds of the buckets of durations, in milliseconds.
const DURATION_BUCKETS_MS: [f64; 14] =
    [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0, 30_000.0];

/// Sends what is logged to stderr: stdout belongs to what a command answers.
pub(crate) fn log(telemetry: &Telemetry) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_new(&telemetry.level).context("telemetry.level is not a level or a filter")?;
    let is_pretty = match telemetry.format {
        LogFormat::Pretty => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stderr().is_terminal(),
    };
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if is_pretty {
        subscriber.with_target(false).init();
    } else {
        subscriber.json().flatten_event(true).init();
    }
    Ok(())
}

/// Collects what is measured; the handle prints it.
pub(crate) fn metrics() -> anyhow::Result<PrometheusHandle> {
    let builder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_duration_ms".to_owned()), &DURATION_BUCKETS_MS)?;
    Ok(builder.install_recorder()?)
}
