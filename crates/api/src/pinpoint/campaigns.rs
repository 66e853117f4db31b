//! Campaigns: definitions with versions, and what their runs did (spec/50-campaigns.md).

use domain::audience::AppKey;
use domain::campaigns::{Plan, Start, check_inherited_hook};
use domain::time::Timestamp;
use engine::SHARD;
use model::pinpoint::{
    CampaignResponse, CampaignState as WireState, CampaignStatus, CampaignsResponse, CreateCampaignRequest,
    DeleteCampaignRequest, GetCampaignRequest, GetCampaignVersionRequest, GetCampaignVersionsRequest,
    GetCampaignsRequest, UpdateCampaignRequest, WriteCampaignRequest,
};
use serde_json::Value;
use store::tables::campaigns::{CampaignState, Status, progresses, state_key, states};
use store::tables::definitions::{self, Body, Definitions, Head};
use store::tables::due::{Due, Task};
use store::value::{decode, encode};
use store::{Batch, Version};

use super::tags;
use crate::context::Cx;
use crate::error::ApiError;
use crate::paging::{Page, Place};

mod activities;
mod checks;
mod shown;

pub(super) use activities::get_campaign_activities;
use shown::response;

/// Runs of a campaign that are read at once.
const RUNS_MAX: usize = 10_000;

pub(super) async fn create_campaign(
    cx: Cx,
    input: CreateCampaignRequest,
) -> Result<CampaignResponse, ApiError> {
    let app = cx.app_head(&input.application_id).await?;
    let mut request = input.write_campaign_request;
    let tags = tags::checked(request.tags.take().unwrap_or_default())?;
    let mut batch = Batch::default();
    app.guard(&mut batch);
    let plan = checks::plan(&mut request)?;
    checks::check_references(&cx, &app.key, &plan, &mut request, &mut batch).await?;
    let defaults = checks::defaults(&cx, &app.key).await?;
    check_inherited_hook(request.hook.as_ref(), defaults.hook.as_ref())?;
    let now = cx.now();
    let due = plan.due(now);
    checks::check_start(&plan, &defaults.limits, due, now)?;
    if !plan.is_paused {
        checks::check_room(&cx).await?;
    }
    let json = serde_json::to_string(&request)?;
    let (head, body) = campaigns(&app.key).create(&mut batch, &cx.new_id(), json, tags, now);
    let state = CampaignState {
        status: if plan.is_paused { Status::Paused } else { Status::Scheduled },
        version: 1,
        is_paused: plan.is_paused,
        due: Some(due),
        run: None,
        runs: 0,
        default_limits: defaults.limits,
        default_quiet_time: defaults.quiet_time,
        fault: None,
    };
    if !plan.is_paused {
        put_due(&mut batch, &app.key, &head.id, due);
    }
    batch.put(state_key(&app.key, &head.id), encode(&state));
    let output = response(&cx, &app.key, &head, &body, &state)?;
    cx.commit(batch, &output).await?;
    cx.engine().due.notify_one();
    Ok(output)
}

/// Makes a new version; members that the request leaves out keep their value, so that a campaign is paused by
/// `{"IsPaused": true}` alone (spec/50 §1).
pub(super) async fn update_campaign(
    cx: Cx,
    input: UpdateCampaignRequest,
) -> Result<CampaignResponse, ApiError> {
    let app = cx.app_head(&input.application_id).await?;
    let (head, row, before) = load(&cx, &app.key, &input.campaign_id).await?;
    let (mut state, state_row) = load_state(&cx, &app.key, &head.id).await?;
    let only_pauses = only_pauses(&input.write_campaign_request);
    if state.status.is_over() || (state.status == Status::Executing && !only_pauses) {
        return Err(ApiError::bad_request("Only a campaign that was not sent yet can be changed"));
    }
    let mut batch = Batch::default();
    app.guard(&mut batch);
    let mut request = merged(&before.document, input.write_campaign_request)?;
    request.tags = None;
    let plan = checks::plan(&mut request)?;
    // Who only stops or goes on with a campaign need not first put right what it refers to.
    if !only_pauses {
        checks::check_references(&cx, &app.key, &plan, &mut request, &mut batch).await?;
    }
    if state.status == Status::Paused && !plan.is_paused {
        checks::check_room(&cx).await?;
    }
    let now = cx.now();
    let json = serde_json::to_string(&request)?;
    let (head, body) = campaigns(&app.key).add_version(&mut batch, &head, row, json, now);
    state.version = body.version;
    state.is_paused = plan.is_paused;
    // A run in progress finishes with the version that it began with.
    if state.status.waits() {
        let due = next_due(&plan, &before, &state, now)?;
        reschedule(&mut state, due, &mut batch, &app.key, &head.id);
    }
    batch.check(state_key(&app.key, &head.id), state_row);
    batch.put(state_key(&app.key, &head.id), encode(&state));
    let output = response(&cx, &app.key, &head, &body, &state)?;
    cx.commit(batch, &output).await?;
    cx.engine().due.notify_one();
    Ok(output)
}

