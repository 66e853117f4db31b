//! The audience of one application in columns: exact counts in milliseconds, and the ordinals of a run's audience.
//!
//! A column holds a code for each endpoint (its ordinal is the row); a dictionary says which list of values a code stands
//! for. A predicate is judged once for each distinct list, with the same [`ValueTest::matches`] that judges one endpoint,
//! and then a row is a table look-up. User attributes stand in a second table, joined by user row: one write a change.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use domain::endpoints::{Endpoint, Text, User, Values};
use domain::segments::{
    Combine, Criteria, Field, Group, Predicate, Source, ValueTest, channel_values, kilometers, recency_holds,
};
use domain::time::Timestamp;
use roaring::RoaringBitmap;

mod bitset;
mod column;
#[cfg(test)]
mod tests;

use bitset::Bitset;
use column::Column;

/// Stands for "no user" in the join column.
const NO_USER: u32 = 0;

/// An application's endpoints and users in columns.
#[derive(Debug, Default)]
pub struct Index {
    /// Ordinals that exist.
    exists: Bitset,
    fields: HashMap<Field, Column>,
    /// Not a number where an endpoint has no such metric.
    metrics: HashMap<Text, Vec<f64>>,
    latitude: Vec<f64>,
    longitude: Vec<f64>,
    /// Milliseconds since 1970.
    last_active: Vec<i64>,
    /// Row of the user table by ordinal; [`NO_USER`] for none.
    user_rows: Vec<u32>,
    users: Users,
}

/// The user table. Row 0 has no attributes: it stands for all endpoints without any.
#[derive(Debug, Default)]
struct Users {
    rows: HashMap<Arc<str>, u32>,
    /// By row, from 1 on.
    slots: Vec<Slot>,
    columns: HashMap<Text, Column>,
    free_rows: Vec<u32>,
    /// Bytes of the ids.
    id_bytes: usize,
}

/// A row of the user table: of a user, or of one endpoint that has attributes and no user.
#[derive(Debug, Default)]
struct Slot {
    user: Option<Arc<str>>,
    /// The user exists.
    is_kept: bool,
    /// Endpoints that are joined to the row. It is given to another user when there are none and nobody keeps it.
    endpoints: u32,
}

/// Endpoints that meet criteria.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection(Bitset);

impl Selection {
    pub fn count(&self) -> u64 {
        self.0.count()
    }

    /// The ordinals.
    pub fn into_bitmap(self) -> RoaringBitmap {
        RoaringBitmap::from_sorted_iter(self.0.ones()).unwrap_or_default()
    }
}

impl Index {
    pub fn new() -> Self {
        Self::default()
    }

    /// Endpoints in the index.
    pub fn endpoints(&self) -> u64 {
        self.exists.count()
    }

    /// Adds an endpoint or replaces it.
    pub fn upsert_endpoint(&mut self, endpoint: &Endpoint, last_active: Option<Timestamp>) {
        let row = endpoint.ordinal;
        let is_new = self.exists.insert(row);
        for (name, values) in &endpoint.attributes {
            self.fields.entry(Field::Attribute(name.clone())).or_default().set(row, values);
        }
        if !is_new {
            self.clear_missing_attributes(endpoint);
        }
        let demographic = &endpoint.demographic;
        for (field, values) in [
            (Field::Channel, channel_values(endpoint.channel_type).as_slice()),
            (Field::AppVersion, demographic.app_version.as_slice()),
            (Field::Make, demographic.make.as_slice()),
            (Field::Model, demographic.model.as_slice()),
            (Field::Platform, demographic.platform.as_slice()),
            (Field::Country, endpoint.location.country.as_slice()),
        ] {
            match self.fields.get_mut(&field) {
                Some(column) => column.set(row, values),
                None if values.is_empty() => {}
                None => self.fields.entry(field).or_default().set(row, values),
            }
        }
        self.set_numbers(endpoint);
        let at = last_active.unwrap_or(endpoint.effective_date).as_millis();
        let before = if is_new { i64::MIN } else { value(&self.last_active, row, i64::MIN) };
        set(&mut self.last_active, row, before.max(at), i64::MIN);
        self.link(endpoint);
    }

    fn clear_missing_attributes(&mut self, endpoint: &Endpoint) {
        for (field, column) in &mut self.fields {
            if let Field::Attribute(name) = field
                && !endpoint.attributes.contains_key(name)
            {
                column.set(endpoint.ordinal, &[]);
            }
        }
    }

    fn set_numbers(&mut self, endpoint: &Endpoint) {
        let row = endpoint.ordinal;
        for (name, column) in &mut self.metrics {
            if !endpoint.metrics.contains_key(name) {
                set_existing(column, row, f64::NAN);
            }
        }
        for (name, metric) in &endpoint.metrics {
            match self.metrics.get_mut(name) {
                Some(column) => set(column, row, *metric, f64::NAN),
                None => set(self.metrics.entry(name.clone()).or_default(), row, *metric, f64::NAN),
            }
        }
        let location = &endpoint.location;
        set(&mut self.latitude, row, location.latitude.unwrap_or(f64::NAN), f64::NAN);
        set(&mut self.longitude, row, location.longitude.unwrap_or(f64::NAN), f64::NAN);
    }

