//! Why a message was, or was not, sent.

use domain::audience::AppKey;
use domain::ids::EndpointId;
use serde_json::{Value, json};
use store::Key;
use store::tables::outbox::{Outcome, outcomes_of, unknowns};
use store::value::decode;

use super::{list, parameter};
use crate::context::Cx;
use crate::error::ApiError;
use crate::protocol::Answer;

/// Items of a page.
const PAGE_ITEMS: usize = 200;

/// Deliveries to an endpoint, or to a bare address, by delivery id.
pub(super) async fn of_endpoint(
    cx: &Cx,
    app: &AppKey,
    endpoint: &str,
    query: &[(String, String)],
) -> Result<Answer, ApiError> {
    page(cx, &outcomes_of(app, &EndpointId::new(endpoint).folded()), query).await
}

/// Deliveries of an application that may have been handed over, and nobody knows.
pub(super) async fn unknown(cx: &Cx, app: &AppKey, query: &[(String, String)]) -> Result<Answer, ApiError> {
    page(cx, &unknowns(app), query).await
}

/// Rows below a prefix that end in a delivery id; the token is that of the last one shown.
async fn page(cx: &Cx, prefix: &Key, query: &[(String, String)]) -> Result<Answer, ApiError> {
    let mut range = prefix.prefix();
    if let Some(token) = parameter(query, "token") {
        range = prefix.prefix_after(&prefix.clone().text(token));
    }
    let rows = cx.engine().kv.scan(range, PAGE_ITEMS).await?;
    let mut items = Vec::with_capacity(rows.len());
    let mut last = None;
    for (key, row) in &rows {
        let id = key.components_behind(prefix).text().unwrap_or_default();
        items.push(shown(&id, &decode(&row.value)?));
        last = Some(id);
    }
    let has_more = rows.len() == PAGE_ITEMS;
    Ok(list(&items, last.filter(|_| has_more)))
}

fn shown(delivery: &str, outcome: &Outcome) -> Value {
    let Outcome { endpoint, address, campaign, run, treatment, status, attempt, code, detail, sent } =
        outcome;
    let mut shown = json!({
        "DeliveryId": delivery, "EndpointId": endpoint, "Address": address, "Status": status.as_str(), "Attempt": attempt,
        "Detail": detail, "Sent": sent.to_string(),
    });
    if let (Some(campaign), Some(run)) = (campaign, run) {
        shown["CampaignId"] = campaign.as_str().into();
        shown["RunId"] = run.as_str().into();
        shown["Treatment"] = (*treatment).into();
    }
    if let Some(code) = code {
        shown["Code"] = (*code).into();
    }
    shown
}
