//! How many endpoints a segment has, or would have: exact, from the audience index.

use domain::audience::AppKey;
use domain::ids::SegmentId;
use domain::segments::Document;
use engine::segments::{SelectError, select, select_criteria};
use serde_json::json;

use super::parameter;
use crate::context::Cx;
use crate::error::ApiError;
use crate::protocol::Answer;

/// Criteria as `WriteSegmentRequest` has them.
pub(super) async fn count_criteria(cx: &Cx, app: &AppKey, body: &[u8]) -> Result<Answer, ApiError> {
    let document: Document =
        serde_json::from_slice(body).map_err(|error| ApiError::bad_request(error.to_string()))?;
    let criteria = document.criteria()?;
    let started_ms = cx.engine().context.clock.monotonic_ms();
    let selected = select_criteria(cx.engine(), app, &criteria, cx.now()).await;
    answer(cx, app, selected.map(|members| members.len()), started_ms)
}

/// A segment, or the version of it that `version` names.
pub(super) async fn count_segment(
    cx: &Cx,
    app: &AppKey,
    segment: &str,
    query: &[(String, String)],
) -> Result<Answer, ApiError> {
    let version =
        parameter(query, "version").map(str::parse).transpose().map_err(|_| ApiError::not_found())?;
    let started_ms = cx.engine().context.clock.monotonic_ms();
    let selected = select(cx.engine(), app, &SegmentId::new(segment), version, cx.now()).await;
    answer(cx, app, selected.map(|members| members.len()), started_ms)
}

fn answer(
    cx: &Cx,
    app: &AppKey,
    count: Result<u64, SelectError>,
    started_ms: u64,
) -> Result<Answer, ApiError> {
    let count = count.map_err(|error| match error {
        SelectError::NotReady => ApiError::unavailable("The audience index is being built: try again"),
        SelectError::Missing => ApiError::not_found(),
        SelectError::Invalid(reason) => ApiError::bad_request(reason),
        SelectError::Kv(error) => error.into(),
    })?;
    let total = cx.engine().audiences.with(app, engine::index::Index::endpoints);
    let elapsed_ms = cx.engine().context.clock.monotonic_ms().saturating_sub(started_ms);
    let document = json!({ "Count": count, "Total": total, "ElapsedMilliseconds": elapsed_ms });
    Ok(Answer::json(document.to_string()))
}
