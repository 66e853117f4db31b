//! The working set: rows that records of a step read and change.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use domain::audience::{AppKey, Audience, Found, NotLoaded, Row};
use domain::events::EventNames;
use domain::records::Record;
use domain::time::Timestamp;
use store::tables::audiences::{
    EndpointRef, Instant, activity_key, address_key, endpoint_key, ordinal_key, row_key, summary_key,
    user_key,
};
use store::tables::events::{Count, count_key, names_key};
use store::tables::outbox::{Lane, Queue};
use store::value::{Stored, decode, encode};
use store::{Batch, Key, KvError, Position, Version};

use crate::Engine;

/// Rows kept between steps, at most, but for those that changed so lately that they must be. Few in tests: they forget all the
/// time.
const ROWS_MAX: usize = if cfg!(test) { 20 } else { 50_000 };

/// What the row of a count has, with its key.
const COUNT_BYTES: usize = 512;

/// What the row of an application's event names has, at most: names of all quotas, in the longest letters.
const EVENT_NAMES_BYTES: usize = 512 << 10;

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
#[derive(Debug)]
pub(super) struct Working {
    apps: HashMap<AppKey, Audience>,
    raw: HashMap<Key, RawRow>,
    /// Events to be added to their counts: application, UTC day, type.
    counts: HashMap<AppKey, BTreeMap<i64, BTreeMap<String, u64>>>,
    refusals: Vec<((Position, u32), String)>,
    /// Bytes of the changed rows of audiences, and of the others.
    audience_bytes: usize,
    raw_bytes: usize,
    /// Names of events, of applications of which an event had one that was not known; whether they are to be written.
    event_names: HashMap<AppKey, (EventNames, bool)>,
    /// Retries that were written, for the dispatcher.
    pub(super) pages_written: Vec<(Lane, Queue, Timestamp)>,
    /// Every row that records from this position on have changed is in memory.
    complete_since: u64,
    /// Rows in memory beyond which some are forgotten.
    rows_max: usize,
}

pub(super) fn app_key(record: &Record<'_>) -> AppKey {
    AppKey { account: record.account.into(), app: record.app.into() }
}

impl Working {
    /// Nothing in memory, of a state with the records before `position`.
    pub(super) fn new(position: u64) -> Self {
        Self {
            apps: HashMap::new(),
            raw: HashMap::new(),
            counts: HashMap::new(),
            refusals: Vec::new(),
            audience_bytes: 0,
            raw_bytes: 0,
            event_names: HashMap::new(),
            pages_written: Vec::new(),
            complete_since: position,
            rows_max: ROWS_MAX,
        }
    }

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
    pub(super) async fn load(
        &mut self,
        engine: &Engine,
        app: &AppKey,
        missing: NotLoaded,
    ) -> Result<(), KvError> {
        let NotLoaded(rows) = missing;
        let found = read_rows(engine, app, rows).await?;
        let audience = self.audience(app);
        for row in found {
            audience.load(row);
        }
        Ok(())
    }

    /// Takes in rows that were read when everything before `state` had been folded. Rows that changed since are in memory,
    /// unless more was forgotten.
    pub(super) fn take_in(&mut self, app: &AppKey, rows: Vec<Found>, state: Position) {
        if state.0 >= self.complete_since {
            let audience = self.audience(app);
            for row in rows {
                audience.load(row);
            }
        }
    }

    /// Loads rows that are not of an audience. Guarded ones are checked at the commit.
    pub(super) async fn load_raw(
        &mut self,
        engine: &Engine,
        keys: &[Key],
        guarded: bool,
    ) -> Result<(), KvError> {
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
        let bytes =
            |value: &Option<Arc<[u8]>>| key.as_bytes().len() + value.as_ref().map_or(0, |value| value.len());
        self.raw_bytes += bytes(&value);
        if let Some(row) = self.raw.get_mut(&key) {
            if row.dirty {
                self.raw_bytes -= bytes(&row.value);
            }
            row.value = value;
            row.dirty = true;
        } else {
            let row = RawRow { value, version: Version::ABSENT, dirty: true, guarded: false };
            self.raw.insert(key, row);
        }
    }

    pub(super) fn count_events(&mut self, app: &AppKey, day: i64, event_type: &str, count: u64) {
        if !self.counts.contains_key(app) {
            self.counts.insert(app.clone(), BTreeMap::new());
        }
        let Some(counts) = self.counts.get_mut(app) else { return };
        let counts = counts.entry(day).or_default();
        // Most batches repeat a type: no text is made for them.
        if let Some(before) = counts.get_mut(event_type) {
            *before += count;
        } else {
            self.raw_bytes += COUNT_BYTES;
            counts.insert(event_type.to_owned(), count);
        }
    }

    /// The names that an application's events have had.
    pub(super) async fn event_names(
        &mut self,
        engine: &Engine,
        app: &AppKey,
    ) -> Result<&mut EventNames, KvError> {
        if !self.event_names.contains_key(app) {
            let row = engine.kv.get(&names_key(app)).await?;
            let names = row.map(|row| decode(&row.value)).transpose()?.unwrap_or_default();
            self.event_names.insert(app.clone(), (names, false));
        }
        Ok(&mut self.event_names.entry(app.clone()).or_default().0)
    }

    /// Has the names written that were changed.
    pub(super) fn keep_event_names(&mut self, app: &AppKey) {
        if let Some((_, is_dirty)) = self.event_names.get_mut(app)
            && !std::mem::replace(is_dirty, true)
        {
            self.raw_bytes += EVENT_NAMES_BYTES;
        }
    }

