//! Jobs that are cut off anywhere end as if they had not been.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::Engine;
use engine::jobs::{self, Kind, Outcome};
use serde_json::json;
use store::kv::faults::{Fault as KvFault, FaultPlan, FaultyKv};
use store::kv::memory::MemoryKv;
use store::log::faults::{Fault as LogFault, FaultyLog};
use store::log::memory::MemoryLog;
use store::tables::jobs::JobStatus;
use store::{Key, Kv, Log};
use tokio_util::sync::CancellationToken;

use super::world::{World, app, csv, gzip, projecting};

/// A job of many pieces with rows that fail, to be cut off.
async fn prepared() -> World {
    let world = World::new();
    world.object("in/a.csv", csv(0, 2_100).as_bytes());
    world.object("in/b.csv.gz", &gzip(csv(2_000, 2_100).as_bytes()));
    world.object("in/c.csv", format!("{}bad\n", csv(4_200, 900)).as_bytes());
    world.object("in/d.csv", b"nonsense");
    world.import(&app("a"), "j", json!({"Format": "CSV", "S3Url": "s3://bucket/in"})).await;
    world
}

async fn run(engine: &Engine) -> Result<Outcome, String> {
    let stop = CancellationToken::new();
    projecting(engine, jobs::run_import(engine, &app("a"), "j", &stop)).await
}

/// Ends the job in a new process, and tells what it left.
async fn ended(world: &World) -> BTreeMap<Key, Vec<u8>> {
    let kv: Arc<dyn Kv> = Arc::<MemoryKv>::clone(&world.kv);
    let log: Arc<dyn Log> = Arc::<MemoryLog>::clone(&world.log);
    assert_eq!(run(&world.restarted(kv, log)).await, Ok(Outcome::Ended));
    let state = world.state(&app("a"), Kind::Import, "j").await;
    assert_eq!((state.processed, state.failed, state.pieces), (5_100, 2, 52), "{state:?}");
    assert_eq!(state.status, JobStatus::Failed);
    world.rows()
}

#[tokio::test]
async fn a_crash_of_the_log_at_any_append_changes_nothing() {
    let expected = ended(&prepared().await).await;
    let mut crashes = 0;
    for append in 0.. {
        let faults = [
            LogFault::Refuse,
            LogFault::LoseAnswer,
            LogFault::Crash { keep_records: 0 },
            LogFault::Crash { keep_records: 3 },
        ];
        let mut has_crashed = false;
        for fault in faults {
            let world = prepared().await;
            let log = Arc::new(FaultyLog::new(Arc::<MemoryLog>::clone(&world.log)));
            log.plan(append, fault);
            let engine = world.restarted(Arc::<MemoryKv>::clone(&world.kv), log);
            has_crashed |= run(&engine).await.is_err();
            assert_eq!(ended(&world).await, expected, "{append} {fault:?}");
        }
        if !has_crashed {
            break;
        }
        crashes += 1;
    }
    assert!(crashes >= 2, "{crashes}");
}

#[tokio::test]
async fn a_crash_of_the_state_at_any_commit_changes_nothing() {
    let expected = ended(&prepared().await).await;
    let mut crashes = 0;
    for commit in 1.. {
        let mut has_crashed = false;
        for written in [false, true] {
            let world = prepared().await;
            let plan = FaultPlan::none().at(commit, KvFault::Crash { written });
            let kv = Arc::new(FaultyKv::new(Arc::<MemoryKv>::clone(&world.kv), plan));
            let engine = world.restarted(kv, Arc::<MemoryLog>::clone(&world.log));
            has_crashed |= run(&engine).await.is_err();
            // The machine goes down as well: only durable commits are sure.
            world.kv.lose_buffered(usize::from(written));
            assert_eq!(ended(&world).await, expected, "{commit} {written}");
        }
        if !has_crashed {
            break;
        }
        crashes += 1;
    }
    assert!(crashes >= 2, "{crashes}");
}

#[tokio::test]
async fn a_run_that_is_dropped_or_stopped_anywhere_is_taken_up_again() {
    let expected = ended(&prepared().await).await;
    for polls in [0, 1, 2, 5, 10, 20, 40, 80] {
        let world = prepared().await;
        let stop = CancellationToken::new();
        let mut polled = 0;
        let limit = std::future::poll_fn(|cx| {
            polled += 1;
            cx.waker().wake_by_ref();
            if polled > polls { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        });
        let job = app("a");
        let import = jobs::run_import(&world.engine, &job, "j", &stop);
        tokio::select! {
            outcome = projecting(&world.engine, import) => assert_eq!(outcome, Ok(Outcome::Ended)),
            () = limit => {}
        }
        assert_eq!(ended(&world).await, expected, "{polls}");
    }
    let world = prepared().await;
    let stop = CancellationToken::new();
    stop.cancel();
    let import = async { jobs::run_import(&world.engine, &app("a"), "j", &stop).await };
    assert_eq!(projecting(&world.engine, import).await, Ok(Outcome::Stopped));
    assert_eq!(ended(&world).await, expected);
}

#[tokio::test]
async fn a_job_whose_objects_became_less_still_ends() {
    let world = prepared().await;
    let kv = Arc::new(FaultyKv::new(
        Arc::<MemoryKv>::clone(&world.kv),
        FaultPlan::none().at(2, KvFault::Crash { written: true }),
    ));
    let engine = world.restarted(kv, Arc::<MemoryLog>::clone(&world.log));
    assert!(run(&engine).await.is_err());
    std::fs::remove_dir_all(world.objects.path().join("bucket/in")).unwrap();
    world.object("in/a.csv", csv(0, 10).as_bytes());
    assert_eq!(
        run(&world.restarted(Arc::<MemoryKv>::clone(&world.kv), Arc::<MemoryLog>::clone(&world.log))).await,
        Ok(Outcome::Ended)
    );
    let state = world.state(&app("a"), Kind::Import, "j").await;
    assert!(state.completed.is_some() && state.pieces > 1, "{state:?}");
}
