//! Due rows carried out: campaign starts and steps, the end of deleted applications. Jobs have a worker of their own, because
//! they take long ([`crate::jobs`]).

use std::time::Duration;

use domain::time::Timestamp;
use store::tables::due::{self, Due, Task, time_of};
use store::value::decode;
use store::{KvError, LogError};
use tokio::sync::Notify;

use crate::campaigns::{self, DueRow};
use crate::handle::SHARD;
use crate::low_water::LowWater;
use crate::{Engine, apps};

/// Rows carried out in one step.
const ROWS_PER_STEP: usize = 64;
/// Rows read at once.
const ROWS_PER_SCAN: usize = 64;
/// How often a scan begins with the earliest row there could be.
const RESCAN_EVERY: Duration = Duration::from_mins(1);

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

/// The due rows of one worker.
#[derive(Debug)]
pub struct DueQueue {
    is_of: fn(&Task) -> bool,
    low_water: LowWater,
    wake: Notify,
}

/// Carries out what is due, earliest first.
pub async fn step(engine: &Engine) -> Result<Next, DueError> {
    let now = engine.context.now();
    let (rows, later) = engine.due.look(engine, now, |_| true, ROWS_PER_STEP).await?;
    if rows.is_empty() {
        return Ok(Next::Wait(later));
    }
    for row in rows {
        match carry_out(engine, &row).await {
            Err(DueError::Kv(KvError::Corrupt(reason))) => row.put_off_unreadable(engine, &reason).await?,
            carried_out => carried_out?,
        }
    }
    Ok(Next::Progress)
}

async fn carry_out(engine: &Engine, row: &DueRow) -> Result<(), DueError> {
    match &row.due.task {
        Task::CampaignStart { campaign } => Ok(campaigns::start(engine, row, campaign).await?),
        Task::CampaignStep { campaign, run } => Ok(campaigns::step(engine, row, campaign, run).await?),
        Task::PurgeApp => Ok(apps::purge(engine, row).await?),
        Task::EraseApp { record, from } => apps::erase(engine, row, *record, from).await,
        Task::ImportJob { .. } | Task::ExportJob { .. } => Ok(()),
    }
}

impl DueQueue {
    pub(crate) fn new(is_of: fn(&Task) -> bool) -> Self {
        Self { is_of, low_water: LowWater::new(RESCAN_EVERY), wake: Notify::new() }
    }

    /// Rows were written: wakes the worker.
    ///
    /// The worker itself need not say so. It replaces a row by one that is later, and a row that stands keeps the mark from
    /// rising.
    pub fn notify_one(&self) {
        self.low_water.lower();
        self.wake.notify_one();
    }

    pub async fn notified(&self) {
        self.wake.notified().await;
    }

    /// Up to `limit` rows that are due at `now` and wanted, earliest first; if there are none, when the first row is due that
    /// is not due yet.
    pub(crate) async fn look(
        &self,
        engine: &Engine,
        now: Timestamp,
        is_wanted: impl Fn(&Due) -> bool,
        limit: usize,
    ) -> Result<(Vec<DueRow>, Option<Timestamp>), KvError> {
        let mut wanted = Vec::new();
        let mut later = None;
        self.each(engine, |at, row| {
            if at > now {
                later = Some(at);
            } else if is_wanted(&row.due) {
                wanted.push(row);
            }
            later.is_none() && wanted.len() < limit
        })
        .await?;
        Ok((wanted, later))
    }

    /// Visits the rows of this queue, earliest first, until `visit` answers false. Rows of the other one are passed by, however
    /// many they are: neither worker stands in the way of the other.
    pub(crate) async fn each(
        &self,
        engine: &Engine,
        mut visit: impl FnMut(Timestamp, DueRow) -> bool,
    ) -> Result<(), KvError> {
        let now = engine.context.now();
        let scan = self.low_water.scan(engine.context.clock.monotonic_ms());
        let mut range = due::since(SHARD, scan.from);
        let mut is_first = true;
        loop {
            let page = engine.kv.scan(range.clone(), ROWS_PER_SCAN).await?;
            let next = page.last().filter(|_| page.len() == ROWS_PER_SCAN).map(|(last, _)| last.successor());
            for (key, found) in page {
                let (at, due) = match (time_of(&key), decode::<Due>(&found.value)) {
                    (Some(at), Ok(due)) => (at, due),
                    (at, due) => {
                        // It stays where it is, and nothing else waits for it.
                        let error = due.err();
                        tracing::error!(
                            ?key,
                            ?at,
                            ?error,
                            "a due row cannot be read: what it asks for is not done"
                        );
                        continue;
                    }
                };
                if !(self.is_of)(&due.task) {
                    continue;
                }
                if std::mem::take(&mut is_first) {
                    self.low_water.raise(scan, at);
                }
                if !visit(at, DueRow { key, version: found.version, due }) {
                    return Ok(());
                }
            }
            match next {
                Some(next) => range.from = next,
                None => break,
            }
        }
        if is_first {
            self.low_water.raise(scan, now);
        }
        Ok(())
    }
}
