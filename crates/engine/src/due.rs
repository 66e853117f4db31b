//! Due rows carried out: campaign starts and steps, the purge of deleted applications. Jobs have a worker of their own,
//! because they take long ([`crate::jobs`]).

use domain::audience::AppKey;
use domain::records::{Body, Record};
use domain::time::Timestamp;
use store::key::KeyRange;
use store::tables::audiences;
use store::tables::due::{self, Due, Task, time_of};
use store::value::decode;
use store::{Batch, Durability, KvError, LogError};

use crate::Engine;
use crate::campaigns::{self, DueRow};
use crate::handle::SHARD;
use crate::jobs::is_job;

/// Rows carried out in one step.
const ROWS_PER_STEP: usize = 64;
/// Rows read at once.
const ROWS_PER_SCAN: usize = 64;
/// Rows of a deleted application that are removed in one commit.
const PURGE_ROWS: usize = 1_000;

/// What cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum DueError {
    #[error("cannot keep the state")]
    Kv(#[from] KvError),
    #[error("cannot write the log")]
    Log(#[from] LogError),
}

/// What a step found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Progress,
    /// Nothing is due before then.
    Wait(Option<Timestamp>),
}

/// Carries out what is due, earliest first.
pub async fn step(engine: &Engine) -> Result<Next, DueError> {
    let now = engine.context.now();
    let not_job = |task: &Task| !is_job(task);
    let rows = rows(engine, due::until(SHARD, now), not_job, ROWS_PER_STEP).await?;
    let progress = !rows.is_empty();
    for row in rows {
        match &row.due.task {
            Task::CampaignStart { campaign } => campaigns::start(engine, &row, campaign).await?,
            Task::CampaignStep { campaign, run } => campaigns::step(engine, &row, campaign, run).await?,
            Task::PurgeApp => purge(engine, &row).await?,
            Task::ImportJob { .. } | Task::ExportJob { .. } => {}
        }
    }
    if progress {
        return Ok(Next::Progress);
    }
    let first = self::rows(engine, due::all(SHARD), not_job, 1).await?.pop();
    Ok(Next::Wait(first.and_then(|row| time_of(&row.key))))
}

/// Up to `limit` rows of tasks that are wanted, earliest first. The others are passed by, however many they are: neither
/// worker stands in the way of the other.
pub(crate) async fn rows(
    engine: &Engine,
    range: KeyRange,
    is_wanted: impl Fn(&Task) -> bool,
    limit: usize,
) -> Result<Vec<DueRow>, KvError> {
    let mut wanted = Vec::new();
    let mut from = range.from;
    loop {
        let page = engine.kv.scan(KeyRange { from, to: range.to.clone() }, ROWS_PER_SCAN).await?;
        let next = page.last().filter(|_| page.len() == ROWS_PER_SCAN).map(|(last, _)| last.successor());
        for (key, found) in page {
            let due: Due = decode(&found.value)?;
            if is_wanted(&due.task) {
                wanted.push(DueRow { key, version: found.version, due });
            }
            if wanted.len() == limit {
                return Ok(wanted);
            }
        }
        match next {
            Some(next) => from = next,
            None => return Ok(wanted),
        }
    }
}

/// Removes the rows of a deleted application: first the log says so, then page by page.
async fn purge(engine: &Engine, row: &DueRow) -> Result<(), DueError> {
    let app: &AppKey = &row.due.app;
    let summary = engine.kv.get(&audiences::summary_key(app)).await?;
    let is_deleted = match summary {
        Some(row) => decode::<domain::audience::Summary>(&row.value).map_err(KvError::from)?.deleted,
        None => false,
    };
    if !is_deleted {
        let record = Record {
            account: app.account.as_str(),
            app: app.app.as_str(),
            request_id: "",
            body: Body::AppDeleted,
        };
        let position = engine.append(app, &record).await?;
        engine.wait_projected(position).await;
    }
    let mut batch = Batch::default();
    for prefix in audiences::all(app) {
        let rows = engine.kv.scan(prefix.prefix(), PURGE_ROWS).await?;
        for (key, _) in rows {
            batch.delete(key);
        }
        if batch.writes.len() >= PURGE_ROWS {
            break;
        }
    }
    if batch.writes.is_empty() {
        row.done(&mut batch);
    }
    engine.kv.commit(batch, Durability::Durable).await?;
    Ok(())
}
