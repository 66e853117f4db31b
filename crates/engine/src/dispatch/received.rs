//! What the recipients of a claim received lately: read once, counted up, written with the claim.

use std::collections::{BTreeMap, BTreeSet};

use domain::audience::AppKey;
use domain::campaigns::{Received, ReceivedRow};
use domain::time::Timestamp;
use store::tables::campaigns::received_key;
use store::value::{decode, encode};
use store::{Batch, Key, Kv, KvError};

/// Rows by number, with what is to be changed of them. Only claims of campaigns write them, one after the other.
#[derive(Debug, Default)]
pub(super) struct ReceivedRows {
    rows: BTreeMap<u32, ReceivedRow>,
    /// By row, then ordinal.
    changes: BTreeMap<u32, BTreeMap<u32, Received>>,
}

impl ReceivedRows {
    /// The rows in which the ordinals stand.
    pub(super) async fn load(
        kv: &dyn Kv,
        app: &AppKey,
        ordinals: impl Iterator<Item = u32>,
    ) -> Result<Self, KvError> {
        let numbers: BTreeSet<u32> = ordinals.map(ReceivedRow::row_of).collect();
        let keys: Vec<Key> = numbers.iter().map(|number| received_key(app, *number)).collect();
        let mut rows = BTreeMap::new();
        for (number, row) in numbers.into_iter().zip(kv.get_many(&keys).await?) {
            if let Some(row) = row {
                rows.insert(number, decode(&row.value)?);
            }
        }
        Ok(Self { rows, changes: BTreeMap::new() })
    }

    pub(super) fn get(&self, ordinal: u32) -> Received {
        self.rows.get(&ReceivedRow::row_of(ordinal)).map(|row| row.get(ordinal)).unwrap_or_default()
    }

    pub(super) fn set(&mut self, ordinal: u32, received: Received) {
        self.changes.entry(ReceivedRow::row_of(ordinal)).or_default().insert(ordinal, received);
    }

    /// Writes the rows that have changed.
    pub(super) fn write(self, app: &AppKey, batch: &mut Batch, now: Timestamp) {
        let Self { rows, changes } = self;
        for (number, changes) in changes {
            let row = rows.get(&number).cloned().unwrap_or_default().with(changes, now);
            batch.put(received_key(app, number), encode(&row));
        }
    }
}
