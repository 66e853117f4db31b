//! [`Cx`]: what a handler knows of its call, and its way to the engine.

use std::sync::Arc;
use std::time::Duration;

use domain::audience::AppKey;
use domain::ids::{AccountId, AppId, RequestId};
use domain::time::Timestamp;
use engine::Engine;
use hyper::HeaderMap;
use model::OperationSpec;
use ring::digest;
use serde::Serialize;
use store::tables::definitions::{self, Head};
use store::tables::{expiries, invocations};
use store::value::{decode, encode};
use store::{Batch, Durability, Key, KvError, Table, Version};

use crate::callers::Caller;
use crate::error::ApiError;
use crate::protocol::{Answer, Protocol};
use crate::secrets::{Secret, SecretsError};
use crate::server::Server;

/// For how long the answer to a mutating call is kept for repeats of the SDK (design §6).
pub const INVOCATION_KEPT: Duration = Duration::from_mins(15);

/// Bytes of an invocation id that is heeded; SDKs send 36.
pub const INVOCATION_ID_BYTES_MAX: usize = 128;

const INVOCATION_ID_HEADER: &str = "amz-sdk-invocation-id";
/// As `attempt=1; max=3`.
const ATTEMPT_HEADER: &str = "amz-sdk-request";

/// A call: who makes it, where, and which. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Cx {
    server: Arc<Server>,
    pub request_id: RequestId,
    pub caller: Arc<Caller>,
    /// From the credential's scope; a part of ARNs.
    pub region: Arc<str>,
    pub operation: &'static OperationSpec,
    invocation: Option<Arc<Invocation>>,
}

/// What makes a repeat of an SDK known.
#[derive(Debug, Clone)]
pub(crate) struct Invocation {
    key: Key,
    /// The version of its row: absent, or an answer that has expired.
    row: Version,
    /// The SDK says that it calls for the first time: the look-up is spared, and the commit's check finds it out if
    /// somebody between the SDK and here repeats requests.
    is_first_attempt: bool,
}

/// An application that exists, as it was read.
#[derive(Debug, Clone)]
pub struct App {
    pub key: AppKey,
    pub head: Head,
    row: Version,
}

impl App {
    /// Lets the commit fail (and the handler decide again) if the application was changed or deleted meanwhile.
    pub fn guard(&self, batch: &mut Batch) {
        batch.check(definitions::apps(self.key.account.as_str()).head_key(self.key.app.as_str()), self.row);
    }
}

impl Cx {
    pub(crate) fn new(
        server: Arc<Server>,
        request_id: RequestId,
        caller: Arc<Caller>,
        region: &str,
        operation: &'static OperationSpec,
    ) -> Self {
        Self { server, request_id, caller, region: Arc::from(region), operation, invocation: None }
    }

