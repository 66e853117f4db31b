//! Import and export jobs: each is carried out from its due row to its end, some at a time and one of an account.
//!
//! A job takes no state with it: what starts over after a crash reads the same definition, and an import cuts the same
//! objects into the same numbered pieces, of which the projection counts each number once. A job that fails says so in its
//! state; an error of [`step`] is one of the store or the log, and the job goes on with the next call.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::audience::AppKey;
use domain::ids::AccountId;
use domain::import::{Format, first_record_error, is_gzip};
use domain::time::Timestamp;
use store::tables::definitions;
use store::tables::due::{Due, Task};
use store::tables::jobs::{JobState, JobStatus, state_key};
use store::value::{decode, encode};
use store::{Batch, Durability, KvError, LogError};
use tokio_util::sync::CancellationToken;

use crate::Engine;
use crate::campaigns::DueRow;
use crate::due::Next;
use crate::handle::SHARD;
use crate::objects::S3Url;

mod decode;
mod export;
mod import;
mod pieces;

pub use export::run_export;
pub use import::run_import;
pub(crate) use pieces::shortened;

/// Jobs that are carried out at a time.
pub const JOBS_MAX: usize = 2;
/// Jobs of one kind that an account may have unfinished (spec/30 §6).
pub const RUNNING_MAX: usize = 10;
/// Bytes that one import may read, unpacked (spec/30 §6).
pub const IMPORT_BYTES_MAX: u64 = 1 << 30;
/// Characters of one failure that a job shows.
pub(crate) const FAILURE_CHARACTERS_MAX: usize = 300;
/// Bytes of an object that are looked at before its job is accepted.
const START_BYTES: u64 = 64 << 10;
/// The wait for those bytes.
const START_WITHIN: Duration = Duration::from_secs(3);
/// The wait before a job looks again for what it needs (an index that is being built).
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Why a job stopped where it was; it goes on when it is called again.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    #[error("cannot keep the state")]
    Kv(#[from] KvError),
    #[error("cannot write the log")]
    Log(#[from] LogError),
}

/// How far a job was carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is over, whether it succeeded or not.
    Ended,
    /// It was told to stop, and has to be called again.
    Stopped,
    /// Something that it needs is not ready.
    NotYet,
}

/// The kinds of jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Import,
    Export,
}

impl Kind {
    /// The name in keys.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Import => "import",
            Self::Export => "export",
        }
    }

    fn is_of(self, task: &Task) -> bool {
        match self {
            Self::Import => matches!(task, Task::ImportJob { .. }),
            Self::Export => matches!(task, Task::ExportJob { .. }),
        }
    }
}

pub(crate) fn is_job(task: &Task) -> bool {
    Kind::Import.is_of(task) || Kind::Export.is_of(task)
}

/// A job that is due.
#[derive(Debug)]
pub struct DueJob(DueRow);

impl DueJob {
    /// Whose it is.
    pub fn account(&self) -> &AccountId {
        &self.0.due.app.account
    }
}

/// What a look found.
#[derive(Debug)]
pub enum Found {
    Job(Box<DueJob>),
    /// No other job is due before then.
    Wait(Option<Timestamp>),
}

/// The job that is due first, of the accounts that are not `busy`: nobody waits for another account's jobs.
pub async fn next(engine: &Engine, busy: &BTreeSet<AccountId>) -> Result<Found, KvError> {
    let is_free = |due: &Due| !busy.contains(&due.app.account);
    let (mut rows, later) = engine.jobs.look(engine, engine.context.now(), is_free, 1).await?;
    Ok(rows.pop().map_or(Found::Wait(later), |row| Found::Job(Box::new(DueJob(row)))))
}

