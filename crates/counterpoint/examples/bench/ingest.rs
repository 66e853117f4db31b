//! Ingest: `PutEvents` over known endpoints, signed and durable, beside the two baselines in the same run.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::bodies::{self, EVENTS};
use crate::client::{Connection, Latencies, Target, now};
use crate::report::Report;
use crate::server::{ACCESS_KEY_ID, Server, directory};

/// Endpoints that exist before the load begins.
const POPULATION: u64 = 100_000;
/// Connections of the load generator.
const CONNECTIONS: usize = 32;
/// Requests signed beforehand for a burst: each is sent once, so that nothing is a repeat.
const BURST_REQUESTS: u64 = 25_000;
/// How long each burst lasts, at most.
const BURST: Duration = Duration::from_secs(8);
/// Ten billion a day.
const SUSTAINED_EVENTS_PER_SECOND: f64 = 116_000.0;

/// What a load found.
pub(crate) struct Load {
    pub events: u64,
    pub seconds: f64,
    pub latencies: Latencies,
    pub refused: u64,
}

impl Load {
    pub(crate) fn events_per_second(&self) -> f64 {
        self.events as f64 / self.seconds
    }
}

pub(crate) async fn run(sustained: Duration, report: &mut Report) -> anyhow::Result<()> {
    let bare = Baseline::start("bare").await?;
    let verified = Baseline::start("verified").await?;
    let directory = directory()?;
    let server = Server::start(directory.path(), &[]).await?;
    let app = create_app(&server.target).await?;
    register(&server.target, &app, POPULATION).await?;
    let path = format!("/v1/apps/{app}/events");

    let bare_load = burst(&bare.target, &path, 0).await?;
    let verified_load = burst(&verified.target, &path, 0).await?;
    let (_, cpu_before) = server.usage()?;
    let mut load = burst(&server.target, &path, 0).await?;
    let drain = drained(&server).await?;
    let (resident_mb, cpu_after) = server.usage()?;
    report.section("Ingest, burst");
    for (name, load) in [("bare server", bare_load), ("+ signature and JSON syntax", verified_load)] {
        row(report, name, load);
    }
    let bare_rate = report.number("events/s of bare server");
    report.line("events/s", load.events_per_second());
    report.line("share of the bare server", load.events_per_second() / bare_rate.unwrap_or(f64::NAN));
    report.line("p50 ms", load.latencies.percentile_ms(0.50));
    report.line("p99 ms", load.latencies.percentile_ms(0.99));
    report.line("refused requests", load.refused as f64);
    report.line("drain of the projection s", drain.as_secs_f64());
    report.line("server CPU s per million events", (cpu_after - cpu_before) / (load.events as f64 / 1e6));
    report.line("resident MB", resident_mb);
    drop((bare, verified));

    for (name, rate, time) in [
        ("Ingest, half of ten billion a day", SUSTAINED_EVENTS_PER_SECOND / 2.0, sustained / 4),
        ("Ingest, ten billion a day", SUSTAINED_EVENTS_PER_SECOND, sustained),
    ] {
        let mut load = steady(&server.target, &path, rate, time).await?;
        let drain = drained(&server).await?;
        report.section(name);
        report.line("seconds", load.seconds);
        report.line("events/s", load.events_per_second());
        report.line("p50 ms", load.latencies.percentile_ms(0.50));
        report.line("p99 ms", load.latencies.percentile_ms(0.99));
        report.line("refused requests", load.refused as f64);
        report.line("drain of the projection s", drain.as_secs_f64());
    }
    let status = server.status().await?;
    report.section("Log");
    let stored = status["log"]["stored_bytes"].as_f64().unwrap_or(f64::NAN);
    let raw = status["log"]["raw_bytes"].as_f64().unwrap_or(f64::NAN);
    report.line("stored share of raw bytes", stored / raw);
    report.line("stored bytes per event", stored / (raw / 575.0));
    server.kill().await
}

fn row(report: &mut Report, name: &str, mut load: Load) {
    report.line(&format!("events/s of {name}"), load.events_per_second());
    report.line(&format!("p99 ms of {name}"), load.latencies.percentile_ms(0.99));
}

