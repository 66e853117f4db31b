//! The simulated world: months of endpoints, events, campaigns and direct messages of some accounts in one thread under a seed, with crashes,
//! conflicts and full disks at any commit, deleted applications, and hours in which the server or the provider is down.
//!
//! Clock, ids, storage, provider and recipients come from here, so a seed always tells the same story. [`World::run`] plays
//! it; [`check`] holds the invariants of the design against what happened: nobody is messaged twice, beyond a cap, in quiet
//! time, after opting out or in a holdout; no recipient is lost; counters equal a recount; replaying the log gives the same
//! state byte for byte.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deliver::{Email, EmailTransport, Outcome};
use domain::audience::AppKey;
use domain::time::Timestamp;
use store::dice::Dice;
use store::kv::faults::{Fault, FaultPlan, FaultyKv};
use store::kv::memory::MemoryKv;
use store::log::memory::MemoryLog;
use store::tables::outbox::Lane;
use store::{Clock, Context, Ids, Kv, KvError, Log};
use tokio_util::sync::CancellationToken;

use crate::Engine;
use crate::dispatch::{self, DispatchOptions, Dispatcher};
use crate::project::{Projector, Step};

mod check;
mod story;

pub use check::Violation;

/// Rows that a world has of anything, at most.
const ROWS_MAX: usize = 1_000_000;
/// Whose applications there are.
const ACCOUNTS: [&str; 2] = ["123456789012", "210987654321"];
/// The first instant of every world.
const START: Timestamp = Timestamp(1_790_000_000_000);

/// What went wrong inside a world: planned faults end a process, and the world starts the next one.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// A clock that moves when the story says so.
#[derive(Debug)]
pub struct SimulatedClock(AtomicI64);

impl Clock for SimulatedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }

    fn monotonic_ms(&self) -> u64 {
        self.0.load(Ordering::SeqCst) as u64
    }
}

/// Ids in a row.
#[derive(Debug)]
struct SimulatedIds(AtomicU64);

impl Ids for SimulatedIds {
    fn random(&self) -> u128 {
        u128::from(Dice::new(self.0.fetch_add(1, Ordering::SeqCst)).roll())
    }
}

/// A hand-over that the provider saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HandOver {
    pub delivery_id: String,
    pub to: String,
    pub at: Timestamp,
    pub was_accepted: bool,
}

/// How much of a story was told: to see that a seed plays what it should.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    pub crashes: u64,
    pub campaigns: u64,
    /// Direct messages.
    pub direct: u64,
    pub accepted: u64,
    pub unknown: u64,
    pub withheld: u64,
    /// Commits that were refused by plan.
    pub refusals: u64,
    /// Applications that were deleted.
    pub deleted: u64,
}

/// One world: a disk, a provider, and a process that may die at any commit.
#[derive(Debug)]
pub struct World {
    dice: Dice,
    clock: Arc<SimulatedClock>,
    context: Context,
    kv: Arc<MemoryKv>,
    faulty: Arc<FaultyKv>,
    log: Arc<MemoryLog>,
    hand_overs: Arc<Mutex<Vec<HandOver>>>,
    transport: EmailTransport,
    process: Option<Process>,
    /// Every application there ever was.
    apps: Vec<AppKey>,
    /// Those in which something happens, one of each account.
    live: Vec<AppKey>,
    /// The provider takes nothing before.
    outage_until: Arc<AtomicI64>,
    /// Hand-overs that claims allowed: checked when they were made.
    allowed: BTreeMap<String, check::Allowed>,
    told: Told,
}

/// What a crash takes with it.
#[derive(Debug)]
struct Process {
    engine: Engine,
    projector: Projector,
    /// One of each lane.
    dispatchers: [Dispatcher; Lane::ALL.len()],
}

