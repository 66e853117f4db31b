//! Answers kept for repeats of SDKs, removed when their time is over (design §6).

use store::tables::invocations::{Answer, answer_of, expired};
use store::value::decode;
use store::{Batch, Durability, KvError};

use crate::Engine;

/// Answers removed in one step.
const ROWS_PER_STEP: usize = 500;

/// Removes answers that have expired; true: there may be more.
pub async fn step(engine: &Engine) -> Result<bool, KvError> {
    let now = engine.context.now();
    let rows = engine.kv.scan(expired(now), ROWS_PER_STEP).await?;
    let mut batch = Batch::default();
    for (key, _) in &rows {
        batch.delete(key.clone());
        let Some(answer_key) = answer_of(key) else { continue };
        let Some(row) = engine.kv.get(&answer_key).await? else { continue };
        // An answer that was given anew under the same id has an expiry of its own.
        let is_expired = row.value.is_empty() || decode::<Answer>(&row.value)?.expires <= now;
        if is_expired {
            batch.check(answer_key.clone(), row.version);
            batch.delete(answer_key);
        }
    }
    if batch.is_empty() {
        return Ok(false);
    }
    match engine.kv.commit(batch, Durability::Buffered).await {
        Ok(_) => Ok(rows.len() == ROWS_PER_STEP),
        // Given anew at this moment: looked at again.
        Err(KvError::Conflict(_)) => Ok(true),
        Err(error) => Err(error),
    }
}
