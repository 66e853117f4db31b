//! What every [`Log`] must do, as functions that each take a fresh, empty log and panic where it does not.
//!
//! Every back end and every wrapper runs [`all`]. The functions assume nothing about the number of shards.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use domain::time::Timestamp;
use tokio::task::JoinSet;

use super::{
    APPEND_BYTES_MAX, Log, LogError, PARTITIONS, Partition, Position, RECORD_BYTES_MAX, RECORDS_MAX, Record,
    Shard,
};
use crate::context::{Clock, Context, Ids};
use crate::dice::Dice;

/// A clock that stands still until it is moved, in either direction.
#[derive(Debug)]
pub struct ManualClock {
    now_ms: AtomicI64,
    monotonic_ms: AtomicU64,
}

impl ManualClock {
    /// Sets the time of day; the monotonic time follows only forward steps.
    pub fn set(&self, now: Timestamp) {
        let earlier = Timestamp(self.now_ms.swap(now.as_millis(), Ordering::SeqCst));
        self.monotonic_ms.fetch_add(now.since(earlier).as_millis() as u64, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.now_ms.load(Ordering::SeqCst))
    }

    fn monotonic_ms(&self) -> u64 {
        self.monotonic_ms.load(Ordering::SeqCst)
    }
}

/// Ids that are the same in every run.
#[derive(Debug)]
struct DicedIds(Mutex<Dice>);

impl Ids for DicedIds {
    fn random(&self) -> u128 {
        let mut dice = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        u128::from(dice.roll()) << 64 | u128::from(dice.roll())
    }
}

/// A context that repeats itself, and its clock. It begins on 2026-11-23.
pub fn manual_context() -> (Context, Arc<ManualClock>) {
    let start = AtomicI64::new(1_795_392_000_000);
    let clock = Arc::new(ManualClock { now_ms: start, monotonic_ms: AtomicU64::new(0) });
    let ids = Arc::new(DicedIds(Mutex::new(Dice::new(1))));
    (Context { clock: Arc::<ManualClock>::clone(&clock), ids }, clock)
}

/// Runs the whole contract, each part on a log of its own.
pub async fn all(make: impl AsyncFn(Context) -> Arc<dyn Log>) {
    let (context, clock) = manual_context();
    let fresh = async || make(context.clone()).await;
    positions_are_gapless_and_in_order(fresh().await).await;
    appenders_keep_their_order(fresh().await).await;
    reads_are_limited(fresh().await).await;
    reads_begin_anywhere_and_end_at_the_end(fresh().await).await;
    what_is_acknowledged_is_visible(fresh().await).await;
    waiting_ends_with_the_record(fresh().await).await;
    arrival_never_runs_backwards(fresh().await, &clock).await;
    empty_appends_and_records_are_fine(fresh().await).await;
    what_may_use_the_reserve_is_appended_like_the_rest(fresh().await).await;
    what_is_too_large_is_refused_whole(fresh().await).await;
    many_small_records_come_back(fresh().await).await;
    readers_follow_writers(fresh().await).await;
    trimming_keeps_what_it_must(fresh().await).await;
    a_missing_shard_is_empty(fresh().await).await;
}

/// Positions of each shard run from 0 without gaps, in the order of the appended records.
pub async fn positions_are_gapless_and_in_order(log: Arc<dyn Log>) {
    let mut next = vec![0; usize::from(log.shards())];
    for batch in 0..20_u16 {
        let records: Vec<_> =
            (0..=batch).map(|number| record(number, &format!("{batch}/{number}"))).collect();
        let positions = log.append(records.clone()).await.expect("append");
        assert_eq!(positions.len(), records.len());
        for ((partition, _), position) in records.iter().zip(positions) {
            let next = &mut next[usize::from(log.shard_of(*partition).0)];
            assert_eq!(position.0, *next);
            *next += 1;
        }
    }
    for (shard, next) in next.into_iter().enumerate() {
        let shard = Shard(shard as u16);
        assert_eq!(log.end(shard), Position(next));
        let records = read_all(&*log, shard).await;
        assert_eq!(records.len() as u64, next);
        for record in records {
            assert_eq!(log.shard_of(record.partition), shard);
            let text = String::from_utf8_lossy(&record.bytes).into_owned();
            assert!(text.ends_with(&format!("/{}", record.partition.0)), "{text} of {:?}", record.partition);
        }
    }
}