impl World {
    /// Plays the story of a seed to its end and checks it. On a runtime of one thread a seed tells the same story each time.
    pub async fn run(seed: u64, actions: usize) -> Result<Told, Violation> {
        let mut world = Self::new(seed);
        world.restart().await?;
        for account in ACCOUNTS {
            world.make_app(account).await;
        }
        for _ in 0..actions {
            if let Err(failure) = world.act().await {
                world.after(failure).await?;
            }
        }
        world.faulty.set_plan(FaultPlan::none());
        world.settle().await?;
        world.expire().await?;
        if !world.process().engine.queues.rows.is_empty() {
            let rows = &world.process().engine.queues.rows;
            return Err(Violation::Broken(format!("the outbox is empty and counts {rows:?}")));
        }
        world.check().await?;
        Ok(world.told)
    }

    fn new(seed: u64) -> Self {
        let clock = Arc::new(SimulatedClock(AtomicI64::new(START.0)));
        let ids = Arc::new(SimulatedIds(AtomicU64::new(seed << 20)));
        let context = Context { clock: Arc::<SimulatedClock>::clone(&clock), ids };
        let kv = Arc::new(MemoryKv::new());
        let faulty = Arc::new(FaultyKv::new(Arc::<MemoryKv>::clone(&kv), FaultPlan::none()));
        let log = Arc::new(MemoryLog::new(context.clone(), 1));
        let hand_overs: Arc<Mutex<Vec<HandOver>>> = Arc::default();
        let seen = Arc::clone(&hand_overs);
        let at = Arc::clone(&clock);
        let outage_until: Arc<AtomicI64> = Arc::default();
        let up_from = Arc::clone(&outage_until);
        let transport = EmailTransport::simulated(move |mail| {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            let is_up = at.now().0 >= up_from.load(Ordering::SeqCst);
            answer(seed, mail, at.now(), is_up, &mut seen)
        });
        Self {
            dice: Dice::new(seed),
            clock,
            context,
            kv,
            faulty,
            log,
            hand_overs,
            transport,
            process: None,
            apps: Vec::new(),
            live: Vec::new(),
            outage_until,
            allowed: BTreeMap::new(),
            told: Told::default(),
        }
    }

    /// A planned failure is a crash or a refusal; one that was not planned is a violation.
    async fn after(&mut self, failure: Failure) -> Result<(), Violation> {
        match kv_error(&failure) {
            _ if self.faulty.is_crashed() => self.crash().await,
            // Nobody knows whether the commit was written: the process ends.
            Some(KvError::Failed(_)) => self.crash().await,
            Some(error) if is_refusal(error, &failure) => {
                self.told.refusals += 1;
                Ok(())
            }
            _ => Err(Violation::Failed(failure.to_string())),
        }
    }

    /// The machine loses power and starts again, perhaps after days: of the commits that were not durable a prefix survives.
    async fn crash(&mut self) -> Result<(), Violation> {
        self.told.crashes += 1;
        let buffered = self.kv.buffered_commits() as u64;
        let keep = self.dice.below(buffered + 1) as usize;
        self.kv.lose_buffered(keep);
        if self.dice.once_in(4) {
            let down = Duration::from_mins(self.dice.below(72 * 60));
            self.pass(down);
        }
        let plan = self.plan_faults();
        self.faulty.set_plan(plan);
        self.restart().await
    }

    /// Refused commits, and perhaps a crash.
    fn plan_faults(&mut self) -> FaultPlan {
        let next = self.faulty.commits() + 1;
        let mut plan = FaultPlan::none();
        for _ in 0..self.dice.below(20) {
            let fault = if self.dice.once_in(2) { Fault::Conflict } else { Fault::FailBefore };
            plan = plan.at(next + self.dice.below(200), fault);
        }
        match self.dice.below(6) {
            0 | 1 => plan,
            2 => plan.at(next + self.dice.below(60), Fault::FailAfter),
            _ => plan.at(next + self.dice.below(60), Fault::Crash { written: self.dice.once_in(2) }),
        }
    }

    fn pass(&self, time: Duration) {
        self.clock.0.fetch_add(time.as_millis() as i64, Ordering::SeqCst);
    }

