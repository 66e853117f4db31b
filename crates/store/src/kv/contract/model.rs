//! The store against a model: random commits, reads and scans, compared with a sorted map.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::dice::Dice;
use crate::key::{Key, KeyRange, Table};
use crate::kv::{Batch, Durability, Kv, KvError, Version, Versioned};

const STEPS: u32 = 400;

/// Few keys, so that random commits meet.
const NAMES: u64 = 12;

struct Model {
    rows: BTreeMap<Key, Versioned>,
    newest: Version,
    dice: Dice,
}

/// Whatever random steps follow from `seed`, the store answers as a sorted map would.
pub async fn agrees_with_a_model(kv: &dyn Kv, seed: u64) -> Result<(), KvError> {
    let mut model = Model { rows: BTreeMap::new(), newest: Version::ABSENT, dice: Dice::new(seed) };
    for _ in 0..STEPS {
        match model.dice.below(4) {
            0 | 1 => model.commit(kv).await?,
            2 => model.read(kv).await?,
            _ => model.scan(kv).await?,
        }
    }
    for table in [Table::Endpoints, Table::Ordinals] {
        let range = Key::new(table).prefix();
        let scanned = kv.scan(range.clone(), usize::MAX).await?;
        assert_eq!(scanned, model.range(range), "at the end of seed {seed}");
    }
    Ok(())
}

impl Model {
    fn key(&mut self, table: Table) -> Key {
        Key::new(table).text(&format!("{}", self.dice.below(NAMES)))
    }

    fn any_key(&mut self) -> Key {
        let table = if self.dice.once_in(2) { Table::Endpoints } else { Table::Ordinals };
        self.key(table)
    }

    fn version(&self, key: &Key) -> Version {
        self.rows.get(key).map_or(Version::ABSENT, |row| row.version)
    }

    async fn commit(&mut self, kv: &dyn Kv) -> Result<(), KvError> {
        let mut batch = Batch::default();
        let mut stale = Vec::new();
        for _ in 0..self.dice.below(4) {
            let key = self.any_key();
            let actual = self.version(&key);
            let claimed =
                if self.dice.once_in(8) { Version(self.dice.below(self.newest.0 + 1)) } else { actual };
            if claimed != actual {
                stale.push(key.clone());
            }
            batch.check(key, claimed);
        }
        for _ in 0..=self.dice.below(6) {
            let key = self.any_key();
            if self.dice.once_in(3) {
                batch.delete(key);
            } else {
                let length = self.dice.below(40) as usize;
                batch.put(key, vec![self.dice.roll() as u8; length]);
            }
        }
        let writes = batch.writes.clone();
        let durability = if self.dice.once_in(4) { Durability::Durable } else { Durability::Buffered };
        let committed = kv.commit(batch, durability).await;
        if !stale.is_empty() {
            match committed {
                Err(KvError::Conflict(key)) => assert!(stale.contains(&key), "{key:?} is not stale"),
                other => panic!("expected a conflict on one of {stale:?}, got {other:?}"),
            }
            return Ok(());
        }
        let version = committed?;
        assert!(version > self.newest, "{version:?} after {:?}", self.newest);
        self.newest = version;
        self.apply(writes, version);
        Ok(())
    }

    fn apply(&mut self, writes: Vec<(Key, Option<Arc<[u8]>>)>, version: Version) {
        for (key, value) in writes {
            match value {
                Some(value) => self.rows.insert(key, Versioned { version, value }),
                None => self.rows.remove(&key),
            };
        }
    }

    async fn read(&mut self, kv: &dyn Kv) -> Result<(), KvError> {
        let count = self.dice.below(6);
        let keys: Vec<Key> = (0..count).map(|_| self.any_key()).collect();
        let expected: Vec<Option<Versioned>> = keys.iter().map(|key| self.rows.get(key).cloned()).collect();
        assert_eq!(kv.get_many(&keys).await?, expected);
        Ok(())
    }

    async fn scan(&mut self, kv: &dyn Kv) -> Result<(), KvError> {
        let range = KeyRange { from: self.key(Table::Ordinals), to: self.key(Table::Ordinals) };
        let limit = self.dice.below(6) as usize;
        let mut expected = self.range(range.clone());
        expected.truncate(limit);
        assert_eq!(kv.scan(range, limit).await?, expected);
        Ok(())
    }

    fn range(&self, range: KeyRange) -> Vec<(Key, Versioned)> {
        if range.from >= range.to {
            return Vec::new();
        }
        self.rows.range(range).map(|(key, row)| (key.clone(), row.clone())).collect()
    }
}
