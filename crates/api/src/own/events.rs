//! How many events arrived, by day and type.

use domain::audience::AppKey;
use domain::time::Timestamp;
use serde_json::json;
use store::tables::events::{Count, counts as counts_of};
use store::value::decode;

use super::list;
use crate::context::Cx;
use crate::error::ApiError;
use crate::protocol::Answer;

/// Rows read per scan.
const SCAN_ROWS: usize = 1_000;
/// Rows of an answer: 1,500 types on each of some two months' days.
const ROWS_MAX: usize = 100_000;
const DAY_MS: i64 = 86_400_000;

/// Every row of an application, oldest day first.
pub(super) async fn counts(cx: &Cx, app: &AppKey) -> Result<Answer, ApiError> {
    let prefix = counts_of(app);
    let mut range = prefix.prefix();
    let mut items = Vec::new();
    loop {
        let rows = cx.engine().kv.scan(range, SCAN_ROWS).await?;
        for (key, row) in &rows {
            let mut components = key.components();
            let (_, _) = (components.text(), components.text());
            let (Some(day), Some(event_type)) = (components.number(), components.text()) else { continue };
            let date = Timestamp(day as i64 * DAY_MS).to_string();
            let Count(count) = decode(&row.value)?;
            items.push(json!({ "Date": date.get(..10), "EventType": event_type, "Count": count }));
        }
        match rows.last() {
            Some((last, _)) if rows.len() == SCAN_ROWS && items.len() < ROWS_MAX => {
                range = prefix.prefix_after(last);
            }
            _ => return Ok(list(&items, None)),
        }
    }
}