    /// Joins an endpoint to its user, or to a row of its own for attributes that belong to no user yet.
    fn link(&mut self, endpoint: &Endpoint) {
        let row = match &endpoint.user_id {
            Some(user) => self.users.row(user.as_str()),
            None if endpoint.loose_user_attributes.is_empty() => NO_USER,
            None => {
                let row = self.users.new_row(None);
                self.users.write(row, &endpoint.loose_user_attributes);
                row
            }
        };
        self.join(endpoint.ordinal, row);
    }

    fn join(&mut self, ordinal: u32, row: u32) {
        self.users.join(row);
        let before = value(&self.user_rows, ordinal, NO_USER);
        set(&mut self.user_rows, ordinal, row, NO_USER);
        self.users.leave(before);
    }

    /// Removes an endpoint; its ordinal is never given out again.
    pub fn remove_endpoint(&mut self, ordinal: u32) {
        self.exists.remove(ordinal);
        self.join(ordinal, NO_USER);
        self.fields.values_mut().for_each(|column| column.set(ordinal, &[]));
        self.metrics.values_mut().for_each(|column| set_existing(column, ordinal, f64::NAN));
    }

    /// Adds a user or replaces its attributes.
    pub fn upsert_user(&mut self, id: &str, user: &User) {
        let row = self.users.row(id);
        self.users.slots[row as usize - 1].is_kept = true;
        self.users.write(row, &user.attributes);
    }

    /// A user without endpoints is not kept. Endpoints that still name it see a user without attributes.
    pub fn remove_user(&mut self, id: &str) {
        if let Some(row) = self.users.rows.get(id).copied() {
            self.users.write(row, &BTreeMap::new());
            self.users.slots[row as usize - 1].is_kept = false;
            self.users.free_if_unused(row);
        }
    }

    /// Remembers activity; earlier activity never overwrites later.
    pub fn touch(&mut self, ordinal: u32, at: Timestamp) {
        if self.exists.contains(ordinal) {
            let before = value(&self.last_active, ordinal, i64::MIN);
            set(&mut self.last_active, ordinal, before.max(at.as_millis()), i64::MIN);
        }
    }

    /// The endpoints that meet the criteria. `sources` answers for the segments that they are built on; `None`: one of them
    /// is missing.
    pub fn select<'s>(
        &self,
        criteria: &Criteria,
        now: Timestamp,
        sources: &dyn Fn(&Source) -> Option<&'s RoaringBitmap>,
    ) -> Option<Selection> {
        let mut groups = Vec::with_capacity(criteria.groups.len());
        for group in &criteria.groups {
            groups.push(self.group(group, now, sources)?);
        }
        Some(Selection(self.combine(criteria.include, groups)))
    }

    fn group<'s>(
        &self,
        group: &Group,
        now: Timestamp,
        sources: &dyn Fn(&Source) -> Option<&'s RoaringBitmap>,
    ) -> Option<Bitset> {
        let mut bases = Vec::with_capacity(group.sources.len());
        for source in &group.sources {
            let mut base = Bitset::from_ones(sources(source)?.iter());
            base.intersect(&self.exists);
            bases.push(base);
        }
        let mut members = self.combine(group.source_type, bases);
        let dimensions = group.dimensions.iter().map(|dimension| self.dimension(dimension, now)).collect();
        members.intersect(&self.combine(group.dimensions_type, dimensions));
        Some(members)
    }

    /// As [`Combine::over`], for all endpoints at once.
    fn combine(&self, combine: Combine, sets: Vec<Bitset>) -> Bitset {
        let mut sets = sets.into_iter();
        let Some(mut first) = sets.next() else { return self.exists.clone() };
        match combine {
            Combine::All => sets.for_each(|set| first.intersect(&set)),
            Combine::Any | Combine::None => sets.for_each(|set| first.unite(&set)),
        }
        if combine == Combine::None {
            let mut rest = self.exists.clone();
            rest.subtract(&first);
            return rest;
        }
        first
    }

    fn dimension(&self, predicates: &[Predicate], now: Timestamp) -> Bitset {
        let mut members = self.exists.clone();
        for predicate in predicates {
            self.narrow(&mut members, predicate, now);
        }
        members
    }

    /// Leaves the endpoints that meet the predicate.
    fn narrow(&self, members: &mut Bitset, predicate: &Predicate, now: Timestamp) {
        match predicate {
            Predicate::Values { field: Field::UserAttribute(name), test } => {
                let by_user = self.users.judge(name, test);
                members.retain(
                    &self.user_rows,
                    |row| by_user.get(*row as usize).copied().unwrap_or(by_user[0]),
                    by_user[0],
                );
            }
            Predicate::Values { field, test } => match self.fields.get(field) {
                Some(column) => column.narrow(members, test),
                None if test.matches(&[]) => {}
                None => members.clear(),
            },
            Predicate::Metric { name, operator, value } => match self.metrics.get(name) {
                Some(column) => {
                    members.retain(
                        column,
                        |metric| !metric.is_nan() && operator.holds(*metric, *value),
                        false,
                    );
                }
                None => members.clear(),
            },
            Predicate::Recency { within, active } => members.retain(
                &self.last_active,
                |at| recency_holds(Timestamp(*at), now, *within, *active),
                false,
            ),
            Predicate::Gps { latitude, longitude, range_kilometers } => {
                let place = |row: u32| {
                    let of = |column: &[f64]| value(column, row, f64::NAN);
                    (of(&self.latitude), of(&self.longitude))
                };
                members.retain_rows(|row| {
                    let place = place(row);
                    !place.0.is_nan()
                        && !place.1.is_nan()
                        && kilometers(place, (*latitude, *longitude)) <= *range_kilometers
                });
            }
        }
    }

    /// Bytes that the index takes, dictionaries counted by their texts.
    pub fn bytes(&self) -> usize {
        let columns =
            self.fields.values().chain(self.users.columns.values()).map(Column::bytes).sum::<usize>();
        let numbers = self.metrics.values().map(|column| column.capacity() * 8).sum::<usize>();
        let fixed = (self.latitude.capacity() + self.longitude.capacity() + self.last_active.capacity()) * 8;
        columns + numbers + fixed + self.users.bytes() + self.user_rows.capacity() * 4 + self.exists.bytes()
    }
}