/// When a campaign is due that was changed: a new time is judged as that of a new campaign; a known one that has passed
/// meanwhile, while the campaign was paused, means now.
fn next_due(
    plan: &Plan,
    before: &Body,
    state: &CampaignState,
    now: Timestamp,
) -> Result<Timestamp, ApiError> {
    let known = Plan::parse_document(&before.document).ok();
    let is_known = known.is_some_and(|known| (known.start, known.end) == (plan.start, plan.end));
    let due = match plan.start {
        Start::Immediate => now,
        Start::At(at) if is_known => at.max(now),
        Start::At(at) => at,
    };
    if !(is_known && plan.is_paused) {
        checks::check_start(plan, &state.default_limits, due, now)?;
    }
    Ok(due)
}

/// Moves the due row of a campaign that waits.
fn reschedule(state: &mut CampaignState, due: Timestamp, batch: &mut Batch, app: &AppKey, id: &str) {
    if let Some(due) = state.due {
        batch.delete(due_row(app, id, due).key(SHARD, due));
    }
    state.due = Some(due);
    state.status = if state.is_paused { Status::Paused } else { Status::Scheduled };
    if !state.is_paused {
        put_due(batch, app, id, due);
    }
}

pub(super) async fn get_campaign(cx: Cx, input: GetCampaignRequest) -> Result<CampaignResponse, ApiError> {
    let app = cx.app(&input.application_id).await?;
    let (head, _, body) = load(&cx, &app, &input.campaign_id).await?;
    let (state, _) = load_state(&cx, &app, &head.id).await?;
    response(&cx, &app, &head, &body, &state)
}

pub(super) async fn get_campaign_version(
    cx: Cx,
    input: GetCampaignVersionRequest,
) -> Result<CampaignResponse, ApiError> {
    let app = cx.app(&input.application_id).await?;
    let (head, _, _) = load(&cx, &app, &input.campaign_id).await?;
    let version: u32 = input.version.parse().map_err(|_| ApiError::not_found())?;
    let body =
        campaigns(&app).body(&*cx.engine().kv, &head.id, version).await?.ok_or_else(ApiError::not_found)?;
    let (state, _) = load_state(&cx, &app, &head.id).await?;
    response(&cx, &app, &head, &body, &state)
}

pub(super) async fn get_campaign_versions(
    cx: Cx,
    input: GetCampaignVersionsRequest,
) -> Result<CampaignsResponse, ApiError> {
    let app = cx.app(&input.application_id).await?;
    let page = Page::parse(input.page_size.as_deref(), input.token.as_deref())?;
    let (head, _, _) = load(&cx, &app, &input.campaign_id).await?;
    let (state, _) = load_state(&cx, &app, &head.id).await?;
    let versions = campaigns(&app).versions(&*cx.engine().kv, &head.id).await?;
    let (bodies, next_token) = page.cut(versions, Place::of_body);
    let item =
        bodies.iter().map(|body| response(&cx, &app, &head, body, &state)).collect::<Result<_, _>>()?;
    Ok(CampaignsResponse { item, next_token })
}

pub(super) async fn get_campaigns(cx: Cx, input: GetCampaignsRequest) -> Result<CampaignsResponse, ApiError> {
    let app = cx.app(&input.application_id).await?;
    let page = Page::parse(input.page_size.as_deref(), input.token.as_deref())?;
    let (heads, next_token) = page.cut(campaigns(&app).heads(&*cx.engine().kv).await?, Place::of_head);
    let mut item = Vec::with_capacity(heads.len());
    for head in heads {
        // A campaign that was deleted since the heads were read is left out.
        if let Some(body) = campaigns(&app).body(&*cx.engine().kv, &head.id, head.latest).await?
            && let Ok((state, _)) = load_state(&cx, &app, &head.id).await
        {
            item.push(response(&cx, &app, &head, &body, &state)?);
        }
    }
    Ok(CampaignsResponse { item, next_token })
}

