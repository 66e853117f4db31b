//! Rows of one kind in memory, and which of them were loaded or changed since the last commit.
//!
//! A list of those is kept beside the rows: a commit of a hundred rows does not walk over the fifty thousand in memory.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
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
    /// The position in the log whose state had the row changed first; 0: it is as it was loaded.
    changed_at: u64,
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

    /// Takes in what the store has, unless the row is in memory: there it may be newer.
    pub fn load(&mut self, key: K, value: Option<V>) {
        if let Entry::Vacant(entry) = self.slots.entry(key) {
            self.recent.push(entry.key().clone());
            entry.insert(Slot { value, dirty_bytes: None, is_recent: true, changed_at: 0 });
        }
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
            let slot = Slot { value, dirty_bytes: Some(bytes), is_recent: true, changed_at: 0 };
            self.slots.insert(key.to_owned(), slot);
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

    /// After the commit that made the state that of `position`: nothing is to be written.
    pub(super) fn settle(&mut self, position: u64) {
        for key in self.recent.drain(..) {
            if let Some(slot) = self.slots.get_mut(&key) {
                slot.is_recent = false;
                if slot.dirty_bytes.take().is_some() {
                    slot.changed_at = position;
                }
            }
        }
        self.dirty_bytes = 0;
    }

    /// Forgets the rows that were not changed after the state of `position`; none may be waiting to be written.
    pub(super) fn forget(&mut self, position: u64) {
        self.slots.retain(|_, slot| slot.changed_at > position);
        // A quiet server should be small.
        if self.slots.is_empty() {
            *self = Self::default();
        }
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
        rows.settle(7);
        assert_eq!((rows.recent().count(), rows.changed().count(), rows.dirty_bytes()), (0, 0, 0));
        rows.put("a", Some(4), 7);
        rows.put("a", Some(5), 8);
        let changed: Vec<_> = rows.changed().map(|(key, value)| (key.as_str(), value.copied())).collect();
        assert_eq!((changed.as_slice(), rows.dirty_bytes()), (&[("a", Some(5))][..], 8));
        assert!(rows.is_loaded("c") && rows.get("c").is_none() && !rows.is_loaded("d"));
    }

    #[test]
    fn rows_that_changed_lately_are_kept_and_win_over_what_was_read_before() {
        let mut rows: Loaded<String, u8> = Loaded::default();
        rows.load("read".to_owned(), Some(1));
        rows.put("early", Some(2), 1);
        rows.settle(10);
        rows.put("late", Some(3), 1);
        rows.settle(11);
        rows.forget(10);
        assert_eq!((rows.len(), rows.get("late")), (1, Some(&3)));
        rows.load("late".to_owned(), Some(9));
        assert_eq!(rows.get("late"), Some(&3));
        rows.forget(11);
        assert!(rows.is_empty());
    }
}
