//! Who calls: access keys, their opened secrets and their policies, read from the store and remembered for a while.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::ids::AccountId;
use domain::time::Timestamp;
use store::Kv;
use store::tables::accounts::{self, access_key_key};
use store::value::decode;

use crate::error::ApiError;
use crate::policy::Policy;
use crate::secrets::{AccessKey, MasterKey, Secret, SecretsError};
use crate::sigv4::SignatureError;

/// Access keys remembered, at most; when there are more, all are forgotten and read again.
pub const CALLERS_MAX: usize = 10_000;

/// For how long an access key is used without looking at the store: what another node of a cluster changes (a key that is
/// disabled, a new policy) counts here after that time at the latest. This node forgets at once ([`crate::Server::forget_access_key`]).
pub const CALLER_AGE_MAX: Duration = Duration::from_secs(30);

/// An access key that may sign requests.
#[derive(Debug)]
pub struct Caller {
    pub access_key_id: String,
    pub account: AccountId,
    /// What the key is for; stands in the caller's ARN.
    pub name: String,
    pub(crate) secret: Secret,
    pub policy: Policy,
}

impl Caller {
    /// The caller as denials name him.
    pub fn arn(&self) -> String {
        format!("arn:aws:iam::{}:user/{}", self.account, self.name)
    }
}

/// The row of a new access key: its secret sealed, and bound to its id. `policy` is a document that
/// [`Policy::parse`] takes; `None` allows everything in the account.
pub fn access_key_row(
    master_key: &MasterKey,
    key: &AccessKey,
    (account, name): (&AccountId, &str),
    policy: Option<&Policy>,
    now: Timestamp,
) -> Result<accounts::AccessKey, SecretsError> {
    Ok(accounts::AccessKey {
        account: account.clone(),
        name: name.to_owned(),
        sealed_secret: master_key.seal(key.secret.reveal(), key.id.as_bytes())?,
        policy: policy.map(|policy| policy.document().to_owned()),
        created: now,
        disabled: false,
    })
}

/// The remembered access keys of a server.
pub(crate) struct Callers(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// Counts what was forgotten, so that a row read before is not remembered after.
    forgotten: u64,
    /// With the monotonic time of reading.
    callers: HashMap<String, (u64, Arc<Caller>)>,
}

impl Callers {
    pub(crate) fn new() -> Self {
        Self(Mutex::default())
    }

    /// The caller with this access key. Unknown and disabled keys look alike from outside.
    pub(crate) async fn get(
        &self,
        kv: &dyn Kv,
        master_key: &MasterKey,
        access_key_id: &str,
        monotonic_ms: u64,
    ) -> Result<Arc<Caller>, ApiError> {
        let forgotten = {
            let kept = self.lock();
            if let Some((read_ms, caller)) = kept.callers.get(access_key_id)
                && monotonic_ms.saturating_sub(*read_ms) < CALLER_AGE_MAX.as_millis() as u64
            {
                return Ok(Arc::clone(caller));
            }
            kept.forgotten
        };
        // Unknown keys are not remembered: a stranger could fill the memory with them.
        let caller = Arc::new(load(kv, master_key, access_key_id).await?);
        let mut kept = self.lock();
        if kept.forgotten == forgotten {
            if kept.callers.len() >= CALLERS_MAX {
                kept.callers.clear();
            }
            kept.callers.insert(access_key_id.to_owned(), (monotonic_ms, Arc::clone(&caller)));
        }
        Ok(caller)
    }

    pub(crate) fn forget(&self, access_key_id: &str) {
        let mut kept = self.lock();
        kept.forgotten += 1;
        kept.callers.remove(access_key_id);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Callers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Callers").finish_non_exhaustive()
    }
}

async fn load(kv: &dyn Kv, master_key: &MasterKey, access_key_id: &str) -> Result<Caller, ApiError> {
    let row = kv.get(&access_key_key(access_key_id)).await?;
    let Some(row) = row else { return Err(SignatureError::UnrecognizedClient.into()) };
    let key: accounts::AccessKey = decode(&row.value)?;
    if key.disabled {
        return Err(SignatureError::UnrecognizedClient.into());
    }
    let secret = master_key.open(&key.sealed_secret, access_key_id.as_bytes())?;
    let policy = match &key.policy {
        None => Policy::allow_all(),
        Some(document) => Policy::parse(document).map_err(|error| {
            tracing::error!(access_key.id = access_key_id, %error, "stored policy does not read");
            ApiError::internal()
        })?,
    };
    Ok(Caller {
        access_key_id: access_key_id.to_owned(),
        account: key.account,
        name: key.name,
        secret,
        policy,
    })
}