/// Deletes the definition, and what its runs did: pages that are not claimed yet are skipped from then on.
pub(super) async fn delete_campaign(
    cx: Cx,
    input: DeleteCampaignRequest,
) -> Result<CampaignResponse, ApiError> {
    let app = cx.app(&input.application_id).await?;
    let (head, row, body) = load(&cx, &app, &input.campaign_id).await?;
    let (state, state_row) = load_state(&cx, &app, &head.id).await?;
    let mut batch = Batch::default();
    campaigns(&app).delete(&mut batch, &head, row);
    batch.check(state_key(&app, &head.id), state_row);
    batch.delete(state_key(&app, &head.id));
    for (key, _) in cx.engine().kv.scan(progresses(&app, &head.id).prefix(), RUNS_MAX).await? {
        batch.delete(key);
    }
    if let Some(due) = state.due {
        batch.delete(due_row(&app, &head.id, due).key(SHARD, due));
    }
    let mut output = response(&cx, &app, &head, &body, &state)?;
    output.state = Some(WireState { campaign_status: Some(CampaignStatus::Deleted) });
    cx.commit(batch, &output).await?;
    Ok(output)
}

/// Stops the campaigns that are sent to a segment, which the same batch deletes: they fail with DELETED (spec/30 §1,
/// spec/50 §2), and what is not claimed yet is not sent.
pub(super) async fn stop_campaigns_of(
    cx: &Cx,
    app: &AppKey,
    segment: &str,
    batch: &mut Batch,
) -> Result<(), ApiError> {
    let kv = &*cx.engine().kv;
    let mut open = Vec::new();
    checks::each_state(kv, app, |key, version, state| {
        if !state.status.is_over() {
            open.push((key, version, state));
        }
    })
    .await?;
    for (key, version, mut state) in open {
        let Some(id) = key.components_behind(&states(app)).text() else { continue };
        let Some(body) = campaigns(app).body(kv, &id, state.version).await? else { continue };
        let request: WriteCampaignRequest = serde_json::from_str(&body.document)?;
        if request.segment_id.as_deref() != Some(segment) {
            continue;
        }
        if let Some(due) = state.due.take() {
            batch.delete(due_row(app, &id, due).key(SHARD, due));
        }
        state.status = Status::Deleted;
        state.fault = Some("the segment was deleted".to_owned());
        batch.check(key.clone(), version);
        batch.put(key, encode(&state));
    }
    Ok(())
}

/// The request changes nothing but whether the campaign is paused.
fn only_pauses(request: &WriteCampaignRequest) -> bool {
    let WriteCampaignRequest { is_paused, tags: _, .. } = request;
    is_paused.is_some()
        && *request
            == WriteCampaignRequest {
                is_paused: *is_paused,
                tags: request.tags.clone(),
                ..Default::default()
            }
}

/// The document before with the request's members over it.
fn merged(document: &str, request: WriteCampaignRequest) -> Result<WriteCampaignRequest, ApiError> {
    let mut before: serde_json::Map<String, Value> = serde_json::from_str(document)?;
    // The version of a segment that was replaced does not belong to the new one.
    if request.segment_id.is_some() && request.segment_version.is_none() {
        before.remove("SegmentVersion");
    }
    // Treatments have the campaign's schedule: those that stay follow it.
    if request.schedule.is_some()
        && let Some(Value::Array(treatments)) = before.get_mut("AdditionalTreatments")
    {
        for treatment in treatments.iter_mut().filter_map(Value::as_object_mut) {
            treatment.remove("Schedule");
        }
    }
    if let Value::Object(changes) = serde_json::to_value(request)? {
        before.extend(changes);
    }
    Ok(serde_json::from_value(Value::Object(before))?)
}

fn due_row(app: &AppKey, campaign: &str, scheduled: Timestamp) -> Due {
    Due { app: app.clone(), task: Task::CampaignStart { campaign: campaign.to_owned() }, scheduled }
}

fn put_due(batch: &mut Batch, app: &AppKey, campaign: &str, scheduled: Timestamp) {
    let due = due_row(app, campaign, scheduled);
    batch.put(due.key(SHARD, scheduled), encode(&due));
}

fn campaigns(app: &AppKey) -> Definitions {
    definitions::campaigns(app.account.as_str(), app.app.as_str())
}

async fn load(cx: &Cx, app: &AppKey, id: &str) -> Result<(Head, Version, Body), ApiError> {
    campaigns(app).latest(&*cx.engine().kv, id).await?.ok_or_else(ApiError::not_found)
}

async fn load_state(cx: &Cx, app: &AppKey, id: &str) -> Result<(CampaignState, Version), ApiError> {
    let row = cx.engine().kv.get(&state_key(app, id)).await?.ok_or_else(ApiError::not_found)?;
    Ok((decode(&row.value)?, row.version))
}
