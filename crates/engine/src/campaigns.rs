//! Campaign runs: the audience is fixed when a run starts, then paged into the outbox.
//!
//! A page names ordinals only: who is really messaged is decided when the page is claimed, on the state of that moment
//! (docs/decisions/001-one-decision.md). The run's cursor is an ordinal, and nothing evaluates the segment again.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::audience::AppKey;
use domain::campaigns::Plan;
use domain::time::Timestamp;
use roaring::RoaringBitmap;
use store::tables::campaigns::{
    CHUNK_ORDINALS, CampaignState, Chunk, Progress, Run, Status, chunk_key, progress_key, run_key, state_key,
};
use store::tables::definitions;
use store::tables::due::{Due, Task};
use store::tables::outbox::{Lane, PAGE_RECIPIENTS_MAX, Page, Recipient, Source, page_key};
use store::value::{decode, encode};
use store::{Batch, Durability, Key, KvError, Version};

use crate::Engine;
use crate::handle::SHARD;
use crate::segments::{SelectError, select};

/// Recipients of a run that are paged and not sent yet, at most: what a pause or a crash leaves in the outbox.
pub const AHEAD_RECIPIENTS_MAX: u64 = 100_000;
/// Pages written in one commit.
const PAGES_PER_STEP: usize = 10;
/// The wait before a run looks again whether it may page on, and before a start that found its index unbuilt.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// A due row that is being carried out.
#[derive(Debug)]
pub(crate) struct DueRow {
    pub(crate) key: Key,
    pub(crate) version: Version,
    pub(crate) due: Due,
}

impl DueRow {
    /// Ends the row in the same commit as its effect.
    pub(crate) fn done(&self, batch: &mut Batch) {
        batch.check(self.key.clone(), self.version);
        batch.delete(self.key.clone());
    }

    /// Puts the row off.
    pub(crate) fn again(&self, batch: &mut Batch, at: Timestamp) {
        self.done(batch);
        batch.put(self.due.key(SHARD, at), encode(&self.due));
    }
}

/// Starts a run that is due: evaluates the segment once and keeps the audience.
pub(crate) async fn start(engine: &Engine, row: &DueRow, campaign: &str) -> Result<(), KvError> {
    let app = &row.due.app;
    let now = engine.context.now();
    let mut batch = Batch::default();
    row.done(&mut batch);
    let key = state_key(app, campaign);
    let Some(found) = engine.kv.get(&key).await? else { return commit(engine, batch).await };
    let mut state: CampaignState = decode(&found.value)?;
    if state.is_paused || state.due != Some(row.due.scheduled) || state.status != Status::Scheduled {
        return commit(engine, batch).await;
    }
    batch.check(key.clone(), found.version);
    match begin(engine, app, campaign, &state, row.due.scheduled, now).await? {
        Begin::Run(plan, audience) => {
            state.due = None;
            let run = write_run(&mut batch, app, campaign, &state, &plan, row.due.scheduled, now, &audience);
            state.runs += 1;
            state.status = if run.audience == 0 { Status::Completed } else { Status::Executing };
            state.run = Some(run.id);
        }
        Begin::NotYet => {
            let mut batch = Batch::default();
            row.again(&mut batch, now.plus(LOOK_AGAIN));
            return commit(engine, batch).await;
        }
        Begin::Never(status, fault) => {
            state.due = None;
            state.status = status;
            state.fault = Some(fault);
        }
    }
    batch.put(key, encode(&state));
    commit(engine, batch).await
}

/// Whether a run can begin.
enum Begin {
    Run(Box<Plan>, RoaringBitmap),
    NotYet,
    Never(Status, String),
}

async fn begin(
    engine: &Engine,
    app: &AppKey,
    campaign: &str,
    state: &CampaignState,
    scheduled: Timestamp,
    now: Timestamp,
) -> Result<Begin, KvError> {
    let definitions = definitions::campaigns(app.account.as_str(), app.app.as_str());
    let Some(body) = definitions.body(&*engine.kv, campaign, state.version).await? else {
        return Ok(Begin::Never(Status::Invalid, "the campaign's definition is missing".to_owned()));
    };
    let mut plan = match Plan::parse_document(&body.document) {
        Ok(plan) => plan,
        Err(invalid) => return Ok(Begin::Never(Status::Invalid, invalid.to_string())),
    };
    plan.limits = plan.limits.or_defaults(&state.default_limits);
    if !plan.may_start(scheduled, now) {
        return Ok(Begin::Never(Status::Completed, "the run was due too long ago".to_owned()));
    }
    match select(engine, app, &plan.segment, plan.segment_version, now).await {
        Ok(audience) => Ok(Begin::Run(Box::new(plan), audience)),
        Err(SelectError::NotReady) => Ok(Begin::NotYet),
        Err(SelectError::Missing) => Ok(Begin::Never(Status::Deleted, "the segment was deleted".to_owned())),
        Err(SelectError::Invalid(fault)) => Ok(Begin::Never(Status::Invalid, fault)),
        Err(SelectError::Kv(error)) => Err(error),
    }
}

