//! A campaign to a local sink, beside a plain client of the same SMTP library that does only that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use deliver::{Email, EmailTransport, Outcome, SmtpOptions};
use tokio::process::Command;

use crate::PLAIN_CLIENT;
use crate::client::{Target, now};
use crate::ingest::{create_app, register};
use crate::report::Report;
use crate::server::{Server, directory};
use crate::sink::Sink;

/// Connections to the sink, of both.
pub(crate) const CONNECTIONS: u64 = 8;

/// How long a campaign may take.
const RUN_MAX: Duration = Duration::from_mins(15);
/// How often is looked whether it is done.
const LOOK_EVERY: Duration = Duration::from_millis(10);

pub(crate) async fn run(mails: u64, connections: u64, report: &mut Report) -> anyhow::Result<()> {
    let home = directory()?;
    let sink = Sink::start().await?;
    let server = Server::start(home.path(), &settings(&sink, connections)).await?;
    let app = create_app(&server.target).await?;
    register(&server.target, &app, mails).await?;
    // Before and after, because the machine's speed drifts.
    let plain_before = plain(mails, connections).await?;
    let campaign = start(&server.target, &app).await?;
    let (_, cpu_before) = server.usage()?;
    let start = Instant::now();
    // The server is asked nothing while it sends, and often once it must be done.
    while sink.count() < mails && start.elapsed() < RUN_MAX {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let activity = finished(&server.target, &app, &campaign, RUN_MAX).await?;
    let seconds = start.elapsed().as_secs_f64();
    ensure!(sink.count() == mails, "{} of {mails} mails arrived: {activity}", sink.count());
    let rate = mails as f64 / seconds;
    let (resident_mb, cpu_after) = server.usage()?;
    let plain_after = plain(mails, connections).await?;
    report.section("Campaign");
    report.line("mails", mails as f64);
    report.line("connections", connections as f64);
    report.line("mails/s", rate);
    report.line("mails/s of a plain client before", plain_before);
    report.line("mails/s of a plain client after", plain_after);
    report.line("share of a plain client", rate / plain_before.midpoint(plain_after));
    report.line("server CPU s per 100,000 mails", (cpu_after - cpu_before) / (mails as f64 / 1e5));
    report.line("resident MB", resident_mb);
    server.kill().await
}

/// Mail goes to the sink.
pub(crate) fn settings(sink: &Sink, connections: u64) -> Vec<(&'static str, String)> {
    vec![
        ("COUNTERPOINT_EMAIL__TRANSPORT", format!("smtp://{}", sink.address)),
        ("COUNTERPOINT_EMAIL__CONNECTIONS", connections.to_string()),
    ]
}

/// Creates what a campaign to everybody needs, and the campaign.
pub(crate) async fn start(target: &Target, app: &str) -> anyhow::Result<String> {
    let channel = r#"{"FromAddress":"shop@example.com","Identity":"arn:aws:ses:us-east-1:123456789012:identity/example.com"}"#;
    target.call("PUT", &format!("/v1/apps/{app}/channels/email"), channel).await?;
    let segment = target.call("POST", &format!("/v1/apps/{app}/segments"), r#"{"Name":"everybody"}"#).await?;
    let campaign = serde_json::json!({
        "Name": "bench", "SegmentId": segment["Id"], "Schedule": {"StartTime": "IMMEDIATE"},
        "MessageConfiguration": {"EmailMessage": {
            "Title": "News for {{Attributes.plan}}",
            "HtmlBody": "<html><body><h1>Hello</h1><p>Your store {{Attributes.store}} has {{Metrics.orders}} orders.</p></body></html>",
            "Body": "Hello, your store {{Attributes.store}} has {{Metrics.orders}} orders.",
        }},
    });
    let campaign = target.call("POST", &format!("/v1/apps/{app}/campaigns"), &campaign.to_string()).await?;
    Ok(campaign["Id"].as_str().context("a campaign has an id")?.to_owned())
}

pub(crate) async fn has_ended(target: &Target, app: &str, campaign: &str) -> anyhow::Result<bool> {
    let path = format!("/v1/apps/{app}/campaigns/{campaign}/activities");
    Ok(target.call("GET", &path, "").await?["Item"][0]["State"] == "COMPLETED")
}

/// Waits until a campaign's run has ended; answers its activity.
pub(crate) async fn finished(
    target: &Target,
    app: &str,
    campaign: &str,
    within: Duration,
) -> anyhow::Result<serde_json::Value> {
    let path = format!("/v1/apps/{app}/campaigns/{campaign}/activities");
    let start = Instant::now();
    loop {
        let activities = target.call("GET", &path, "").await?;
        let activity = &activities["Item"][0];
        if activity["State"] == "COMPLETED" {
            return Ok(activity.clone());
        }
        ensure!(start.elapsed() < within, "the campaign does not end: {activity}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The same mails through the same transport with nothing around it: mails/s of a process of its own, as the server is one.
async fn plain(mails: u64, connections: u64) -> anyhow::Result<f64> {
    let sink = Sink::start().await?;
    let arguments =
        [PLAIN_CLIENT.to_owned(), sink.address.clone(), mails.to_string(), connections.to_string()];
    let child = Command::new(std::env::current_exe()?).args(arguments).kill_on_drop(true).output().await?;
    ensure!(child.status.success() && sink.count() == mails, "{}", String::from_utf8_lossy(&child.stderr));
    Ok(String::from_utf8(child.stdout)?.trim().parse()?)
}

/// The process of [`plain`]: prints its mails/s.
#[expect(clippy::print_stdout, reason = "it is what the command answers")]
pub(crate) async fn plain_client(address: &str, mails: u64, connections: u64) -> anyhow::Result<()> {
    let options = format!("smtp://{address}?connections={connections}").parse::<SmtpOptions>()?;
    let transport = EmailTransport::smtp(options, Vec::new())?;
    let next = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..connections * 4 {
        let (transport, next) = (transport.clone(), Arc::clone(&next));
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= mails {
                    return anyhow::Ok(());
                }
                let outcome = transport.send(&mail(number)).await;
                ensure!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    println!("{}", mails as f64 / start.elapsed().as_secs_f64());
    Ok(())
}

fn mail(number: u64) -> Email {
    Email {
        delivery_id: format!("{number:032x}").into(),
        from: "shop@example.com".to_owned(),
        to: format!("person{number}@example.com"),
        reply_to: Vec::new(),
        subject: "News for pro".to_owned(),
        html: Some(
            "<html><body><h1>Hello</h1><p>Your store store-7 has 12 orders.</p></body></html>".to_owned(),
        ),
        text: Some("Hello, your store store-7 has 12 orders.".to_owned()),
        headers: Vec::new(),
        list_unsubscribe: None,
        raw: None,
        return_path: None,
        date: now(),
    }
}