    /// As this call, with what makes a repeat of it known, where the SDK sent that.
    pub(crate) fn with_invocation(mut self, headers: &HeaderMap, path_and_query: &str, body: &[u8]) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let id =
            text(INVOCATION_ID_HEADER).filter(|id| !id.is_empty() && id.len() <= INVOCATION_ID_BYTES_MAX);
        if let Some(id) = id.filter(|_| self.operation.mutating) {
            let hash = request_hash(self.operation.method, path_and_query, body);
            let key = invocations::key(&self.caller.access_key_id, self.operation.name, id, hash);
            let is_first_attempt = text(ATTEMPT_HEADER).is_some_and(is_first_attempt);
            self.invocation = Some(Arc::new(Invocation { key, row: Version::ABSENT, is_first_attempt }));
        }
        self
    }

    pub fn engine(&self) -> &Engine {
        &self.server.engine
    }

    pub fn server(&self) -> &Arc<Server> {
        &self.server
    }

    pub fn account(&self) -> &AccountId {
        &self.caller.account
    }

    pub fn now(&self) -> Timestamp {
        self.server.engine.context.now()
    }

    /// A new id: 32 lower-case hexadecimal characters.
    pub fn new_id(&self) -> String {
        self.server.engine.context.ids.hex()
    }

    /// The ARN of a resource of the account, such as `apps/<id>`.
    pub fn arn(&self, resource: &str) -> String {
        let service = self.operation.service.signing_name();
        format!("arn:aws:{service}:{}:{}:{resource}", self.region, self.account())
    }

    /// The key of an application; 404 where it does not exist.
    pub async fn app(&self, id: &str) -> Result<AppKey, ApiError> {
        Ok(self.app_head(id).await?.key)
    }

    /// An application with its name, dates and tags; 404 where it does not exist. Always read from the store, which has
    /// it in memory: a deletion counts at once.
    pub async fn app_head(&self, id: &str) -> Result<App, ApiError> {
        let apps = definitions::apps(self.account().as_str());
        let found = apps.head(&*self.engine().kv, id).await?;
        let (head, row) = found.ok_or_else(ApiError::app_not_found)?;
        Ok(App { key: AppKey { account: self.account().clone(), app: AppId::new(id) }, head, row })
    }

    /// Commits what a mutating handler decided, durably, and with it the answer for repeats of the SDK. To be called once
    /// in a call, with the output that the handler then returns. An error of it is to be returned as it is: it may mean
    /// that the handler is called again.
    pub async fn commit<T: Serialize>(&self, mut batch: Batch, output: &T) -> Result<(), ApiError> {
        self.remember(&mut batch, output)?;
        self.engine().kv.commit(batch, Durability::Durable).await?;
        Ok(())
    }

    /// Adds the answer for repeats of the SDK to a batch that the handler commits otherwise than by [`Cx::commit`].
    pub fn remember<T: Serialize>(&self, batch: &mut Batch, output: &T) -> Result<(), ApiError> {
        let Some(invocation) = &self.invocation else { return Ok(()) };
        let answer = self.answer(output)?;
        batch.check(invocation.key.clone(), invocation.row);
        batch.put(expiries::key(answer.expires, &invocation.key), Vec::new());
        batch.put(invocation.key.clone(), encode(&answer));
        Ok(())
    }

    /// The answer to this call and the row of its own, for a record of the log that is to keep it; `None`: the SDK sent
    /// nothing by which a repeat could be known.
    pub fn kept_answer<T: Serialize>(
        &self,
        output: &T,
    ) -> Result<Option<(&Key, invocations::Answer)>, ApiError> {
        let Some(invocation) = &self.invocation else { return Ok(None) };
        Ok(Some((&invocation.key, self.answer(output)?)))
    }

    fn answer<T: Serialize>(&self, output: &T) -> Result<invocations::Answer, ApiError> {
        let status = self.operation.status;
        let body = if status == NO_CONTENT { Vec::new() } else { serde_json::to_vec(output)? };
        Ok(invocations::Answer { status, body, expires: self.now().plus(INVOCATION_KEPT) })
    }

    /// Whether the answer to this call may be remembered already.
    pub(crate) fn may_be_repeat(&self) -> bool {
        self.invocation.as_ref().is_some_and(|invocation| !invocation.is_first_attempt)
    }

    /// The answer that this call was given before.
    pub(crate) async fn remembered(&mut self) -> Result<Option<Answer>, ApiError> {
        let Some(invocation) = &self.invocation else { return Ok(None) };
        let mut row_version = Version::ABSENT;
        if let Some(row) = self.engine().kv.get(&invocation.key).await? {
            let answer: invocations::Answer = decode(&row.value)?;
            if answer.expires > self.now() {
                let protocol = Protocol::of_service(self.operation.service);
                return Ok(Some(Answer::document(protocol, answer.status, answer.body)));
            }
            row_version = row.version;
        }
        self.invocation = Some(Arc::new(Invocation { row: row_version, ..(**invocation).clone() }));
        Ok(None)
    }

    /// An id for an effect that must not happen twice when the SDK repeats the call: the same for every repeat.
    pub fn effect_id(&self) -> String {
        match &self.invocation {
            Some(invocation) => {
                engine::ids::derived(&[&invocation.key.as_bytes().escape_ascii().to_string()])
            }
            None => self.new_id(),
        }
    }

    /// Commits the beginning of an effect, durably. False: a call with the same id has begun it already, and nothing was
    /// done.
    pub async fn begin_effect(&self, mut batch: Batch, id: &str) -> Result<bool, ApiError> {
        let begun = begun_key(id);
        let expires = self.now().plus(INVOCATION_KEPT);
        batch.check(begun.clone(), Version::ABSENT);
        batch.put(begun.clone(), Vec::new());
        batch.put(expiries::key(expires, &begun), Vec::new());
        match self.engine().kv.commit(batch, Durability::Durable).await {
            Ok(_) => Ok(true),
            Err(KvError::Conflict(key)) if key == begun => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether an effect with this id has begun.
    pub async fn has_begun(&self, id: &str) -> Result<bool, ApiError> {
        Ok(self.engine().kv.get(&begun_key(id)).await?.is_some())
    }

    /// Seals a secret for the store. `context` names the row and member it belongs to.
    pub fn seal(&self, secret: &str, context: &str) -> Result<Vec<u8>, SecretsError> {
        self.server.master_key.seal(secret, context.as_bytes())
    }

    /// Opens what [`Cx::seal`] gave for the same context.
    pub fn open(&self, sealed: &[u8], context: &str) -> Result<Secret, SecretsError> {
        self.server.master_key.open(sealed, context.as_bytes())
    }
}

/// The status of an answer without a body.
const NO_CONTENT: u16 = 204;

/// Says that an effect has begun.
fn begun_key(id: &str) -> Key {
    Key::new(Table::Invocations).text("effect").text(id)
}

/// Of all that a repeat has in common with the first call.
fn request_hash(method: &str, path_and_query: &str, body: &[u8]) -> u64 {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in [method.as_bytes(), path_and_query.as_bytes(), body] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    let digest = context.finish();
    let head = digest.as_ref().first_chunk().expect("a SHA-256 has 32 bytes");
    u64::from_be_bytes(*head)
}

fn is_first_attempt(header: &str) -> bool {
    header.split(';').any(|part| part.trim() == "attempt=1")
}
