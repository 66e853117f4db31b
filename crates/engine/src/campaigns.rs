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
use store::{Batch, Durability, Key, KvError, Version, Versioned};

use crate::Engine;
use crate::handle::SHARD;
use crate::segments::{SelectError, select};
use crate::templates;

/// Recipients of a run that are paged and not sent yet, at most: what a pause or a crash leaves in the outbox.
pub const AHEAD_RECIPIENTS_MAX: u64 = 100_000;
/// Pages written in one commit.
const PAGES_PER_STEP: usize = 10;
/// The wait before a run that is far enough ahead looks again: less than what is ahead takes to send.
const NO_ROOM_AGAIN: Duration = Duration::from_secs(1);
/// The wait before a start that found its index unbuilt.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// The wait before something that could not be read is looked at again.
pub(crate) const UNREADABLE_AGAIN: Duration = Duration::from_mins(10);

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

    /// Puts the row off. Not durable at once: after a crash it is looked at too early, that is all.
    pub(crate) async fn put_off(&self, engine: &Engine, at: Timestamp) -> Result<(), KvError> {
        let mut batch = Batch::default();
        self.again(&mut batch, at);
        commit_as(engine, batch, Durability::Buffered).await.map(drop)
    }

    /// Puts the row off because what it needs cannot be read: that stops nothing else, and the row goes on once it can be.
    pub(crate) async fn put_off_unreadable(&self, engine: &Engine, reason: &str) -> Result<(), KvError> {
        tracing::error!(due = ?self.due, reason, again_after = ?UNREADABLE_AGAIN, "what is due cannot be read");
        self.put_off(engine, engine.context.now().plus(UNREADABLE_AGAIN)).await
    }

    /// Writes the row again, to be looked at later.
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
        Begin::NotYet => return row.put_off(engine, now.plus(LOOK_AGAIN)).await,
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
    if let Some(fault) = missing_template(engine, app, &plan).await? {
        return Ok(Begin::Never(Status::Invalid, fault));
    }
    match select(engine, app, &plan.segment, plan.segment_version, now).await {
        Ok(audience) => Ok(Begin::Run(Box::new(plan), audience)),
        Err(SelectError::NotReady) => Ok(Begin::NotYet),
        Err(SelectError::Missing) => Ok(Begin::Never(Status::Deleted, "the segment was deleted".to_owned())),
        Err(SelectError::Invalid(fault)) => Ok(Begin::Never(Status::Invalid, fault)),
        Err(SelectError::Kv(error)) => Err(error),
    }
}

/// What is wrong with the templates of a plan, if anything is.
async fn missing_template(engine: &Engine, app: &AppKey, plan: &Plan) -> Result<Option<String>, KvError> {
    let mails = plan.treatments.iter().filter_map(|treatment| treatment.email.as_ref());
    for template in mails.filter_map(|email| email.template.as_ref()) {
        if templates::resolve(&*engine.kv, &app.account, "EMAIL", template).await?.body.is_none() {
            return Ok(Some(format!("the template {} or its version does not exist", template.name)));
        }
    }
    Ok(None)
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
    batch.put(progress_key(app, campaign, &id), encode(&progress));
    if !audience.is_empty() {
        batch.put(run_key(app, &id), encode(&run));
        let task = Task::CampaignStep { campaign: campaign.to_owned(), run: id };
        let due = Due { app: app.clone(), task, scheduled };
        batch.put(due.key(SHARD, now), encode(&due));
    }
    run
}

