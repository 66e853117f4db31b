//! Rows that are kept for some time only, removed when it is over: answers for repeats of SDKs (design §6), requests of
//! direct messages.

use std::time::Duration;

use store::tables::expiries::{expired, read};
use store::tables::invocations::Answer;
use store::value::decode;
use store::{Batch, Durability, KvError, Table};

use crate::Engine;

/// Rows removed in one step.
const ROWS_PER_STEP: usize = 500;
/// How often a scan begins with the earliest row there could be. New rows expire minutes after they are written, so only a
/// clock that was set back by as much could put one before what is removed already.
pub(crate) const RESCAN_EVERY: Duration = Duration::from_hours(1);

/// Removes what has expired; true: there may be more. What a record may ask for that is not folded yet stays: folding would
/// decide otherwise than a replay of the log, which finds it.
pub async fn step(engine: &Engine) -> Result<bool, KvError> {
    let now = engine.folded_before();
    let scan = engine.expiries.scan(engine.context.clock.monotonic_ms());
    let rows = engine.kv.scan(expired(scan.from, now), ROWS_PER_STEP).await?;
    let mut batch = Batch::default();
    let mut last = None;
    for (key, _) in &rows {
        batch.delete(key.clone());
        let Some((expires, kept_key)) = read(key) else { continue };
        last = Some(expires);
        let Some(row) = engine.kv.get(&kept_key).await? else { continue };
        // An answer that was given anew under the same id has an expiry of its own.
        let is_answer =
            kept_key.as_bytes().first() == Some(&(Table::Invocations as u8)) && !row.value.is_empty();
        if !is_answer || decode::<Answer>(&row.value)?.expires <= now {
            batch.check(kept_key.clone(), row.version);
            batch.delete(kept_key);
        }
    }
    if batch.is_empty() {
        return Ok(false);
    }
    match engine.kv.commit(batch, Durability::Buffered).await {
        Ok(_) => {
            engine.expiries.raise(scan, last.unwrap_or(scan.from));
            Ok(rows.len() == ROWS_PER_STEP)
        }
        // Given anew at this moment: looked at again.
        Err(KvError::Conflict(_)) => Ok(true),
        Err(error) => Err(error),
    }
}
