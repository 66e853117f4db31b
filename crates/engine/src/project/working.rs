//! The working set: rows that records of a step read and change.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use domain::audience::{AppKey, Audience, NotLoaded, Row, Slot};
use domain::records::Record;
use store::tables::audiences::{
    EndpointRef, Instant, activity_key, address_key, endpoint_key, ordinal_key, row_key, summary_key, user_key,
};
use store::tables::events::{Count, count_key};
use store::value::{Stored, decode, encode};
use store::{Batch, Key, KvError, Position, Version};

use crate::Engine;

/// Rows kept between steps, at most; beyond it the working set starts empty again.
const ROWS_MAX: usize = 50_000;

/// A row that is not of an audience.
#[derive(Debug)]
struct RawRow {
    value: Option<Arc<[u8]>>,
    version: Version,
    dirty: bool,
    /// Others write this row too: commit only if it is still as it was read.
    guarded: bool,
}

/// Rows in memory, and what is to be told once they are committed.
#[derive(Debug, Default)]
pub(super) struct Working {
    apps: HashMap<AppKey, Audience>,
    raw: HashMap<Key, RawRow>,
    /// Events to be added to their counts: application, UTC day, type.
    counts: HashMap<AppKey, BTreeMap<i64, BTreeMap<String, u64>>>,
    refusals: Vec<((Position, u32), String)>,
    /// Applications whose audience was dropped.
    dropped: BTreeSet<AppKey>,
    /// Pages whose outcome is in this step, to be told to those who wait.
    pub(super) wake_due: bool,
    pub(super) wake_outbox: bool,
}

pub(super) fn app_key(record: &Record<'_>) -> AppKey {
    AppKey { account: record.account.into(), app: record.app.into() }
}

impl Working {
    /// Loads what is kept once for an application.
    pub(super) async fn load_app(&mut self, engine: &Engine, app: &AppKey) -> Result<(), KvError> {
        if self.apps.contains_key(app) {
            return Ok(());
        }
        let summary = match engine.kv.get(&summary_key(app)).await? {
            Some(row) => decode(&row.value)?,
            None => domain::audience::Summary::default(),
        };
        self.apps.insert(app.clone(), Audience::new(summary));
        Ok(())
    }

    /// The audience of an application that was loaded.
    pub(super) fn audience(&mut self, app: &AppKey) -> &mut Audience {
        self.apps.entry(app.clone()).or_default()
    }

    /// Loads rows that a decision asked for.
    pub(super) async fn load(&mut self, engine: &Engine, app: &AppKey, missing: NotLoaded) -> Result<(), KvError> {
        let NotLoaded(rows) = missing;
        let keys: Vec<Key> = rows.iter().map(|row| row_key(app, row)).collect();
        let values = engine.kv.get_many(&keys).await?;
        let audience = self.audience(app);
        for (row, value) in rows.into_iter().zip(values) {
            let value = value.as_ref().map(|row| &*row.value);
            match row {
                Row::Endpoint(id) => drop(audience.endpoints.insert(id, clean(value)?)),
                Row::User(id) => drop(audience.users.insert(id, clean(value)?)),
                Row::Address(channel, address) => {
                    let slot: Slot<EndpointRef> = clean(value)?;
                    let slot = Slot { value: slot.value.map(|EndpointRef(id)| id), dirty: false };
                    audience.addresses.insert((channel, address), slot);
                }
            }
        }
        Ok(())
    }

    /// Loads rows that are not of an audience. Guarded ones are checked at the commit.
    pub(super) async fn load_raw(&mut self, engine: &Engine, keys: &[Key], guarded: bool) -> Result<(), KvError> {
        let missing: Vec<Key> = keys.iter().filter(|key| !self.raw.contains_key(key)).cloned().collect();
        if missing.is_empty() {
            return Ok(());
        }
        let rows = engine.kv.get_many(&missing).await?;
        for (key, row) in missing.into_iter().zip(rows) {
            let version = row.as_ref().map_or(Version::ABSENT, |row| row.version);
            let value = row.map(|row| row.value);
            self.raw.insert(key, RawRow { value, version, dirty: false, guarded });
        }
        Ok(())
    }

    /// A row that was loaded.
    pub(super) fn get<T: Stored>(&self, key: &Key) -> Result<Option<T>, KvError> {
        let value = self.raw.get(key).and_then(|row| row.value.as_ref());
        Ok(value.map(|value| decode(value)).transpose()?)
    }

    pub(super) fn put<T: Stored>(&mut self, key: Key, value: &T) {
        self.set(key, Some(encode(value)));
    }

    pub(super) fn delete(&mut self, key: Key) {
        self.set(key, None);
    }

    fn set(&mut self, key: Key, value: Option<Arc<[u8]>>) {
        match self.raw.get_mut(&key) {
            Some(row) => {
                row.value = value;
                row.dirty = true;
            }
            None => {
                let row = RawRow { value, version: Version::ABSENT, dirty: true, guarded: false };
                self.raw.insert(key, row);
            }
        }
    }