/// Whatever else is appended meanwhile, the records of one appender stay in its order and at the positions it was told.
pub async fn appenders_keep_their_order(log: Arc<dyn Log>) {
    const APPENDERS: u16 = 8;
    const APPENDS: u16 = 40;
    let mut tasks = JoinSet::new();
    for appender in 0..APPENDERS {
        let log = Arc::clone(&log);
        tasks.spawn(async move {
            let mut told = Vec::new();
            for number in 0..APPENDS {
                let texts = [format!("{appender}:{number}a"), format!("{appender}:{number}b")];
                let records = texts.iter().map(|text| record(appender, text)).collect();
                let positions = log.append(records).await.expect("append");
                told.extend(positions.into_iter().zip(texts));
            }
            (Partition(appender), told)
        });
    }
    for (partition, told) in tasks.join_all().await {
        let mut records = read_all(&*log, log.shard_of(partition)).await;
        records.retain(|record| record.partition == partition);
        assert_eq!(records.len(), told.len());
        for (record, (position, text)) in records.iter().zip(told) {
            assert_eq!(record.position, position);
            assert_eq!(record.bytes, text.as_bytes());
        }
    }
}

/// A read answers at most the bytes asked for, and one record even where that is more.
pub async fn reads_are_limited(log: Arc<dyn Log>) {
    let shard = log.shard_of(Partition(0));
    for _ in 0..5 {
        log.append(vec![(Partition(0), Bytes::from(vec![7; 100])); 2]).await.expect("append");
    }
    for (bytes_max, expected) in
        [(0, 1), (99, 1), (100, 1), (199, 1), (200, 2), (250, 2), (300, 3), (1 << 20, 10)]
    {
        let mut position = Position(0);
        let mut total = 0;
        while position < log.end(shard) {
            let records = log.read(shard, position, bytes_max).await.expect("read");
            assert!(!records.is_empty(), "a read before the end answers a record");
            assert!(records.len() <= expected, "{} records for {bytes_max} bytes", records.len());
            assert_eq!(records[0].position, position);
            position = Position(position.0 + records.len() as u64);
            total += records.len();
        }
        assert_eq!(total, 10);
    }
}

/// A read may begin at any position; at the end it is empty, and beyond the end it is an error.
pub async fn reads_begin_anywhere_and_end_at_the_end(log: Arc<dyn Log>) {
    let shard = log.shard_of(Partition(1));
    assert_eq!(log.end(shard), Position(0));
    assert_eq!(log.read(shard, Position(0), 100).await.expect("read at the end"), []);
    for first in [0_u64, 4, 8] {
        let records = (first..first + 4).map(|number| record(1, &number.to_string())).collect();
        log.append(records).await.expect("append");
    }
    for from in 0..12 {
        let records = log.read(shard, Position(from), 1 << 20).await.expect("read");
        assert_eq!(records[0].position, Position(from));
        for (record, number) in records.iter().zip(from..) {
            assert_eq!(record.position, Position(number));
            assert_eq!(record.bytes, number.to_string().as_bytes());
        }
    }
    assert_eq!(log.read(shard, Position(12), 100).await.expect("read at the end"), []);
    match log.read(shard, Position(13), 100).await {
        Err(LogError::BeyondEnd { asked: Position(13), end: Position(12) }) => {}
        other => panic!("expected BeyondEnd, got {other:?}"),
    }
}

/// When an append returns, its records are before the end and can be read; nobody ever reads at or behind the end.
pub async fn what_is_acknowledged_is_visible(log: Arc<dyn Log>) {
    let shard = log.shard_of(Partition(2));
    for number in 0..50 {
        let position = log.append(vec![record(2, &number.to_string())]).await.expect("append")[0];
        assert!(log.end(shard) > position);
        let records = log.read(shard, position, 1).await.expect("read");
        assert_eq!(records[0].bytes, number.to_string().as_bytes());
        assert!(records.last().expect("a record").position < log.end(shard));
        log.wait_beyond(shard, position).await.expect("no wait for what is there");
    }
}

/// A waiter sleeps until the record that it waits for is there, and not longer.
pub async fn waiting_ends_with_the_record(log: Arc<dyn Log>) {
    let shard = log.shard_of(Partition(3));
    let mut waiters = JoinSet::new();
    for position in 0..4 {
        let log = Arc::clone(&log);
        waiters.spawn(async move {
            log.wait_beyond(shard, Position(position)).await.expect("wait");
            assert!(log.end(shard) > Position(position));
            position
        });
    }
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(waiters.try_join_next().is_none(), "nothing was appended yet");
    log.append(vec![record(3, "0"), record(3, "1")]).await.expect("append");
    let mut woken =
        [waiters.join_next().await, waiters.join_next().await].map(|it| it.expect("two").expect("no panic"));
    woken.sort_unstable();
    assert_eq!(woken, [0, 1]);
    assert!(waiters.try_join_next().is_none(), "two wait for what is not there yet");
    log.append(vec![record(3, "2"), record(3, "3")]).await.expect("append");
    assert_eq!(waiters.join_all().await.len(), 2);
}