    /// As the program starts: index marked, projection to the end of the log, intents judged, then work.
    async fn restart(&mut self) -> Result<(), Violation> {
        self.process = None;
        for _ in 0..100 {
            self.faulty.revive();
            match self.start().await {
                Ok(process) => {
                    self.process = Some(process);
                    return Ok(());
                }
                Err(_) if self.faulty.is_crashed() => {}
                Err(failure) if matches!(kv_error(&failure), Some(KvError::Full | KvError::Failed(_))) => {
                    self.told.refusals += 1;
                }
                Err(failure) => return Err(Violation::Failed(failure.to_string())),
            }
        }
        Err(Violation::Failed("no start in a hundred succeeded".to_owned()))
    }

    async fn start(&mut self) -> Result<Process, Failure> {
        let kv: Arc<dyn Kv> = Arc::<FaultyKv>::clone(&self.faulty);
        let log: Arc<dyn Log> = Arc::<MemoryLog>::clone(&self.log);
        let engine = Engine::new(self.context.clone(), kv, log);
        engine.queues.load(&*engine.kv).await?;
        for app in engine.audiences.begin(&*engine.kv).await? {
            engine.audiences.build(&*engine.kv, &app).await?;
        }
        let mut projector = Projector::open(engine.clone()).await?;
        while projector.step().await? == Step::Progress {}
        dispatch::recover(&engine).await?;
        while projector.step().await? == Step::Progress {}
        let options = DispatchOptions { attempts_max: 3, ..DispatchOptions::default() };
        let dispatchers = Lane::ALL.map(|lane| {
            let stop = CancellationToken::new();
            Dispatcher::new(engine.clone(), lane, self.transport.clone(), options.clone(), stop)
        });
        Ok(Process { engine, projector, dispatchers })
    }

    fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("a process runs whenever the world acts")
    }
}

/// Nothing was written, and it is tried again: by a worker that found no room, by whoever made a call. No worker may end with
/// a conflict: only the calls of the story hand the store's error on as it is.
fn is_refusal(error: &KvError, failure: &Failure) -> bool {
    match error {
        KvError::Full => true,
        KvError::Conflict(_) => failure.is::<KvError>(),
        KvError::TooLarge { .. } | KvError::Corrupt(_) | KvError::Failed(_) => false,
    }
}

/// The error of the store behind a failure.
fn kv_error(failure: &Failure) -> Option<&KvError> {
    let mut error: &(dyn Error + 'static) = &**failure;
    loop {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        error = error.source()?;
    }
}

/// What the provider makes of a mail: decided by the seed, the delivery and how often it was tried.
fn answer(seed: u64, mail: &Email, at: Timestamp, is_up: bool, seen: &mut Vec<HandOver>) -> Outcome {
    let delivery_id = mail.delivery_id.as_str().to_owned();
    let tries = seen.iter().filter(|hand_over| hand_over.delivery_id == delivery_id).count() as u64;
    let name =
        delivery_id.bytes().fold(seed, |sum, byte| sum.wrapping_mul(131).wrapping_add(u64::from(byte)));
    let roll = Dice::new(name.wrapping_add(tries.wrapping_mul(7_919))).below(20);
    // An unknown outcome may hide a mail that arrived.
    let was_accepted = is_up && matches!(roll, 0..=13 | 18);
    seen.push(HandOver { delivery_id, to: mail.to.clone(), at, was_accepted });
    let detail = String::new();
    match roll {
        0..=9 if !is_up => Outcome::PushBack { code: Some(421), detail, retry_after: None },
        _ if !is_up => Outcome::Transient { code: Some(451), detail, retry_after: None },
        0..=13 => Outcome::Accepted { detail },
        14 | 15 => Outcome::Transient { code: Some(451), detail, retry_after: None },
        16 => Outcome::PushBack { code: Some(421), detail, retry_after: None },
        17 => Outcome::Permanent { code: Some(550), detail },
        _ => Outcome::Unknown { detail },
    }
}
