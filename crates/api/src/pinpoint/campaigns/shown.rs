//! A campaign as clients see it.

use domain::audience::AppKey;
use model::pinpoint::{
    CampaignHook, CampaignResponse, CampaignState as WireState, CampaignStatus, Schedule, TreatmentResource,
    WriteCampaignRequest,
};
use store::tables::campaigns::{CampaignState, Status};
use store::tables::definitions::{Body, Head};

use crate::context::Cx;
use crate::error::ApiError;

/// The id of a treatment: the same in the campaign and in its activities (spec/50-campaigns.md §3). The default one is no
/// resource, and is known as 0.
pub(super) fn treatment_id(campaign: &str, number: usize) -> String {
    match number {
        0 => "0".to_owned(),
        number => engine::ids::derived(&["treatment", campaign, &number.to_string()]),
    }
}

/// A version of a campaign.
pub(super) fn response(
    cx: &Cx,
    app: &AppKey,
    head: &Head,
    body: &Body,
    state: &CampaignState,
) -> Result<CampaignResponse, ApiError> {
    let request: WriteCampaignRequest = serde_json::from_str(&body.document)?;
    let wire_state = wire_state(state.status);
    let treatments = request.additional_treatments.unwrap_or_default();
    let has_treatments = !treatments.is_empty();
    let treatments = (1..).zip(treatments).map(|(number, treatment)| TreatmentResource {
        custom_delivery_configuration: treatment.custom_delivery_configuration,
        id: treatment_id(&head.id, number),
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
        is_paused: Some(request.is_paused.unwrap_or(false)),
        last_modified_date: body.modified.to_string(),
        limits: Some(request.limits.unwrap_or_default()),
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

fn wire_state(status: Status) -> WireState {
    WireState {
        campaign_status: Some(match status {
            Status::Scheduled => CampaignStatus::Scheduled,
            Status::Executing => CampaignStatus::Executing,
            Status::PendingNextRun => CampaignStatus::PendingNextRun,
            Status::Completed => CampaignStatus::Completed,
            Status::Paused => CampaignStatus::Paused,
            Status::Deleted => CampaignStatus::Deleted,
            Status::Invalid => CampaignStatus::Invalid,
        }),
    }
}
