//! Steps of the projection: how much one takes, and that one which fails leaves nothing behind.

use std::sync::Arc;
use std::time::Duration;

use domain::audience::Summary;
use domain::records::{KeptAnswer, Outcomes, SendStatus};
use domain::time::Timestamp;
use serde_json::json;
use store::dice::Dice;
use store::kv::faults::{Fault, FaultPlan, FaultyKv};
use store::kv::memory::MemoryKv;
use store::log::contract::{ManualClock, manual_context};
use store::log::memory::MemoryLog;
use store::tables::audiences::summary_key;
use store::tables::invocations;
use store::tables::outbox::{Delivery, Intent, Lane, Recipient, Source, intent_key};
use store::value::encode;
use store::{Batch, Key, Kv, Log};

use super::*;

/// A log, and how it is folded.
struct World {
    context: store::Context,
    clock: Arc<ManualClock>,
    log: Arc<MemoryLog>,
    engine: Engine,
}

fn app(name: &str) -> domain::audience::AppKey {
    domain::audience::AppKey { account: "123456789012".into(), app: name.into() }
}

impl World {
    fn new() -> Self {
        let (context, clock) = manual_context();
        let log = Arc::new(MemoryLog::new(context.clone(), 1));
        let engine = Engine::new(context.clone(), Arc::new(MemoryKv::new()), Arc::<MemoryLog>::clone(&log));
        Self { context, clock, log, engine }
    }

    /// Another state of the same log.
    fn engine(&self, kv: Arc<dyn Kv>) -> Engine {
        Engine::new(self.context.clone(), kv, Arc::<MemoryLog>::clone(&self.log))
    }

    async fn append(&self, name: &str, body: Body<'_>) {
        let app = app(name);
        let record = Record { account: app.account.as_str(), app: app.app.as_str(), request_id: "r", body };
        self.engine.append(&app, &record).await.unwrap();
    }

    async fn update(&self, items: &[(String, String)]) {
        let items = items.iter().map(|(id, json)| domain::records::EndpointItem { id, json }).collect();
        self.append("a", Body::Endpoints { items }).await;
    }

    async fn events(&self, name: &str, endpoint: u64, events: &[u64]) {
        let events: serde_json::Map<String, serde_json::Value> = events
            .iter()
            .map(|id| (format!("e{id}"), json!({"EventType": "t", "Timestamp": "2026-11-23T00:00:00Z"})))
            .collect();
        let json =
            json!({"BatchItem": {format!("E{endpoint}"): {"Endpoint": {}, "Events": events}}}).to_string();
        self.append(name, Body::Events { json: &json }).await;
    }
}

impl World {
    /// The deletion of an endpoint by a call that may be a repeat.
    async fn delete_for_call(&self, call: &str, endpoint: &str, body: &str) {
        let row = call_row(call);
        let expires = self.context.now().plus(Duration::from_mins(15));
        let answer = KeptAnswer { row: row.as_bytes(), status: 200, body: body.as_bytes(), expires };
        self.append("a", Body::AnsweredDeletion { of: Deletion::Endpoint(endpoint), answer }).await;
    }

    async fn make(&self, endpoint: &str) {
        let json = json!({"ChannelType": "EMAIL", "Address": "e@example.com"}).to_string();
        self.update(&[(endpoint.to_owned(), json)]).await;
    }

    async fn exists(&self, endpoint: &str) -> bool {
        crate::reads::endpoint(&*self.engine.kv, &app("a"), endpoint).await.unwrap().is_some()
    }

    async fn answer(&self, call: &str) -> Option<String> {
        let row = self.engine.kv.get(&call_row(call)).await.unwrap()?;
        Some(String::from_utf8(decode::<invocations::Answer>(&row.value).unwrap().body).unwrap())
    }
}

fn call_row(call: &str) -> Key {
    invocations::key("key", "DeleteEndpoint", call, 0)
}

async fn fold_all(projector: &mut Projector) -> usize {
    let mut steps = 0;
    while projector.step().await.unwrap() == Step::Progress {
        steps += 1;
    }
    steps
}

/// Endpoints close to their largest size.
fn fat(endpoint: usize) -> (String, String) {
    let address = format!("{endpoint}{}", "x".repeat(15_000));
    (endpoint.to_string(), json!({"ChannelType": "GCM", "Address": address}).to_string())
}