/// Carries a job to its end, or until `stop` is cancelled.
pub async fn carry_out(engine: &Engine, job: &DueJob, stop: &CancellationToken) -> Result<Outcome, JobError> {
    let DueJob(row) = job;
    let app = &row.due.app;
    let ran = match &row.due.task {
        Task::ImportJob { job } => Box::pin(run_import(engine, app, job, stop)).await,
        Task::ExportJob { job } => Box::pin(run_export(engine, app, job, stop)).await,
        Task::CampaignStart { .. } | Task::CampaignStep { .. } | Task::PurgeApp | Task::EraseApp { .. } => {
            Ok(Outcome::Ended)
        }
    };
    let outcome = match ran {
        Err(JobError::Kv(KvError::Corrupt(reason))) => {
            row.put_off_unreadable(engine, &reason).await?;
            return Ok(Outcome::NotYet);
        }
        ran => ran?,
    };
    let mut batch = Batch::default();
    match outcome {
        Outcome::Stopped => return Ok(outcome),
        Outcome::Ended => row.done(&mut batch),
        Outcome::NotYet => row.again(&mut batch, engine.context.now().plus(LOOK_AGAIN)),
    }
    engine.kv.commit(batch, Durability::Durable).await?;
    Ok(outcome)
}

/// Carries the job that is due first to its end, or until `stop` is cancelled.
pub async fn step(engine: &Engine, stop: &CancellationToken) -> Result<Next, JobError> {
    match next(engine, &BTreeSet::new()).await? {
        Found::Wait(until) => Ok(Next::Wait(until)),
        Found::Job(job) => match carry_out(engine, &job, stop).await? {
            Outcome::Stopped => Ok(Next::Wait(None)),
            Outcome::Ended | Outcome::NotYet => Ok(Next::Progress),
        },
    }
}

/// Adds a job to a batch: its definition, its state and its due row. Whoever commits it wakes [`crate::handle::Shared::jobs`].
/// Answers the state that it begins with.
pub fn create(
    batch: &mut Batch,
    app: &AppKey,
    kind: Kind,
    job: &str,
    document: String,
    now: Timestamp,
) -> JobState {
    let jobs = definitions::jobs(app.account.as_str(), app.app.as_str(), kind.as_str());
    jobs.create(batch, job, document, BTreeMap::new(), now);
    let state = JobState {
        status: JobStatus::Created,
        created: now,
        completed: None,
        pieces: 0,
        processed: 0,
        failed: 0,
        failures: Vec::new(),
        channels: Vec::new(),
    };
    batch.put(state_key(app, kind.as_str(), job), encode(&state));
    let job = job.to_owned();
    let task = match kind {
        Kind::Import => Task::ImportJob { job },
        Kind::Export => Task::ExportJob { job },
    };
    let due = Due { app: app.clone(), task, scheduled: now };
    batch.put(due.key(SHARD, now), encode(&due));
    state
}

/// How many jobs of a kind an account has that are not over.
pub async fn running(engine: &Engine, account: &str, kind: Kind) -> Result<usize, KvError> {
    let mut running = 0;
    let is_counted = |due: &Due| kind.is_of(&due.task) && due.app.account.as_str() == account;
    engine
        .jobs
        .each(engine, |_, row| {
            running += usize::from(is_counted(&row.due));
            true
        })
        .await?;
    Ok(running)
}

/// What is wrong with the beginning of an object, as its client is told before a job is made of it (spec/97 C9). `None` as
/// well where that cannot be told at once: the job will find out.
pub async fn start_error(engine: &Engine, url: &S3Url, format: Format) -> Option<String> {
    if url.is_folder {
        return None;
    }
    let bucket = engine.objects.bucket(&url.bucket).ok()?;
    let read = tokio::time::timeout(START_WITHIN, bucket.read_start(&url.path, START_BYTES)).await;
    let start = read.ok()?.ok()?;
    if is_gzip(&start) {
        return first_record_error(format, &decode::unpacked_start(&start));
    }
    first_record_error(format, &start)
}

/// The document and the state of a job; `None` where the job or its application was deleted.
pub async fn load(
    engine: &Engine,
    app: &AppKey,
    kind: Kind,
    job: &str,
) -> Result<Option<(String, JobState)>, KvError> {
    let jobs = definitions::jobs(app.account.as_str(), app.app.as_str(), kind.as_str());
    let Some((_, _, body)) = jobs.latest(&*engine.kv, job).await? else { return Ok(None) };
    let Some(row) = engine.kv.get(&state_key(app, kind.as_str(), job)).await? else { return Ok(None) };
    Ok(Some((body.document, decode(&row.value)?)))
}
