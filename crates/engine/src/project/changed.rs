//! What a step changed, on its way into the state and then into the indexes, while the next step is folded.

use std::collections::HashMap;
use std::sync::Arc;

use domain::audience::{AppKey, Changes};
use domain::events::EventNames;
use domain::time::Timestamp;
use store::tables::audiences::{
    EndpointRef, Instant, activity_key, address_key, endpoint_key, ordinals_key, summary_key, user_key,
};
use store::tables::events::{Cursor, cursor_key, names_key};
use store::tables::outbox::{Lane, Queue};
use store::value::encode;
use store::{Batch, Durability, Key, KvError, Position, Version};
use tokio::task::JoinHandle;

use super::window::Mark;
use super::working::RawRow;
use crate::Engine;
use crate::handle::SHARD;

/// Everything that a step changed.
#[derive(Debug)]
pub(super) struct Changed {
    /// Behind the step.
    pub(super) cursor: Cursor,
    /// When the step's last record arrived.
    pub(super) arrival: Timestamp,
    pub(super) audiences: Vec<(AppKey, Changes)>,
    pub(super) raw: Arc<HashMap<Key, RawRow>>,
    /// Names of events, and whether they are to be written.
    pub(super) event_names: Arc<HashMap<AppKey, (EventNames, bool)>>,
    /// Retries that are written, for the dispatcher.
    pub(super) pages_written: Vec<(Lane, Queue, Timestamp)>,
    pub(super) refusals: Vec<((Position, u32), String)>,
}

impl Changed {
    /// Writes every changed row with the cursor, whose row has `cursor_version`; then tells the indexes and whoever waits.
    pub(super) async fn commit(
        self,
        engine: &Engine,
        cursor_version: Version,
        durability: Durability,
    ) -> Result<Version, KvError> {
        let mut batch = Batch::default();
        batch.check(cursor_key(SHARD), cursor_version);
        self.write(&mut batch);
        batch.put(cursor_key(SHARD), encode(&self.cursor));
        let version = engine.kv.commit(batch, durability).await?;
        self.publish(engine);
        Ok(version)
    }

    fn write(&self, batch: &mut Batch) {
        for (app, changes) in &self.audiences {
            write_audience(batch, app, changes);
        }
        for (app, (names, _)) in self.event_names.iter().filter(|(_, (_, is_dirty))| *is_dirty) {
            batch.put(names_key(app), encode(names));
        }
        for (key, row) in &*self.raw {
            if row.guarded {
                batch.check(key.clone(), row.version);
            }
            if row.dirty {
                batch.writes.push((key.clone(), row.value.clone()));
            }
        }
    }

    fn publish(self, engine: &Engine) {
        for (app, changes) in &self.audiences {
            if changes.summary.deleted {
                engine.audiences.remove(app);
                engine.names.remove(app);
                continue;
            }
            engine.audiences.apply(app, changes);
            engine.contacts.apply(app, changes);
            engine.names.apply(app, changes);
        }
        for (app, (names, _)) in &*self.event_names {
            engine.names.apply_events(app, names);
        }
        for (lane, queue, due) in self.pages_written {
            engine.queues.written(lane, queue, due, 1);
        }
        engine.publish(Position(self.cursor.next), self.arrival, self.refusals);
    }
}

/// A step that is being committed. Dropped, it is not waited for; whether it was committed is then not known.
#[derive(Debug)]
pub(super) struct InFlight {
    task: JoinHandle<Result<Version, KvError>>,
    outcome: Option<Result<Version, KvError>>,
    raw: Arc<HashMap<Key, RawRow>>,
    event_names: Arc<HashMap<AppKey, (EventNames, bool)>>,
    pub(super) cursor: Cursor,
    pub(super) mark: Mark,
}

impl InFlight {
    pub(super) fn start(
        engine: Engine,
        changed: Changed,
        mark: Mark,
        cursor_version: Version,
        durability: Durability,
    ) -> Self {
        let (raw, event_names) = (Arc::clone(&changed.raw), Arc::clone(&changed.event_names));
        let cursor = changed.cursor;
        let task = tokio::spawn(async move { changed.commit(&engine, cursor_version, durability).await });
        Self { task, outcome: None, raw, event_names, cursor, mark }
    }

    /// Waits until the commit has succeeded or failed. May be cancelled.
    pub(super) async fn wait(&mut self) {
        if self.outcome.is_none() {
            let outcome = (&mut self.task).await;
            self.outcome = Some(outcome.unwrap_or_else(|ended| Err(KvError::Failed(Box::new(ended)))));
        }
    }

    /// The version of what was written, after [`InFlight::wait`].
    pub(super) fn outcome(mut self) -> Result<Version, KvError> {
        self.outcome.take().unwrap_or_else(|| Err(KvError::Failed("the commit was not waited for".into())))
    }

    /// A row that is not of an audience, if it changes it.
    pub(super) fn changed(&self, key: &Key) -> Option<&RawRow> {
        self.raw.get(key).filter(|row| row.dirty)
    }

    pub(super) fn event_names(&self, app: &AppKey) -> Option<EventNames> {
        self.event_names.get(app).map(|(names, _)| names.clone())
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn write_audience(batch: &mut Batch, app: &AppKey, changes: &Changes) {
    if changes.is_summary_changed {
        batch.put(summary_key(app), encode(&*changes.summary));
    }
    for row in changes.endpoints.iter().filter(|row| row.is_changed) {
        match &row.value {
            Some(endpoint) => batch.put(endpoint_key(app, &row.key), encode(&**endpoint)),
            None => batch.delete(endpoint_key(app, &row.key)),
        };
    }
    for row in changes.ordinals.iter().filter(|row| row.is_changed) {
        match &row.value {
            Some(ordinals) => batch.put(ordinals_key(app, row.key), encode(&**ordinals)),
            None => batch.delete(ordinals_key(app, row.key)),
        };
    }
    for ordinal in &changes.deleted_ordinals {
        batch.delete(activity_key(app, *ordinal));
    }
    for row in changes.users.iter().filter(|row| row.is_changed) {
        match &row.value {
            Some(user) => batch.put(user_key(app, &row.key), encode(&**user)),
            None => batch.delete(user_key(app, &row.key)),
        };
    }
    for row in changes.addresses.iter().filter(|row| row.is_changed) {
        let key = address_key(app, &row.key);
        match &row.value {
            Some(id) => batch.put(key, encode(&EndpointRef(Arc::clone(id)))),
            None => batch.delete(key),
        };
    }
    for (ordinal, at) in &changes.activity {
        batch.put(activity_key(app, *ordinal), encode(&Instant(*at)));
    }
}
