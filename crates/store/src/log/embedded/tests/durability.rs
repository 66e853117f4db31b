//! What is visible and answered when, and what a failing disk leaves behind.

use super::disks::{Failure, TestDisk};
use super::*;

fn open_on(world: &World, disk: &Arc<TestDisk>) -> Arc<EmbeddedLog> {
    let disk = Arc::clone(disk) as Arc<dyn Disk>;
    EmbeddedLog::open_on(disk, world.context.clone(), world.options()).unwrap()
}

fn append_in_background(
    log: &Arc<EmbeddedLog>,
    number: u64,
) -> tokio::task::JoinHandle<Result<Vec<Position>, LogError>> {
    let log = Arc::clone(log);
    tokio::spawn(async move { log.append(vec![numbered(number)]).await })
}

#[tokio::test]
async fn nothing_is_visible_or_answered_before_it_is_synced() {
    let (world, disk) = (World::new(), Arc::new(TestDisk::default()));
    let log = open_on(&world, &disk);
    disk.hold();
    let appending = append_in_background(&log, 0);
    while disk.syncs() < 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(log.end(SHARD), Position(0));
    assert_eq!(log.read(SHARD, Position(0), 1).await.unwrap(), []);
    assert!(!appending.is_finished());
    assert!(log.stats().queued_bytes > 0);
    disk.release();
    assert_eq!(appending.await.unwrap().unwrap(), [Position(0)]);
    assert_numbered(&log, 0, 1).await;
    assert_eq!(log.stats().queued_bytes, 0);
}

#[tokio::test]
async fn appends_that_arrive_during_a_sync_share_the_next_ones() {
    let (world, disk) = (World::new(), Arc::new(TestDisk::default()));
    let log = open_on(&world, &disk);
    disk.hold();
    let appending: Vec<_> = (0..100).map(|number| append_in_background(&log, number)).collect();
    let all_bytes: usize = (0..100).map(|number| numbered(number).1.len() + RECORD_COST_BYTES).sum();
    while log.stats().queued_bytes < all_bytes as u64 {
        tokio::task::yield_now().await;
    }
    disk.await_syncs(1);
    disk.release();
    for (number, appending) in appending.into_iter().enumerate() {
        assert_eq!(appending.await.unwrap().unwrap(), [Position(number as u64)]);
    }
    assert!(log.stats().groups <= 2, "the one that was held, and all the rest: {:?}", log.stats());
    assert_numbered(&log, 0, 100).await;
}

#[tokio::test]
async fn the_queue_is_bounded() {
    let (world, disk) = (World::new(), Arc::new(TestDisk::default()));
    let log = open_on(&world, &disk);
    disk.hold();
    let large = Bytes::from(vec![b'x'; 6 << 20]);
    let appending: Vec<_> = (0..8)
        .map(|_| {
            let (log, large) = (Arc::clone(&log), large.clone());
            tokio::spawn(async move { log.append(vec![(Partition(0), large)]).await.unwrap() })
        })
        .collect();
    while log.stats().queued_bytes < 30 << 20 {
        tokio::task::yield_now().await;
    }
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert!(log.stats().queued_bytes <= QUEUE_BYTES_MAX as u64);
    disk.release();
    for appending in appending {
        appending.await.unwrap();
    }
    assert_eq!(log.end(SHARD), Position(8));
}

#[tokio::test]
async fn after_a_failed_sync_or_write_every_call_fails() {
    let lost = Failure::Write { written_bytes: 10, kind: io::ErrorKind::Other };
    let not_cut = Failure::Write { written_bytes: 10, kind: io::ErrorKind::StorageFull };
    for failures in [vec![Failure::Sync], vec![lost], vec![not_cut, Failure::Truncate]] {
        let (world, disk) = (World::new(), Arc::new(TestDisk::default()));
        let log = open_on(&world, &disk);
        append_numbered(&log, 0, 1, 1).await;
        let waiting = tokio::spawn({
            let log = Arc::clone(&log);
            async move { log.wait_beyond(SHARD, Position(1)).await }
        });
        for failure in &failures {
            disk.fail(*failure);
        }
        for _ in 0..2 {
            assert!(matches!(log.append(vec![numbered(1)]).await, Err(LogError::Failed(_))));
            assert!(matches!(log.read(SHARD, Position(0), 1).await, Err(LogError::Failed(_))));
            assert!(matches!(log.trim(SHARD, Position(0)).await, Err(LogError::Failed(_))));
        }
        assert!(matches!(waiting.await.unwrap(), Err(LogError::Failed(_))));
        assert_eq!(log.end(SHARD), Position(1));
        log.close().await;
        // the record that was not acknowledged may be there or not; the other one is
        let log = world.open().unwrap();
        let end = log.end(SHARD).0;
        assert!(end == 1 || end == 2, "{failures:?}");
        assert_numbered(&log, 0, end).await;
    }
}

