//! The first account and its root key.

use anyhow::Context as _;
use api::access_key_row;
use api::secrets::{AccessKey, MasterKey};
use domain::ids::AccountId;
use store::tables::accounts::{self, Account, access_key_key, account_key};
use store::value::{decode, encode};
use store::{Batch, Context, Durability, Kv, Version};

use crate::config::Auth;

/// What the root key is called in lists and ARNs.
const ROOT: &str = "root";
/// Account ids have 12 digits.
const ACCOUNTS: u128 = 1_000_000_000_000;

/// The first account.
pub(crate) struct Root {
    pub(crate) account: AccountId,
    /// Its key, where it was generated now: to be shown once.
    pub(crate) generated: Option<AccessKey>,
}

/// Makes account and root key where there are none, and sees to it that a root key that the configuration names is the one
/// in force. Durable on return.
pub(crate) async fn ensure_root(
    kv: &dyn Kv,
    master_key: &MasterKey,
    context: &Context,
    auth: &Auth,
) -> anyhow::Result<Root> {
    let accounts = kv.scan(store::Key::new(store::Table::Accounts).prefix(), 1).await?;
    let first = match accounts.first() {
        Some((key, _)) => key.components().text().map(AccountId::new),
        None => None,
    };
    let is_new = first.is_none();
    let account = match (auth.account_id.as_str(), first) {
        ("", Some(first)) => first,
        ("", None) => AccountId::new(format!("{:012}", context.ids.random() % ACCOUNTS)),
        (configured, _) => AccountId::new(configured),
    };
    let is_configured = !auth.root_access_key_id.is_empty();
    if !is_configured && !is_new {
        return Ok(Root { account, generated: None });
    }
    let key = if is_configured {
        AccessKey { id: auth.root_access_key_id.clone(), secret: auth.root_secret_access_key.clone() }
    } else {
        AccessKey::generate()?
    };
    let mut batch = Batch::default();
    let account_row = kv.get(&account_key(&account)).await?;
    if account_row.is_none() {
        batch.check(account_key(&account), Version::ABSENT);
        batch.put(account_key(&account), encode(&Account { created: context.now() }));
    }
    if !is_in_force(kv, master_key, &account, &key).await? {
        let row = access_key_row(master_key, &key, (&account, ROOT), None, context.now())?;
        batch.put(access_key_key(&key.id), encode(&row));
    }
    kv.commit(batch, Durability::Durable).await?;
    Ok(Root { account, generated: (!is_configured).then_some(key) })
}

/// Whether the configured root key is stored as it is: its row is not written anew at every start.
async fn is_in_force(
    kv: &dyn Kv,
    master_key: &MasterKey,
    account: &AccountId,
    key: &AccessKey,
) -> anyhow::Result<bool> {
    let Some(row) = kv.get(&access_key_key(&key.id)).await? else { return Ok(false) };
    let stored: accounts::AccessKey = decode(&row.value)?;
    if stored.account != *account {
        anyhow::bail!(
            "the access key {} of auth.root_access_key_id belongs to account {}",
            key.id,
            stored.account
        );
    }
    let secret = master_key.open(&stored.sealed_secret, key.id.as_bytes());
    let secret = secret.with_context(|| format!("cannot read the stored access key {}", key.id))?;
    Ok(secret.reveal() == key.secret.reveal() && !stored.disabled && stored.policy.is_none())
}
