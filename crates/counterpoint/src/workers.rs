//! The loops of a running server: each calls a `step` of the engine until it is told to stop. What they cannot get over ends
//! the process: the next start finds the same state and goes on.

use std::collections::BTreeSet;
use std::time::Duration;

use deliver::EmailTransport;
use domain::audience::AppKey;
use domain::time::Timestamp;
use engine::dispatch::{self, DispatchOptions, Dispatcher};
use engine::project::{ProjectError, Projector, Step};
use engine::retention::Retention;
use engine::{Engine, SHARD, due, expiries, jobs};
use store::tables::outbox::Lane;
use store::{KvError, LogError, Position};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The wait before a worker tries again what found no room on the disk.
const NO_ROOM_PAUSE: Duration = Duration::from_secs(1);
/// A projection that has had nothing to do for so long gives its memory back.
const REST_AFTER: Duration = Duration::from_secs(2);
/// A worker looks at least so often, whatever it was told to wait for: a clock may have been set.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// What has expired is removed so often.
const SWEEP_EVERY: Duration = Duration::from_mins(1);
/// When outcomes are looked through for the first time after the start, how often then, and how fast: 10,000 rows a second.
const RETENTION_FIRST: Duration = Duration::from_mins(10);
const RETENTION_PASS_EVERY: Duration = Duration::from_hours(24);
const RETENTION_STEP_EVERY: Duration = Duration::from_millis(50);
/// Claims of a lane under way at once: one is handed over while the next is made and the one before is recorded. Six were not
/// faster, and twice as many recipients were unknown after a crash.
const CLAIMS_MAX: usize = 3;

/// What a worker cannot get over.
type Fault = Box<dyn std::error::Error + Send + Sync>;

/// How the workers of this server do their work.
pub(crate) struct Lanes {
    /// One transport for each lane, so that a campaign does not delay a one-time code.
    pub(crate) transactional: EmailTransport,
    pub(crate) campaign: EmailTransport,
    pub(crate) options: DispatchOptions,
    /// Of the transactional lane.
    pub(crate) transactional_messages_per_second: Option<u32>,
    /// Of the lane of campaigns.
    pub(crate) messages_per_second: Option<u32>,
}

/// The running workers.
pub(crate) struct Workers {
    tracker: TaskTracker,
    stop: CancellationToken,
    faults: mpsc::Receiver<(&'static str, Fault)>,
}

impl Workers {
    /// Starts all workers. `apps`: whose indexes are to be built; `retention`: how long outcomes are kept; without `lanes` nothing is
    /// sent.
    pub(crate) fn start(
        engine: &Engine,
        apps: Vec<AppKey>,
        retention: Option<Duration>,
        lanes: Option<Lanes>,
    ) -> Self {
        let (report, faults) = mpsc::channel(16);
        let workers = Self { tracker: TaskTracker::new(), stop: CancellationToken::new(), faults };
        let stop = &workers.stop;
        let tracker = &workers.tracker;
        let spawn = |name: &'static str, work: futures::future::BoxFuture<'static, Result<(), Fault>>| {
            let report = report.clone();
            tracker.spawn(async move {
                // A task of its own, so that a panic is a fault as well.
                let ended = tokio::spawn(work).await.unwrap_or_else(|panic| Err(panic.into()));
                if let Err(fault) = ended {
                    // The channel is as long as there are workers: only a second fault of one could find it full.
                    let _ = report.try_send((name, fault));
                }
            });
        };
        spawn("projection", Box::pin(project(engine.clone(), stop.clone())));
        spawn("index", Box::pin(build_indexes(engine.clone(), apps, stop.clone())));
        spawn("due rows", Box::pin(carry_out_due(engine.clone(), stop.clone())));
        spawn("jobs", Box::pin(run_jobs(engine.clone(), stop.clone())));
        spawn("sweeper", Box::pin(sweep(engine.clone(), stop.clone())));
        if let Some(kept) = retention {
            spawn("retention", Box::pin(retain(engine.clone(), kept, stop.clone())));
        }
        if let Some(lanes) = lanes {
            spawn("dispatchers", Box::pin(dispatch_all(engine.clone(), lanes, stop.clone())));
        }
        tracker.close();
        workers
    }

    /// Waits for the first fault.
    pub(crate) async fn fault(&mut self) -> (&'static str, Fault) {
        match self.faults.recv().await {
            Some(fault) => fault,
            None => std::future::pending().await,
        }
    }

