//! The audience indexes of all applications: built in the background, kept by the projection, asked by everybody.
//!
//! While an index is built from the store the projection goes on; what it changes meanwhile is kept and applied at the end.
//! Rows that the build read after such a change are simply written twice.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use domain::audience::{AppKey, Changes, Summary};
use domain::endpoints::{Endpoint, User};
use domain::time::Timestamp;
use store::key::KeyRange;
use store::tables::audiences::{Instant, activities, endpoints, users};
use store::value::decode;
use store::{Key, Kv, KvError, Table};

use crate::index::Index;
use crate::usage::Usage;

/// Rows read per scan while an index is built.
const SCAN_ROWS: usize = 4_096;

/// A change to an audience.
#[derive(Debug)]
enum Change<'a> {
    Endpoint(&'a Endpoint),
    EndpointRemoved(u32),
    User(&'a str, Option<&'a User>),
    Touched(u32, Timestamp),
}

/// A change that waits until the index is built.
#[derive(Debug)]
enum Pending {
    Endpoint(Box<Endpoint>),
    EndpointRemoved(u32),
    User(String, Option<User>),
    Touched(u32, Timestamp),
}

#[derive(Debug)]
enum State {
    /// With what changed meanwhile.
    Building(Vec<Pending>),
    Ready(Box<Index>),
}

/// One index per application with an audience.
#[derive(Debug, Default)]
pub struct Audiences {
    apps: RwLock<HashMap<AppKey, Arc<RwLock<State>>>>,
    /// How many endpoints there are, known before the indexes are built.
    pub usage: Usage,
}

impl Audiences {
    /// Lists the audiences of the store and marks each as being built. Must run before the projection starts.
    pub async fn begin(&self, kv: &dyn Kv) -> Result<Vec<AppKey>, KvError> {
        let mut found = Vec::new();
        let mut range = Key::new(Table::Audiences).prefix();
        loop {
            let rows = kv.scan(range, SCAN_ROWS).await?;
            for (key, row) in &rows {
                let mut components = key.components();
                let summary: Summary = decode(&row.value)?;
                if let (Some(account), Some(app), false) =
                    (components.text(), components.text(), summary.deleted)
                {
                    let app = AppKey { account: account.into(), app: app.into() };
                    self.usage.set_endpoints(&app, summary.endpoints);
                    found.push(app);
                }
            }
            match rows.last() {
                Some((last, _)) if rows.len() == SCAN_ROWS => {
                    range = Key::new(Table::Audiences).prefix_after(last);
                }
                _ => break,
            }
        }
        let mut apps = self.apps.write().unwrap_or_else(PoisonError::into_inner);
        for app in &found {
            apps.insert(app.clone(), Arc::new(RwLock::new(State::Building(Vec::new()))));
        }
        Ok(found)
    }

    /// Builds the index of one application from the store.
    pub async fn build(&self, kv: &dyn Kv, app: &AppKey) -> Result<(), KvError> {
        let mut index = Index::new();
        each_row(kv, &users(app), |key, value| {
            if let Some(id) = last_text(key) {
                index.upsert_user(&id, &decode::<User>(value)?);
            }
            Ok(())
        })
        .await?;
        each_row(kv, &endpoints(app), |_, value| {
            let endpoint: Endpoint = decode(value)?;
            index.upsert_endpoint(&endpoint, Some(endpoint.last_active()));
            Ok(())
        })
        .await?;
        each_row(kv, &activities(app), |key, value| {
            let mut components = key.components();
            let (_, _, ordinal) = (components.text(), components.text(), components.ordinal());
            if let Some(ordinal) = ordinal {
                index.touch(ordinal, decode::<Instant>(value)?.0);
            }
            Ok(())
        })
        .await?;
        let Some(slot) = self.slot(app) else { return Ok(()) };
        let mut state = slot.write().unwrap_or_else(PoisonError::into_inner);
        if let State::Building(changes) = &mut *state {
            for pending in std::mem::take(changes) {
                pending.change().apply(&mut index);
            }
            self.usage.set_index_bytes(app, index.bytes());
            *state = State::Ready(Box::new(index));
        }
        Ok(())
    }

    /// Whether every index is built.
    pub fn are_ready(&self) -> bool {
        let apps = self.apps.read().unwrap_or_else(PoisonError::into_inner);
        apps.values()
            .all(|slot| matches!(&*slot.read().unwrap_or_else(PoisonError::into_inner), State::Ready(_)))
    }

    /// Asks an index; `None` while it is being built. An application without an audience has an empty one.
    pub fn with<T>(&self, app: &AppKey, ask: impl FnOnce(&Index) -> T) -> Option<T> {
        let Some(slot) = self.slot(app) else { return Some(ask(&Index::new())) };
        match &*slot.read().unwrap_or_else(PoisonError::into_inner) {
            State::Building(_) => None,
            State::Ready(index) => Some(ask(index)),
        }
    }

