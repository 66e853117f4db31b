//! How many endpoints each account has over all its applications, how much memory their indexes take, and whether it may have
//! more (design §10).
//!
//! The numbers are those of the projection's last step. A call that comes while there is room may pass a quota by what it
//! makes itself, and so may those that are under way beside it. An index that is being built takes nothing yet.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use domain::audience::AppKey;
use domain::ids::AccountId;

/// What an account may have; `None`: as much as it likes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    pub endpoints: Option<u64>,
    pub index_bytes: Option<u64>,
}

/// Usage by account.
#[derive(Debug, Default)]
pub struct Usage {
    limits: OnceLock<Limits>,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    apps: HashMap<AppKey, Used>,
    accounts: HashMap<AccountId, Used>,
}

/// What one application uses, or all of an account.
#[derive(Debug, Clone, Copy, Default)]
struct Used {
    endpoints: u64,
    index_bytes: u64,
}

impl Usage {
    /// Says what an account may have. Once, before anybody asks; without it as much as it likes.
    pub fn limit(&self, limits: Limits) {
        // A second one would be a fault of whoever wires the program; the first one stands.
        let _ = self.limits.set(limits);
    }

    /// Whether an account may have an endpoint more.
    pub fn may_create(&self, account: &AccountId) -> bool {
        let Some(limits) = self.limits.get() else { return true };
        let used = self.used(account);
        limits.endpoints.is_none_or(|max| used.endpoints < max)
            && limits.index_bytes.is_none_or(|max| used.index_bytes < max)
    }

    /// Endpoints of an account.
    pub fn endpoints(&self, account: &AccountId) -> u64 {
        self.used(account).endpoints
    }

    /// An application has so many endpoints now.
    pub(crate) fn set_endpoints(&self, app: &AppKey, endpoints: u64) {
        self.change(app, |used| used.endpoints = endpoints);
    }

    /// The index of an application takes so many bytes now.
    pub(crate) fn set_index_bytes(&self, app: &AppKey, bytes: usize) {
        self.change(app, |used| used.index_bytes = bytes as u64);
    }

    /// An application is gone.
    pub(crate) fn remove(&self, app: &AppKey) {
        self.change(app, |used| *used = Used::default());
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).apps.remove(app);
    }

    fn used(&self, account: &AccountId) -> Used {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.accounts.get(account).copied().unwrap_or_default()
    }

    fn change(&self, app: &AppKey, change: impl FnOnce(&mut Used)) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let used = counts.apps.entry(app.clone()).or_default();
        let before = *used;
        change(used);
        let after = *used;
        let account = counts.accounts.entry(app.account.clone()).or_default();
        account.endpoints = account.endpoints + after.endpoints - before.endpoints;
        account.index_bytes = account.index_bytes + after.index_bytes - before.index_bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_applications_of_an_account_count_together() {
        let app = |account: &str, app: &str| AppKey { account: account.into(), app: app.into() };
        let usage = Usage::default();
        usage.set_endpoints(&app("1", "a"), 3);
        assert!(usage.may_create(&"1".into()), "without a limit");
        usage.limit(Limits { endpoints: Some(5), index_bytes: Some(100) });
        usage.set_endpoints(&app("1", "b"), 1);
        usage.set_endpoints(&app("2", "a"), 9);
        assert!(usage.may_create(&"1".into()) && !usage.may_create(&"2".into()));
        usage.set_endpoints(&app("1", "b"), 2);
        assert_eq!((usage.endpoints(&"1".into()), usage.may_create(&"1".into())), (5, false));
        usage.remove(&app("1", "a"));
        assert_eq!((usage.endpoints(&"1".into()), usage.may_create(&"1".into())), (2, true));
        usage.set_index_bytes(&app("1", "a"), 40);
        usage.set_index_bytes(&app("1", "b"), 60);
        assert!(!usage.may_create(&"1".into()), "both indexes together");
        usage.set_index_bytes(&app("1", "b"), 50);
        assert!(usage.may_create(&"1".into()));
    }
}
