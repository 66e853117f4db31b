//! One record folded into the working set.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::audience::{self, AppKey, Arrival, AttributeKind, NotLoaded, Summary};
use domain::endpoints::{EndpointUpdate, Invalid};
use domain::events::EventBatch;
use domain::ids::EndpointId;
use domain::records::{Deletion, EndpointItem};
use store::{KvError, Position};

use super::events::{day, folded};
use super::window::Window;
use super::working::Working;
use crate::Engine;
use crate::fingerprint::Fingerprint;
use crate::handle::FIRST_EVENT;
use crate::readings::Reading;

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
        let Some((reading, refused)) = self.read(json).await? else { return Ok(()) };
        for (number, item) in (0..).zip(&reading.items) {
            let id = item.id(json);
            let verdict = match item.update(json) {
                Ok(update) if update.is_empty() => self.touch(id, item.contact).await?,
                Ok(update) => self.apply(id, update).await?,
                Err(refusal) => Err(refusal),
            };
            if let Err(Invalid(message)) = verdict {
                self.working.refuse(self.position, number, message);
            }
        }
        let is_deleted = self.working.audience(&self.app).summary.deleted;
        let Self { working, window, app, arrival, position, .. } = self;
        let mut counts: Vec<(i64, &str, u64)> = Vec::new();
        for event in &reading.events {
            // The window is rebuilt from the log alone, which tells neither whether the application was deleted nor how many
            // names it had.
            let is_repeat = window.add(event.fingerprint, *position, arrival.at);
            if is_repeat || is_deleted || refused.contains(&event.number) {
                continue;
            }
            let (day, event_type) = (day(event.timestamp, arrival.at), event.event_type(json));
            match counts.iter_mut().find(|(on, of, _)| *on == day && *of == event_type) {
                Some((_, _, count)) => *count += 1,
                None => counts.push((day, event_type, 1)),
            }
        }
        for (day, event_type, count) in counts {
            working.count_events(app, day, event_type, count);
        }
        Ok(())
    }

    /// What the request handler read, or else the batch read again, with the numbers of the events that are refused for their
    /// names; `None` if it cannot be read.
    async fn read(&mut self, json: &str) -> Result<Option<(Reading, BTreeSet<u32>)>, KvError> {
        if let Some(reading) = self.engine.readings.take(&self.arrival.request_id) {
            return Ok(Some((reading, BTreeSet::new())));
        }
        // The handler read the same bytes before it appended them, so they can be read.
        let known = self.engine.names.of(&self.app).events;
        let Ok(batch) = EventBatch::parse_known(json, &known) else { return Ok(None) };
        let is_deleted = self.working.audience(&self.app).summary.deleted;
        let refused = if is_deleted { BTreeSet::new() } else { self.take_names(&batch).await? };
        Ok(Some((Reading::of(&self.app, json, &batch), refused)))
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

    pub(super) async fn endpoints(
        &mut self,
        items: &[EndpointItem<'_>],
        updates: Vec<Result<EndpointUpdate, Invalid>>,
    ) -> Result<(), KvError> {
        for (number, (item, update)) in (0..).zip(items.iter().zip(updates)) {
            if let Err(Invalid(message)) = self.endpoint(item, update).await? {
                self.working.refuse(self.position, number, message);
            }
        }
        Ok(())
    }

    /// Applies one item; the refusal is its own.
    pub(super) async fn endpoint(
        &mut self,
        item: &EndpointItem<'_>,
        update: Result<EndpointUpdate, Invalid>,
    ) -> Result<Result<(), Invalid>, KvError> {
        match update {
            Ok(update) => self.apply(item.id, update).await,
            Err(refusal) => Ok(Err(refusal)),
        }
    }

    async fn touch(&mut self, id: &str, contact: Fingerprint) -> Result<Result<(), Invalid>, KvError> {
        let audience = self.working.audience(&self.app);
        // What this step changed is known here only; of the rest the memory tells what the row would.
        if !audience.summary.deleted
            && !audience.endpoints.is_loaded(&*folded(id))
            && let Some(ordinal) = self.engine.contacts.ordinal(contact)
        {
            audience.touch(ordinal, self.arrival.at);
            return Ok(Ok(()));
        }
        let id = EndpointId::new(id);
        loop {
            let audience = self.working.audience(&self.app);
            match audience::touch(audience, &self.app, &id, &self.arrival) {
                Ok(verdict) => return Ok(verdict),
                Err(missing) => self.load_rows(missing).await?,
            }
        }
    }

    async fn apply(&mut self, id: &str, mut update: EndpointUpdate) -> Result<Result<(), Invalid>, KvError> {
        let id = EndpointId::new(id);
        loop {
            let audience = self.working.audience(&self.app);
            match audience::update(audience, &self.app, &id, &mut update, &self.arrival) {
                Ok(verdict) => return Ok(verdict),
                Err(missing) => self.load_rows(missing).await?,
            }
        }
    }

    pub(super) async fn delete(&mut self, what: Deletion<'_>) -> Result<(), KvError> {
        match what {
            Deletion::Endpoint(id) => self.delete_endpoint(id).await,
            Deletion::User(id) => self.delete_user(id).await,
        }
    }

    async fn delete_endpoint(&mut self, id: &str) -> Result<(), KvError> {
        let folded = Arc::from(folded(id));
        loop {
            match audience::delete_endpoint(self.working.audience(&self.app), &folded) {
                Ok(_) => return Ok(()),
                Err(missing) => self.load_rows(missing).await?,
            }
        }
    }

    async fn delete_user(&mut self, id: &str) -> Result<(), KvError> {
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
        *audience.summary_mut() = Summary { deleted: true, ..Summary::default() };
    }

    pub(super) async fn load_rows(&mut self, missing: NotLoaded) -> Result<(), KvError> {
        self.working.load(self.engine, &self.app, missing).await
    }
}