    /// Applies what a step of the projection changed.
    pub(crate) fn apply(&self, app: &AppKey, changes: &Changes) {
        let slot = self.slot(app).unwrap_or_else(|| {
            let mut apps = self.apps.write().unwrap_or_else(PoisonError::into_inner);
            let empty = || Arc::new(RwLock::new(State::Ready(Box::new(Index::new()))));
            Arc::clone(apps.entry(app.clone()).or_insert_with(empty))
        });
        if changes.is_summary_changed {
            self.usage.set_endpoints(app, changes.summary.endpoints);
        }
        let mut state = slot.write().unwrap_or_else(PoisonError::into_inner);
        let changes = each(changes);
        match &mut *state {
            State::Building(pending) => pending.extend(changes.map(Pending::from)),
            State::Ready(index) => {
                changes.for_each(|change| change.apply(index));
                self.usage.set_index_bytes(app, index.bytes());
            }
        }
    }

    pub(crate) fn remove(&self, app: &AppKey) {
        self.usage.remove(app);
        if self.slot(app).is_some() {
            self.apps.write().unwrap_or_else(PoisonError::into_inner).remove(app);
        }
    }

    /// Bytes that all indexes take; one that is being built counts nothing yet.
    pub fn bytes(&self) -> usize {
        let slots: Vec<_> =
            self.apps.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let bytes = |slot: &Arc<RwLock<State>>| match &*slot.read().unwrap_or_else(PoisonError::into_inner) {
            State::Building(_) => 0,
            State::Ready(index) => index.bytes(),
        };
        slots.iter().map(bytes).sum()
    }

    fn slot(&self, app: &AppKey) -> Option<Arc<RwLock<State>>> {
        self.apps.read().unwrap_or_else(PoisonError::into_inner).get(app).cloned()
    }
}

/// What a step changed: users before the endpoints that refer to them, removals before what may reuse their place.
fn each(changes: &Changes) -> impl Iterator<Item = Change<'_>> {
    let users = changes.users.iter().filter(|row| row.is_changed);
    let users = users.map(|row| Change::User(&row.key, row.value.as_deref()));
    let removed = changes.deleted_ordinals.iter().map(|ordinal| Change::EndpointRemoved(*ordinal));
    let endpoints = changes.endpoints.iter().filter(|row| row.is_changed);
    let endpoints = endpoints.filter_map(|row| row.value.as_deref()).map(Change::Endpoint);
    let touched = changes.activity.iter().map(|(ordinal, at)| Change::Touched(*ordinal, *at));
    users.chain(removed).chain(endpoints).chain(touched)
}

impl Change<'_> {
    fn apply(self, index: &mut Index) {
        match self {
            Self::Endpoint(endpoint) => index.upsert_endpoint(endpoint, Some(endpoint.last_active())),
            Self::EndpointRemoved(ordinal) => index.remove_endpoint(ordinal),
            Self::User(id, Some(user)) => index.upsert_user(id, user),
            Self::User(id, None) => index.remove_user(id),
            Self::Touched(ordinal, at) => index.touch(ordinal, at),
        }
    }
}

impl From<Change<'_>> for Pending {
    fn from(change: Change<'_>) -> Self {
        match change {
            Change::Endpoint(endpoint) => Self::Endpoint(Box::new(endpoint.clone())),
            Change::EndpointRemoved(ordinal) => Self::EndpointRemoved(ordinal),
            Change::User(id, user) => Self::User(id.to_owned(), user.cloned()),
            Change::Touched(ordinal, at) => Self::Touched(ordinal, at),
        }
    }
}

impl Pending {
    fn change(&self) -> Change<'_> {
        match self {
            Self::Endpoint(endpoint) => Change::Endpoint(endpoint),
            Self::EndpointRemoved(ordinal) => Change::EndpointRemoved(*ordinal),
            Self::User(id, user) => Change::User(id, user.as_ref()),
            Self::Touched(ordinal, at) => Change::Touched(*ordinal, *at),
        }
    }
}

fn last_text(key: &Key) -> Option<String> {
    let mut components = key.components();
    components.text()?;
    components.text()?;
    components.text()
}

/// Reads every row that begins with `prefix`, a page at a time.
pub(crate) async fn each_row(
    kv: &dyn Kv,
    prefix: &Key,
    mut take: impl FnMut(&Key, &[u8]) -> Result<(), KvError>,
) -> Result<(), KvError> {
    let mut range: KeyRange = prefix.prefix();
    loop {
        let rows = kv.scan(range, SCAN_ROWS).await?;
        for (key, row) in &rows {
            take(key, &row.value)?;
        }
        match rows.last() {
            Some((last, _)) if rows.len() == SCAN_ROWS => range = prefix.prefix_after(last),
            _ => return Ok(()),
        }
        // A build reads for seconds: let others have the thread now and then.
        tokio::task::yield_now().await;
    }
}
