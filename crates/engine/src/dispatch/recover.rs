//! After a restart: intents that have no outcome.

use domain::records::SendStatus;
use store::tables::outbox::{Intent, intents};
use store::value::decode;

use super::DispatchError;
use super::send::{Fate, append};
use crate::Engine;

/// Intents read per scan.
const SCAN_ROWS: usize = 256;

/// Judges the intents that a crash left: what was withheld was withheld; what was to be handed over is unknown, unless the
/// transport drops repeats. Answers the number of unknown deliveries. Must run after the projection has reached the end of
/// the log (else an intent may have an outcome that is not folded yet) and before the dispatcher starts.
pub async fn recover(engine: &Engine) -> Result<u64, DispatchError> {
    let mut unknown = 0;
    let mut range = intents(crate::handle::SHARD).prefix();
    loop {
        let rows = engine.kv.scan(range, SCAN_ROWS).await?;
        for (_, row) in &rows {
            let intent: Intent = decode(&row.value).map_err(store::KvError::from)?;
            let fates: Vec<Fate> = intent
                .deliveries
                .iter()
                .map(|delivery| Fate {
                    status: delivery.skipped.unwrap_or(SendStatus::Unknown),
                    attempt: intent.attempt,
                    code: None,
                    detail: delivery.skipped.map_or_else(
                        || "the server stopped during the hand-off".to_owned(),
                        |_| delivery.detail.clone(),
                    ),
                    retry_at: None,
                })
                .collect();
            unknown += fates.iter().filter(|fate| fate.status == SendStatus::Unknown).count() as u64;
            append(engine, &intent, &fates).await?;
        }
        match rows.last() {
            Some((last, _)) if rows.len() == SCAN_ROWS => {
                range = intents(crate::handle::SHARD).prefix_after(last);
            }
            _ => return Ok(unknown),
        }
    }
}
