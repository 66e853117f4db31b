//! Measures the embedded `Log`: `cargo run --release -p store --example log_rates [appends] [directory] [sample file]`.
//!
//! 32 tasks append bodies of 100 events and about 57 KB, with and without compression, while a reader follows; beside it the
//! same bytes written bare (one `write` and `fdatasync` each 2 MB), and one task that appends alone. The sample file gets the
//! bodies, for a comparison with other compressors (`zstd -b1 FILE`).
#![expect(clippy::print_stdout, reason = "a measuring program prints what it measured")]

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use store::dice::Dice;
use store::log::contract::manual_context;
use store::log::embedded::{EmbeddedLog, EmbeddedLogOptions};
use store::{Log, LogError, Partition, Position, Shard};
use tokio::task::JoinSet;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const TASKS: u64 = 32;
const EVENTS_PER_BODY: u64 = 100;
const ENDPOINTS_PER_BODY: u64 = 10;
const BODIES: u64 = 512;
const GROUP_BYTES: usize = 2 << 20;
const READ_BYTES_MAX: usize = 4 << 20;
/// The unit of the times in /proc/self/stat.
const TICKS_PER_SECOND: f64 = 100.0;

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let appends: u64 = arguments.next().map_or(Ok(20_000), |text| text.parse())?;
    let parent = arguments.next().unwrap_or_else(|| std::env::temp_dir().display().to_string());
    let bodies: Arc<[Bytes]> = (0..BODIES).map(body).collect();
    let body_bytes: usize = bodies.iter().map(Bytes::len).sum();
    println!("bodies of {} bytes, {EVENTS_PER_BODY} events each", body_bytes / bodies.len());
    if let Some(sample) = arguments.next() {
        let mut file = File::create(sample)?;
        bodies.iter().try_for_each(|body| file.write_all(body))?;
    }

    let bare = bare_writes(Path::new(&parent), &bodies, appends)?;
    report("bare write and fdatasync of 2 MB", appends, bare, 0.0);
    let mut rates = Vec::new();
    for (compress, reader) in [(false, false), (true, false), (false, true), (true, true)] {
        rates.push(measure(Path::new(&parent), &bodies, appends, compress, reader).await?);
    }
    println!("with compression at {:.2} of the rate without", rates[1] / rates[0]);
    println!(
        "without compression at {:.2} of the rate of bare writes",
        rates[0] * bare.as_secs_f64() / appends as f64
    );
    for compress in [false, true] {
        alone(Path::new(&parent), &bodies, compress).await?;
    }
    Ok(())
}

/// Appends with all tasks; returns the appends per second.
async fn measure(
    parent: &Path,
    bodies: &Arc<[Bytes]>,
    appends: u64,
    compress: bool,
    reader: bool,
) -> Outcome<f64> {
    let directory = tempfile::tempdir_in(parent)?;
    let options = EmbeddedLogOptions { compress, ..EmbeddedLogOptions::new(directory.path()) };
    let log = EmbeddedLog::open(manual_context().0, options)?;
    let next = Arc::new(AtomicU64::new(0));
    let (start, cpu_start) = (Instant::now(), cpu_seconds()?);
    let mut tasks: JoinSet<Result<(), LogError>> = JoinSet::new();
    for _ in 0..TASKS {
        let (log, next, bodies) = (Arc::clone(&log), Arc::clone(&next), Arc::clone(bodies));
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= appends {
                    return Ok(());
                }
                let body = bodies[(number % BODIES) as usize].clone();
                log.append(vec![(Partition((number % 64) as u16), body)]).await?;
            }
        });
    }
    if reader {
        tasks.spawn(follow(Arc::clone(&log), appends));
    }
    while let Some(task) = tasks.join_next().await {
        task??;
    }
    let (elapsed, cpu) = (start.elapsed(), cpu_seconds()? - cpu_start);
    let stats = log.stats();
    let ratio = stats.raw_bytes as f64 / stats.stored_bytes as f64;
    let what = format!(
        "32 tasks, compress: {compress}, reader: {reader}, ratio {ratio:.2}, {} groups",
        stats.groups
    );
    report(&what, appends, elapsed, cpu);
    log.close().await;
    let start = Instant::now();
    drop(EmbeddedLog::open(manual_context().0, EmbeddedLogOptions::new(directory.path()))?);
    println!("    reopened in {:?}", start.elapsed());
    Ok(appends as f64 / elapsed.as_secs_f64())
}

async fn follow(log: Arc<EmbeddedLog>, end: u64) -> Result<(), LogError> {
    let mut position = Position(0);
    while position < Position(end) {
        log.wait_beyond(Shard(0), position).await?;
        position = Position(position.0 + log.read(Shard(0), position, READ_BYTES_MAX).await?.len() as u64);
    }
    Ok(())
}

