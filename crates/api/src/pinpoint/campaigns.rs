//! Campaigns: definitions with versions, and what their runs did (spec/50-campaigns.md).

use std::collections::BTreeMap;

use domain::audience::AppKey;
use domain::campaigns::{Limits, Plan, QuietTime, Start, parse_limits};
use domain::records::SendStatus;
use domain::time::Timestamp;
use engine::SHARD;
use model::pinpoint::{
    ActivitiesResponse, ActivityResponse, CampaignHook, CampaignLimits, CampaignResponse,
    CampaignState as WireState, CampaignStatus, CampaignsResponse, CreateCampaignRequest,
    DeleteCampaignRequest, GetCampaignActivitiesRequest, GetCampaignRequest, GetCampaignVersionRequest,
    GetCampaignVersionsRequest, GetCampaignsRequest, Schedule, TreatmentResource, UpdateCampaignRequest,
    WriteApplicationSettingsRequest, WriteCampaignRequest,
};
use store::tables::campaigns::{CampaignState, Progress, Status, progresses, state_key, states};
use store::tables::definitions::{self, Body, Definitions, Head};
use store::tables::due::{Due, Task};
use store::value::{decode, encode};
use store::{Batch, Version};

use super::{segments, tags};
use crate::context::Cx;
use crate::error::ApiError;
use crate::paging::{Page, Place};

/// Campaigns of an account that are scheduled or running (spec/95-limits.md §2).
const ACTIVE_CAMPAIGNS_MAX: usize = 200;
/// Campaigns of an application, ended ones included.
const CAMPAIGNS_MAX: usize = 100_000;
/// Runs that are read for a list of activities.
const RUNS_MAX: usize = 10_000;

pub(super) async fn create_campaign(
    cx: Cx,
    input: CreateCampaignRequest,
) -> Result<CampaignResponse, ApiError> {
    let app = cx.app_head(&input.application_id).await?;
    let mut request = input.write_campaign_request;
    let tags = tags::checked(request.tags.take().unwrap_or_default())?;
    let plan = complete(&cx, &app.key, &mut request).await?;
    check_room(&cx, &app.key).await?;
    let (default_limits, default_quiet_time) = defaults(&cx, &app.key).await?;
    let now = cx.now();
    let mut batch = Batch::default();
    app.guard(&mut batch);
    let json = serde_json::to_string(&request)?;
    let (head, body) = campaigns(&app.key).create(&mut batch, &cx.new_id(), json, tags, now);
    let due = plan.due(now);
    if !plan.may_start(due, now) {
        return Err(ApiError::bad_request("StartTime lies too far in the past, or EndTime does"));
    }
    let status = if plan.is_paused { Status::Paused } else { Status::Scheduled };
    let state = CampaignState {
        status,
        version: 1,
        is_paused: plan.is_paused,
        due: Some(due),
        run: None,
        runs: 0,
        default_limits,
        default_quiet_time,
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
    if !only_pauses && !matches!(state.status, Status::Scheduled | Status::Paused | Status::PendingNextRun) {
        return Err(ApiError::bad_request("Only a campaign that was not sent yet can be changed"));
    }
    let mut request = merged(&before.document, input.write_campaign_request)?;
    request.tags = None;
    let plan = complete(&cx, &app.key, &mut request).await?;
    let now = cx.now();
    let mut batch = Batch::default();
    app.guard(&mut batch);
    let json = serde_json::to_string(&request)?;
    let (head, body) = campaigns(&app.key).add_version(&mut batch, &head, row, json, now);
    if let Some(due) = state.due {
        batch.delete(due_row(&app.key, &head.id, due).key(SHARD, due));
    }
    reschedule(&mut state, &plan, body.version, now, &mut batch, &app.key, &head.id);
    batch.check(state_key(&app.key, &head.id), state_row);
    batch.put(state_key(&app.key, &head.id), encode(&state));
    let output = response(&cx, &app.key, &head, &body, &state)?;
    cx.commit(batch, &output).await?;
    cx.engine().due.notify_one();
    Ok(output)
}

/// Moves the state to a new version of the plan. A run in progress finishes with the version that it began with.
fn reschedule(
    state: &mut CampaignState,
    plan: &Plan,
    version: u32,
    now: Timestamp,
    batch: &mut Batch,
    app: &AppKey,
    id: &str,
) {
    let waits = matches!(state.status, Status::Scheduled | Status::Paused | Status::PendingNextRun);
    state.version = version;
    state.is_paused = plan.is_paused;
    if !waits {
        return;
    }
    // A resumed campaign keeps its time; one whose time has passed meanwhile is due at once.
    let due = match plan.start {
        Start::At(at) => at,
        Start::Immediate => state.due.unwrap_or(now),
    };
    state.due = Some(due);
    state.status = if plan.is_paused { Status::Paused } else { Status::Scheduled };
    if !plan.is_paused {
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

/// Deletes the definition: pages that are not claimed yet are skipped from then on.
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
    if let Some(due) = state.due {
        batch.delete(due_row(&app, &head.id, due).key(SHARD, due));
    }
    let mut output = response(&cx, &app, &head, &body, &state)?;
    output.state = Some(WireState { campaign_status: Some(CampaignStatus::Deleted) });
    cx.commit(batch, &output).await?;
    Ok(output)
}

/// One activity for each run and treatment, the newest run first.
pub(super) async fn get_campaign_activities(
    cx: Cx,
    input: GetCampaignActivitiesRequest,
) -> Result<ActivitiesResponse, ApiError> {
    let app = cx.app(&input.application_id).await?;
    let page = Page::parse(input.page_size.as_deref(), input.token.as_deref())?;
    let (head, _, _) = load(&cx, &app, &input.campaign_id).await?;
    let rows = cx.engine().kv.scan(progresses(&app, &head.id).prefix(), RUNS_MAX).await?;
    let mut activities = Vec::new();
    for (_, row) in rows {
        let progress: Progress = decode(&row.value)?;
        activities.extend(activities_of(&app, &head.id, &progress));
    }
    activities.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.id.cmp(&other.1.id)));
    let (activities, next_token) = page.cut(activities, |(at, activity)| Place::at(*at, &activity.id));
    Ok(ActivitiesResponse {
        item: activities.into_iter().map(|(_, activity)| activity).collect(),
        next_token,
    })
}