    pub(super) fn count_event(&mut self, app: &AppKey, day: i64, event_type: &str) {
        if !self.counts.contains_key(app) {
            self.counts.insert(app.clone(), BTreeMap::new());
        }
        let Some(counts) = self.counts.get_mut(app) else { return };
        let counts = counts.entry(day).or_default();
        // Most events repeat a type: no text is made for them.
        match counts.get_mut(event_type) {
            Some(count) => *count += 1,
            None => drop(counts.insert(event_type.to_owned(), 1)),
        }
    }

    /// Adds the counted events to their rows.
    pub(super) async fn settle_counts(&mut self, engine: &Engine) -> Result<(), KvError> {
        for (app, counts) in std::mem::take(&mut self.counts) {
            let keys = |(day, types): (i64, BTreeMap<String, u64>)| {
                types.into_iter().map(move |(event_type, added)| (day, event_type, added))
            };
            for (day, event_type, added) in counts.into_iter().flat_map(keys) {
                let key = count_key(&app, day, &event_type);
                self.load_raw(engine, std::slice::from_ref(&key), false).await?;
                let Count(before) = self.get(&key)?.unwrap_or_default();
                self.put(key, &Count(before + added));
            }
        }
        Ok(())
    }

    pub(super) fn refuse(&mut self, position: Position, item: u32, message: String) {
        self.refusals.push(((position, item), message));
    }

    pub(super) fn drop_app(&mut self, app: &AppKey) {
        self.dropped.insert(app.clone());
    }

    /// Writes every changed row. Maps are ordered before they are written, so that a replay gives the same batches.
    pub(super) fn write(&self, batch: &mut Batch) {
        for (app, audience) in &self.apps {
            write_audience(batch, app, audience);
        }
        for (key, row) in &self.raw {
            if row.guarded {
                batch.check(key.clone(), row.version);
            }
            if row.dirty {
                batch.writes.push((key.clone(), row.value.clone()));
            }
        }
    }

    /// After the commit: tells the indexes, marks everything clean. Answers the refusals.
    pub(super) fn publish(&mut self, engine: &Engine) -> Vec<((Position, u32), String)> {
        for (app, audience) in &mut self.apps {
            if self.dropped.contains(app) {
                engine.audiences.remove(app);
            } else {
                engine.audiences.apply(app, audience);
                engine.contacts.apply(app, audience);
            }
            audience.settle();
        }
        self.dropped.clear();
        // Rows that others write too, and rows of outcomes, are read anew each time.
        self.raw.clear();
        if std::mem::take(&mut self.wake_due) {
            engine.due.notify_one();
        }
        if std::mem::take(&mut self.wake_outbox) {
            engine.wake_dispatchers();
        }
        let rows: usize = self.apps.values().map(Audience::rows).sum();
        if rows > ROWS_MAX {
            self.forget_clean();
        }
        std::mem::take(&mut self.refusals)
    }

    /// Forgets every row: nothing is dirty between two steps.
    pub(super) fn forget_clean(&mut self) {
        if !self.apps.is_empty() {
            self.apps = HashMap::new();
        }
    }
}

fn clean<T: Stored>(value: Option<&[u8]>) -> Result<Slot<T>, KvError> {
    Ok(Slot { value: value.map(decode).transpose()?, dirty: false })
}

fn write_audience(batch: &mut Batch, app: &AppKey, audience: &Audience) {
    if audience.summary_dirty {
        batch.put(summary_key(app), encode(&audience.summary));
    }
    for (id, slot) in audience.endpoints.iter().filter(|(_, slot)| slot.dirty) {
        match &slot.value {
            Some(endpoint) => {
                batch.put(endpoint_key(app, id), encode(endpoint))
            }
            None => batch.delete(endpoint_key(app, id)),
        };
    }
    // An endpoint may be made and deleted in one step: deletions come last.
    for (ordinal, id) in &audience.new_ordinals {
        batch.put(ordinal_key(app, *ordinal), encode(&EndpointRef(id.clone())));
    }
    for ordinal in &audience.deleted_ordinals {
        batch.delete(ordinal_key(app, *ordinal));
        batch.delete(activity_key(app, *ordinal));
    }
    for (id, slot) in audience.users.iter().filter(|(_, slot)| slot.dirty) {
        match &slot.value {
            Some(user) => batch.put(user_key(app, id), encode(user)),
            None => batch.delete(user_key(app, id)),
        };
    }
    for ((channel, address), slot) in audience.addresses.iter().filter(|(_, slot)| slot.dirty) {
        let key = address_key(app, *channel, address);
        match &slot.value {
            Some(id) => batch.put(key, encode(&EndpointRef(id.clone()))),
            None => batch.delete(key),
        };
    }
    for (ordinal, at) in &audience.activity {
        batch.put(activity_key(app, *ordinal), encode(&Instant(*at)));
    }
}
