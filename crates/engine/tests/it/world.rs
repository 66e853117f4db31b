//! An engine on stores in memory, with a clock that is set by hand.

use std::sync::Arc;
use std::time::Duration;

use domain::audience::AppKey;
use domain::records::{Body, Record};
use engine::project::{Projector, Step};
use engine::{Engine, SHARD};
use store::log::contract::{ManualClock, manual_context};
use store::log::memory::MemoryLog;
use store::tables::due::{Due, Task};
use store::value::encode;
use store::{Batch, Context, Durability, Kv};

use crate::watched::WatchedKv;

pub(crate) struct World {
    pub(crate) context: Context,
    clock: Arc<ManualClock>,
    pub(crate) kv: Arc<WatchedKv>,
    pub(crate) log: Arc<MemoryLog>,
    pub(crate) engine: Engine,
}

impl World {
    pub(crate) fn new() -> Self {
        let (context, clock) = manual_context();
        let kv = Arc::new(WatchedKv::default());
        let log = Arc::new(MemoryLog::new(context.clone(), 1));
        let engine =
            Engine::new(context.clone(), Arc::<WatchedKv>::clone(&kv), Arc::<MemoryLog>::clone(&log));
        Self { context, clock, kv, log, engine }
    }

    pub(crate) fn pass(&self, time: Duration) {
        self.clock.set(self.context.now().plus(time));
    }

    pub(crate) async fn commit(&self, batch: Batch) {
        self.kv.commit(batch, Durability::Durable).await.unwrap();
    }

    pub(crate) async fn append(&self, app: &AppKey, body: Body<'_>) {
        let record = Record { account: app.account.as_str(), app: app.app.as_str(), request_id: "r", body };
        self.engine.append(app, &record).await.unwrap();
    }

    pub(crate) async fn project(&self) {
        let mut projector = Projector::open(self.engine.clone()).await.unwrap();
        while projector.step().await.unwrap() == Step::Progress {}
    }

    /// Something to be done when the time has passed. Nobody is woken for it.
    pub(crate) async fn due(&self, app: &AppKey, within: Duration, task: Task) {
        let at = self.context.now().plus(within);
        let due = Due { app: app.clone(), task, scheduled: at };
        let mut batch = Batch::default();
        batch.put(due.key(SHARD, at), encode(&due));
        self.commit(batch).await;
    }
}