#[expect(clippy::too_many_arguments, reason = "all of it is what a run is made of")]
fn write_run(
    batch: &mut Batch,
    app: &AppKey,
    campaign: &str,
    state: &CampaignState,
    plan: &Plan,
    scheduled: Timestamp,
    now: Timestamp,
    audience: &RoaringBitmap,
) -> Run {
    let id = crate::ids::derived(&["run", app.app.as_str(), campaign, &scheduled.0.to_string()]);
    let mut chunks: BTreeMap<u32, RoaringBitmap> = BTreeMap::new();
    for ordinal in audience {
        chunks.entry(ordinal / CHUNK_ORDINALS).or_default().insert(ordinal);
    }
    for (chunk, ordinals) in &chunks {
        batch.put(chunk_key(app, &id, *chunk), encode(&Chunk(crate::bitmap::write(ordinals))));
    }
    let run = Run {
        id: id.clone(),
        campaign: campaign.to_owned(),
        version: state.version,
        scheduled,
        started: now,
        expires: plan.expires(scheduled),
        audience: audience.len(),
        chunks: chunks.keys().copied().collect(),
        next_ordinal: 0,
        pages: 0,
        paged: 0,
        is_paged: audience.is_empty(),
    };
    let progress = Progress {
        run: id.clone(),
        scheduled,
        started: now,
        ended: audience.is_empty().then_some(now),
        audience: audience.len(),
        done: 0,
        treatments: vec![BTreeMap::new(); plan.treatments.len()],
    };
    batch.put(run_key(app, &id), encode(&run));
    batch.put(progress_key(app, campaign, &id), encode(&progress));
    if !run.is_paged {
        let task = Task::CampaignStep { campaign: campaign.to_owned(), run: id };
        let due = Due { app: app.clone(), task, scheduled };
        batch.put(due.key(SHARD, now), encode(&due));
    }
    run
}

/// Writes the next pages of a run, the moved cursor and the next due row in one commit.
pub(crate) async fn step(engine: &Engine, row: &DueRow, campaign: &str, run_id: &str) -> Result<(), KvError> {
    let app = &row.due.app;
    let now = engine.context.now();
    let key = run_key(app, run_id);
    let rows = engine.kv.get_many(&[key.clone(), progress_key(app, campaign, run_id)]).await?;
    let [Some(found), Some(progress)] = &rows[..] else {
        let mut batch = Batch::default();
        row.done(&mut batch);
        return commit(engine, batch).await;
    };
    let mut run: Run = decode(&found.value)?;
    let progress: Progress = decode(&progress.value)?;
    let mut batch = Batch::default();
    let ahead = run.paged.saturating_sub(progress.done);
    let room = AHEAD_RECIPIENTS_MAX.saturating_sub(ahead) as usize;
    if room < PAGE_RECIPIENTS_MAX && !run.is_paged {
        row.again(&mut batch, now.plus(LOOK_AGAIN));
        return commit(engine, batch).await;
    }
    batch.check(key.clone(), found.version);
    let ordinals = next_ordinals(engine, app, &run, room.min(PAGES_PER_STEP * PAGE_RECIPIENTS_MAX)).await?;
    for page in ordinals.chunks(PAGE_RECIPIENTS_MAX) {
        let page = make_page(app, &mut run, page, now);
        batch.put(page_key(SHARD, page.lane, now, &page.id), encode(&page));
    }
    match ordinals.last() {
        Some(last) => run.next_ordinal = last + 1,
        None => run.is_paged = true,
    }
    if run.paged >= run.audience {
        run.is_paged = true;
    }
    if run.is_paged {
        row.done(&mut batch);
        for chunk in &run.chunks {
            batch.delete(chunk_key(app, run_id, *chunk));
        }
    } else {
        row.again(&mut batch, now);
    }
    batch.put(key, encode(&run));
    commit(engine, batch).await?;
    engine.wake_dispatchers();
    Ok(())
}

fn make_page(app: &AppKey, run: &mut Run, ordinals: &[u32], now: Timestamp) -> Page {
    let page = Page {
        id: format!("{}-{:08}", run.id, run.pages),
        app: app.clone(),
        lane: Lane::Campaign,
        source: Source::Campaign { campaign: run.campaign.clone(), version: run.version, run: run.id.clone() },
        attempt: 1,
        created: now,
        expires: run.expires,
        recipients: ordinals.iter().map(|ordinal| Recipient::Ordinal(*ordinal)).collect(),
    };
    run.pages += 1;
    run.paged += ordinals.len() as u64;
    page
}

/// The next ordinals of the audience, from the run's cursor on.
async fn next_ordinals(engine: &Engine, app: &AppKey, run: &Run, limit: usize) -> Result<Vec<u32>, KvError> {
    let mut ordinals = Vec::with_capacity(limit);
    for chunk in run.chunks.iter().filter(|chunk| **chunk >= run.next_ordinal / CHUNK_ORDINALS) {
        let row = engine.kv.get(&chunk_key(app, &run.id, *chunk)).await?;
        let row = row.ok_or_else(|| KvError::Corrupt(format!("audience of run {} is missing", run.id)))?;
        let Chunk(bytes) = decode(&row.value)?;
        let bitmap = crate::bitmap::read(&bytes)?;
        ordinals.extend(bitmap.range(run.next_ordinal..).take(limit - ordinals.len()));
        if ordinals.len() >= limit {
            break;
        }
    }
    Ok(ordinals)
}

/// Commits; a conflict means that somebody else carried the row out or changed the campaign: it is looked at again.
async fn commit(engine: &Engine, batch: Batch) -> Result<(), KvError> {
    match engine.kv.commit(batch, Durability::Durable).await {
        Ok(_) | Err(KvError::Conflict(_)) => Ok(()),
        Err(error) => Err(error),
    }
}
