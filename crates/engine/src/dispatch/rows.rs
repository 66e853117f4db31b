//! How many pages each account has in the outbox, and whether it may write more (design §10).
//!
//! Whoever commits a page, or removes one, says so once it is committed. A call that comes while there is room may pass the
//! quota by what it writes itself, and so may those that are under way beside it. Retries are always written: they are messages
//! that were taken already.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use domain::ids::AccountId;

/// Pages in the outbox, by account.
#[derive(Debug, Default)]
pub struct Rows {
    /// What an account may have; unset: as much as it likes.
    max: OnceLock<u64>,
    /// Below zero for a moment when a page is sent before its writer has told of it.
    counts: Mutex<HashMap<AccountId, i64>>,
}

impl Rows {
    /// Says how many pages an account may have. Once, before anybody asks.
    pub fn limit(&self, rows_max: u64) {
        // A second one would be a fault of whoever wires the program; the first one stands.
        let _ = self.max.set(rows_max);
    }

    /// Whether an account may write a page.
    pub fn may_write(&self, account: &AccountId) -> bool {
        self.max.get().is_none_or(|max| self.of(account) < *max)
    }

    /// Pages of an account.
    pub fn of(&self, account: &AccountId) -> u64 {
        self.counts().get(account).map_or(0, |rows| (*rows).max(0) as u64)
    }

    /// Pages of all accounts.
    pub fn total(&self) -> u64 {
        self.counts().values().map(|rows| (*rows).max(0) as u64).sum()
    }

    /// Nobody has a page, and none was counted once too often.
    pub(crate) fn is_empty(&self) -> bool {
        self.counts().values().all(|rows| *rows == 0)
    }

    pub(super) fn written(&self, account: &AccountId, rows: usize) {
        self.change(account, rows as i64);
    }

    pub(crate) fn removed(&self, account: &AccountId, rows: usize) {
        self.change(account, -(rows as i64));
    }

    fn change(&self, account: &AccountId, by: i64) {
        let mut counts = self.counts();
        match counts.get_mut(account) {
            Some(rows) => *rows += by,
            None => drop(counts.insert(account.clone(), by)),
        }
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<AccountId, i64>> {
        // A panic cannot leave them half changed.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_that_has_as_many_as_it_may_writes_none() {
        let rows = Rows::default();
        let (a, b): (AccountId, AccountId) = ("a".into(), "b".into());
        rows.written(&a, 7);
        assert!(rows.may_write(&a), "without a limit");
        rows.limit(8);
        assert!(rows.may_write(&a));
        rows.written(&a, 1);
        assert!(!rows.may_write(&a) && rows.may_write(&b));
        rows.removed(&a, 1);
        assert!(rows.may_write(&a));
        rows.removed(&b, 1);
        assert_eq!((rows.of(&a), rows.of(&b), rows.total()), (7, 0, 7));
        rows.written(&b, 1);
        assert_eq!(rows.of(&b), 0, "it was sent before it was told of");
    }
}
