//! Queues that are ordered by time: scanned from where they begin, not over everything that was carried out.

use std::time::Duration;

use domain::campaigns::Limits;
use domain::time::Timestamp;
use engine::due::{self, Next};
use engine::{SHARD, expiries};
use store::tables::campaigns::{CampaignState, Progress, Run, Status, progress_key, run_key, state_key};
use store::tables::due::{Due, Task, since};
use store::tables::outbox::{put_request, request_key};
use store::value::encode;
use store::{Batch, Durability, Kv};

use crate::jobs::world::app;
use crate::world::World;

impl World {
    /// A row that finds nothing to do.
    async fn start(&self, within: Duration, number: u64) {
        self.due(&app("a"), within, Task::CampaignStart { campaign: format!("c{number}") }).await;
    }

    async fn until_idle(&self) -> Next {
        loop {
            match due::step(&self.engine).await.unwrap() {
                Next::Progress => {}
                wait @ Next::Wait(_) => return wait,
            }
        }
    }
}

#[tokio::test]
async fn due_rows_are_looked_for_where_the_first_one_stood() {
    let world = World::new();
    let start = world.context.now();
    world.pass(Duration::from_mins(1));
    for number in 0..100 {
        world.start(Duration::from_secs(number), number).await;
    }
    let first = since(SHARD, world.context.now()).from;
    assert!(matches!(world.until_idle().await, Next::Wait(Some(_))));
    world.kv.scans();
    for _ in 0..20 {
        world.pass(Duration::from_secs(1));
        world.until_idle().await;
        let scans = world.kv.scans();
        assert!(scans.iter().all(|from| *from >= first), "{scans:?}");
    }
    let scans = world.kv.scans();
    assert!(scans.is_empty());

    // Whoever writes an earlier row says so.
    let mut batch = Batch::default();
    let task = Task::CampaignStart { campaign: "early".to_owned() };
    let early = Due { app: app("a"), task, scheduled: start };
    batch.put(early.key(SHARD, start), encode(&early));
    world.kv.commit(batch.clone(), Durability::Durable).await.unwrap();
    assert!(matches!(due::step(&world.engine).await.unwrap(), Next::Wait(_)));
    world.engine.due.notify_one();
    assert_eq!(due::step(&world.engine).await.unwrap(), Next::Progress);

    // Or it is found a little later.
    world.until_idle().await;
    world.kv.commit(batch, Durability::Durable).await.unwrap();
    let left = Duration::from_secs(70);
    world.pass(left);
    world.until_idle().await;
    assert_eq!(world.kv.get(&early.key(SHARD, start)).await.unwrap(), None);
}

#[tokio::test]
async fn an_empty_queue_is_not_scanned_from_its_beginning_either() {
    let world = World::new();
    world.pass(Duration::from_mins(1));
    for number in 0..100 {
        world.start(Duration::ZERO, number).await;
    }
    assert_eq!(world.until_idle().await, Next::Wait(None));
    world.pass(Duration::from_secs(10));
    assert_eq!(world.until_idle().await, Next::Wait(None));
    world.kv.scans();
    world.pass(Duration::from_secs(10));
    assert_eq!(world.until_idle().await, Next::Wait(None));
    let scans = world.kv.scans();
    assert!(
        scans
            .iter()
            .all(|from| *from > since(SHARD, world.context.now().minus(Duration::from_secs(15))).from)
    );
}

#[tokio::test]
async fn requests_of_direct_messages_go_after_their_pages() {
    let world = World::new();
    let expires = world.context.now().plus(Duration::from_secs(8));
    let mut batch = Batch::default();
    for number in 0..1_200 {
        put_request(
            &mut batch,
            SHARD,
            &format!("r{number}"),
            "{}".to_owned(),
            expires.plus(Duration::from_millis(number)),
        );
    }
    world.kv.commit(batch, Durability::Durable).await.unwrap();
    let is_kept =
        async |number: u64| world.kv.get(&request_key(SHARD, &format!("r{number}"))).await.unwrap().is_some();
    world.pass(Duration::from_mins(11));
    assert!(!expiries::step(&world.engine).await.unwrap());
    assert!(is_kept(0).await, "the clock may be set back");
    world.pass(Duration::from_secs(9));
    assert!(expiries::step(&world.engine).await.unwrap());
    assert!(!is_kept(0).await && is_kept(900).await);
    let first = world.kv.scans();
    assert!(expiries::step(&world.engine).await.unwrap());
    let second = world.kv.scans();
    assert!(second[0] > first[0], "it goes on from where it was");
    world.pass(Duration::from_secs(1));
    while expiries::step(&world.engine).await.unwrap() {}
    assert!(world.kv.inner.snapshot().is_empty());
}

