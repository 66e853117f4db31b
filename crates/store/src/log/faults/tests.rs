use super::*;
use crate::log::contract::{self, manual_context};
use crate::log::memory::MemoryLog;

const SHARD: Shard = Shard(0);

fn faulty() -> FaultyLog {
    FaultyLog::new(Arc::new(MemoryLog::new(manual_context().0, 1)))
}

fn records(count: u8) -> Vec<(Partition, Bytes)> {
    (0..count).map(|number| (Partition(0), Bytes::from(vec![number]))).collect()
}

#[tokio::test]
async fn without_a_plan_the_contract_holds() {
    contract::all(async |context| {
        Arc::new(FaultyLog::new(Arc::new(MemoryLog::new(context, 3)))) as Arc<dyn Log>
    })
    .await;
}

#[tokio::test]
async fn with_delays_the_contract_holds() {
    contract::all(async |context| {
        let log = FaultyLog::new(Arc::new(MemoryLog::new(context, 3)));
        for append in 0..10_000 {
            log.plan(append, Fault::Yield(append as u32 % 4));
        }
        Arc::new(log) as Arc<dyn Log>
    })
    .await;
}

#[tokio::test]
async fn the_planned_append_fails_and_no_other() {
    let log = faulty();
    log.plan(1, Fault::Refuse);
    log.plan(3, Fault::LoseAnswer);
    assert!(log.append(records(1)).await.is_ok());
    assert!(matches!(log.append(records(1)).await, Err(LogError::Full)));
    assert_eq!(log.end(SHARD), Position(1), "nothing of a refused append is kept");
    assert!(log.append(records(1)).await.is_ok());
    assert!(matches!(log.append(records(2)).await, Err(LogError::Failed(_))));
    assert_eq!(log.end(SHARD), Position(4), "an append whose answer was lost is kept");
    assert_eq!(log.append(records(1)).await.unwrap(), [Position(4)]);
    assert_eq!(log.appends(), 5);
}

#[tokio::test]
async fn a_crash_keeps_a_prefix_and_fails_every_call_until_revived() {
    for keep_records in 0..=4 {
        let log = faulty();
        log.append(records(1)).await.unwrap();
        log.crash_during_append(keep_records);
        assert!(matches!(log.append(records(3)).await, Err(LogError::Failed(_))));
        assert!(log.is_crashed());
        assert!(matches!(log.append(records(1)).await, Err(LogError::Failed(_))));
        assert!(matches!(log.read(SHARD, Position(0), 9).await, Err(LogError::Failed(_))));
        assert!(matches!(log.trim(SHARD, Position(1)).await, Err(LogError::Failed(_))));
        assert!(matches!(log.wait_beyond(SHARD, Position(0)).await, Err(LogError::Failed(_))));
        log.revive();
        let kept = 1 + keep_records.min(3);
        assert_eq!(log.read(SHARD, Position(0), 9).await.unwrap().len(), kept, "{keep_records}");
        assert_eq!(log.append(records(1)).await.unwrap(), [Position(kept as u64)]);
    }
}

#[tokio::test]
async fn a_crash_wakes_those_who_wait() {
    let log = Arc::new(faulty());
    let waiting = tokio::spawn({
        let log = Arc::clone(&log);
        async move { log.wait_beyond(SHARD, Position(0)).await }
    });
    tokio::task::yield_now().await;
    log.crash();
    assert!(matches!(waiting.await.unwrap(), Err(LogError::Failed(_))));
}
