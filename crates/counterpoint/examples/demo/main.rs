//! The tour: a server on a fresh directory, 10,000 people imported, two segments, a campaign with a holdout - all through
//! AWS's own SDK - and what arrived in the mailboxes of the sandbox.
//!
//! `cargo xtask demo` builds the release binary and this, and runs it. On a terminal the server goes on until Ctrl-C;
//! elsewhere the tour ends by itself, with exit status 0 only if everything that was due arrived.

#![expect(clippy::print_stdout, reason = "the tour is what the command prints")]

use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context;
use aws_sdk_pinpoint::Client;

#[path = "../bench/client.rs"]
#[expect(dead_code, reason = "the benches use more of it")]
mod client;
mod screen;
mod server;
mod story;

use screen::{heading, line};
use server::Server;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let home = tempfile::Builder::new().prefix("counterpoint-demo-").tempdir()?;
    heading("A server on a fresh directory, with a sandbox for mail");
    let started = Instant::now();
    let server = Server::start(home.path()).await?;
    line(&format!("ready after {} ms; to talk to it from another terminal:", started.elapsed().as_millis()));
    println!("\n{}", server.exports());
    let sdk = server.sdk();

    let is_complete = Box::pin(tour(&sdk, &server)).await?;

    heading("Go on with it");
    println!("{}", how_to_go_on());
    if std::io::stdout().is_terminal() {
        line("the server goes on: Ctrl-C ends it");
        tokio::signal::ctrl_c().await?;
    }
    server.stop().await?;
    Ok(if is_complete { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Answers whether everything that was due arrived.
async fn tour(sdk: &Client, server: &Server) -> anyhow::Result<bool> {
    heading("10,000 people, imported from a CSV and an NDJSON file in the formats of Amazon Pinpoint");
    let app = story::create_app(sdk).await?;
    line(&format!("application {app}"));
    for (file, format) in story::FILES {
        story::import(sdk, &app, file, format).await?;
    }

    heading("Two segments, counted while you would type");
    let mut segments = Vec::new();
    for definition in story::segments() {
        let segment = story::create_segment(sdk, &app, &definition).await?;
        let count = server.get(&format!("/counterpoint/v1/apps/{app}/segments/{segment}/count")).await?;
        line(&format!(
            "{:<44} {:>6} of {} endpoints in {} ms",
            definition.name, count["Count"], count["Total"], count["ElapsedMilliseconds"]
        ));
        segments.push((segment, count["Count"].as_u64().context("a count")?));
    }
    let (segment, audience) = segments.swap_remove(0);

    heading("A campaign to the first, with a template and a holdout of 10 %");
    story::enable_email(sdk, &app).await?;
    story::create_template(sdk).await?;
    let began = Instant::now();
    let campaign = story::create_campaign(sdk, &app, &segment).await?;
    let activity = story::watch(sdk, &app, &campaign, audience).await?;
    let seconds = began.elapsed().as_secs_f64();

    heading("What arrived");
    let sandbox = server.get("/counterpoint/v1/sandbox/messages?page-size=1000").await?;
    let arrived = sandbox["Total"].as_u64().unwrap_or_default();
    let told = story::report(&activity, audience, arrived, seconds);
    for message in sandbox["Messages"].as_array().into_iter().flatten().take(3) {
        screen::message(message);
    }
    Ok(told)
}

fn how_to_go_on() -> &'static str {
    r#"  # Python (pip install boto3), after the export lines above
  import boto3
  pinpoint = boto3.client("pinpoint")
  app = pinpoint.get_apps()["ApplicationsResponse"]["Item"][0]["Id"]
  print(pinpoint.get_segments(ApplicationId=app)["SegmentsResponse"]["Item"])
  print(pinpoint.send_messages(ApplicationId=app, MessageRequest={
      "Addresses": {"you@example.com": {"ChannelType": "EMAIL"}},
      "MessageConfiguration": {"EmailMessage": {"SimpleEmail": {
          "Subject": {"Data": "Hello"}, "TextPart": {"Data": "It works."}}}}}))

  # AWS CLI
  aws pinpoint get-apps
"#
}
