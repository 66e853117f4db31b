//! Rows of one kind in memory, and which of them were loaded or changed since the last commit.
//!
//! A list of those is kept beside the rows: a commit of a hundred rows does not walk over the fifty thousand in memory.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

use super::{NotLoaded, Row};

/// A row in memory; `None`: there is none in the store.
#[derive(Debug)]
struct Slot<V> {
    value: Option<V>,
    /// About as many bytes has the row when it is written; `None`: it need not be.
    dirty_bytes: Option<usize>,
    /// It stands in the list.
    is_recent: bool,
}

/// Rows of one kind by key.
#[derive(Debug)]
pub struct Loaded<K, V> {
    slots: HashMap<K, Slot<V>>,
    /// What was loaded or changed since the last commit, in the order in which that happened first.
    recent: Vec<K>,
    dirty_bytes: usize,
}

impl<K, V> Default for Loaded<K, V> {
    fn default() -> Self {
        Self { slots: HashMap::new(), recent: Vec::new(), dirty_bytes: 0 }
    }
}

impl<K: Clone + Eq + Hash, V> Loaded<K, V> {
    /// Rows in memory, those included that are known not to exist.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// No row was loaded.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The row is in memory, or is known not to exist.
    pub fn is_loaded<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.slots.contains_key(key)
    }

    /// The row, if it is in memory and exists.
    pub fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.slots.get(key)?.value.as_ref()
    }

    /// The row, if it exists; fails with what has to be loaded.
    pub(super) fn find<Q: Eq + Hash + ?Sized>(
        &self,
        key: &Q,
        row: impl FnOnce() -> Row,
    ) -> Result<Option<&V>, NotLoaded>
    where
        K: Borrow<Q>,
    {
        match self.slots.get(key) {
            Some(slot) => Ok(slot.value.as_ref()),
            None => Err(NotLoaded(vec![row()])),
        }
    }

    /// Takes in what the store has.
    pub fn load(&mut self, key: K, value: Option<V>) {
        self.recent.push(key.clone());
        self.slots.insert(key, Slot { value, dirty_bytes: None, is_recent: true });
    }

    /// Changes a row, which then has about so many bytes.
    pub(super) fn put<Q>(&mut self, key: &Q, value: Option<V>, bytes: usize)
    where
        K: Borrow<Q>,
        Q: Eq + Hash + ToOwned<Owned = K> + ?Sized,
    {
        self.dirty_bytes += bytes;
        let Some(slot) = self.slots.get_mut(key) else {
            self.recent.push(key.to_owned());
            self.slots.insert(key.to_owned(), Slot { value, dirty_bytes: Some(bytes), is_recent: true });
            return;
        };
        slot.value = value;
        self.dirty_bytes -= slot.dirty_bytes.replace(bytes).unwrap_or(0);
        if !std::mem::replace(&mut slot.is_recent, true) {
            self.recent.push(key.to_owned());
        }
    }

    /// About as many bytes have the rows that changed.
    pub(super) fn dirty_bytes(&self) -> usize {
        self.dirty_bytes
    }

    /// What changed since the last commit.
    pub fn changed(&self) -> impl Iterator<Item = (&K, Option<&V>)> {
        self.listed()
            .filter(|(_, slot)| slot.dirty_bytes.is_some())
            .map(|(key, slot)| (key, slot.value.as_ref()))
    }

    /// What was loaded or changed since the last commit.
    pub fn recent(&self) -> impl Iterator<Item = (&K, Option<&V>)> {
        self.listed().map(|(key, slot)| (key, slot.value.as_ref()))
    }

    fn listed(&self) -> impl Iterator<Item = (&K, &Slot<V>)> {
        self.recent.iter().filter_map(|key| Some((key, self.slots.get(key)?)))
    }

    /// After a commit: nothing is to be written.
    pub(super) fn settle(&mut self) {
        for key in self.recent.drain(..) {
            if let Some(slot) = self.slots.get_mut(&key) {
                slot.dirty_bytes = None;
                slot.is_recent = false;
            }
        }
        self.dirty_bytes = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_loaded_or_changed_is_listed_once_until_it_is_settled() {
        let mut rows: Loaded<String, u8> = Loaded::default();
        rows.load("a".to_owned(), Some(1));
        rows.load("b".to_owned(), None);
        rows.put("b", Some(2), 10);
        rows.put("c", Some(3), 20);
        rows.put("c", None, 5);
        let recent: Vec<_> = rows.recent().map(|(key, value)| (key.as_str(), value.copied())).collect();
        assert_eq!(recent, [("a", Some(1)), ("b", Some(2)), ("c", None)]);
        let changed: Vec<_> = rows.changed().map(|(key, value)| (key.as_str(), value.copied())).collect();
        assert_eq!(changed, [("b", Some(2)), ("c", None)]);
        assert_eq!((rows.dirty_bytes(), rows.len()), (15, 3));
        rows.settle();
        assert_eq!((rows.recent().count(), rows.changed().count(), rows.dirty_bytes()), (0, 0, 0));
        rows.put("a", Some(4), 7);
        rows.put("a", Some(5), 8);
        let changed: Vec<_> = rows.changed().map(|(key, value)| (key.as_str(), value.copied())).collect();
        assert_eq!((changed.as_slice(), rows.dirty_bytes()), (&[("a", Some(5))][..], 8));
        assert!(rows.is_loaded("c") && rows.get("c").is_none() && !rows.is_loaded("d"));
    }
}