/// Arrival follows the clock forwards and stands still while the clock is behind.
pub async fn arrival_never_runs_backwards(log: Arc<dyn Log>, clock: &ManualClock) {
    let shard = log.shard_of(Partition(4));
    let start = clock.now();
    let minute = Duration::from_mins(1);
    let steps = [start, start.plus(minute), start.minus(minute), start, start.plus(2 * minute)];
    for now in steps {
        clock.set(now);
        log.append(vec![record(4, "x")]).await.expect("append");
    }
    let arrivals: Vec<_> = read_all(&*log, shard).await.into_iter().map(|record| record.arrival).collect();
    let later = start.plus(minute);
    assert_eq!(arrivals, [start, later, later, later, start.plus(2 * minute)]);
    clock.set(start);
}

/// Both kinds of append share one sequence and one set of limits.
pub async fn what_may_use_the_reserve_is_appended_like_the_rest(log: Arc<dyn Log>) {
    for number in 0..6 {
        let records = vec![record(8, &number.to_string())];
        let positions = if number % 2 == 0 {
            log.append(records).await.expect("append")
        } else {
            log.append_within_reserve(records).await.expect("append within the reserve")
        };
        assert_eq!(positions, [Position(number)]);
    }
    let too_large = vec![(Partition(8), Bytes::from(vec![0; RECORD_BYTES_MAX + 1]))];
    assert!(matches!(log.append_within_reserve(too_large).await, Err(LogError::TooLarge(_))));
    let shard = log.shard_of(Partition(8));
    let read = read_all(&*log, shard).await;
    let texts: Vec<_> =
        read.iter().map(|record| String::from_utf8_lossy(&record.bytes).into_owned()).collect();
    assert_eq!(texts, ["0", "1", "2", "3", "4", "5"]);
}

/// An append of nothing answers nothing; a record of no bytes is a record.
pub async fn empty_appends_and_records_are_fine(log: Arc<dyn Log>) {
    let shard = log.shard_of(Partition(5));
    assert_eq!(log.append(Vec::new()).await.expect("append nothing"), []);
    assert_eq!(log.end(shard), Position(0));
    log.append(vec![record(5, ""), record(5, "x"), record(5, "")]).await.expect("append");
    let records = read_all(&*log, shard).await;
    assert_eq!(records.iter().map(|record| &record.bytes[..]).collect::<Vec<_>>(), [&b""[..], b"x", b""]);
}

/// The largest record fits; a larger one, or too many, are refused and leave nothing behind.
pub async fn what_is_too_large_is_refused_whole(log: Arc<dyn Log>) {
    let shard = log.shard_of(Partition(6));
    let sized = |bytes: usize| (Partition(6), Bytes::from(vec![b'x'; bytes]));
    let refused = [
        vec![record(6, "small"), sized(RECORD_BYTES_MAX + 1)],
        vec![sized(APPEND_BYTES_MAX / 5 + 1); 5],
        vec![record(6, ""); RECORDS_MAX + 1],
    ];
    for records in refused {
        assert!(matches!(log.append(records).await, Err(LogError::TooLarge(_))));
        assert_eq!(log.end(shard), Position(0));
    }
    log.append(vec![sized(RECORD_BYTES_MAX), record(6, "y")]).await.expect("append");
    let records = read_all(&*log, shard).await;
    assert_eq!(records[0].bytes.len(), RECORD_BYTES_MAX);
    assert!(records[0].bytes.iter().all(|&byte| byte == b'x'));
    assert_eq!(records[1].bytes, &b"y"[..]);
}

/// Ten thousand small records of all partitions come back as they were.
pub async fn many_small_records_come_back(log: Arc<dyn Log>) {
    let mut written = Checksum::default();
    for batch in 0..100_u64 {
        let records: Vec<_> = (0..100).map(|number| text_record(batch * 100 + number)).collect();
        for (partition, bytes) in &records {
            written.add(*partition, bytes);
        }
        log.append(records).await.expect("append");
    }
    let mut read = Checksum::default();
    for shard in 0..log.shards() {
        for record in read_all(&*log, Shard(shard)).await {
            read.add(record.partition, &record.bytes);
        }
    }
    assert_eq!(read, written);
}