#[tokio::test]
async fn small_updates_of_large_endpoints_do_not_make_a_batch_too_large() {
    const ENDPOINTS: usize = 2_400;
    let world = World::new();
    for endpoints in (0..ENDPOINTS).collect::<Vec<_>>().chunks(RECORD_UPDATES_MAX) {
        world.update(&endpoints.iter().map(|number| fat(*number)).collect::<Vec<_>>()).await;
    }
    let mut projector = Projector::open(world.engine.clone()).await.unwrap();
    fold_all(&mut projector).await;
    // 34 MB of rows, changed by records of a few hundred kilobytes: one step would take them all.
    for endpoints in (0..ENDPOINTS).collect::<Vec<_>>().chunks(RECORD_UPDATES_MAX) {
        let update = |number: &usize| (number.to_string(), r#"{"OptOut":"ALL"}"#.to_owned());
        world.update(&endpoints.iter().map(update).collect::<Vec<_>>()).await;
    }
    let steps = fold_all(&mut projector).await;
    assert!((4..=6).contains(&steps), "{steps}");
    assert_eq!(world.engine.projected(), world.log.end(SHARD));
}

impl World {
    /// One record of everything that the window and the state depend on.
    async fn happen(&self, dice: &mut Dice, number: usize) {
        let later = self.context.now().plus(Duration::from_secs(dice.below(60)));
        self.clock.set(later);
        match dice.below(10) {
            _ if number == 200 => self.append("b", Body::AppDeleted).await,
            0..=5 => {
                let events: Vec<u64> = (0..dice.below(4)).map(|_| dice.below(60)).collect();
                self.events(["a", "b"][dice.below(2) as usize], dice.below(5), &events).await;
            }
            6..=8 => {
                let address = format!("{}@example.com", dice.below(10));
                let user = format!("u{}", dice.below(3));
                let json = json!({"ChannelType": "EMAIL", "Address": address, "User": {"UserId": user}});
                self.update(&[(dice.below(20).to_string(), json.to_string())]).await;
            }
            _ if dice.once_in(2) => self.append("a", Body::EndpointDeleted { endpoint: "3" }).await,
            _ => self.delete_for_call(&format!("call-{}", dice.below(3)), "3", "{}").await,
        }
    }
}

impl World {
    /// The state is that of the log folded straight.
    async fn assert_folded(&self, kv: &MemoryKv) {
        let straight = Arc::new(MemoryKv::new());
        let whole = self.engine(Arc::<MemoryKv>::clone(&straight));
        fold_all(&mut Projector::open(whole).await.unwrap()).await;
        let state = |kv: &MemoryKv| {
            let mut rows = kv.snapshot();
            // Where a restart begins to rebuild the window depends on the steps.
            rows.remove(&cursor_key(SHARD));
            rows
        };
        assert_eq!(state(kv), state(&straight));
    }
}

#[tokio::test]
async fn a_step_that_cannot_commit_leaves_nothing_behind() {
    fold_with_faults(7, false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_in_flight_that_cannot_commit_leaves_nothing_behind() {
    for seed in 0..10 {
        fold_with_faults(seed, true).await;
    }
}

/// Folds a story while commits fail and conflict, and compares with a fold without faults.
async fn fold_with_faults(seed: u64, reads_ahead: bool) {
    let world = World::new();
    let kv = Arc::new(MemoryKv::new());
    let faults = [Fault::Conflict, Fault::FailBefore];
    let slow = [Fault::Yield(2_000), Fault::Yield(200), faults[0], faults[1]];
    let (one_in, faults) = if reads_ahead { (1, &slow[..]) } else { (2, &faults[..]) };
    let plan = FaultPlan::random(seed, 100_000, one_in, faults);
    let engine = world.engine(Arc::new(FaultyKv::new(Arc::<MemoryKv>::clone(&kv), plan)));
    let open = || async {
        let mut projector = Projector::open(engine.clone()).await.unwrap();
        if reads_ahead {
            projector.read_ahead();
        }
        projector
    };
    let mut projector = open().await;
    let mut dice = Dice::new(seed);
    let mut failures = 0;
    for number in 0..400 {
        world.happen(&mut dice, number).await;
        if !reads_ahead && dice.once_in(30) {
            projector = open().await;
        }
        while dice.once_in(2) {
            if reads_ahead && projector.next < world.log.end(SHARD).0 {
                // Something to fold while the step before is in flight.
                projector.wait().await.unwrap();
            }
            match projector.step().await {
                Ok(_) => {}
                Err(ProjectError::Kv(KvError::Full)) => failures += 1,
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(reads_ahead || failures > 20, "{failures}");
    while engine.projected() < world.log.end(SHARD) {
        match projector.step().await {
            Ok(Step::Idle) => projector.wait().await.unwrap(),
            Ok(Step::Progress) | Err(ProjectError::Kv(KvError::Full)) => {}
            Err(error) => panic!("{error}"),
        }
    }
    world.assert_folded(&kv).await;
}

/// The memory of tests holds so few rows that it forgets all the time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_ahead_is_folded_as_one_after_another() {
    for seed in 0..10 {
        let world = World::new();
        let kv = Arc::new(MemoryKv::new());
        let engine = world.engine(Arc::<MemoryKv>::clone(&kv));
        let mut projector = Projector::open(engine.clone()).await.unwrap();
        projector.read_ahead();
        let mut dice = Dice::new(seed);
        for number in 0..400 {
            world.happen(&mut dice, number).await;
            if dice.once_in(3) {
                projector.step().await.unwrap();
            }
            if dice.once_in(40) {
                projector.rest();
            }
        }
        while engine.projected() < world.log.end(SHARD) {
            if projector.step().await.unwrap() == Step::Idle {
                projector.wait().await.unwrap();
            }
        }
        world.assert_folded(&kv).await;
    }
}

#[tokio::test]
async fn a_window_that_is_rebuilt_holds_what_it_held() {
    let world = World::new();
    let mut projector = Projector::open(world.engine.clone()).await.unwrap();
    world.events("a", 1, &[1, 2]).await;
    world.append("b", Body::AppDeleted).await;
    world.events("b", 1, &[1, 2]).await;
    fold_all(&mut projector).await;
    assert_eq!(projector.window.events(), 4);
    let rebuilt = Projector::open(world.engine.clone()).await.unwrap();
    assert_eq!(rebuilt.window.events(), 4);
}

#[tokio::test]
async fn the_lag_is_the_age_of_the_oldest_record_that_is_not_folded() {
    let world = World::new();
    let pass = |ms: u64| world.clock.set(world.context.now().plus(Duration::from_millis(ms)));
    let lag_ms = || world.engine.lag_ms();
    let mut projector = Projector::open(world.engine.clone()).await.unwrap();
    for _ in 0..2 {
        // After a quiet hour two calls arrive together.
        pass(3_600_000);
        assert_eq!(lag_ms(), 0);
        world.events("a", 1, &[1]).await;
        assert_eq!(lag_ms(), 0);
        pass(3_000);
        world.events("a", 1, &[2]).await;
        assert_eq!(lag_ms(), 3_000);
        // Something newer is always there already when a step ends.
        pass(100);
        fold_all(&mut projector).await;
        world.events("a", 1, &[3]).await;
        assert_eq!(lag_ms(), 0);
        pass(10);
        world.events("a", 1, &[4]).await;
        assert_eq!(lag_ms(), 10);
        fold_all(&mut projector).await;
    }
}

#[tokio::test]
async fn a_projection_that_was_overtaken_ends() {
    let world = World::new();
    let mut first = Projector::open(world.engine.clone()).await.unwrap();
    let mut second = Projector::open(world.engine.clone()).await.unwrap();
    world.update(&[fat(1)]).await;
    assert_eq!(first.step().await.unwrap(), Step::Progress);
    let overtaken = second.step().await;
    assert!(matches!(overtaken, Err(ProjectError::Overtaken { stored: 1, next: 0 })), "{overtaken:?}");
}

#[tokio::test]
async fn nothing_is_written_for_an_application_that_is_gone() {
    let world = World::new();
    world.update(&[fat(1)]).await;
    world.append("a", Body::AppDeleted).await;
    let mut projector = Projector::open(world.engine.clone()).await.unwrap();
    fold_all(&mut projector).await;
    let kv = &world.engine.kv;
    for prefix in store::tables::apps::all(SHARD, &app("a")) {
        for (key, _) in kv.scan(prefix.prefix(), 1_000).await.unwrap() {
            let mut batch = Batch::default();
            batch.delete(key);
            kv.commit(batch, Durability::Durable).await.unwrap();
        }
    }
    let intent = intent("a");
    let mut batch = Batch::default();
    batch.put(intent_key(SHARD, &intent.page, 0), encode(&intent));
    kv.commit(batch, Durability::Durable).await.unwrap();

    let item = domain::records::Outcome {
        delivery_id: "d",
        endpoint: "1",
        ordinal: Some(0),
        address: "1@example.com",
        channel: None,
        treatment: 0,
        status: SendStatus::Deferred,
        attempt: 1,
        code: None,
        detail: "",
        sent: intent.at,
        retry_at: Some(intent.at),
    };
    let campaign = Some(domain::records::CampaignRef { campaign: "c", version: 1, run: "r" });
    let outcomes = Outcomes { page: &intent.page, from: 0, campaign, items: vec![item] };
    world.append("a", Body::Outcomes { outcomes }).await;
    world.append("a", Body::EndpointDeleted { endpoint: "1" }).await;
    world.append("a", Body::UserDeleted { user: "u" }).await;
    world.delete_for_call("one", "1", "{}").await;
    world.events("a", 1, &[1]).await;
    fold_all(&mut projector).await;
    for table in store::Table::ALL {
        let rows = kv.scan(Key::new(table).prefix(), 10).await.unwrap();
        if table == store::Table::Meta {
            assert_eq!(rows.len(), 1);
        } else if table == store::Table::Audiences {
            assert_eq!(rows[0].0, summary_key(&app("a")));
            let deleted = Summary { deleted: true, ..Summary::default() };
            assert_eq!(decode::<Summary>(&rows[0].1.value).unwrap(), deleted);
        } else {
            assert!(rows.is_empty(), "{table:?}: {rows:?}");
        }
    }
}

#[tokio::test]
async fn a_call_deletes_once_and_its_first_answer_counts() {
    let world = World::new();
    let mut projector = Projector::open(world.engine.clone()).await.unwrap();
    let make = async || world.make("e").await;
    make().await;
    fold_all(&mut projector).await;
    assert!(world.exists("e").await);
    world.delete_for_call("one", "e", "first").await;
    fold_all(&mut projector).await;
    assert!(!world.exists("e").await);
    assert_eq!(world.answer("one").await.as_deref(), Some("first"));
    // A repeat that was on its way when the endpoint was made anew, in the same step and in a later one.
    for _ in 0..2 {
        make().await;
        world.delete_for_call("one", "e", "repeat").await;
        fold_all(&mut projector).await;
        assert!(world.exists("e").await);
        assert_eq!(world.answer("one").await.as_deref(), Some("first"));
    }
    world.delete_for_call("two", "e", "second").await;
    make().await;
    world.delete_for_call("two", "e", "repeat").await;
    fold_all(&mut projector).await;
    assert!(world.exists("e").await);
    assert_eq!(world.answer("two").await.as_deref(), Some("second"));
    // After 15 minutes it is another call.
    world.clock.set(world.context.now().plus(Duration::from_mins(15)));
    world.delete_for_call("one", "e", "third").await;
    fold_all(&mut projector).await;
    assert!(!world.exists("e").await);
    assert_eq!(world.answer("one").await.as_deref(), Some("third"));
}

#[tokio::test]
async fn an_answer_stays_while_a_record_may_ask_for_it() {
    let world = World::new();
    let mut projector = Projector::open(world.engine.clone()).await.unwrap();
    world.delete_for_call("one", "e", "first").await;
    fold_all(&mut projector).await;
    world.make("e").await;
    world.delete_for_call("one", "e", "repeat").await;
    // The projection is late by more than the answer is kept.
    world.clock.set(world.context.now().plus(Duration::from_mins(20)));
    while crate::expiries::step(&world.engine).await.unwrap() {}
    assert_eq!(world.answer("one").await.as_deref(), Some("first"));
    fold_all(&mut projector).await;
    assert!(world.exists("e").await);
    while crate::expiries::step(&world.engine).await.unwrap() {}
    assert_eq!(world.answer("one").await, None);
}

fn intent(name: &str) -> Intent {
    Intent {
        app: app(name),
        page: "page".to_owned(),
        from: 0,
        lane: Lane::Campaign,
        source: Source::Campaign { campaign: "c".to_owned(), version: 1, run: "r".to_owned() },
        attempt: 1,
        expires: Timestamp::MAX,
        at: Timestamp(1),
        deliveries: vec![Delivery {
            id: "d".to_owned(),
            recipient: Recipient::Ordinal(0),
            endpoint: "1".to_owned(),
            ordinal: Some(0),
            address: "1@example.com".to_owned(),
            channel: None,
            treatment: 0,
            skipped: None,
            detail: String::new(),
        }],
    }
}
