//! One record folded into the working set.

use std::collections::BTreeSet;

use domain::audience::{self, AppKey, Arrival, AttributeKind, NotLoaded, Summary};
use domain::endpoints::{EndpointUpdate, Invalid, check_endpoint_id};
use domain::events::EventBatch;
use domain::ids::EndpointId;
use domain::records::EndpointItem;
use store::{KvError, Position};

use super::events::{day, each_accepted, folded};
use super::window::Window;
use super::working::Working;
use crate::Engine;
use crate::handle::FIRST_EVENT;

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
        let known = self.engine.names.of(&self.app).events;
        let Ok(batch) = EventBatch::parse_known(json, &known) else { return Ok(()) };
        for (number, item) in batch.items.iter().enumerate() {
            let verdict = match item.update() {
                Ok(update) if update.is_empty() => self.touch(&item.id).await?,
                Ok(update) => self.apply(&item.id, &update).await?,
                Err(refusal) => Err(refusal),
            };
            if let Err(Invalid(message)) = verdict {
                self.working.refuse(self.position, number as u32, message);
            }
        }
        let is_deleted = self.working.audience(&self.app).summary.deleted;
        let refused = if is_deleted { BTreeSet::new() } else { self.take_names(&batch).await? };
        let Self { working, window, app, arrival, position, .. } = self;
        each_accepted(&batch, |number, endpoint, event| {
            // The window is rebuilt from the log alone, which tells neither whether the application was deleted nor how many
            // names it had.
            let is_repeat = window.add(app, endpoint, &event.id, *position, arrival.at);
            if !is_repeat && !is_deleted && !refused.contains(&number) {
                working.count_event(app, day(event.timestamp, arrival.at), &event.event_type);
            }
        });
        Ok(())
    }

    /// Keeps the names that the events of a batch bring. Answers the numbers of the events that are refused because the
    /// application has too many.
    async fn take_names(&mut self, batch: &EventBatch<'_>) -> Result<BTreeSet<u32>, KvError> {
        let mut refused = BTreeSet::new();
        let events = batch.items.iter().flat_map(|item| &item.events);
        for (number, event) in (0..).zip(events).filter(|(_, event)| !event.new_names.is_empty()) {
            let names = self.working.event_names(self.engine, &self.app).await?;
            match names.take(&event.new_names) {
                Ok(false) => {}
                Ok(true) => self.working.keep_event_names(&self.app),
                Err(fault) => {
                    self.working.refuse(self.position, FIRST_EVENT + number, fault.to_string());
                    refused.insert(number);
                }
            }
        }
        Ok(refused)
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

    async fn touch(&mut self, id: &str) -> Result<Result<(), Invalid>, KvError> {
        let id = EndpointId::new(id);
        loop {
            let audience = self.working.audience(&self.app);
            match audience::touch(audience, &self.app, &id, &self.arrival) {
                Ok(verdict) => return Ok(verdict),
                Err(missing) => self.load_rows(missing).await?,
            }
        }
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
        let blocked = audience::block_attributes(self.working.audience(&self.app), kind, &patterns);
        if let Err(Invalid(message)) = blocked {
            self.working.refuse(self.position, 0, message);
        }
    }

    /// Nothing more is taken for the application; its rows are removed by a due task ([`crate::apps`]).
    pub(super) fn delete_app(&mut self) {
        let audience = self.working.audience(&self.app);
        audience.summary = Summary { deleted: true, ..Summary::default() };
        audience.summary_dirty = true;
    }

    pub(super) async fn load_rows(&mut self, missing: NotLoaded) -> Result<(), KvError> {
        self.working.load(self.engine, &self.app, missing).await
    }
}