fn activities_of(app: &AppKey, campaign: &str, progress: &Progress) -> Vec<(Timestamp, ActivityResponse)> {
    let is_done = progress.ended.is_some();
    let only_one = progress.treatments.len() == 1;
    let activity = |(treatment, counts): (usize, &BTreeMap<SendStatus, u64>)| {
        let successful = counts.get(&SendStatus::Success).copied().unwrap_or(0);
        let decided: u64 = counts.values().sum();
        // Who belongs to which of several treatments is known once it is decided.
        let total = if only_one { progress.audience } else { decided };
        let metrics = counts.iter().map(|(status, count)| (status.as_str().to_owned(), count.to_string()));
        let response = ActivityResponse {
            application_id: app.app.to_string(),
            campaign_id: campaign.to_owned(),
            end: progress.ended.map(|at| at.to_string()),
            execution_metrics: Some(metrics.collect()),
            id: engine::ids::derived(&["activity", &progress.run, &treatment.to_string()]),
            result: is_done.then(|| "SUCCESS".to_owned()),
            scheduled_start: Some(progress.scheduled.to_string()),
            start: Some(progress.started.to_string()),
            state: Some(if is_done { "COMPLETED" } else { "RUNNING" }.to_owned()),
            successful_endpoint_count: Some(successful as i32),
            timezones_completed_count: Some(i32::from(is_done)),
            timezones_total_count: Some(1),
            total_endpoint_count: Some(total as i32),
            treatment_id: Some(treatment.to_string()),
        };
        (progress.started, response)
    };
    progress.treatments.iter().enumerate().map(activity).collect()
}

/// Checks a request and fills in what the service fills in.
async fn complete(cx: &Cx, app: &AppKey, request: &mut WriteCampaignRequest) -> Result<Plan, ApiError> {
    let plan = Plan::parse(request)?;
    let version = segments::existing_version(cx, app, plan.segment.as_str(), plan.segment_version).await?;
    request.segment_version = Some(version as i32);
    if let Some(schedule) = &mut request.schedule {
        schedule.timezone.get_or_insert_with(|| "UTC".to_owned());
    }
    if plan.is_paused && plan.start == Start::Immediate {
        return Err(ApiError::bad_request("A campaign that starts immediately cannot be paused"));
    }
    Ok(plan)
}