    /// Lets every worker end its step; messages that are being handed over are recorded.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.tracker.wait().await;
    }
}

async fn project(engine: Engine, stop: CancellationToken) -> Result<(), Fault> {
    let Some(opened) = stop.run_until_cancelled(Projector::open(engine)).await else { return Ok(()) };
    let mut projector = opened?;
    projector.read_ahead();
    while !stop.is_cancelled() {
        match stop.run_until_cancelled(fold(&mut projector)).await {
            None => return Ok(()),
            // The step that failed has left nothing behind: the next one folds the same records.
            Some(Err(ProjectError::Kv(KvError::Full))) => pause(&stop, "the projection", NO_ROOM_PAUSE).await,
            Some(ended) => ended?,
        }
    }
    Ok(())
}

/// Folds until something fails.
async fn fold(projector: &mut Projector) -> Result<(), ProjectError> {
    loop {
        if projector.step().await? == Step::Progress {
            continue;
        }
        if let Ok(waited) = tokio::time::timeout(REST_AFTER, projector.wait()).await {
            waited?;
        } else {
            projector.rest();
            projector.wait().await?;
        }
    }
}

async fn build_indexes(engine: Engine, apps: Vec<AppKey>, stop: CancellationToken) -> Result<(), Fault> {
    let started_ms = engine.context.clock.monotonic_ms();
    let count = apps.len();
    for app in apps {
        match stop.run_until_cancelled(engine.audiences.build(&*engine.kv, &app)).await {
            None => return Ok(()),
            Some(built) => built?,
        }
    }
    let duration_ms = engine.context.clock.monotonic_ms() - started_ms;
    tracing::info!(apps = count, duration_ms, "audience indexes are ready");
    Ok(())
}

