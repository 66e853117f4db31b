//! Accounts and their access keys.

use domain::ids::AccountId;
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::key::{Key, Table};
use crate::value::Stored;

/// An access key. Its secret is sealed with the master key, bound to the access key id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccessKey {
    pub account: AccountId,
    /// What the key is for; shown in lists and in ARNs of denials.
    pub name: String,
    pub sealed_secret: Vec<u8>,
    /// A policy document, JSON; `None` allows everything in the account.
    pub policy: Option<String>,
    pub created: Timestamp,
    pub disabled: bool,
}

impl Stored for AccessKey {
    const FORMAT: u8 = 1;
}

/// An account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Account {
    pub created: Timestamp,
}

impl Stored for Account {
    const FORMAT: u8 = 1;
}

/// The row of an account.
pub fn account_key(account: &AccountId) -> Key {
    Key::new(Table::Accounts).text(account.as_str())
}

/// The row of an access key: keys are global, because a request names only the key.
pub fn access_key_key(access_key_id: &str) -> Key {
    Key::new(Table::AccessKeys).text(access_key_id)
}

/// All access keys.
pub fn access_keys() -> Key {
    Key::new(Table::AccessKeys)
}
