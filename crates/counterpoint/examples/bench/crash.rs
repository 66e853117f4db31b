//! `kill -9` at random moments during ingest and during a campaign: what was acknowledged is there, and every member of the
//! audience got the mail once or is listed as unknown.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
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

/// Requests that an application counts apart: each has an event type of its own, of which there may be 1,500.
const REQUESTS_PER_APP: u64 = 1_400;
/// Applications for the requests of all kills.
const APPS: u64 = 40;
/// Kills within one campaign, as long as it lasts.
const KILLS_PER_CAMPAIGN_MAX: u64 = 10;
/// Members of which one kill may leave the fate unknown, at most: claims of a hundred, three under way.
const UNKNOWN_PER_KILL_MAX: u64 = 300;

/// As many kills during ingest as during campaigns.
pub(crate) async fn run(kills: u64, seed: u64, report: &mut Report) -> anyhow::Result<()> {
    let mut dice = Dice::new(seed);
    report.section("Killed during ingest");
    ingest(kills, &mut dice, report).await?;
    report.section("Killed during campaigns");
    campaigns(kills, &mut dice, report).await
}

/// Which requests were sent, and which of them were acknowledged.
#[derive(Default)]
struct Requests {
    next: AtomicU64,
    acknowledged: Mutex<HashSet<u64>>,
}

/// Each acknowledged request is counted once, whole; each other one once or not at all.
async fn ingest(kills: u64, dice: &mut Dice, report: &mut Report) -> anyhow::Result<()> {
    let home = directory()?;
    let mut server = Server::start(home.path(), &[]).await?;
    let mut apps = Vec::new();
    for _ in 0..APPS {
        apps.push(create_app(&server.target).await?);
    }
    let requests = Arc::new(Requests::default());
    for _ in 0..kills {
        let load = load(&server.target, &apps, &requests);
        tokio::time::sleep(Duration::from_millis(50 + dice.below(400))).await;
        server.kill().await?;
        load.await?;
        server = Server::start(home.path(), &[]).await?;
    }
    drained(&server).await?;
    let acknowledged = requests.acknowledged.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut counted: HashMap<u64, u64> = HashMap::new();
    for (app, first) in apps.iter().zip((0..).step_by(REQUESTS_PER_APP as usize)) {
        for (place, count) in counts(&server.target, app).await? {
            counted.insert(first + place, count);
        }
    }
    let whole = EVENTS as u64;
    let count_of = |number: &u64| counted.get(number).copied().unwrap_or(0);
    let lost: u64 = acknowledged.iter().map(|number| whole.saturating_sub(count_of(number))).sum();
    let twice: u64 = counted.values().map(|count| count.saturating_sub(whole)).sum();
    let torn = counted.values().filter(|count| **count != whole).count();
    report.line("kills", kills as f64);
    report.line("events acknowledged", (acknowledged.len() as u64 * whole) as f64);
    report.line("acknowledged events lost", lost as f64);
    report.line("events counted twice", twice as f64);
    report.line("requests counted in part", torn as f64);
    let unanswered = counted.len() as u64
        - acknowledged.iter().filter(|number| counted.contains_key(number)).count() as u64;
    report.line("requests kept and not acknowledged", unanswered as f64);
    ensure!((lost, twice, torn) == (0, 0, 0), "{lost} events lost, {twice} twice, {torn} requests torn");
    server.kill().await
}

