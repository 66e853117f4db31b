//! Rows of one kind in memory, and which of them were loaded or changed since the last commit.
//!
//! A list of those is kept beside the rows: a commit of a hundred rows does not walk over the fifty thousand in memory. Values
//! are cheap to clone: what a step changed is handed over to be committed while the next step reads it here.

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

/// A row that a step loaded or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recent<K, V> {
    pub key: K,
    /// `None`: there is none, or no more.
    pub value: Option<V>,
    /// It is to be written.
    pub is_changed: bool,
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

impl<K: Clone + Eq + Hash, V: Clone> Loaded<K, V> {
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
    pub(super) fn put(&mut self, key: &K, value: Option<V>, bytes: usize) {
        self.dirty_bytes += bytes;
        let Some(slot) = self.slots.get_mut(key) else {
            self.recent.push(key.clone());
            let slot = Slot { value, dirty_bytes: Some(bytes), is_recent: true, changed_at: 0 };
            self.slots.insert(key.clone(), slot);
            return;
        };
        slot.value = value;
        self.dirty_bytes -= slot.dirty_bytes.replace(bytes).unwrap_or(0);
        if !std::mem::replace(&mut slot.is_recent, true) {
            self.recent.push(key.clone());
        }
    }

    /// About as many bytes have the rows that changed.
    pub(super) fn dirty_bytes(&self) -> usize {
        self.dirty_bytes
    }

    /// Hands over what was loaded or changed since the last time, in the order in which that happened first. From here on the
    /// changed rows count as those of the state of `position`, and nothing is to be written.
    pub(super) fn settle(&mut self, position: u64) -> Vec<Recent<K, V>> {
        let mut recent = Vec::with_capacity(self.recent.len());
        for key in self.recent.drain(..) {
            let Some(slot) = self.slots.get_mut(&key) else { continue };
            slot.is_recent = false;
            let is_changed = slot.dirty_bytes.take().is_some();
            if is_changed {
                slot.changed_at = position;
            }
            recent.push(Recent { key, value: slot.value.clone(), is_changed });
        }
        self.dirty_bytes = 0;
        recent
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

    fn settled(rows: &mut Loaded<&'static str, u8>) -> Vec<(&'static str, Option<u8>, bool)> {
        rows.settle(7).into_iter().map(|row| (row.key, row.value, row.is_changed)).collect()
    }

    #[test]
    fn what_was_loaded_or_changed_is_listed_once_until_it_is_settled() {
        let mut rows: Loaded<&str, u8> = Loaded::default();
        rows.load("a", Some(1));
        rows.load("b", None);
        rows.put(&"b", Some(2), 10);
        rows.put(&"c", Some(3), 20);
        rows.put(&"c", None, 5);
        assert_eq!((rows.dirty_bytes(), rows.len()), (15, 3));
        assert_eq!(settled(&mut rows), [("a", Some(1), false), ("b", Some(2), true), ("c", None, true)]);
        assert_eq!((settled(&mut rows).len(), rows.dirty_bytes()), (0, 0));
        rows.put(&"a", Some(4), 7);
        rows.put(&"a", Some(5), 8);
        assert_eq!(rows.dirty_bytes(), 8);
        assert_eq!(settled(&mut rows), [("a", Some(5), true)]);
        assert!(rows.is_loaded("c") && rows.get("c").is_none() && !rows.is_loaded("d"));
    }

    #[test]
    fn rows_that_changed_lately_are_kept_and_win_over_what_was_read_before() {
        let mut rows: Loaded<&str, u8> = Loaded::default();
        rows.load("read", Some(1));
        rows.put(&"early", Some(2), 1);
        rows.settle(10);
        rows.put(&"late", Some(3), 1);
        rows.settle(11);
        rows.forget(10);
        assert_eq!((rows.len(), rows.get("late")), (1, Some(&3)));
        rows.load("late", Some(9));
        assert_eq!(rows.get("late"), Some(&3));
        rows.forget(11);
        assert!(rows.is_empty());
    }
}