/// Writes the next pages of a run, the moved cursor and the next due row in one commit. Once everybody is in a page the run
/// is gone: what it did stays as its progress.
pub(crate) async fn step(engine: &Engine, row: &DueRow, campaign: &str, run_id: &str) -> Result<(), KvError> {
    let app = &row.due.app;
    let now = engine.context.now();
    let mut batch = Batch::default();
    let keys = [run_key(app, run_id), progress_key(app, campaign, run_id), state_key(app, campaign)];
    let mut rows = engine.kv.get_many(&keys).await?.into_iter();
    let [run_key, progress_key, state_key] = keys;
    let [found, progress, state] = [rows.next().flatten(), rows.next().flatten(), rows.next().flatten()];
    let Some(found) = found else {
        row.done(&mut batch);
        return commit(engine, batch).await;
    };
    let mut run: Run = decode(&found.value)?;
    batch.check(run_key.clone(), found.version);
    let goes_on = match &state {
        Some(state) => decode::<CampaignState>(&state.value)?.status != Status::Deleted,
        None => false,
    };
    let progress: Progress = match progress {
        Some(progress) if goes_on => decode(&progress.value)?,
        progress => {
            row.done(&mut batch);
            remove_run(&mut batch, app, &run);
            batch.check(state_key, state.as_ref().map_or(Version::ABSENT, |state| state.version));
            cut_short(&mut batch, progress_key, progress, state.is_some(), now)?;
            return commit(engine, batch).await;
        }
    };
    let ahead = run.paged.saturating_sub(progress.done);
    let room = AHEAD_RECIPIENTS_MAX.saturating_sub(ahead) as usize;
    if room < PAGE_RECIPIENTS_MAX || !engine.queues.rows.may_write(&app.account) {
        return row.put_off(engine, now.plus(NO_ROOM_AGAIN)).await;
    }
    let ordinals = next_ordinals(engine, app, &run, room.min(PAGES_PER_STEP * PAGE_RECIPIENTS_MAX)).await?;
    let (mut queue, mut pages) = (None, 0);
    for page in ordinals.chunks(PAGE_RECIPIENTS_MAX) {
        let page = make_page(app, &mut run, page, now);
        batch.put(page_key(SHARD, &page, now), encode(&page));
        queue = Some(page.queue());
        pages += 1;
    }
    match ordinals.last() {
        Some(last) if run.paged < run.audience => {
            run.next_ordinal = last + 1;
            batch.put(run_key, encode(&run));
            row.again(&mut batch, now);
        }
        _ => {
            row.done(&mut batch);
            remove_run(&mut batch, app, &run);
        }
    }
    if commit_as(engine, batch, Durability::Durable).await?
        && let Some(queue) = queue
    {
        engine.queues.written(Lane::Campaign, queue, now, pages);
    }
    Ok(())
}

/// Nothing more of the run is paged.
fn remove_run(batch: &mut Batch, app: &AppKey, run: &Run) {
    batch.delete(run_key(app, &run.id));
    for chunk in &run.chunks {
        batch.delete(chunk_key(app, &run.id, *chunk));
    }
}

/// Ends the activity of a run whose campaign was stopped; that of a campaign that was deleted goes with it.
fn cut_short(
    batch: &mut Batch,
    key: Key,
    progress: Option<Versioned>,
    is_shown: bool,
    now: Timestamp,
) -> Result<(), KvError> {
    let Some(row) = progress else { return Ok(()) };
    batch.check(key.clone(), row.version);
    if is_shown {
        let mut progress: Progress = decode(&row.value)?;
        progress.ended.get_or_insert(now);
        batch.put(key, encode(&progress));
    } else {
        batch.delete(key);
    }
    Ok(())
}

fn make_page(app: &AppKey, run: &mut Run, ordinals: &[u32], now: Timestamp) -> Page {
    let page = Page {
        id: format!("{}-{:08}", run.id, run.pages),
        app: app.clone(),
        lane: Lane::Campaign,
        source: Source::Campaign {
            campaign: run.campaign.clone(),
            version: run.version,
            run: run.id.clone(),
        },
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
    commit_as(engine, batch, Durability::Durable).await.map(drop)
}

/// As [`commit`]; answers whether it was committed.
async fn commit_as(engine: &Engine, batch: Batch, durability: Durability) -> Result<bool, KvError> {
    match engine.kv.commit(batch, durability).await {
        Ok(_) => Ok(true),
        Err(KvError::Conflict(_)) => Ok(false),
        Err(error) => Err(error),
    }
}
