//! The working set: rows that records of a step read and change.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use domain::audience::{AppKey, Audience, Changes, Found, NotLoaded, Row};
use domain::events::EventNames;
use domain::records::Record;
use domain::time::Timestamp;
use store::tables::audiences::{EndpointRef, row_key, summary_key};
use store::tables::events::{Count, Cursor, count_key, names_key};
use store::tables::outbox::{Lane, Queue};
use store::value::{Stored, decode, encode};
use store::{Key, KvError, Position, Version};

use super::changed::{Changed, InFlight};
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
pub(super) struct RawRow {
    pub(super) value: Option<Arc<[u8]>>,
    pub(super) version: Version,
    pub(super) dirty: bool,
    /// Others write this row too: commit only if it is still as it was read.
    pub(super) guarded: bool,
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
    /// The step before this one, while it is being committed: the store does not have yet what it changed.
    pub(super) in_flight: Option<InFlight>,
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
            in_flight: None,
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
        let mut missing: Vec<Key> = keys.iter().filter(|key| !self.raw.contains_key(key)).cloned().collect();
        if missing.is_empty() {
            return Ok(());
        }
        if let Some(in_flight) = &mut self.in_flight {
            if guarded {
                // It may write the row, and then its version is not known before.
                in_flight.wait().await;
            } else {
                let raw = &mut self.raw;
                missing.retain(|key| {
                    let Some(changed) = in_flight.changed(key) else { return true };
                    let row = RawRow {
                        value: changed.value.clone(),
                        version: Version::ABSENT,
                        dirty: false,
                        guarded,
                    };
                    raw.insert(key.clone(), row);
                    false
                });
            }
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

    /// Writes a row that has no value: that it is there says all.
    pub(super) fn put_mark(&mut self, key: Key) {
        self.set(key, Some(Arc::default()));
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
            let changed = self.in_flight.as_ref().and_then(|in_flight| in_flight.event_names(app));
            let names = match changed {
                Some(names) => names,
                None => match engine.kv.get(&names_key(app)).await? {
                    Some(row) => decode(&row.value)?,
                    None => EventNames::default(),
                },
            };
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

    /// Hands over everything that a step changed: from here on it counts as the state of the cursor's position. Rows that are
    /// prepared already are of no earlier state than `prepared`.
    pub(super) fn hand_over(&mut self, cursor: Cursor, arrival: Timestamp, prepared: u64) -> Changed {
        let settle = |(app, audience): (&AppKey, &mut Audience)| (app.clone(), audience.settle(cursor.next));
        let audiences: Vec<(AppKey, Changes)> = self.apps.iter_mut().map(settle).collect();
        self.audience_bytes = 0;
        self.raw_bytes = 0;
        if self.rows() > self.rows_max {
            self.forget(prepared);
            // What is left must be kept: no walk over it with each step.
            self.rows_max = ROWS_MAX.max(2 * self.rows());
        }
        Changed {
            cursor,
            arrival,
            audiences,
            // Rows that others write too, and rows of outcomes, are read anew each time.
            raw: Arc::new(std::mem::take(&mut self.raw)),
            event_names: Arc::new(std::mem::take(&mut self.event_names)),
            pages_written: std::mem::take(&mut self.pages_written),
            refusals: std::mem::take(&mut self.refusals),
        }
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
        self.apps.retain(|_, audience| !audience.is_forgotten(position));
    }
}

/// Reads rows of an audience, in their order.
pub(super) async fn read_rows(engine: &Engine, app: &AppKey, rows: Vec<Row>) -> Result<Vec<Found>, KvError> {
    let keys: Vec<Key> = rows.iter().map(|row| row_key(app, row)).collect();
    let values = engine.kv.get_many(&keys).await?;
    let found = rows.into_iter().zip(values).map(|(row, value)| {
        let value = value.as_ref().map(|row| &*row.value);
        Ok(match row {
            Row::Endpoint(id) => Found::Endpoint(id, read(value)?.map(Arc::new)),
            Row::User(id) => Found::User(id, read(value)?.map(Arc::new)),
            Row::Address(address) => {
                let holder: Option<EndpointRef> = read(value)?;
                Found::Address(address, holder.map(|EndpointRef(id)| id))
            }
            Row::Ordinals(row) => Found::Ordinals(row, read(value)?.map(Arc::new)),
        })
    });
    found.collect()
}

fn read<T: Stored>(value: Option<&[u8]>) -> Result<Option<T>, KvError> {
    Ok(value.map(decode).transpose()?)
}
