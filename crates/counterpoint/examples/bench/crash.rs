//! `kill -9` at random moments during ingest and during a campaign: what was acknowledged is there, and every member of the
//! audience got the mail once or is listed as unknown.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, ensure};
use store::dice::Dice;

use crate::bodies::{self, EVENTS};
use crate::campaign;
use crate::client::{Connection, Target, now};
use crate::ingest::{create_app, drained, register};
use crate::report::Report;
use crate::server::{Server, directory};
use crate::sink::Sink;

/// Endpoints of the campaign's audience.
const AUDIENCE: u64 = 20_000;

pub(crate) async fn run(kills: u64, seed: u64, report: &mut Report) -> anyhow::Result<()> {
    let mut dice = Dice::new(seed);
    report.section("Killed during ingest");
    ingest(kills / 2, &mut dice, report).await?;
    report.section("Killed during campaigns");
    campaigns(kills - kills / 2, &mut dice, report).await
}

/// Acknowledged events are counted, each once.
async fn ingest(kills: u64, dice: &mut Dice, report: &mut Report) -> anyhow::Result<()> {
    let home = directory()?;
    let mut server = Server::start(home.path(), &[]).await?;
    let app = create_app(&server.target).await?;
    let acknowledged = Arc::new(AtomicU64::new(0));
    let next = Arc::new(AtomicU64::new(1));
    for _ in 0..kills {
        let load = load(&server.target, &app, &acknowledged, &next);
        tokio::time::sleep(Duration::from_millis(50 + dice.below(400))).await;
        server.kill().await?;
        load.await?;
        server = Server::start(home.path(), &[]).await?;
    }
    drained(&server).await?;
    let counted = counted(&server.target, &app).await?;
    let acknowledged = acknowledged.load(Ordering::Relaxed);
    let sent = (next.load(Ordering::Relaxed) - 1) * EVENTS as u64;
    report.line("kills", kills as f64);
    report.line("events acknowledged", acknowledged as f64);
    report.line("acknowledged events lost", acknowledged.saturating_sub(counted) as f64);
    report.line("events counted beyond what was sent", counted.saturating_sub(sent) as f64);
    ensure!(
        counted >= acknowledged && counted <= sent,
        "{acknowledged} acknowledged, {counted} counted, {sent} sent"
    );
    server.kill().await
}

/// Sends until the server is gone.
fn load(
    target: &Target,
    app: &str,
    acknowledged: &Arc<AtomicU64>,
    next: &Arc<AtomicU64>,
) -> impl Future<Output = anyhow::Result<()>> + use<> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (target, path) = (target.clone(), format!("/v1/apps/{app}/events"));
        let (acknowledged, next) = (Arc::clone(acknowledged), Arc::clone(next));
        tasks.spawn(async move {
            let Ok(mut connection) = Connection::open(&target.address).await else { return anyhow::Ok(()) };
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let body = bodies::events(number * EVENTS as u64, 1_000, now());
                let request = target.signed("POST", &path, body.as_bytes(), now())?;
                match connection.call(&request).await {
                    Ok(response) if response.status == 202 => {
                        acknowledged.fetch_add(EVENTS as u64, Ordering::Relaxed);
                    }
                    Ok(_) => {}
                    Err(_) => return Ok(()),
                }
            }
        });
    }
    async move {
        while let Some(done) = tasks.join_next().await {
            done??;
        }
        Ok(())
    }
}

async fn counted(target: &Target, app: &str) -> anyhow::Result<u64> {
    let counts = target.call("GET", &format!("/counterpoint/v1/apps/{app}/events/counts"), "").await?;
    let items = counts["Item"].as_array().context("counts have items")?;
    Ok(items.iter().filter_map(|item| item["Count"].as_u64()).sum())
}

async fn campaigns(kills: u64, dice: &mut Dice, report: &mut Report) -> anyhow::Result<()> {
    let home = directory()?;
    let sink = Sink::start().await?;
    let settings = campaign::settings(&sink, campaign::CONNECTIONS);
    let mut server = Server::start(home.path(), &settings).await?;
    let app = create_app(&server.target).await?;
    register(&server.target, &app, AUDIENCE).await?;
    let mut left = kills;
    let mut runs = 0;
    let mut unknown = 0;
    while left > 0 {
        let before = sink.received();
        let campaign = campaign::start(&server.target, &app).await?;
        runs += 1;
        // Several kills within one run, as long as it lasts.
        for _ in 0..left.min(10) {
            tokio::time::sleep(Duration::from_millis(20 + dice.below(250))).await;
            server.kill().await?;
            server = Server::start(home.path(), &settings).await?;
            left -= 1;
        }
        let activity = campaign::finished(&server.target, &app, &campaign, Duration::from_mins(10)).await?;
        unknown += judge(&activity, &before, &sink.received())?;
    }
    report.line("kills", kills as f64);
    report.line("campaigns", f64::from(runs));
    report.line("mails", sink.count() as f64);
    report.line("members that got no mail and are not listed", 0.0);
    report.line("members that got two mails of one campaign", 0.0);
    report.line("members listed as unknown", unknown as f64);
    report.line("unknown per kill", unknown as f64 / kills as f64);
    server.kill().await
}

/// Everybody got one mail or is counted as unknown; answers the number of unknown.
fn judge(
    activity: &serde_json::Value,
    before: &HashMap<String, u32>,
    after: &HashMap<String, u32>,
) -> anyhow::Result<u64> {
    let metric = |name: &str| -> u64 {
        activity["ExecutionMetrics"][name].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    let (success, unknown) = (metric("SUCCESS"), metric("UNKNOWN"));
    ensure!(success + unknown == AUDIENCE, "{success} sent and {unknown} unknown of {AUDIENCE}: {activity}");
    let mut got = 0;
    for number in 0..AUDIENCE {
        let address = format!("person{number}@example.com");
        let times = after.get(&address).unwrap_or(&0) - before.get(&address).unwrap_or(&0);
        ensure!(times <= 1, "{address} got {times} mails of one campaign");
        got += u64::from(times);
    }
    ensure!(got >= success && got <= success + unknown, "{got} got a mail, {success} are counted as sent");
    Ok(unknown)
}