#[tokio::test]
async fn a_full_disk_leaves_no_trace_and_later_appends_work() {
    for written_bytes in [0, 1, 47, 48, 60, usize::MAX] {
        let (world, disk) = (World::new(), Arc::new(TestDisk::default()));
        let log = open_on(&world, &disk);
        append_numbered(&log, 0, 2, 1).await;
        let before = std::fs::read(&world.files()[0]).unwrap();
        disk.fail(Failure::Write { written_bytes, kind: io::ErrorKind::StorageFull });
        assert!(matches!(log.append(vec![numbered(9)]).await, Err(LogError::Full)));
        assert_eq!(std::fs::read(&world.files()[0]).unwrap(), before);
        append_numbered(&log, 2, 4, 1).await;
        assert_numbered(&log, 0, 4).await;
        log.close().await;
        assert_numbered(&world.open().unwrap(), 0, 4).await;
    }
}

#[tokio::test]
async fn a_disk_that_is_full_for_the_next_segment_refuses_until_there_is_room() {
    let (world, disk) = (World::new(), Arc::new(TestDisk::default()));
    let options = EmbeddedLogOptions { segment_bytes_max: 1, ..world.options() };
    let shared_disk = Arc::clone(&disk) as Arc<dyn Disk>;
    let log = EmbeddedLog::open_on(shared_disk, world.context.clone(), options).unwrap();
    append_numbered(&log, 0, 1, 1).await;
    disk.fail(Failure::Create(io::ErrorKind::StorageFull));
    assert!(matches!(log.append(vec![numbered(1)]).await, Err(LogError::Full)));
    assert_eq!(world.files().len(), 1);
    append_numbered(&log, 1, 3, 1).await;
    disk.fail(Failure::Create(io::ErrorKind::PermissionDenied));
    assert!(matches!(log.append(vec![numbered(3)]).await, Err(LogError::Failed(_))));
    log.close().await;
    assert_numbered(&world.open().unwrap(), 0, 3).await;
}

#[tokio::test]
async fn an_appender_that_goes_away_does_no_harm() {
    let (world, disk) = (World::new(), Arc::new(TestDisk::default()));
    let log = open_on(&world, &disk);
    disk.hold();
    let appending = append_in_background(&log, 0);
    while disk.syncs() < 1 {
        tokio::task::yield_now().await;
    }
    appending.abort();
    disk.release();
    append_numbered(&log, 1, 3, 1).await;
    assert_numbered(&log, 0, 3).await;
    assert_eq!(log.stats().queued_bytes, 0);
}

#[tokio::test]
async fn the_last_space_is_kept_for_outcomes() {
    let (world, disk) = (World::new(), Arc::new(TestDisk::default()));
    let log = open_on(&world, &disk);
    disk.leave_free(RESERVE_BYTES);
    append_numbered(&log, 0, 1, 1).await;
    disk.leave_free(RESERVE_BYTES - 1);
    assert!(matches!(log.append(vec![numbered(1)]).await, Err(LogError::Full)));
    log.append_within_reserve(vec![numbered(1)]).await.unwrap();

    // Of a group with both, only what may use the reserve is kept.
    disk.leave_free(RESERVE_BYTES);
    disk.hold();
    let first = append_in_background(&log, 2);
    while disk.syncs() < 3 {
        tokio::task::yield_now().await;
    }
    let queued_bytes = log.stats().queued_bytes;
    let refused = append_in_background(&log, 3);
    while log.stats().queued_bytes == queued_bytes {
        tokio::task::yield_now().await;
    }
    let kept = tokio::spawn({
        let log = Arc::clone(&log);
        async move { log.append_within_reserve(vec![numbered(3)]).await }
    });
    while log.stats().queued_bytes < queued_bytes + 2 * 64 {
        tokio::task::yield_now().await;
    }
    disk.leave_free(RESERVE_BYTES / 2);
    disk.release();
    assert_eq!(first.await.unwrap().unwrap(), [Position(2)]);
    assert!(matches!(refused.await.unwrap(), Err(LogError::Full)));
    assert_eq!(kept.await.unwrap().unwrap(), [Position(3)]);

    disk.leave_free(RESERVE_BYTES / 2 - 1);
    assert!(matches!(log.append_within_reserve(vec![numbered(4)]).await, Err(LogError::Full)));
    disk.leave_free(RESERVE_BYTES);
    append_numbered(&log, 4, 5, 1).await;
    assert_numbered(&log, 0, 5).await;
}

#[tokio::test]
async fn outcomes_may_pass_the_limit_of_the_log() {
    let world = World::new();
    let log = world.open_with(|options| {
        options.disk_bytes_max = Some(500);
        options.reserve_bytes = 2_000;
    });
    let mut end = 0;
    while log.append(vec![numbered(end)]).await.is_ok() {
        end += 1;
    }
    let full = loop {
        match log.append_within_reserve(vec![numbered(end)]).await {
            Ok(_) => end += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(full, LogError::Full));
    let disk_bytes = log.stats().disk_bytes;
    assert!((1_000..=1_500).contains(&disk_bytes), "{disk_bytes}");
    assert_numbered(&log, 0, end).await;
}
