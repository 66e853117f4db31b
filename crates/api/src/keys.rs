//! Access keys made, listed, changed and deleted: by the calls of our own API, and by the command line.

use domain::ids::AccountId;
use domain::time::Timestamp;
use serde_json::{Value, json};
use store::tables::accounts::{self, Account, access_key_key, access_keys, account_key};
use store::value::{ValueError, decode, encode};
use store::{Batch, Durability, Kv, KvError, Version};

use crate::callers::access_key_row;
use crate::policy::Policy;
use crate::secrets::{AccessKey, MasterKey, SecretsError};

/// Access keys of all accounts: what a list reads.
pub const KEYS_MAX: usize = 10_000;
/// Characters of a key's name: it stands in ARNs.
pub const NAME_CHARACTERS_MAX: usize = 64;

/// By what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("there is no access key {0} in this account")]
    Missing(String),
    #[error("there are {KEYS_MAX} access keys already")]
    TooMany,
    #[error("a key's name has 1 to {NAME_CHARACTERS_MAX} letters, digits and any of _ + = , . @ -")]
    Name,
    #[error(transparent)]
    Kv(#[from] KvError),
    #[error(transparent)]
    Secrets(#[from] SecretsError),
}

impl From<ValueError> for KeyError {
    fn from(error: ValueError) -> Self {
        Self::Kv(error.into())
    }
}

/// What a new key is to be.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Made with its first key.
    pub account: AccountId,
    pub name: String,
    /// `None`: everything in the account.
    pub policy: Option<Policy>,
}

/// The keys of an account, by id.
pub async fn list(kv: &dyn Kv, account: &AccountId) -> Result<Vec<(String, accounts::AccessKey)>, KeyError> {
    let mut keys = Vec::new();
    for (key, row) in kv.scan(access_keys().prefix(), KEYS_MAX).await? {
        let access_key: accounts::AccessKey = decode(&row.value)?;
        if access_key.account == *account {
            keys.push((key.components().text().unwrap_or_default(), access_key));
        }
    }
    Ok(keys)
}

/// Makes a key. Its secret is shown by nothing but this answer.
pub async fn create(
    kv: &dyn Kv,
    master_key: &MasterKey,
    new: NewKey,
    now: Timestamp,
) -> Result<AccessKey, KeyError> {
    let NewKey { account, name, policy } = new;
    let is_allowed = |character: char| character.is_ascii_alphanumeric() || "_+=,.@-".contains(character);
    if name.is_empty() || name.len() > NAME_CHARACTERS_MAX || !name.chars().all(is_allowed) {
        return Err(KeyError::Name);
    }
    if kv.scan(access_keys().prefix(), KEYS_MAX).await?.len() >= KEYS_MAX {
        return Err(KeyError::TooMany);
    }
    let key = AccessKey::generate()?;
    let row = access_key_row(master_key, &key, (&account, &name), policy.as_ref(), now)?;
    let mut batch = Batch::default();
    if kv.get(&account_key(&account)).await?.is_none() {
        batch.check(account_key(&account), Version::ABSENT);
        batch.put(account_key(&account), encode(&Account { created: now }));
    }
    batch.check(access_key_key(&key.id), Version::ABSENT);
    batch.put(access_key_key(&key.id), encode(&row));
    kv.commit(batch, Durability::Durable).await?;
    Ok(key)
}

/// Disables or enables a key, or gives it another policy.
pub async fn change(
    kv: &dyn Kv,
    account: &AccountId,
    id: &str,
    disabled: Option<bool>,
    policy: Option<Policy>,
) -> Result<accounts::AccessKey, KeyError> {
    let (mut key, version) = find(kv, account, id).await?;
    key.disabled = disabled.unwrap_or(key.disabled);
    key.policy = policy.map(|policy| policy.document().to_owned()).or(key.policy);
    let mut batch = Batch::default();
    batch.check(access_key_key(id), version);
    batch.put(access_key_key(id), encode(&key));
    kv.commit(batch, Durability::Durable).await?;
    Ok(key)
}

/// Deletes a key: calls that it signs are refused from now on.
pub async fn delete(kv: &dyn Kv, account: &AccountId, id: &str) -> Result<(), KeyError> {
    let (_, version) = find(kv, account, id).await?;
    let mut batch = Batch::default();
    batch.check(access_key_key(id), version);
    batch.delete(access_key_key(id));
    kv.commit(batch, Durability::Durable).await?;
    Ok(())
}

async fn find(
    kv: &dyn Kv,
    account: &AccountId,
    id: &str,
) -> Result<(accounts::AccessKey, Version), KeyError> {
    let missing = || KeyError::Missing(id.to_owned());
    let row = kv.get(&access_key_key(id)).await?.ok_or_else(missing)?;
    let key: accounts::AccessKey = decode(&row.value)?;
    if key.account != *account {
        return Err(missing());
    }
    Ok((key, row.version))
}

/// A key as lists show it: without its secret.
pub fn shown(id: &str, key: &accounts::AccessKey) -> Value {
    let accounts::AccessKey { account, name, sealed_secret: _, policy, created, disabled } = key;
    let policy = policy.as_ref().and_then(|policy| serde_json::from_str::<Value>(policy).ok());
    let mut shown = json!({
        "AccessKeyId": id, "Name": name, "AccountId": account.as_str(), "Created": created.to_string(), "Disabled": disabled,
    });
    if let Some(policy) = policy {
        shown["Policy"] = policy;
    }
    shown
}
