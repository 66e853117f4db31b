//! What became of deliveries is kept for some time: else a campaign a day would fill the disk.
//!
//! The rows stand by endpoint, as they are asked for, and not by time: a second row in order of time would be written with each
//! mail. So they are looked through from end to end, a few at a time.

use std::time::Duration;

use store::tables::outbox::Outcome;
use store::value::decode;
use store::{Batch, Durability, Key, KvError, Table};

use crate::Engine;

/// Rows looked at in one step.
const ROWS_PER_STEP: usize = 500;
/// The tables whose rows are outcomes.
const TABLES: [Table; 2] = [Table::Unknown, Table::Deliveries];

/// Removes outcomes that are too old. There is one for each store.
#[derive(Debug)]
pub struct Retention {
    kept: Duration,
    /// Where the pass goes on: a table of [`TABLES`], and its first row that was not looked at.
    place: (usize, Option<Key>),
}

impl Retention {
    /// Outcomes of messages that were sent longer ago are removed.
    pub fn new(kept: Duration) -> Self {
        Self { kept, place: (0, None) }
    }

    /// Looks at the next rows and removes those that are too old. False: everything was looked at, and the next step begins
    /// anew. A crash may bring rows back, until the next pass.
    pub async fn step(&mut self, engine: &Engine) -> Result<bool, KvError> {
        let (number, from) = &self.place;
        let Some(table) = TABLES.get(*number) else {
            self.place = (0, None);
            return Ok(false);
        };
        let mut range = Key::new(*table).prefix();
        if let Some(from) = from {
            range.from = from.clone();
        }
        let oldest = engine.context.now().minus(self.kept);
        let rows = engine.kv.scan(range, ROWS_PER_STEP).await?;
        let next = match rows.last() {
            Some((last, _)) => (*number, Some(last.successor())),
            None => (number + 1, None),
        };
        let mut batch = Batch::default();
        for (key, row) in rows {
            match decode::<Outcome>(&row.value) {
                Ok(outcome) if outcome.sent >= oldest => {}
                Ok(_) => {
                    batch.check(key.clone(), row.version);
                    batch.delete(key);
                }
                Err(error) => {
                    tracing::warn!(?key, %error, "what became of a delivery cannot be read: it is kept");
                }
            }
        }
        if !batch.is_empty() {
            match engine.kv.commit(batch, Durability::Buffered).await {
                Ok(_) => {}
                // An outcome came in at this moment: looked at again.
                Err(KvError::Conflict(_)) => return Ok(true),
                Err(error) => return Err(error),
            }
        }
        self.place = next;
        Ok(true)
    }
}