    /// Adds the counted events to their rows.
    pub(super) async fn settle_counts(&mut self, engine: &Engine) -> Result<(), KvError> {
        let mut added: Vec<(Key, u64)> = Vec::new();
        for (app, days) in std::mem::take(&mut self.counts) {
            for (day, types) in days {
                added.extend(
                    types.iter().map(|(event_type, count)| (count_key(&app, day, event_type), *count)),
                );
            }
        }
        let keys: Vec<Key> = added.iter().map(|(key, _)| key.clone()).collect();
        self.load_raw(engine, &keys, false).await?;
        for (key, count) in added {
            let Count(before) = self.get(&key)?.unwrap_or_default();
            self.put(key, &Count(before + count));
        }
        Ok(())
    }

    /// About as many bytes has the batch that would be written now.
    pub(super) fn dirty_bytes(&self) -> usize {
        self.audience_bytes + self.raw_bytes
    }

    /// Counts what a record has changed in an audience, which had `before` dirty bytes.
    pub(super) fn count_dirty(&mut self, app: &AppKey, before: usize) {
        let after = self.audience(app).dirty_bytes();
        self.audience_bytes = (self.audience_bytes + after).saturating_sub(before);
    }

    pub(super) fn refuse(&mut self, position: Position, item: u32, message: String) {
        self.refusals.push(((position, item), message));
    }

    /// Writes every changed row. Maps are ordered before they are written, so that a replay gives the same batches.
    pub(super) fn write(&self, batch: &mut Batch) {
        for (app, audience) in &self.apps {
            write_audience(batch, app, audience);
        }
        for (app, (names, _)) in self.event_names.iter().filter(|(_, (_, is_dirty))| *is_dirty) {
            batch.put(names_key(app), encode(names));
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

    /// After the commit that made the state that of `position`: tells the indexes, marks everything clean. Rows that are
    /// prepared already are of no earlier state than `prepared`. Answers the refusals.
    pub(super) fn publish(
        &mut self,
        engine: &Engine,
        position: u64,
        prepared: u64,
    ) -> Vec<((Position, u32), String)> {
        for (app, audience) in &mut self.apps {
            if audience.summary.deleted {
                engine.audiences.remove(app);
                engine.names.remove(app);
                *audience = Audience::new(std::mem::take(&mut audience.summary));
                continue;
            }
            engine.audiences.apply(app, audience);
            engine.contacts.apply(app, audience);
            engine.names.apply(app, audience);
            audience.settle(position);
        }
        for (app, (names, _)) in self.event_names.drain() {
            engine.names.apply_events(&app, &names);
        }
        // Rows that others write too, and rows of outcomes, are read anew each time.
        self.raw.clear();
        self.audience_bytes = 0;
        self.raw_bytes = 0;
        for (lane, queue, due) in self.pages_written.drain(..) {
            engine.queues.written(lane, queue, due, 1);
        }
        if self.rows() > self.rows_max {
            self.forget(prepared);
            // What is left must be kept: no walk over it with each step.
            self.rows_max = ROWS_MAX.max(2 * self.rows());
        }
        std::mem::take(&mut self.refusals)
    }

    fn rows(&self) -> usize {
        self.apps.values().map(Audience::rows).sum()
    }

    /// Forgets every row, in the state of `position`.
    pub(super) fn forget_all(&mut self, position: u64) {
        self.forget(position);
        self.rows_max = ROWS_MAX;
    }

    /// Forgets the rows that were not changed after the state of `position`.
    fn forget(&mut self, position: u64) {
        self.complete_since = self.complete_since.max(position);
        self.apps.values_mut().for_each(|audience| audience.forget(position));
        self.apps.retain(|_, audience| audience.rows() > 0);
    }
}

/// Reads rows of an audience, in their order.
pub(super) async fn read_rows(engine: &Engine, app: &AppKey, rows: Vec<Row>) -> Result<Vec<Found>, KvError> {
    let keys: Vec<Key> = rows.iter().map(|row| row_key(app, row)).collect();
    let values = engine.kv.get_many(&keys).await?;
    let found = rows.into_iter().zip(values).map(|(row, value)| {
        let value = value.as_ref().map(|row| &*row.value);
        Ok(match row {
            Row::Endpoint(id) => Found::Endpoint(id, read(value)?),
            Row::User(id) => Found::User(id, read(value)?),
            Row::Address(channel, address) => {
                let holder: Option<EndpointRef> = read(value)?;
                Found::Address((channel, address), holder.map(|EndpointRef(id)| id))
            }
        })
    });
    found.collect()
}

fn read<T: Stored>(value: Option<&[u8]>) -> Result<Option<T>, KvError> {
    Ok(value.map(decode).transpose()?)
}

fn write_audience(batch: &mut Batch, app: &AppKey, audience: &Audience) {
    if audience.summary_dirty {
        batch.put(summary_key(app), encode(&audience.summary));
    }
    for (id, endpoint) in audience.endpoints.changed() {
        match endpoint {
            Some(endpoint) => batch.put(endpoint_key(app, id), encode(endpoint)),
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
    for (id, user) in audience.users.changed() {
        match user {
            Some(user) => batch.put(user_key(app, id), encode(user)),
            None => batch.delete(user_key(app, id)),
        };
    }
    for ((channel, address), holder) in audience.addresses.changed() {
        let key = address_key(app, *channel, address);
        match holder {
            Some(id) => batch.put(key, encode(&EndpointRef(id.clone()))),
            None => batch.delete(key),
        };
    }
    for (ordinal, at) in &audience.activity {
        batch.put(activity_key(app, *ordinal), encode(&Instant(*at)));
    }
}
