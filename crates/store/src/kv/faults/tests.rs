use super::*;
use crate::Table;
use crate::kv::contract;
use crate::kv::memory::MemoryKv;

fn faulty(plan: FaultPlan) -> (Arc<MemoryKv>, FaultyKv) {
    let memory = Arc::new(MemoryKv::new());
    let faulty = FaultyKv::new(Arc::clone(&memory) as Arc<dyn Kv>, plan);
    (memory, faulty)
}

fn key(name: &str) -> Key {
    Key::new(Table::Settings).text(name)
}

fn batch_of(name: &str) -> Batch {
    let mut batch = Batch::default();
    batch.check(key(name), Version::ABSENT).put(key(name), *b"x");
    batch
}

async fn is_written(memory: &MemoryKv, name: &str) -> bool {
    memory.get(&key(name)).await.unwrap().is_some()
}

#[tokio::test]
async fn without_faults_and_with_delays_obeys_the_contract() {
    contract::all(async || Arc::new(faulty(FaultPlan::none()).1) as Arc<dyn Kv>).await.unwrap();
    let delays = [Fault::Yield(1), Fault::Yield(3), Fault::Yield(7)];
    for seed in 0..4 {
        let plan = FaultPlan::random(seed, 1_000, 1, &delays);
        contract::all(async || Arc::new(faulty(plan.clone()).1) as Arc<dyn Kv>).await.unwrap();
    }
}

#[tokio::test]
async fn counting_survives_conflicts_that_nobody_caused() {
    for seed in 0..8 {
        let plan = FaultPlan::random(seed, 10_000, 3, &[Fault::Conflict, Fault::Yield(2)]);
        contract::concurrent_counting_loses_nothing(Arc::new(faulty(plan).1)).await.unwrap();
    }
}

#[tokio::test]
async fn each_fault_does_what_it_says() {
    let plan = FaultPlan::none().at(2, Fault::FailBefore).at(3, Fault::FailAfter).at(4, Fault::Conflict);
    let (memory, kv) = faulty(plan.at(5, Fault::Conflict));
    kv.commit(batch_of("1"), Durability::Durable).await.unwrap();
    assert!(matches!(kv.commit(batch_of("2"), Durability::Durable).await, Err(KvError::Full)));
    assert!(matches!(kv.commit(batch_of("3"), Durability::Durable).await, Err(KvError::Failed(_))));
    let conflict = kv.commit(batch_of("4"), Durability::Durable).await;
    assert!(matches!(conflict, Err(KvError::Conflict(row)) if row == key("4")));
    let mut unchecked = Batch::default();
    unchecked.put(key("5"), *b"x");
    kv.commit(unchecked, Durability::Durable).await.unwrap();
    for (name, written) in [("1", true), ("2", false), ("3", true), ("4", false), ("5", true)] {
        assert_eq!(is_written(&memory, name).await, written, "commit {name}");
    }
    assert_eq!(kv.commits(), 5);
}

#[tokio::test]
async fn a_crash_lasts_until_the_process_is_revived() {
    for written in [false, true] {
        let (memory, kv) = faulty(FaultPlan::none().at(2, Fault::Crash { written }));
        kv.commit(batch_of("1"), Durability::Buffered).await.unwrap();
        assert!(!kv.is_crashed());
        for name in ["2", "3"] {
            let result = kv.commit(batch_of(name), Durability::Durable).await;
            assert!(matches!(result, Err(KvError::Failed(_))));
        }
        assert!(kv.is_crashed());
        assert!(matches!(kv.get(&key("1")).await, Err(KvError::Failed(_))));
        assert!(matches!(kv.scan(key("1").prefix(), 1).await, Err(KvError::Failed(_))));
        assert!(matches!(kv.sync().await, Err(KvError::Failed(_))));
        kv.revive();
        assert!(kv.get(&key("1")).await.unwrap().is_some());
        assert_eq!(is_written(&memory, "2").await, written);
        assert!(!is_written(&memory, "3").await);
        assert_eq!(kv.commits(), 2);
        kv.commit(batch_of("4"), Durability::Durable).await.unwrap();
    }
}

#[test]
fn the_same_seed_plans_the_same_faults() {
    let plan = |seed| FaultPlan::random(seed, 1_000, 10, &[Fault::FailBefore, Fault::FailAfter]).faults;
    assert_eq!(plan(1), plan(1));
    assert_ne!(plan(1), plan(2));
    assert!((50..200).contains(&plan(1).len()), "{}", plan(1).len());
}