impl Users {
    fn row(&mut self, id: &str) -> u32 {
        if let Some(row) = self.rows.get(id) {
            return *row;
        }
        let id: Arc<str> = id.into();
        let row = self.new_row(Some(Arc::clone(&id)));
        self.id_bytes += id.len();
        self.rows.insert(id, row);
        row
    }

    /// A row without attributes and endpoints.
    fn new_row(&mut self, user: Option<Arc<str>>) -> u32 {
        let slot = Slot { user, ..Slot::default() };
        if let Some(row) = self.free_rows.pop() {
            self.slots[row as usize - 1] = slot;
            return row;
        }
        self.slots.push(slot);
        self.slots.len() as u32
    }

    /// An endpoint is joined to the row.
    fn join(&mut self, row: u32) {
        if row != NO_USER {
            self.slots[row as usize - 1].endpoints += 1;
        }
    }

    /// An endpoint is joined to the row no more.
    fn leave(&mut self, row: u32) {
        if row != NO_USER {
            self.slots[row as usize - 1].endpoints -= 1;
            self.free_if_unused(row);
        }
    }

    fn free_if_unused(&mut self, row: u32) {
        let slot = &mut self.slots[row as usize - 1];
        if slot.is_kept || slot.endpoints > 0 {
            return;
        }
        if let Some(id) = slot.user.take() {
            self.id_bytes -= id.len();
            self.rows.remove(&id);
        }
        self.write(row, &BTreeMap::new());
        self.free_rows.push(row);
    }

    fn bytes(&self) -> usize {
        let slots = self.slots.capacity() * size_of::<Slot>() + self.free_rows.capacity() * 4;
        // An id has two counters in front of it; the map has a pointer to it, its length, and the row.
        self.id_bytes + self.rows.len() * 16 + self.rows.capacity() * 25 + slots
    }

    fn write(&mut self, row: u32, attributes: &BTreeMap<Text, Values>) {
        for (name, column) in &mut self.columns {
            if !attributes.contains_key(name) {
                column.set(row, &[]);
            }
        }
        for (name, values) in attributes {
            match self.columns.get_mut(name) {
                Some(column) => column.set(row, values),
                None => self.columns.entry(name.clone()).or_default().set(row, values),
            }
        }
    }

    /// The verdict for each row; the first is that of users without the attribute.
    fn judge(&self, name: &str, test: &ValueTest) -> Vec<bool> {
        match self.columns.get(name) {
            Some(column) => column.judge_rows(test),
            None => vec![test.matches(&[])],
        }
    }
}

fn value<T: Copy>(column: &[T], row: u32, absent: T) -> T {
    column.get(row as usize).copied().unwrap_or(absent)
}

fn set<T: Clone>(column: &mut Vec<T>, row: u32, value: T, absent: T) {
    let place = row as usize;
    if column.len() <= place {
        column.resize(place + 1, absent);
    }
    column[place] = value;
}

fn set_existing<T>(column: &mut [T], row: u32, value: T) {
    if let Some(place) = column.get_mut(row as usize) {
        *place = value;
    }
}