/// Readers that follow while several tasks write see, partition by partition, exactly what was written.
pub async fn readers_follow_writers(log: Arc<dyn Log>) {
    const RECORDS: u64 = 2_000;
    const WRITERS: u64 = 4;
    let mut expected = Checksum::default();
    (0..RECORDS).map(text_record).for_each(|(partition, bytes)| expected.add(partition, &bytes));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let log = Arc::clone(&log);
        // a partition belongs to one writer, so that its order is known
        let records: Vec<_> = (0..RECORDS)
            .map(text_record)
            .filter(|(partition, _)| u64::from(partition.0) % WRITERS == writer)
            .collect();
        writers.spawn(async move {
            for chunk in records.chunks(3) {
                log.append(chunk.to_vec()).await.expect("append");
            }
        });
    }
    let mut readers = JoinSet::new();
    for bytes_max in [1, 64, 1 << 20] {
        let log = Arc::clone(&log);
        readers.spawn(async move {
            let mut read = Checksum::default();
            for shard in 0..log.shards() {
                let shard = Shard(shard);
                let expected =
                    (0..RECORDS).filter(|number| log.shard_of(text_record(*number).0) == shard).count();
                let mut position = Position(0);
                while position < Position(expected as u64) {
                    log.wait_beyond(shard, position).await.expect("wait");
                    for record in log.read(shard, position, bytes_max).await.expect("read") {
                        assert_eq!(record.position, position);
                        assert!(position < log.end(shard), "only what is durable can be read");
                        read.add(record.partition, &record.bytes);
                        position = position.next();
                    }
                }
            }
            read
        });
    }
    writers.join_all().await;
    for read in readers.join_all().await {
        assert_eq!(read, expected);
    }
}

/// Trimming keeps all from its position on; what it drops answers `Trimmed` with the first position that is kept.
pub async fn trimming_keeps_what_it_must(log: Arc<dyn Log>) {
    let shard = log.shard_of(Partition(7));
    for number in 0..20 {
        log.append(vec![record(7, &number.to_string())]).await.expect("append");
    }
    for to in [0, 5, 3, 20] {
        log.trim(shard, Position(to)).await.expect("trim");
        assert_eq!(log.end(shard), Position(20));
        for from in 0..20 {
            match log.read(shard, Position(from), 1).await {
                Ok(records) => assert_eq!(records[0].bytes, from.to_string().as_bytes()),
                Err(LogError::Trimmed(first)) => {
                    assert!(Position(from) < first && first <= Position(to.max(5)), "{from} {first:?} {to}");
                }
                Err(other) => panic!("unexpected {other:?}"),
            }
        }
    }
    let positions = log.append(vec![record(7, "20")]).await.expect("append");
    assert_eq!(positions, [Position(20)]);
    let records = log.read(shard, Position(20), 1).await.expect("read");
    assert_eq!(records[0].bytes, &b"20"[..]);
}

/// A shard that does not exist reads as an empty one, and nobody waits for it for ever.
pub async fn a_missing_shard_is_empty(log: Arc<dyn Log>) {
    let missing = Shard(log.shards());
    log.append(vec![record(0, "x")]).await.expect("append");
    assert_eq!(log.end(missing), Position(0));
    assert_eq!(log.read(missing, Position(0), 100).await.expect("read"), []);
    log.trim(missing, Position(1)).await.expect("trim");
    assert!(matches!(log.wait_beyond(missing, Position(0)).await, Err(LogError::BeyondEnd { .. })));
}

/// All records of a shard that are kept, from position 0.
pub async fn read_all(log: &dyn Log, shard: Shard) -> Vec<Record> {
    const BYTES_MAX: usize = 100_000;
    let mut records: Vec<Record> = Vec::new();
    loop {
        let position = records.last().map_or(Position(0), |record| record.position.next());
        let page = log.read(shard, position, BYTES_MAX).await.expect("read");
        if page.is_empty() {
            return records;
        }
        records.extend(page);
    }
}

fn record(partition: u16, text: &str) -> (Partition, Bytes) {
    (Partition(partition % PARTITIONS), Bytes::from(text.to_owned()))
}

fn text_record(number: u64) -> (Partition, Bytes) {
    let text = format!("{{\"number\":{number},\"square\":{}}}", number * number);
    record((number % 61) as u16, &text)
}

/// A checksum of each partition's records in their order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Checksum {
    partitions: BTreeMap<Partition, (u64, u32)>,
}

impl Checksum {
    fn add(&mut self, partition: Partition, bytes: &[u8]) {
        let (count, checksum) = self.partitions.entry(partition).or_default();
        let mut hasher = crc32fast::Hasher::new_with_initial(*checksum);
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
        *checksum = hasher.finalize();
        *count += 1;
    }
}