/// One task appends and waits, again and again.
async fn alone(parent: &Path, bodies: &[Bytes], compress: bool) -> Outcome<()> {
    let directory = tempfile::tempdir_in(parent)?;
    let options = EmbeddedLogOptions { compress, ..EmbeddedLogOptions::new(directory.path()) };
    let log = EmbeddedLog::open(manual_context().0, options)?;
    for (what, body) in [("57 KB", bodies[0].clone()), ("600 B", bodies[0].slice(..600))] {
        let mut latencies = Vec::new();
        for _ in 0..1_000 {
            let start = Instant::now();
            log.append(vec![(Partition(0), body.clone())]).await?;
            latencies.push(start.elapsed());
        }
        latencies.sort_unstable();
        println!("alone, {what}, compress: {compress}: p50 {:?} p99 {:?}", latencies[500], latencies[990]);
    }
    log.close().await;
    Ok(())
}

fn bare_writes(parent: &Path, bodies: &[Bytes], appends: u64) -> Outcome<Duration> {
    let mut file = tempfile::tempfile_in(parent)?;
    let mut group = Vec::with_capacity(GROUP_BYTES + (64 << 10));
    let start = Instant::now();
    for number in 0..appends {
        group.extend_from_slice(&bodies[(number % BODIES) as usize]);
        if group.len() >= GROUP_BYTES || number + 1 == appends {
            file.write_all(&group)?;
            file.sync_data()?;
            group.clear();
        }
    }
    Ok(start.elapsed())
}

fn report(what: &str, appends: u64, elapsed: Duration, cpu: f64) {
    let rate = appends as f64 / elapsed.as_secs_f64();
    let cores = cpu / elapsed.as_secs_f64();
    let core_us = cpu / appends as f64 * 1e6;
    println!(
        "{what}: {:.0} events/s, {cores:.2} cores, {core_us:.0} us of CPU a body",
        rate * EVENTS_PER_BODY as f64
    );
}

/// User and system time of this process.
fn cpu_seconds() -> Outcome<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
    Ok(ticks / TICKS_PER_SECOND)
}

/// A body of `PutEvents`: a mobile application's events, about 570 bytes each.
fn body(seed: u64) -> Bytes {
    let mut dice = Dice::new(seed);
    let mut text = String::from("{\"BatchItem\":{");
    for endpoint in 0..ENDPOINTS_PER_BODY {
        let separator = if endpoint == 0 { "" } else { "," };
        let id = uuid(&mut dice);
        let _ = write!(
            text,
            "{separator}\"{id}\":{{\"Endpoint\":{{\"ChannelType\":\"GCM\",\"User\":{{\"UserId\":\"{}\"}}}},\"Events\":{{",
            dice.below(5_000_000)
        );
        for event in 0..EVENTS_PER_BODY / ENDPOINTS_PER_BODY {
            let separator = if event == 0 { "" } else { "," };
            push_event(&mut text, separator, &mut dice);
        }
        text.push_str("}}");
    }
    text.push_str("}}");
    Bytes::from(text)
}

fn push_event(text: &mut String, separator: &str, dice: &mut Dice) {
    const TYPES: [&str; 5] =
        ["_session.start", "product_viewed", "cart_updated", "checkout.completed", "search"];
    const PAGES: [&str; 6] =
        ["home", "catalogue/shoes", "catalogue/coats", "basket", "account/orders", "search"];
    let event_type = TYPES[dice.below(5) as usize];
    let minute = dice.below(60);
    let instant = format!("2026-11-23T12:{minute:02}:{:02}.{:03}Z", dice.below(60), dice.below(1_000));
    let _ = write!(
        text,
        "{separator}\"{}\":{{\"EventType\":\"{event_type}\",\"Timestamp\":\"{instant}\",",
        uuid(dice)
    );
    let _ = write!(
        text,
        "\"AppPackageName\":\"com.example.shop\",\"AppTitle\":\"Example Shop\",\"AppVersionCode\":\"4.{}.0\",",
        dice.below(20)
    );
    let _ = write!(text, "\"ClientSdkVersion\":\"2.27.{}\",\"SdkName\":\"aws-amplify\",", dice.below(4));
    let _ = write!(text, "\"Session\":{{\"Id\":\"{}\",\"StartTimestamp\":\"{instant}\"}},", uuid(dice));
    let _ = write!(
        text,
        "\"Attributes\":{{\"page\":\"{}\",\"sku\":\"SKU-{:06}\",",
        PAGES[dice.below(6) as usize],
        dice.below(900_000)
    );
    let _ = write!(
        text,
        "\"campaign\":\"autumn-{}\",\"referrer\":\"https://www.example.com/c/{}\"}},",
        dice.below(9),
        dice.below(10_000)
    );
    let _ = write!(
        text,
        "\"Metrics\":{{\"price\":{}.{:02},\"duration_ms\":{}.0}}}}",
        dice.below(300),
        dice.below(100),
        dice.below(60_000)
    );
}

fn uuid(dice: &mut Dice) -> String {
    let hex = format!("{:016x}{:016x}", dice.roll(), dice.roll());
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