#[tokio::test]
async fn a_run_that_is_far_enough_ahead_costs_nothing_while_it_waits() {
    let world = World::new();
    let (app, now) = (app("a"), world.context.now());
    let run = Run {
        id: "r".to_owned(),
        campaign: "c".to_owned(),
        version: 1,
        scheduled: now,
        started: now,
        expires: Timestamp::MAX,
        audience: 200_000,
        chunks: vec![0],
        next_ordinal: 100_000,
        pages: 100,
        paged: 100_000,
    };
    let progress = Progress {
        run: "r".to_owned(),
        scheduled: now,
        started: now,
        ended: None,
        audience: 200_000,
        done: 0,
        treatments: Vec::new(),
    };
    let state = CampaignState {
        status: Status::Executing,
        version: 1,
        is_paused: false,
        due: None,
        run: Some("r".to_owned()),
        runs: 1,
        default_limits: Limits::default(),
        default_quiet_time: None,
        fault: None,
    };
    let task = Task::CampaignStep { campaign: "c".to_owned(), run: "r".to_owned() };
    let due = Due { app: app.clone(), task, scheduled: now };
    let mut batch = Batch::default();
    batch.put(run_key(&app, "r"), encode(&run));
    batch.put(progress_key(&app, "c", "r"), encode(&progress));
    batch.put(state_key(&app, "c"), encode(&state));
    batch.put(due.key(SHARD, now), encode(&due));
    world.kv.commit(batch, Durability::Durable).await.unwrap();
    world.kv.durable_commits();
    for _ in 0..5 {
        assert_eq!(due::step(&world.engine).await.unwrap(), Next::Progress);
        let again = world.context.now().plus(Duration::from_secs(1));
        assert_eq!(due::step(&world.engine).await.unwrap(), Next::Wait(Some(again)));
        world.pass(Duration::from_secs(1));
    }
    assert_eq!(world.kv.durable_commits(), 0);
}

#[tokio::test]
async fn what_cannot_be_read_waits_and_stops_nothing_else() {
    let world = World::new();
    let (app, now) = (app("a"), world.context.now());
    let broken = world.context.now().plus(Duration::from_millis(1));
    let mut batch = Batch::default();
    batch.put(
        Due { app: app.clone(), task: Task::PurgeApp, scheduled: broken }.key(SHARD, broken),
        b"?".to_vec(),
    );
    batch.put(state_key(&app, "c0"), b"?".to_vec());
    world.commit(batch).await;
    for campaign in 0..3 {
        world.start(Duration::from_millis(campaign), campaign).await;
    }
    world.pass(Duration::from_secs(1));
    let Next::Wait(Some(again)) = world.until_idle().await else { panic!("the unreadable one waits") };
    assert_eq!(again.since(now), Duration::from_mins(10) + Duration::from_secs(1));
    let left = world.kv.scan(since(SHARD, Timestamp(0)), 10).await.unwrap();
    assert_eq!(left.len(), 2, "the row that cannot be read, and the one whose campaign cannot be: {left:?}");
    // Once it can be read (here: it is gone), the row goes on.
    let mut batch = Batch::default();
    batch.delete(state_key(&app, "c0"));
    world.commit(batch).await;
    world.pass(Duration::from_mins(10));
    assert_eq!(world.until_idle().await, Next::Wait(None));
    assert_eq!(world.kv.scan(since(SHARD, Timestamp(0)), 10).await.unwrap().len(), 1);
}