pub(crate) async fn create_app(target: &Target) -> anyhow::Result<String> {
    let app = target.call("POST", "/v1/apps", r#"{"Name":"bench"}"#).await?;
    Ok(app["Id"].as_str().context("an application has an id")?.to_owned())
}

/// Registers endpoints in batches of 100, over several connections.
pub(crate) async fn register(target: &Target, app: &str, count: u64) -> anyhow::Result<()> {
    let next = Arc::new(AtomicU64::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (target, next, app) = (target.clone(), Arc::clone(&next), app.to_owned());
        tasks.spawn(async move {
            let mut connection = Connection::open(&target.address).await?;
            loop {
                let first = next.fetch_add(100, Ordering::Relaxed);
                if first >= count {
                    return anyhow::Ok(());
                }
                let items: Vec<_> = (first..(first + 100).min(count)).map(bodies::endpoint).collect();
                let body = serde_json::json!({ "Item": items }).to_string();
                let path = format!("/v1/apps/{app}/endpoints");
                let request = target.signed("PUT", &path, body.as_bytes(), now())?;
                let response = connection.call(&request).await?;
                let text = String::from_utf8_lossy(&response.body).into_owned();
                ensure!(response.status == 202, "registering answered {}: {text}", response.status);
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// As many requests as the server takes, all signed beforehand.
async fn burst(target: &Target, path: &str, first: u64) -> anyhow::Result<Load> {
    let mut requests = Vec::with_capacity(BURST_REQUESTS as usize);
    for number in 0..BURST_REQUESTS {
        let body = bodies::events(first + number * EVENTS as u64, POPULATION, now());
        requests.push(target.signed("POST", path, body.as_bytes(), now())?);
    }
    let requests = Arc::new(requests);
    let next = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (requests, next, address) = (Arc::clone(&requests), Arc::clone(&next), target.address.clone());
        tasks.spawn(async move {
            let mut connection = Connection::open(&address).await?;
            let mut latencies = Latencies::default();
            let mut refused = 0;
            while start.elapsed() < BURST {
                let Some(request) = requests.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                let sent = Instant::now();
                let response = connection.call(request).await?;
                latencies.since(sent);
                refused += u64::from(response.status >= 300);
            }
            anyhow::Ok((latencies, refused))
        });
    }
    collect(tasks, start).await
}

/// Requests at an even rate, signed as they go.
async fn steady(target: &Target, path: &str, rate: f64, time: Duration) -> anyhow::Result<Load> {
    let start = Instant::now();
    let first = now().0 as u64 * 1_000;
    let sent = Arc::new(AtomicU64::new(0));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (target, path, sent) = (target.clone(), path.to_owned(), Arc::clone(&sent));
        tasks.spawn(async move {
            let mut connection = Connection::open(&target.address).await?;
            let mut latencies = Latencies::default();
            let mut refused = 0;
            loop {
                let number = sent.fetch_add(1, Ordering::Relaxed);
                // The moment at which this request is due: a late server does not slow the schedule down.
                let due = Duration::from_secs_f64(number as f64 * EVENTS as f64 / rate);
                if due >= time {
                    return anyhow::Ok((latencies, refused));
                }
                tokio::time::sleep_until((start + due).into()).await;
                let body = bodies::events(first + number * EVENTS as u64, POPULATION, now());
                let request = target.signed("POST", &path, body.as_bytes(), now())?;
                let begun = Instant::now();
                let response = connection.call(&request).await?;
                latencies.since(begun);
                refused += u64::from(response.status >= 300);
            }
        });
    }
    collect(tasks, start).await
}

async fn collect(
    mut tasks: tokio::task::JoinSet<anyhow::Result<(Latencies, u64)>>,
    start: Instant,
) -> anyhow::Result<Load> {
    let mut latencies = Latencies::default();
    let mut refused = 0;
    while let Some(done) = tasks.join_next().await {
        let (more, more_refused) = done??;
        latencies.merge(more);
        refused += more_refused;
    }
    let seconds = start.elapsed().as_secs_f64();
    let events = (latencies.count() as u64 - refused) * EVENTS as u64;
    Ok(Load { events, seconds, latencies, refused })
}

/// Waits until the projection has folded everything.
pub(crate) async fn drained(server: &Server) -> anyhow::Result<Duration> {
    let start = Instant::now();
    loop {
        let status = server.status().await?;
        if status["projection"]["next"] == status["log"]["end"] {
            return Ok(start.elapsed());
        }
        ensure!(start.elapsed() < Duration::from_mins(5), "the projection does not reach the end: {status}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A baseline server in a process of its own.
struct Baseline {
    _child: Child,
    target: Target,
}

impl Baseline {
    async fn start(kind: &str) -> anyhow::Result<Self> {
        let secret = "baseline-secret";
        let mut child = Command::new(std::env::current_exe()?)
            .args(["baseline-server", kind, secret])
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let line = lines.next_line().await?.context("the baseline ended")?;
        let address = line.strip_prefix("listening on http://").context("no address")?.to_owned();
        let target =
            Target { address, access_key_id: ACCESS_KEY_ID.to_owned(), secret_access_key: secret.to_owned() };
        Ok(Self { _child: child, target })
    }
}
