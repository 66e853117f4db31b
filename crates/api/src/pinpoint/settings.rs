//! An application's settings: they exist as soon as the application does.
//!
//! Stored is the request, merged over earlier ones: a block that is absent stays as it was (spec/97 §13).

use domain::campaigns::{QuietTime, parse_limits};
use domain::time::Timestamp;
use model::pinpoint::{
    ApplicationSettingsJourneyLimits, ApplicationSettingsResource, CampaignHook,
    GetApplicationSettingsRequest, UpdateApplicationSettingsRequest, WriteApplicationSettingsRequest,
};
use store::Batch;
use store::tables::definitions;

use super::replace;
use crate::context::{App, Cx};
use crate::error::ApiError;

/// Messages of all journeys to one endpoint: in a day, in all, in a time frame.
const JOURNEY_CAP_MAX: i32 = 100;
/// Days of a journeys' time frame.
const JOURNEY_TIMEFRAME_DAYS_MAX: i32 = 30;
/// Characters of a hook's address or function.
const HOOK_CHARACTERS_MAX: usize = 2_048;

pub(super) async fn get_application_settings(
    cx: Cx,
    input: GetApplicationSettingsRequest,
) -> Result<ApplicationSettingsResource, ApiError> {
    let app = cx.app_head(&input.application_id).await?;
    let settings = definitions::settings(cx.account().as_str());
    let found = settings.latest(&*cx.engine().kv, &input.application_id).await?;
    let Some((head, _, body)) = found else {
        return Ok(response(&app, WriteApplicationSettingsRequest::default(), app.head.created));
    };
    Ok(response(&app, serde_json::from_str(&body.document)?, head.modified))
}

pub(super) async fn update_application_settings(
    cx: Cx,
    input: UpdateApplicationSettingsRequest,
) -> Result<ApplicationSettingsResource, ApiError> {
    check(&input.write_application_settings_request)?;
    let app = cx.app_head(&input.application_id).await?;
    let definitions = definitions::settings(cx.account().as_str());
    let found = definitions.latest(&*cx.engine().kv, &input.application_id).await?;
    let known = match &found {
        Some((_, _, body)) => serde_json::from_str(&body.document)?,
        None => WriteApplicationSettingsRequest::default(),
    };
    let merged = merge(known, input.write_application_settings_request);
    let mut batch = Batch::default();
    app.guard(&mut batch);
    let document = serde_json::to_string(&merged)?;
    let read = found.map(|(head, row, _)| (head, row));
    let head = replace(&definitions, &mut batch, (&input.application_id, read), document, cx.now());
    let output = response(&app, merged, head.modified);
    cx.commit(batch, &output).await?;
    Ok(output)
}

fn merge(
    known: WriteApplicationSettingsRequest,
    new: WriteApplicationSettingsRequest,
) -> WriteApplicationSettingsRequest {
    WriteApplicationSettingsRequest {
        campaign_hook: new.campaign_hook.or(known.campaign_hook),
        cloud_watch_metrics_enabled: new.cloud_watch_metrics_enabled.or(known.cloud_watch_metrics_enabled),
        event_tagging_enabled: new.event_tagging_enabled.or(known.event_tagging_enabled),
        journey_limits: new.journey_limits.or(known.journey_limits),
        limits: new.limits.or(known.limits),
        quiet_time: new.quiet_time.or(known.quiet_time),
    }
}

fn check(settings: &WriteApplicationSettingsRequest) -> Result<(), ApiError> {
    parse_limits(settings.limits.as_ref())?;
    if let Some(quiet_time) = &settings.quiet_time {
        QuietTime::parse(quiet_time.start.as_deref(), quiet_time.end.as_deref())?;
    }
    if let Some(hook) = &settings.campaign_hook {
        check_hook(hook)?;
    }
    if let Some(limits) = &settings.journey_limits {
        check_journey_limits(limits)?;
    }
    Ok(())
}

/// A function is kept as it was sent; an address must be one that can be called.
fn check_hook(hook: &CampaignHook) -> Result<(), ApiError> {
    for text in [&hook.lambda_function_name, &hook.web_url].into_iter().flatten() {
        if text.chars().count() > HOOK_CHARACTERS_MAX {
            return Err(ApiError::bad_request(format!(
                "CampaignHook has more than {HOOK_CHARACTERS_MAX} characters"
            )));
        }
    }
    let is_address =
        |url: &String| url.is_empty() || url.starts_with("https://") || url.starts_with("http://");
    if !hook.web_url.iter().all(is_address) {
        return Err(ApiError::bad_request("WebUrl must begin with https:// or http://"));
    }
    Ok(())
}

fn check_journey_limits(limits: &ApplicationSettingsJourneyLimits) -> Result<(), ApiError> {
    let timeframe = limits.timeframe_cap.clone().unwrap_or_default();
    for (name, value, max) in [
        ("DailyCap", limits.daily_cap, JOURNEY_CAP_MAX),
        ("TotalCap", limits.total_cap, JOURNEY_CAP_MAX),
        ("Cap", timeframe.cap, JOURNEY_CAP_MAX),
        ("Days", timeframe.days, JOURNEY_TIMEFRAME_DAYS_MAX),
    ] {
        if value.is_some_and(|value| !(0..=max).contains(&value)) {
            return Err(ApiError::bad_request(format!("{name} must lie between 0 and {max}")));
        }
    }
    Ok(())
}

/// `CampaignHook`, `Limits` and `QuietTime` are always there: clients read into them without a look (spec/97 §13).
fn response(
    app: &App,
    settings: WriteApplicationSettingsRequest,
    modified: Timestamp,
) -> ApplicationSettingsResource {
    let WriteApplicationSettingsRequest {
        campaign_hook,
        cloud_watch_metrics_enabled: _,
        event_tagging_enabled: _,
        journey_limits,
        limits,
        quiet_time,
    } = settings;
    ApplicationSettingsResource {
        application_id: app.head.id.clone(),
        campaign_hook: Some(campaign_hook.unwrap_or_default()),
        journey_limits,
        last_modified_date: Some(modified.to_string()),
        limits: Some(limits.unwrap_or_default()),
        quiet_time: Some(quiet_time.unwrap_or_default()),
    }
}