/// The application's defaults, copied when the campaign is made (spec/50 §5).
async fn defaults(cx: &Cx, app: &AppKey) -> Result<(Limits, Option<QuietTime>), ApiError> {
    let settings = definitions::settings(app.account.as_str());
    let Some((_, _, body)) = settings.latest(&*cx.engine().kv, app.app.as_str()).await? else {
        return Ok((Limits::default(), None));
    };
    let settings: WriteApplicationSettingsRequest = serde_json::from_str(&body.document)?;
    let quiet_time = settings.quiet_time.unwrap_or_default();
    let quiet_time = QuietTime::parse(quiet_time.start.as_deref(), quiet_time.end.as_deref())?;
    Ok((parse_limits(settings.limits.as_ref())?, quiet_time))
}

async fn check_room(cx: &Cx, app: &AppKey) -> Result<(), ApiError> {
    let rows = cx.engine().kv.scan(states(app).prefix(), CAMPAIGNS_MAX).await?;
    let mut active = 0;
    for (_, row) in rows {
        let state: CampaignState = decode(&row.value)?;
        if matches!(state.status, Status::Scheduled | Status::Executing | Status::PendingNextRun) {
            active += 1;
        }
    }
    if active >= ACTIVE_CAMPAIGNS_MAX {
        return Err(ApiError::bad_request("Too many active campaigns"));
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
    let mut before: serde_json::Map<String, serde_json::Value> = serde_json::from_str(document)?;
    // The version of a segment that was replaced does not belong to the new one.
    if request.segment_id.is_some() && request.segment_version.is_none() {
        before.remove("SegmentVersion");
    }
    if let serde_json::Value::Object(changes) = serde_json::to_value(request)? {
        before.extend(changes);
    }
    Ok(serde_json::from_value(serde_json::Value::Object(before))?)
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

fn response(
    cx: &Cx,
    app: &AppKey,
    head: &Head,
    body: &Body,
    state: &CampaignState,
) -> Result<CampaignResponse, ApiError> {
    let request: WriteCampaignRequest = serde_json::from_str(&body.document)?;
    let wire_state = WireState {
        campaign_status: Some(match state.status {
            Status::Scheduled => CampaignStatus::Scheduled,
            Status::Executing => CampaignStatus::Executing,
            Status::PendingNextRun => CampaignStatus::PendingNextRun,
            Status::Completed => CampaignStatus::Completed,
            Status::Paused => CampaignStatus::Paused,
            Status::Deleted => CampaignStatus::Deleted,
            Status::Invalid => CampaignStatus::Invalid,
        }),
    };
    let treatments = request.additional_treatments.unwrap_or_default();
    let has_treatments = !treatments.is_empty();
    let treatments = (1u32..).zip(treatments).map(|(number, treatment)| TreatmentResource {
        custom_delivery_configuration: treatment.custom_delivery_configuration,
        id: engine::ids::derived(&["treatment", &head.id, &number.to_string()]),
        message_configuration: treatment.message_configuration,
        schedule: treatment.schedule,
        size_percent: treatment.size_percent,
        state: Some(wire_state.clone()),
        template_configuration: treatment.template_configuration,
        treatment_description: treatment.treatment_description,
        treatment_name: treatment.treatment_name,
    });
    Ok(CampaignResponse {
        additional_treatments: Some(treatments.collect()),
        application_id: app.app.to_string(),
        arn: cx.arn(&format!("apps/{}/campaigns/{}", app.app, head.id)),
        creation_date: head.created.to_string(),
        custom_delivery_configuration: request.custom_delivery_configuration,
        default_state: has_treatments.then(|| wire_state.clone()),
        description: request.description,
        holdout_percent: Some(request.holdout_percent.unwrap_or(0)),
        hook: request.hook.filter(|hook| *hook != CampaignHook::default()),
        id: head.id.clone(),
        is_paused: Some(state.is_paused),
        last_modified_date: body.modified.to_string(),
        limits: Some(request.limits.unwrap_or_else(CampaignLimits::default)),
        message_configuration: request.message_configuration,
        name: request.name,
        priority: request.priority,
        schedule: request.schedule.map(|schedule| Schedule {
            is_local_time: Some(schedule.is_local_time.unwrap_or(false)),
            quiet_time: Some(schedule.quiet_time.unwrap_or_default()),
            ..schedule
        }),
        segment_id: request.segment_id.unwrap_or_default(),
        segment_version: request.segment_version.unwrap_or_default(),
        state: Some(wire_state),
        tags: Some(head.tags.clone()),
        template_configuration: Some(request.template_configuration.unwrap_or_default()),
        treatment_description: request.treatment_description,
        treatment_name: request.treatment_name,
        version: Some(body.version as i32),
    })
}
