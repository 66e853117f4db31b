//! What a campaign refers to and counts against, looked up when it is written.

use domain::audience::AppKey;
use domain::campaigns::{Limits, Plan, QuietTime, Start, parse_limits, parse_template};
use domain::time::Timestamp;
use model::pinpoint::{
    CampaignHook, Template, TemplateConfiguration, TemplateType, WriteApplicationSettingsRequest,
    WriteCampaignRequest,
};
use store::tables::campaigns::{CampaignState, states};
use store::tables::definitions;
use store::value::decode;
use store::{Batch, Key, Kv, Version};

use crate::context::Cx;
use crate::error::ApiError;
use crate::pinpoint::segments;

/// Campaigns of an account that are scheduled or running (spec/95-limits.md §2).
const ACTIVE_CAMPAIGNS_MAX: usize = 200;
/// States read per scan.
const SCAN_ROWS: usize = 1_000;

/// Reads the plan of a request, and fills in what the service fills in.
pub(super) fn plan(request: &mut WriteCampaignRequest) -> Result<Plan, ApiError> {
    let plan = Plan::parse(request)?;
    if let Some(schedule) = &mut request.schedule {
        schedule.timezone.get_or_insert_with(|| "UTC".to_owned());
    }
    if plan.is_paused && plan.start == Start::Immediate {
        return Err(ApiError::bad_request("A campaign that starts immediately cannot be paused"));
    }
    Ok(plan)
}

/// Checks that segment and templates exist, and notes the segment's version. The commit fails if the segment is deleted
/// meanwhile: its deletion would not find the campaign.
pub(super) async fn check_references(
    cx: &Cx,
    app: &AppKey,
    plan: &Plan,
    request: &mut WriteCampaignRequest,
    batch: &mut Batch,
) -> Result<(), ApiError> {
    let version =
        segments::existing_version(cx, app, plan.segment.as_str(), plan.segment_version, batch).await?;
    request.segment_version = Some(version as i32);
    let of_treatments = request.additional_treatments.iter().flatten();
    let of_treatments = of_treatments.filter_map(|treatment| treatment.template_configuration.as_ref());
    for templates in request.template_configuration.iter().chain(of_treatments) {
        check_templates(cx, templates).await?;
    }
    Ok(())
}

/// "This value must match the name of an existing message template", and so must the version (spec/40-templates.md §2).
async fn check_templates(cx: &Cx, templates: &TemplateConfiguration) -> Result<(), ApiError> {
    // A template for voice is not supported for campaigns (spec/50-campaigns.md §6): nothing is made of it.
    let TemplateConfiguration {
        email_template,
        in_app_template,
        push_template,
        sms_template,
        voice_template: _,
    } = templates;
    for (kind, template) in [
        (TemplateType::Email, email_template),
        (TemplateType::Inapp, in_app_template),
        (TemplateType::Push, push_template),
        (TemplateType::Sms, sms_template),
    ] {
        let Some(template) = template.as_ref().filter(|template| **template != Template::default()) else {
            continue;
        };
        let reference = parse_template(template)?;
        let kv = &*cx.engine().kv;
        let found = engine::templates::resolve(kv, cx.account(), kind.as_str(), &reference).await?;
        if found.body.is_none() {
            let version = template.version.as_ref().map(|version| format!(" in version {version}"));
            let name = reference.name + &version.unwrap_or_default();
            return Err(ApiError::bad_request(format!("{kind} template {name} does not exist")));
        }
    }
    Ok(())
}

/// What a campaign takes from its application.
#[derive(Debug, Default)]
pub(super) struct Defaults {
    pub(super) limits: Limits,
    pub(super) quiet_time: Option<QuietTime>,
    pub(super) hook: Option<CampaignHook>,
}

/// The application's defaults, copied when the campaign is made (spec/50 §5).
pub(super) async fn defaults(cx: &Cx, app: &AppKey) -> Result<Defaults, ApiError> {
    let settings = definitions::settings(app.account.as_str());
    let Some((_, _, body)) = settings.latest(&*cx.engine().kv, app.app.as_str()).await? else {
        return Ok(Defaults::default());
    };
    let settings: WriteApplicationSettingsRequest = serde_json::from_str(&body.document)?;
    let quiet_time = settings.quiet_time.unwrap_or_default();
    Ok(Defaults {
        limits: parse_limits(settings.limits.as_ref())?,
        quiet_time: QuietTime::parse(quiet_time.start.as_deref(), quiet_time.end.as_deref())?,
        hook: settings.campaign_hook,
    })
}

/// Refuses a time from which nothing would come, under the limits in force.
pub(super) fn check_start(
    plan: &Plan,
    defaults: &Limits,
    due: Timestamp,
    now: Timestamp,
) -> Result<(), ApiError> {
    let in_force = Plan { limits: plan.limits.or_defaults(defaults), ..plan.clone() };
    Ok(in_force.check_start(due, now)?)
}

/// One more campaign may be active: the quota is the account's, over all its applications (spec/95-limits.md §2).
pub(super) async fn check_room(cx: &Cx) -> Result<(), ApiError> {
    let kv = &*cx.engine().kv;
    let mut active = 0;
    for head in definitions::apps(cx.account().as_str()).heads(kv).await? {
        let app = AppKey { account: cx.account().clone(), app: head.id.as_str().into() };
        each_state(kv, &app, |_, _, state| active += usize::from(state.status.is_active())).await?;
        if active >= ACTIVE_CAMPAIGNS_MAX {
            return Err(ApiError::bad_request("Too many active campaigns"));
        }
    }
    Ok(())
}

/// Reads the states of an application's campaigns.
pub(super) async fn each_state(
    kv: &dyn Kv,
    app: &AppKey,
    mut take: impl FnMut(Key, Version, CampaignState) + Send,
) -> Result<(), ApiError> {
    let prefix = states(app);
    let mut range = prefix.prefix();
    loop {
        let rows = kv.scan(range, SCAN_ROWS).await?;
        let next = rows.last().filter(|_| rows.len() == SCAN_ROWS).map(|(last, _)| prefix.prefix_after(last));
        for (key, row) in rows {
            take(key, row.version, decode(&row.value)?);
        }
        match next {
            Some(next) => range = next,
            None => return Ok(()),
        }
    }
}
