//! What the runs of a campaign did (spec/50-campaigns.md §12).

use std::collections::BTreeMap;

use domain::audience::AppKey;
use domain::records::SendStatus;
use domain::time::Timestamp;
use model::pinpoint::{ActivitiesResponse, ActivityResponse, GetCampaignActivitiesRequest};
use store::tables::campaigns::{Progress, progresses};
use store::value::decode;

use super::shown::treatment_id;
use super::{RUNS_MAX, load};
use crate::context::Cx;
use crate::error::ApiError;
use crate::paging::{Page, Place};

/// Endpoints that the segment produced for a run.
const PRODUCED: &str = "ENDPOINT_PRODUCED";

/// One activity for each run and treatment, the newest run first.
pub(in super::super) async fn get_campaign_activities(
    cx: Cx,
    input: GetCampaignActivitiesRequest,
) -> Result<ActivitiesResponse, ApiError> {
    let app = cx.app(&input.application_id).await?;
    let page = Page::parse(input.page_size.as_deref(), input.token.as_deref())?;
    let (head, _, _) = load(&cx, &app, &input.campaign_id).await?;
    let rows = cx.engine().kv.scan(progresses(&app, &head.id).prefix(), RUNS_MAX).await?;
    let mut activities: Vec<(Timestamp, ActivityResponse)> = Vec::new();
    for (_, row) in rows {
        let progress: Progress = decode(&row.value)?;
        for (treatment, counts) in progress.treatments.iter().enumerate() {
            activities.push((progress.started, activity(&app, &head.id, &progress, treatment, counts)));
        }
    }
    activities.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.id.cmp(&other.1.id)));
    let (activities, next_token) = page.cut(activities, |(at, activity)| Place::at(*at, &activity.id));
    Ok(ActivitiesResponse {
        item: activities.into_iter().map(|(_, activity)| activity).collect(),
        next_token,
    })
}

fn activity(
    app: &AppKey,
    campaign: &str,
    progress: &Progress,
    treatment: usize,
    counts: &BTreeMap<SendStatus, u64>,
) -> ActivityResponse {
    let sum = |is_counted: fn(SendStatus) -> bool| -> u64 {
        counts.iter().filter(|(status, _)| is_counted(**status)).map(|(_, count)| count).sum()
    };
    let successful = sum(|status| status == SendStatus::Success);
    let is_done = progress.ended.is_some();
    let is_cut_short = is_cut_short(progress);
    let has_failed = successful == 0 && (is_cut_short || sum(SendStatus::is_failure) > 0);
    ActivityResponse {
        application_id: app.app.to_string(),
        campaign_id: campaign.to_owned(),
        end: progress.ended.map(|at| at.to_string()),
        execution_metrics: Some(execution_metrics(progress, counts)),
        id: engine::ids::derived(&["activity", &progress.run, &treatment.to_string()]),
        result: is_done.then(|| if has_failed { "FAIL" } else { "SUCCESS" }.to_owned()),
        scheduled_start: Some(progress.scheduled.to_string()),
        start: Some(progress.started.to_string()),
        state: Some(
            match (is_done, is_cut_short) {
                (false, _) => "RUNNING",
                (true, false) => "COMPLETED",
                (true, true) => "CANCELLED",
            }
            .to_owned(),
        ),
        successful_endpoint_count: Some(successful as i32),
        timezones_completed_count: Some(i32::from(is_done)),
        timezones_total_count: Some(1),
        // Those that a message was made for, not those that were withheld.
        total_endpoint_count: Some(sum(SendStatus::was_attempted) as i32),
        treatment_id: Some(treatment_id(campaign, treatment)),
    }
}

/// The campaign's segment was deleted before everybody was reached.
fn is_cut_short(progress: &Progress) -> bool {
    let is_partial = progress.ended.is_some() && progress.done < progress.audience;
    is_partial || progress.treatments.iter().any(|counts| counts.contains_key(&SendStatus::Cancelled))
}

/// Counters under the names of spec/70-analytics.md §2; those that are zero are left out (spec/97 §3.1).
fn execution_metrics(progress: &Progress, counts: &BTreeMap<SendStatus, u64>) -> BTreeMap<String, String> {
    // Who belongs to which of several treatments is known once it is decided.
    let is_only_one = progress.treatments.len() == 1;
    let produced = if is_only_one { progress.audience } else { counts.values().sum() };
    let counts = counts.iter().map(|(status, count)| (status.metric(), *count));
    let metrics = counts.chain([(PRODUCED, produced)]).filter(|(_, count)| *count > 0);
    metrics.map(|(name, count)| (name.to_owned(), count.to_string())).collect()
}
