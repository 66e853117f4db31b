//! The audience of one application in memory (row by row; the columnar one replaces it).
use std::collections::{BTreeMap, HashMap};

use domain::endpoints::{Endpoint, User};
use domain::segments::{Candidate, Criteria, Source};
use domain::time::Timestamp;
use roaring::RoaringBitmap;

#[derive(Debug, Default)]
pub struct Index {
    endpoints: BTreeMap<u32, (Endpoint, Timestamp)>,
    users: HashMap<String, User>,
}

#[derive(Debug)]
pub struct Selection(RoaringBitmap);

impl Selection {
    pub fn into_bitmap(self) -> RoaringBitmap {
        self.0
    }
}

impl Index {
    pub fn new() -> Self {
        Self::default()
    }
    pub fn upsert_endpoint(&mut self, endpoint: &Endpoint, last_active: Option<Timestamp>) {
        let at = last_active.unwrap_or(endpoint.effective_date);
        self.endpoints.insert(endpoint.ordinal, (endpoint.clone(), at));
    }
    pub fn remove_endpoint(&mut self, ordinal: u32) {
        self.endpoints.remove(&ordinal);
    }
    pub fn upsert_user(&mut self, id: &str, user: &User) {
        self.users.insert(id.to_owned(), user.clone());
    }
    pub fn remove_user(&mut self, id: &str) {
        self.users.remove(id);
    }
    pub fn touch(&mut self, ordinal: u32, at: Timestamp) {
        if let Some((_, last)) = self.endpoints.get_mut(&ordinal) {
            *last = (*last).max(at);
        }
    }
    pub fn select<'s>(
        &self,
        criteria: &Criteria,
        now: Timestamp,
        sources: &dyn Fn(&Source) -> Option<&'s RoaringBitmap>,
    ) -> Option<Selection> {
        let mut bitmap = RoaringBitmap::new();
        for (ordinal, (endpoint, last_active)) in &self.endpoints {
            let user = endpoint.user_id.as_ref().and_then(|id| self.users.get(id.as_str()));
            let candidate = Candidate { endpoint, user, last_active: *last_active };
            let in_source = |source: &Source| sources(source).is_some_and(|set| set.contains(*ordinal));
            if criteria.matches(&candidate, now, &in_source) {
                bitmap.insert(*ordinal);
            }
        }
        Some(Selection(bitmap))
    }
}
