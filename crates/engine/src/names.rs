//! Names that applications have used, as hashes: whether an event or an update could be refused for a name is known without
//! reading anything (design §5, who waits).
//!
//! A name that is missing here only means that the caller waits for the projection; so the memory is bounded by simply
//! starting over.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use domain::audience::{AppKey, Blocked, Changes, Summary, is_blocked};
use domain::endpoints::EndpointUpdate;
use domain::events::EventNames;
use domain::names::NameHashes;

/// Applications whose names are remembered; one that has as many as it may takes some 40 KB.
const APPS_MAX: usize = 4_096;

/// Names by application, kept by the projection.
#[derive(Debug, Default)]
pub struct Names {
    apps: RwLock<HashMap<AppKey, AppNames>>,
}

/// What is known of one application.
#[derive(Debug, Clone, Default)]
pub struct AppNames {
    /// `None`: not told yet.
    attributes: Option<Arc<AttributeNames>>,
    /// For [`domain::events::EventBatch::parse_known`].
    pub events: Arc<NameHashes>,
}

#[derive(Debug)]
struct AttributeNames {
    captured: NameHashes,
    blocked: Blocked,
}

impl Names {
    /// What is known of an application.
    pub fn of(&self, app: &AppKey) -> AppNames {
        self.apps.read().unwrap_or_else(PoisonError::into_inner).get(app).cloned().unwrap_or_default()
    }

    /// Remembers the names that a step of the projection captured or blocked, and those that were not told yet.
    pub(crate) fn apply(&self, app: &AppKey, changes: &Changes) {
        if changes.are_names_changed || self.of(app).attributes.is_none() {
            let names = AttributeNames::new(&changes.summary);
            self.change(app, |known| known.attributes = Some(Arc::new(names)));
        }
    }

    /// Remembers the names of an application's events.
    pub(crate) fn apply_events(&self, app: &AppKey, names: &EventNames) {
        let hashes = names.hashes();
        self.change(app, |known| known.events = Arc::new(hashes));
    }

    pub(crate) fn remove(&self, app: &AppKey) {
        self.apps.write().unwrap_or_else(PoisonError::into_inner).remove(app);
    }

    fn change(&self, app: &AppKey, change: impl FnOnce(&mut AppNames)) {
        let mut apps = self.apps.write().unwrap_or_else(PoisonError::into_inner);
        if apps.len() >= APPS_MAX && !apps.contains_key(app) {
            *apps = HashMap::new();
        }
        change(apps.entry(app.clone()).or_default());
    }
}

impl AppNames {
    /// Whether every name of the update is captured already, or never will be.
    pub fn hold(&self, update: &EndpointUpdate) -> bool {
        let Some(names) = &self.attributes else { return update.names().next().is_none() };
        update.names().all(|(kind, name)| {
            names.captured.contains(kind as u8, name) || is_blocked(&names.blocked, kind, name)
        })
    }
}

impl AttributeNames {
    fn new(summary: &Summary) -> Self {
        let captured = summary.names.iter().map(|(kind, name)| (kind as u8, name)).collect();
        Self { captured, blocked: summary.blocked.clone() }
    }
}
