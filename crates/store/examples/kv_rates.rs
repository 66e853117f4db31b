//! Measures the embedded `Kv` beside bare fjall: `cargo run --release -p store --example kv_rates [rows] [directory]`.
//!
//! Upserts of 650-byte rows in durable batches of 100 by eight tasks (fjall: by one thread with a sync for eight batches),
//! durable commits of one row by 1 and by 32 tasks, reads, a scan, and the memory of an empty store.
#![expect(clippy::print_stdout, reason = "a measuring program prints what it measured")]

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use store::dice::Dice;
use store::kv::embedded::{EmbeddedKv, EmbeddedOptions};
use store::{Batch, Durability, Key, Kv, KvError, Table};
use tokio::task::JoinSet;

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

const VALUE_BYTES: usize = 650;
const ROWS_PER_BATCH: u64 = 100;
const WRITERS: u64 = 8;
const COMMITS_PER_MEASUREMENT: u64 = 4_000;

#[tokio::main]
async fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let rows: u64 = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let parent = arguments.next().unwrap_or_else(|| std::env::temp_dir().display().to_string());
    let ours = tempfile::tempdir_in(&parent)?;
    let bare = tempfile::tempdir_in(&parent)?;
    let options = EmbeddedOptions::default();
    println!("{options:?}");

    let before = resident_mb();
    let kv = Arc::new(EmbeddedKv::open(ours.path(), &options)?);
    kv.sync().await?;
    println!("resident memory: {before} MB before opening, {} MB with an empty store", resident_mb());

    let kv_time = upsert_ours(&kv, rows).await?;
    report("ours: durable upserts", rows, kv_time);
    println!("resident memory after loading: {} MB", resident_mb());
    for tasks in [1, 32] {
        let elapsed = commit_singly(&kv, tasks).await?;
        report(&format!("ours: durable commits of one row, {tasks} tasks"), COMMITS_PER_MEASUREMENT, elapsed);
    }
    report("ours: reads of one row", 100_000, read_ours(&kv, rows).await?);
    let (scanned, elapsed) = scan_ours(&kv).await?;
    report("ours: scan in pages of 1,000", scanned, elapsed);
    drop(kv);
    let start = Instant::now();
    drop(EmbeddedKv::open(ours.path(), &options)?);
    println!("reopened in {:?}", start.elapsed());

    let bare_path = bare.path().to_path_buf();
    let bare_time = tokio::task::spawn_blocking(move || upsert_bare(&bare_path, rows)).await??;
    report("bare fjall: durable upserts", rows, bare_time);
    println!("ours at {:.2} of the rate of bare fjall", bare_time.as_secs_f64() / kv_time.as_secs_f64());
    Ok(())
}

/// Keys in random order, as endpoints come.
fn row_key(number: u64) -> Key {
    Key::new(Table::Endpoints).text("123456789012").number(Dice::new(number).roll())
}

/// A piece of random letters: cheap to make, and compresses about as text does.
fn row_value(number: u64) -> &'static [u8] {
    static LETTERS: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut dice = Dice::new(0);
        (0..1 << 20).map(|_| b'a' + dice.below(16) as u8).collect()
    });
    let start = Dice::new(!number).below((LETTERS.len() - VALUE_BYTES) as u64) as usize;
    &LETTERS[start..start + VALUE_BYTES]
}

async fn upsert_ours(kv: &Arc<EmbeddedKv>, rows: u64) -> Outcome<Duration> {
    let next = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let mut tasks: JoinSet<Result<(), KvError>> = JoinSet::new();
    for _ in 0..WRITERS {
        let (kv, next) = (Arc::clone(kv), Arc::clone(&next));
        tasks.spawn(async move {
            loop {
                let first = next.fetch_add(ROWS_PER_BATCH, Ordering::Relaxed);
                if first >= rows {
                    return Ok(());
                }
                let mut batch = Batch::default();
                for number in first..rows.min(first + ROWS_PER_BATCH) {
                    batch.put(row_key(number), row_value(number));
                }
                kv.commit(batch, Durability::Durable).await?;
            }
        });
    }
    while let Some(joined) = tasks.join_next().await {
        joined??;
    }
    Ok(start.elapsed())
}

/// The same rows with fjall alone: one thread, one sync for as many batches as we have writers.
fn upsert_bare(path: &Path, rows: u64) -> fjall::Result<Duration> {
    let options = EmbeddedOptions::default();
    let database = fjall::Database::builder(path)
        .cache_size(options.cache_bytes)
        .worker_threads(options.worker_threads)
        .manual_journal_persist(true)
        .open()?;
    let tree_options = || fjall::KeyspaceCreateOptions::default().max_memtable_size(options.memtable_bytes);
    let tree = database.keyspace("rows", tree_options)?;
    let start = Instant::now();
    for group in (0..rows).step_by((WRITERS * ROWS_PER_BATCH) as usize) {
        for first in (group..rows.min(group + WRITERS * ROWS_PER_BATCH)).step_by(ROWS_PER_BATCH as usize) {
            let mut batch = database.batch();
            for number in first..rows.min(first + ROWS_PER_BATCH) {
                batch.insert(&tree, row_key(number).as_bytes(), row_value(number));
            }
            batch.commit()?;
        }
        database.persist(fjall::PersistMode::SyncData)?;
    }
    Ok(start.elapsed())
}

async fn commit_singly(kv: &Arc<EmbeddedKv>, task_count: u64) -> Outcome<Duration> {
    let start = Instant::now();
    let mut tasks: JoinSet<Result<(), KvError>> = JoinSet::new();
    for task in 0..task_count {
        let kv = Arc::clone(kv);
        tasks.spawn(async move {
            for number in 0..COMMITS_PER_MEASUREMENT / task_count {
                let mut batch = Batch::default();
                batch.put(Key::new(Table::Due).number(task).number(number), row_value(number));
                kv.commit(batch, Durability::Durable).await?;
            }
            Ok(())
        });
    }
    while let Some(joined) = tasks.join_next().await {
        joined??;
    }
    Ok(start.elapsed())
}

async fn read_ours(kv: &EmbeddedKv, rows: u64) -> Outcome<Duration> {
    let mut dice = Dice::new(7);
    let start = Instant::now();
    for _ in 0..100_000 {
        let key = row_key(dice.below(rows));
        kv.get(&key).await?.ok_or("a row is missing")?;
    }
    Ok(start.elapsed())
}

async fn scan_ours(kv: &EmbeddedKv) -> Outcome<(u64, Duration)> {
    let table = Key::new(Table::Endpoints);
    let mut range = table.prefix();
    let mut scanned = 0;
    let start = Instant::now();
    loop {
        let page = kv.scan(range, 1_000).await?;
        let Some((last, _)) = page.last() else { return Ok((scanned, start.elapsed())) };
        scanned += page.len() as u64;
        range = table.prefix_after(last);
    }
}

fn report(what: &str, count: u64, elapsed: Duration) {
    println!("{what}: {count} in {elapsed:.2?}, {:.0}/s", count as f64 / elapsed.as_secs_f64());
}

/// Megabytes of this process in memory; 0 where the system does not tell.
fn resident_mb() -> u64 {
    const PAGE_BYTES: u64 = 4_096;
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = text.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or_default();
    (pages * PAGE_BYTES) >> 20
}
