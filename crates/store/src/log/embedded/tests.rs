//! The embedded log from outside: contract, restart, segments, limits.

mod damage;
mod disks;
mod durability;
mod power;

use tempfile::TempDir;

use super::*;
use crate::log::contract::{self, ManualClock, manual_context, read_all};
use crate::value::golden;

const SHARD: Shard = Shard(0);

/// A directory, and the context in which its log is opened again and again.
pub(super) struct World {
    pub(super) directory: TempDir,
    pub(super) context: Context,
    pub(super) clock: Arc<ManualClock>,
}

impl World {
    pub(super) fn new() -> Self {
        let (context, clock) = manual_context();
        Self { directory: tempfile::tempdir().unwrap(), context, clock }
    }

    pub(super) fn options(&self) -> EmbeddedLogOptions {
        EmbeddedLogOptions::new(self.directory.path())
    }

    pub(super) fn open(&self) -> Result<Arc<EmbeddedLog>, LogError> {
        EmbeddedLog::open(self.context.clone(), self.options())
    }

    pub(super) fn open_with(&self, change: impl FnOnce(&mut EmbeddedLogOptions)) -> Arc<EmbeddedLog> {
        let mut options = self.options();
        change(&mut options);
        EmbeddedLog::open(self.context.clone(), options).unwrap()
    }

    /// The segment files, oldest first.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }
}

/// A record whose bytes say which one it is, and compress.
pub(super) fn numbered(number: u64) -> (Partition, Bytes) {
    let text = format!("{{\"number\":{number},\"padding\":\"{}\"}}", "abc".repeat(number as usize % 50));
    (Partition((number % 64) as u16), Bytes::from(text))
}

/// Appends the records `from..to`, `per_append` at a time.
pub(super) async fn append_numbered(log: &EmbeddedLog, from: u64, to: u64, per_append: usize) {
    let records: Vec<_> = (from..to).map(numbered).collect();
    for chunk in records.chunks(per_append) {
        log.append(chunk.to_vec()).await.unwrap();
    }
}

/// The log holds exactly the numbered records from its first position to `to`.
pub(super) async fn assert_numbered(log: &EmbeddedLog, from: u64, to: u64) {
    assert_eq!(log.end(SHARD), Position(to));
    let mut next = from;
    while next < to {
        for record in log.read(SHARD, Position(next), 10_000).await.unwrap() {
            let (partition, bytes) = numbered(next);
            assert_eq!((record.position, record.partition), (Position(next), partition));
            assert_eq!(record.bytes, bytes);
            next += 1;
        }
    }
}

/// Runs the contract with options; `cold` forgets what is in memory before each read.
async fn keeps_the_contract(cold: bool, change: impl Fn(&mut EmbeddedLogOptions)) {
    let world = World::new();
    contract::all(async |context: Context| {
        let directory = world.directory.path().join(context.ids.hex());
        let mut options = EmbeddedLogOptions::new(directory);
        change(&mut options);
        let log = EmbeddedLog::open(context, options).unwrap();
        if cold { Arc::new(ColdLog(log)) as Arc<dyn Log> } else { log }
    })
    .await;
}

/// Reads from disk only.
#[derive(Debug)]
struct ColdLog(Arc<EmbeddedLog>);

#[async_trait]
impl Log for ColdLog {
    async fn append(&self, records: Vec<(Partition, Bytes)>) -> Result<Vec<Position>, LogError> {
        self.0.append(records).await
    }

    async fn read(&self, shard: Shard, from: Position, bytes_max: usize) -> Result<Vec<Record>, LogError> {
        self.0.shared.groups.clear();
        self.0.read(shard, from, bytes_max).await
    }

    fn end(&self, shard: Shard) -> Position {
        self.0.end(shard)
    }

    async fn wait_beyond(&self, shard: Shard, position: Position) -> Result<(), LogError> {
        self.0.wait_beyond(shard, position).await
    }

