//! Due rows carried out: campaign starts and steps, the purge of deleted applications. Jobs have a worker of their own,
//! because they take long ([`crate::jobs`]).

use domain::audience::AppKey;
use domain::records::{Body, Record};
use domain::time::Timestamp;
use store::tables::audiences;
use store::tables::due::{self, Due, Task, time_of};
use store::value::decode;
use store::{Batch, Durability, KvError, LogError};

use crate::Engine;
use crate::campaigns::{self, DueRow};
use crate::handle::SHARD;

/// Rows looked at in one step.
const ROWS_PER_STEP: usize = 64;
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
    let rows = engine.kv.scan(due::until(SHARD, now), ROWS_PER_STEP).await?;
    let mut progress = false;
    for (key, found) in rows {
        let due: Due = decode(&found.value).map_err(KvError::from)?;
        let row = DueRow { key, version: found.version, due };
        match &row.due.task {
            Task::CampaignStart { campaign } => campaigns::start(engine, &row, campaign).await?,
            Task::CampaignStep { campaign, run } => campaigns::step(engine, &row, campaign, run).await?,
            Task::PurgeApp => purge(engine, &row).await?,
            Task::ImportJob { .. } | Task::ExportJob { .. } => continue,
        }
        progress = true;
    }
    if progress {
        return Ok(Next::Progress);
    }
    let first = engine.kv.scan(due::all(SHARD), ROWS_PER_STEP).await?;
    Ok(Next::Wait(first.iter().filter_map(|(key, _)| time_of(key)).find(|at| *at > now)))
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
        let record =
            Record { account: app.account.as_str(), app: app.app.as_str(), request_id: "", body: Body::AppDeleted };
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
