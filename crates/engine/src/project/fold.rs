//! One record folded into the working set.

use domain::audience::{self, AppKey, Arrival, AttributeKind, NotLoaded};
use domain::endpoints::{EndpointUpdate, Invalid, check_endpoint_id};
use domain::events::EventBatch;
use domain::ids::EndpointId;
use domain::records::EndpointItem;
use store::{KvError, Position};

use super::events::{day, each_accepted, folded};
use super::window::Window;
use super::working::Working;
use crate::Engine;

/// A record's place and the state it is folded into.
pub(super) struct Folder<'a> {
    pub(super) engine: &'a Engine,
    pub(super) working: &'a mut Working,
    pub(super) window: &'a mut Window,
    pub(super) app: AppKey,
    pub(super) arrival: Arrival,
    pub(super) position: Position,
}

impl Folder<'_> {
    pub(super) async fn events(&mut self, json: &str) -> Result<(), KvError> {
        // The handler parsed the same bytes before it appended them.
        let Ok(batch) = EventBatch::parse(json) else { return Ok(()) };
        for (number, item) in batch.items.iter().enumerate() {
            match item.update() {
                Ok(update) => self.update(number as u32, &item.id, &update).await?,
                Err(Invalid(message)) => self.working.refuse(self.position, number as u32, message),
            }
        }
        if self.working.audience(&self.app).summary.deleted {
            return Ok(());
        }
        let Self { working, window, app, arrival, position, .. } = self;
        each_accepted(&batch, |endpoint, event| {
            if !window.add(app, endpoint, &event.id, *position, arrival.at) {
                working.count_event(app, day(event.timestamp, arrival.at), &event.event_type);
            }
        });
        Ok(())
    }

    pub(super) async fn endpoints(&mut self, items: &[EndpointItem<'_>]) -> Result<(), KvError> {
        for (number, item) in items.iter().enumerate() {
            if let Err(Invalid(message)) = self.endpoint(item).await? {
                self.working.refuse(self.position, number as u32, message);
            }
        }
        Ok(())
    }

    /// Applies one item; the refusal is its own.
    pub(super) async fn endpoint(&mut self, item: &EndpointItem<'_>) -> Result<Result<(), Invalid>, KvError> {
        let update = check_endpoint_id(item.id).and_then(|()| EndpointUpdate::parse(item.json));
        let update = match update.and_then(|update| update.check().map(|()| update)) {
            Ok(update) => update,
            Err(refusal) => return Ok(Err(refusal)),
        };
        self.apply(item.id, &update).await
    }

    async fn update(&mut self, number: u32, id: &str, update: &EndpointUpdate) -> Result<(), KvError> {
        if let Err(Invalid(message)) = self.apply(id, update).await? {
            self.working.refuse(self.position, number, message);
        }
        Ok(())
    }

    async fn apply(&mut self, id: &str, update: &EndpointUpdate) -> Result<Result<(), Invalid>, KvError> {
        let id = EndpointId::new(id);
        loop {
            let audience = self.working.audience(&self.app);
            match audience::update(audience, &self.app, &id, update, &self.arrival) {
                Ok(verdict) => return Ok(verdict),
                Err(missing) => self.load_rows(missing).await?,
            }
        }
    }

    pub(super) async fn delete_endpoint(&mut self, id: &str) -> Result<(), KvError> {
        let folded = folded(id);
        loop {
            match audience::delete_endpoint(self.working.audience(&self.app), &folded) {
                Ok(_) => return Ok(()),
                Err(missing) => self.load_rows(missing).await?,
            }
        }
    }

    pub(super) async fn delete_user(&mut self, id: &str) -> Result<(), KvError> {
        loop {
            match audience::delete_user(self.working.audience(&self.app), id) {
                Ok(_) => return Ok(()),
                Err(missing) => self.load_rows(missing).await?,
            }
        }
    }

    pub(super) fn block_attributes(&mut self, kind: AttributeKind, patterns: &[&str]) {
        let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        audience::block_attributes(self.working.audience(&self.app), kind, &patterns);
    }

    /// Nothing more is taken for the application; its rows are removed by a due task.
    pub(super) fn delete_app(&mut self) {
        let audience = self.working.audience(&self.app);
        audience.summary.deleted = true;
        audience.summary_dirty = true;
        self.working.drop_app(&self.app);
    }

    pub(super) async fn load_rows(&mut self, missing: NotLoaded) -> Result<(), KvError> {
        self.working.load(self.engine, &self.app, missing).await
    }
}