/// Sends until the server is gone.
fn load(
    target: &Target,
    apps: &[String],
    requests: &Arc<Requests>,
) -> impl Future<Output = anyhow::Result<()>> + use<> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (target, requests, apps) = (target.clone(), Arc::clone(requests), apps.to_vec());
        tasks.spawn(async move {
            let Ok(mut connection) = Connection::open(&target.address).await else { return anyhow::Ok(()) };
            loop {
                let number = requests.next.fetch_add(1, Ordering::Relaxed);
                let app =
                    apps.get((number / REQUESTS_PER_APP) as usize).context("more requests than types")?;
                let path = format!("/v1/apps/{app}/events");
                let body = of_type(&bodies::events(number * EVENTS as u64, 1_000, now()), number);
                let request = target.signed("POST", &path, body.as_bytes(), now())?;
                match connection.call(&request).await {
                    Ok(response) if response.status == 202 => {
                        let mut acknowledged =
                            requests.acknowledged.lock().unwrap_or_else(PoisonError::into_inner);
                        acknowledged.insert(number);
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

/// The body with one type for all its events, by the number of the request.
fn of_type(body: &str, number: u64) -> String {
    let own = format!(r#""EventType":"request-{}""#, number % REQUESTS_PER_APP);
    let kinds = ["_session.start", "product_viewed", "cart_updated", "_monetization.purchase"];
    kinds.iter().fold(body.to_owned(), |body, kind| body.replace(&format!(r#""EventType":"{kind}""#), &own))
}

/// Counts of an application's events by the number in their type.
async fn counts(target: &Target, app: &str) -> anyhow::Result<Vec<(u64, u64)>> {
    let counts = target.call("GET", &format!("/counterpoint/v1/apps/{app}/events/counts"), "").await?;
    let items = counts["Item"].as_array().context("counts have items")?;
    let mut by_place: HashMap<u64, u64> = HashMap::new();
    for item in items {
        let place = item["EventType"].as_str().and_then(|kind| kind.strip_prefix("request-"));
        let place = place.and_then(|place| place.parse().ok()).context("a type of ours")?;
        // A day may end meanwhile.
        *by_place.entry(place).or_default() += item["Count"].as_u64().context("a count")?;
    }
    Ok(by_place.into_iter().collect())
}

async fn campaigns(kills: u64, dice: &mut Dice, report: &mut Report) -> anyhow::Result<()> {
    let home = directory()?;
    let sink = Sink::start().await?;
    let settings = campaign::settings(&sink, campaign::CONNECTIONS);
    let mut server = Server::start(home.path(), &settings).await?;
    let app = create_app(&server.target).await?;
    register(&server.target, &app, AUDIENCE).await?;
    let (mut done, mut runs, mut unknown, mut most) = (0, 0, 0, 0.0_f64);
    while done < kills {
        let before = sink.received();
        let campaign = campaign::start(&server.target, &app).await?;
        runs += 1;
        let mut of_run = 0;
        while of_run < KILLS_PER_CAMPAIGN_MAX && done < kills {
            tokio::time::sleep(Duration::from_millis(20 + dice.below(250))).await;
            if campaign::has_ended(&server.target, &app, &campaign).await? {
                break;
            }
            server.kill().await?;
            server = Server::start(home.path(), &settings).await?;
            of_run += 1;
            done += 1;
        }
        let activity = campaign::finished(&server.target, &app, &campaign, Duration::from_mins(10)).await?;
        let listed = unknown_of(&server.target, &app, &campaign).await?;
        judge(&activity, &listed, &before, &sink.received())?;
        let left = listed.len() as u64;
        ensure!(left <= of_run * UNKNOWN_PER_KILL_MAX, "{left} are unknown after {of_run} kills");
        unknown += left;
        most = most.max(left as f64 / of_run.max(1) as f64);
    }
    report.line("kills", kills as f64);
    report.line("campaigns", f64::from(runs));
    report.line("mails", sink.count() as f64);
    report.line("members that got no mail and are not listed", 0.0);
    report.line("members that got two mails of one campaign", 0.0);
    report.line("members listed as unknown", unknown as f64);
    report.line("unknown per kill", unknown as f64 / kills as f64);
    report.line("unknown per kill of the worst campaign", most);
    server.kill().await
}

/// The addresses of those of whom nobody knows whether a campaign's mail left.
async fn unknown_of(target: &Target, app: &str, campaign: &str) -> anyhow::Result<HashSet<String>> {
    let path = format!("/counterpoint/v1/apps/{app}/deliveries/unknown");
    let mut listed = HashSet::new();
    let mut token = String::new();
    loop {
        let page = target.call("GET", &format!("{path}{token}"), "").await?;
        for item in page["Item"].as_array().context("a list has items")? {
            if item["CampaignId"] == campaign {
                listed.insert(item["Address"].as_str().context("an address")?.to_owned());
            }
        }
        match page["NextToken"].as_str() {
            Some(next) => token = format!("?token={next}"),
            None => return Ok(listed),
        }
    }
}

/// Each member got one mail, or none and is listed as unknown; the counters say the same.
fn judge(
    activity: &serde_json::Value,
    unknown: &HashSet<String>,
    before: &HashMap<String, u32>,
    after: &HashMap<String, u32>,
) -> anyhow::Result<()> {
    let metric = |name: &str| -> u64 {
        activity["ExecutionMetrics"][name].as_str().and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    let counters = (metric("SUCCESS"), metric("UNKNOWN"));
    let listed = unknown.len() as u64;
    ensure!(
        counters == (AUDIENCE - listed, listed),
        "{listed} are listed as unknown of {AUDIENCE}: {activity}"
    );
    for number in 0..AUDIENCE {
        let address = format!("person{number}@example.com");
        let times = after.get(&address).unwrap_or(&0) - before.get(&address).unwrap_or(&0);
        ensure!(times <= 1, "{address} got {times} mails of one campaign");
        ensure!(times == 1 || unknown.contains(&address), "{address} got no mail and is not listed");
    }
    Ok(())
}