    async fn trim(&self, shard: Shard, to: Position) -> Result<(), LogError> {
        self.0.trim(shard, to).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds() {
    keeps_the_contract(false, |_| {}).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_contract_holds_when_everything_is_read_from_disk() {
    keeps_the_contract(true, |_| {}).await;
}

#[tokio::test]
async fn the_contract_holds_over_many_small_segments_without_compression() {
    keeps_the_contract(true, |options| {
        options.segment_bytes_max = 300;
        options.compress = false;
    })
    .await;
}

#[tokio::test]
async fn a_restart_continues_where_the_log_ended() {
    let world = World::new();
    for round in 0..4 {
        let log = world.open_with(|options| options.segment_bytes_max = 2_000);
        assert_numbered(&log, 0, round * 50).await;
        append_numbered(&log, round * 50, round * 50 + 50, 7).await;
        assert_numbered(&log, 0, round * 50 + 50).await;
        if round % 2 == 0 {
            log.close().await;
        }
    }
    assert!(world.files().len() > 3);
}

#[tokio::test]
async fn arrival_does_not_run_backwards_over_a_restart() {
    let world = World::new();
    let start = world.context.now();
    // a limit this small begins a new segment with each append, so that the last one may be without records
    let log = world.open_with(|options| options.segment_bytes_max = 1);
    append_numbered(&log, 0, 2, 1).await;
    log.close().await;
    world.clock.set(start.minus(std::time::Duration::from_mins(1)));
    let log = world.open().unwrap();
    append_numbered(&log, 2, 3, 1).await;
    assert!(read_all(&*log, SHARD).await.iter().all(|record| record.arrival == start));
}

#[tokio::test]
async fn a_page_from_memory_equals_the_page_from_disk() {
    let world = World::new();
    let log = world.open().unwrap();
    append_numbered(&log, 0, 3_000, 250).await;
    for bytes_max in [0, 1_000, 20_000, 1 << 20] {
        for from in [0, 1, 249, 250, 251, 2_998, 2_999] {
            let from_memory = log.shared.groups.page(Page::new(Position(from), log.end(SHARD), bytes_max));
            let page = Page::new(Position(from), log.end(SHARD), bytes_max);
            let from_disk = log.shared.read_page(page).unwrap().records;
            assert_eq!(
                from_memory.expect("recent groups are in memory").records,
                from_disk,
                "{from} {bytes_max}"
            );
        }
    }
}

#[tokio::test]
async fn trimming_removes_whole_sealed_segments_only() {
    let world = World::new();
    let log = world.open_with(|options| options.segment_bytes_max = 1_000);
    append_numbered(&log, 0, 100, 5).await;
    let files = world.files();
    let before = log.stats();
    assert!(files.len() > 3);
    log.trim(SHARD, Position(50)).await.unwrap();
    let after = log.stats();
    let kept = world.files();
    assert!(Position(0) < after.first && after.first <= Position(50));
    assert!(kept.len() < files.len() && files.ends_with(&kept));
    let on_disk: u64 = kept.iter().map(|file| file.metadata().unwrap().len()).sum();
    assert_eq!(after.disk_bytes, on_disk);
    assert!(after.disk_bytes < before.disk_bytes);
    match log.read(SHARD, Position(after.first.0 - 1), 1).await {
        Err(LogError::Trimmed(first)) => assert_eq!(first, after.first),
        other => panic!("{other:?}"),
    }
    assert_numbered(&log, after.first.0, 100).await;
    log.trim(SHARD, Position(100)).await.unwrap();
    assert_eq!(world.files().len(), 1, "the active segment stays");
    log.close().await;
    let log = world.open().unwrap();
    assert_numbered(&log, log.stats().first.0, 100).await;
}

#[tokio::test]
async fn a_full_log_keeps_nothing_and_takes_appends_again_after_a_trim() {
    let world = World::new();
    let log = world.open_with(|options| {
        options.segment_bytes_max = 1_000;
        options.disk_bytes_max = Some(5_000);
    });
    let mut end = 0;
    let full = loop {
        match log.append(vec![numbered(end)]).await {
            Ok(_) => end += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, LogError::Full));
    assert!(log.stats().disk_bytes <= 5_000);
    assert_numbered(&log, 0, end).await;
    log.trim(SHARD, Position(end)).await.unwrap();
    append_numbered(&log, end, end + 5, 1).await;
    assert_numbered(&log, log.stats().first.0, end + 5).await;
    log.close().await;
    let log = world.open().unwrap();
    assert_numbered(&log, log.stats().first.0, end + 5).await;
}

#[tokio::test]
async fn a_closed_log_has_written_everything_and_takes_no_more() {
    let world = World::new();
    let log = world.open().unwrap();
    let waiting = tokio::spawn({
        let log = Arc::clone(&log);
        async move { log.wait_beyond(SHARD, Position(1)).await }
    });
    let appending = tokio::spawn({
        let log = Arc::clone(&log);
        async move { log.append(vec![numbered(0)]).await }
    });
    appending.await.unwrap().unwrap();
    log.close().await;
    assert!(matches!(waiting.await.unwrap(), Err(LogError::Failed(_))));
    assert!(matches!(log.append(vec![numbered(1)]).await, Err(LogError::Failed(_))));
    assert!(log.append(Vec::new()).await.is_ok());
    assert_numbered(&log, 0, 1).await;
    assert_numbered(&world.open().unwrap(), 0, 1).await;
}

#[tokio::test]
async fn compression_is_used_where_it_pays() {
    let world = World::new();
    let log = world.open().unwrap();
    log.append(vec![(Partition(0), Bytes::from("abcdefgh".repeat(1_000)))]).await.unwrap();
    let packed = log.stats();
    assert!(packed.stored_bytes * 10 < packed.raw_bytes, "{packed:?}");
    let mut dice = crate::dice::Dice::new(3);
    let noise: Vec<u8> = (0..8_000).map(|_| dice.roll() as u8).collect();
    log.append(vec![(Partition(0), Bytes::from(noise))]).await.unwrap();
    let stats = log.stats();
    assert_eq!(stats.stored_bytes - packed.stored_bytes, stats.raw_bytes - packed.raw_bytes + 48);
    assert_eq!((stats.groups, stats.end, stats.queued_bytes), (2, Position(2), 0));
}

/// What a log has on disk, byte for byte; and what was compressed is read, whatever this release would make of it.
#[tokio::test]
async fn segments_keep_their_layout() {
    let written = async |compress: bool| {
        let world = World::new();
        let log = world.open_with(|options| options.compress = compress);
        append_numbered(&log, 0, 60, 40).await;
        drop(log);
        std::fs::read(&world.files()[0]).unwrap()
    };
    golden::check_bytes("log_segment", 1, &written(false).await);
    let compressed = written(true).await;
    let kept = golden::stored_bytes("log_segment_compressed", 1, || compressed);
    let world = World::new();
    std::fs::write(world.directory.path().join("00000000000000000000.log"), kept).unwrap();
    assert_numbered(&world.open().unwrap(), 0, 60).await;
}
