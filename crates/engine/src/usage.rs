//! How many endpoints each account has over all its applications, and whether it may have more (design §10).
//!
//! The numbers are those of the projection's last step. A call that comes while there is room may pass the quota by the
//! endpoints that it makes itself, and so may those that are under way beside it.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use domain::audience::AppKey;
use domain::ids::AccountId;

/// Endpoints by account.
#[derive(Debug, Default)]
pub struct Usage {
    endpoints_max: OnceLock<u64>,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    apps: HashMap<AppKey, u64>,
    accounts: HashMap<AccountId, u64>,
}

impl Usage {
    /// Says how many endpoints an account may have. Once, before anybody asks; without it as many as it likes.
    pub fn limit_endpoints(&self, endpoints_max: u64) {
        // A second limit would be a fault of whoever wires the program; the first one stands.
        let _ = self.endpoints_max.set(endpoints_max);
    }

    /// Whether an account may have an endpoint more.
    pub fn may_create(&self, account: &AccountId) -> bool {
        self.endpoints_max.get().is_none_or(|max| self.endpoints(account) < *max)
    }

    /// Endpoints of an account.
    pub fn endpoints(&self, account: &AccountId) -> u64 {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).accounts.get(account).copied().unwrap_or(0)
    }

    /// An application has so many endpoints now.
    pub(crate) fn set(&self, app: &AppKey, endpoints: u64) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match endpoints {
            0 => counts.apps.remove(app),
            _ => counts.apps.insert(app.clone(), endpoints),
        };
        let account = counts.accounts.entry(app.account.clone()).or_default();
        *account = *account + endpoints - before.unwrap_or(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_applications_of_an_account_count_together() {
        let app = |account: &str, app: &str| AppKey { account: account.into(), app: app.into() };
        let usage = Usage::default();
        usage.set(&app("1", "a"), 3);
        assert!(usage.may_create(&"1".into()), "without a limit");
        usage.limit_endpoints(5);
        usage.set(&app("1", "b"), 1);
        usage.set(&app("2", "a"), 9);
        assert!(usage.may_create(&"1".into()) && !usage.may_create(&"2".into()));
        usage.set(&app("1", "b"), 2);
        assert_eq!((usage.endpoints(&"1".into()), usage.may_create(&"1".into())), (5, false));
        usage.set(&app("1", "a"), 0);
        assert_eq!((usage.endpoints(&"1".into()), usage.may_create(&"1".into())), (2, true));
    }
}