async fn carry_out_due(engine: Engine, stop: CancellationToken) -> Result<(), Fault> {
    while !stop.is_cancelled() {
        match due::step(&engine).await {
            Ok(due::Next::Progress) => {}
            Ok(due::Next::Wait(until)) => {
                let wait = wait_for(&engine, until);
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = engine.due.notified() => {}
                    () = tokio::time::sleep(wait) => {}
                }
            }
            Err(due::DueError::Kv(KvError::Full) | due::DueError::Log(LogError::Full)) => {
                pause(&stop, "due work", NO_ROOM_PAUSE).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Carries out jobs of some accounts at a time, one of each.
async fn run_jobs(engine: Engine, stop: CancellationToken) -> Result<(), Fault> {
    let mut running = JoinSet::new();
    let mut accounts = BTreeSet::new();
    while !stop.is_cancelled() || !running.is_empty() {
        let mut wait = WAIT_MAX;
        if running.len() < jobs::JOBS_MAX && !stop.is_cancelled() {
            match jobs::next(&engine, &accounts).await? {
                jobs::Found::Job(job) => {
                    let (engine, stop, account) = (engine.clone(), stop.clone(), job.account().clone());
                    accounts.insert(account.clone());
                    running.spawn(async move { (account, jobs::carry_out(&engine, &job, &stop).await) });
                    continue;
                }
                jobs::Found::Wait(until) => wait = wait_for(&engine, until),
            }
        }
        tokio::select! {
            Some(ended) = running.join_next() => {
                let (account, outcome) = ended?;
                accounts.remove(&account);
                match outcome {
                    Ok(_) => {}
                    Err(jobs::JobError::Kv(KvError::Full) | jobs::JobError::Log(LogError::Full)) => {
                        pause(&stop, "jobs", NO_ROOM_PAUSE).await;
                    }
                    Err(error) => return Err(error.into()),
                }
            }
            () = stop.cancelled(), if running.is_empty() => {}
            () = engine.jobs.notified() => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
    Ok(())
}

async fn sweep(engine: Engine, stop: CancellationToken) -> Result<(), Fault> {
    while !stop.is_cancelled() {
        match expiries::step(&engine).await {
            Ok(true) => {}
            Ok(false) | Err(KvError::Full) => {
                stop.run_until_cancelled(tokio::time::sleep(SWEEP_EVERY)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Removes outcomes that are too old, slowly: nobody waits for that, and it must not fill the cache.
async fn retain(engine: Engine, kept: Duration, stop: CancellationToken) -> Result<(), Fault> {
    let mut retention = Retention::new(kept);
    let mut wait = RETENTION_FIRST;
    while stop.run_until_cancelled(tokio::time::sleep(wait)).await.is_some() {
        wait = match retention.step(&engine).await {
            Ok(true) => RETENTION_STEP_EVERY,
            Ok(false) => RETENTION_PASS_EVERY,
            Err(KvError::Full) => SWEEP_EVERY,
            Err(error) => return Err(error.into()),
        };
    }
    Ok(())
}

/// Judges what a crash left, once the projection has seen everything that was recorded of it; then sends.
async fn dispatch_all(engine: Engine, lanes: Lanes, stop: CancellationToken) -> Result<(), Fault> {
    let end = engine.log.end(SHARD);
    if end > Position(0)
        && stop.run_until_cancelled(engine.wait_projected(Position(end.0 - 1))).await.is_none()
    {
        return Ok(());
    }
    let unknown = loop {
        match dispatch::recover(&engine).await {
            Err(
                dispatch::DispatchError::Log(LogError::Full) | dispatch::DispatchError::Kv(KvError::Full),
            ) => {
                if stop.is_cancelled() {
                    return Ok(());
                }
                pause(&stop, "sending", NO_ROOM_PAUSE).await;
            }
            judged => break judged?,
        }
    };
    if unknown > 0 {
        tracing::warn!(
            deliveries = unknown,
            "the outcome of these deliveries is unknown since the last stop"
        );
    }
    let Lanes { transactional, campaign, options, transactional_messages_per_second, messages_per_second } =
        lanes;
    let of_campaign = DispatchOptions { messages_per_second, ..options.clone() };
    let options = DispatchOptions { messages_per_second: transactional_messages_per_second, ..options };
    let transactional =
        Dispatcher::new(engine.clone(), Lane::Transactional, transactional, options, stop.clone());
    let campaign = Dispatcher::new(engine.clone(), Lane::Campaign, campaign, of_campaign, stop.clone());
    let mut lanes = JoinSet::new();
    for (dispatcher, lane) in [(transactional, Lane::Transactional), (campaign, Lane::Campaign)] {
        lanes.spawn(dispatch_lane(engine.clone(), dispatcher, lane, stop.clone()));
    }
    // The first that ends too early ends all.
    while let Some(ended) = lanes.join_next().await {
        ended??;
    }
    Ok(())
}

async fn dispatch_lane(
    engine: Engine,
    mut dispatcher: Dispatcher,
    lane: Lane,
    stop: CancellationToken,
) -> Result<(), Fault> {
    let mut sends = JoinSet::new();
    while !stop.is_cancelled() {
        while sends.len() >= CLAIMS_MAX {
            ended(sends.join_next().await)?;
        }
        match dispatcher.step().await {
            Ok(dispatch::Next::Claim(claim)) => {
                let sender = dispatcher.sender();
                sends.spawn(async move { dispatch::send(&sender, *claim).await });
            }
            Ok(dispatch::Next::Wait(until)) => {
                let wait = wait_for(&engine, until);
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = engine.queues.wait(lane) => {}
                    () = tokio::time::sleep(wait) => {}
                    Some(send) = sends.join_next() => ended(Some(send))?,
                }
            }
            Err(dispatch::DispatchError::Kv(KvError::Full)) => pause(&stop, "sending", NO_ROOM_PAUSE).await,
            Err(error) => return Err(error.into()),
        }
    }
    while let Some(send) = sends.join_next().await {
        ended(Some(send))?;
    }
    Ok(())
}

/// A send that failed, or panicked, has left an intent that only a restart judges.
fn ended(
    send: Option<Result<Result<(), dispatch::DispatchError>, tokio::task::JoinError>>,
) -> Result<(), Fault> {
    match send {
        Some(send) => Ok(send??),
        None => Ok(()),
    }
}

/// How long until an instant, and not longer than [`WAIT_MAX`].
fn wait_for(engine: &Engine, until: Option<Timestamp>) -> Duration {
    until
        .map_or(WAIT_MAX, |until| until.since(engine.context.now()).clamp(Duration::from_millis(1), WAIT_MAX))
}

async fn pause(stop: &CancellationToken, what: &str, time: Duration) {
    tracing::error!("{what} waits for room on the disk");
    stop.run_until_cancelled(tokio::time::sleep(time)).await;
}
