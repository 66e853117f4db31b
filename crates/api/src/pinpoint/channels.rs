//! Channels: ten types, one body (spec/80 §5, spec/97 §11).
//!
//! Stored is the request of the latest update as a wire document, with `Enabled` always said and secrets sealed in place, so
//! that whoever sends through a channel reads the type it was written as. Answers are made from the same members: what the
//! response type does not have, secrets above all, is not in it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::channels::ChannelType;
use model::pinpoint::{ChannelResponse, ChannelsResponse, GetChannelsRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use store::Batch;
use store::tables::definitions::{self, Definitions, Head};

use super::replace;
use crate::context::{App, Cx};
use crate::error::ApiError;

mod kinds;

pub(super) use kinds::{Adm, Apns, ApnsSandbox, ApnsVoip, ApnsVoipSandbox, Baidu, Email, Gcm, Sms, Voice};

/// Characters of a member of a channel's settings; the longest are service documents and certificates.
const MEMBER_CHARACTERS_MAX: usize = 20_000;
/// Which of several credentials a channel uses.
const AUTHENTICATION_METHOD: &str = "DefaultAuthenticationMethod";
/// What stands before a sealed secret in a stored document.
const SEALED_PREFIX: &str = "sealed:";

/// The members of a channel's document.
type Members = Map<String, Value>;

/// A type of channel.
pub(super) trait ChannelKind {
    type Request: Serialize;
    type Response: Serialize + DeserializeOwned;

    const CHANNEL: ChannelType;
    /// Members that are sealed and never answered.
    const SECRETS: &'static [&'static str] = &[];
    /// Members that make up the credentials: where a request brings none of them, those known stay.
    const CREDENTIALS: &'static [&'static str] = &[];

    /// Checks the members, and adds what follows from them to the document.
    fn check(members: &mut Members) -> Result<(), ApiError>;

    /// What the answer has beside the members that it shares with the document.
    fn extra(_members: &Members) -> Vec<(&'static str, Value)> {
        Vec::new()
    }
}

pub(super) async fn get<K: ChannelKind>(cx: Cx, app: String) -> Result<K::Response, ApiError> {
    let app = cx.app_head(&app).await?;
    let found = channels(&app).latest(&*cx.engine().kv, &id(K::CHANNEL)).await?;
    let (head, _, body) = found.ok_or_else(ApiError::not_found)?;
    response::<K>(&app, &head, serde_json::from_str(&body.document)?)
}

pub(super) async fn update<K: ChannelKind>(
    cx: Cx,
    app: String,
    request: K::Request,
) -> Result<K::Response, ApiError> {
    let app = cx.app_head(&app).await?;
    let id = id(K::CHANNEL);
    let found = channels(&app).latest(&*cx.engine().kv, &id).await?;
    let known: Members = match &found {
        Some((_, _, body)) => unsealed::<K>(&cx, &app, serde_json::from_str(&body.document)?)?,
        None => Members::new(),
    };
    let mut members = members(&request)?;
    merge::<K>(&mut members, &known);
    K::check(&mut members)?;
    let document = serde_json::to_string(&sealed::<K>(&cx, &app, &members)?)?;
    let mut batch = Batch::default();
    app.guard(&mut batch);
    let read = found.map(|(head, row, _)| (head, row));
    let head = replace(&channels(&app), &mut batch, (&id, read), document, cx.now());
    let output = response::<K>(&app, &head, members)?;
    cx.commit(batch, &output).await?;
    Ok(output)
}

/// Erases the settings; the answer is their last state, disabled.
pub(super) async fn delete<K: ChannelKind>(cx: Cx, app: String) -> Result<K::Response, ApiError> {
    let app = cx.app_head(&app).await?;
    let found = channels(&app).latest(&*cx.engine().kv, &id(K::CHANNEL)).await?;
    let (head, row, body) = found.ok_or_else(ApiError::not_found)?;
    let mut members: Members = serde_json::from_str(&body.document)?;
    members.insert("Enabled".to_owned(), Value::Bool(false));
    let output = response::<K>(&app, &head, members)?;
    let mut batch = Batch::default();
    batch.check(channels(&app).head_key(&head.id), row);
    batch.delete(channels(&app).head_key(&head.id));
    batch.delete(channels(&app).body_key(&head.id, head.latest));
    cx.commit(batch, &output).await?;
    Ok(output)
}

/// The channels that were configured, and `IN_APP`, which needs no settings.
pub(super) async fn get_channels(cx: Cx, input: GetChannelsRequest) -> Result<ChannelsResponse, ApiError> {
    let app = cx.app_head(&input.application_id).await?;
    let in_app = ChannelResponse {
        enabled: Some(true),
        is_archived: Some(false),
        version: Some(0),
        ..ChannelResponse::default()
    };
    let mut all = BTreeMap::from([(ChannelType::InApp.as_str().to_owned(), in_app)]);
    for head in channels(&app).heads(&*cx.engine().kv).await? {
        let Some(body) = channels(&app).body(&*cx.engine().kv, &head.id, head.latest).await? else {
            continue;
        };
        let members: Members = serde_json::from_str(&body.document)?;
        let common = common(&app, &head, &members);
        all.insert(head.id.to_ascii_uppercase(), serde_json::from_value(Value::Object(common))?);
    }
    Ok(ChannelsResponse { channels: all })
}

fn channels(app: &App) -> Definitions {
    definitions::channels(app.key.account.as_str(), app.key.app.as_str())
}

/// The name in the path, and in the `Id` that answers still have.
fn id(channel: ChannelType) -> String {
    channel.as_str().to_ascii_lowercase()
}

fn members(request: &impl Serialize) -> Result<Members, ApiError> {
    let Value::Object(members) = serde_json::to_value(request)? else { return Ok(Members::new()) };
    for (name, value) in &members {
        if value.as_str().is_some_and(|text| text.chars().count() > MEMBER_CHARACTERS_MAX) {
            return Err(ApiError::bad_request(format!(
                "{name} has more than {MEMBER_CHARACTERS_MAX} characters"
            )));
        }
    }
    Ok(members)
}

/// An update replaces the settings, with two exceptions: `Enabled` stays where it is not said (a new channel is enabled), and
/// credentials stay where none are sent, so that a client can switch a channel without knowing them.
fn merge<K: ChannelKind>(members: &mut Members, known: &Members) {
    if !members.contains_key("Enabled") {
        let enabled = known.get("Enabled").cloned().unwrap_or(Value::Bool(true));
        members.insert("Enabled".to_owned(), enabled);
    }
    if K::CREDENTIALS.iter().any(|name| has_text(members, name)) {
        return;
    }
    for name in K::CREDENTIALS.iter().copied().chain([AUTHENTICATION_METHOD]) {
        if let Some(value) = known.get(name) {
            members.entry(name).or_insert_with(|| value.clone());
        }
    }
}

/// A member that is there and not empty.
fn has_text(members: &Members, name: &str) -> bool {
    members.get(name).and_then(Value::as_str).is_some_and(|text| !text.is_empty())
}

fn sealed<K: ChannelKind>(cx: &Cx, app: &App, members: &Members) -> Result<Members, ApiError> {
    let mut sealed = members.clone();
    for name in K::SECRETS {
        if let Some(Value::String(secret)) = sealed.get_mut(*name) {
            let bytes = cx.seal(secret, &seal_context::<K>(app, name))?;
            *secret = format!("{SEALED_PREFIX}{}", STANDARD.encode(bytes));
        }
    }
    Ok(sealed)
}

fn unsealed<K: ChannelKind>(cx: &Cx, app: &App, mut members: Members) -> Result<Members, ApiError> {
    for name in K::SECRETS {
        if let Some(Value::String(text)) = members.get_mut(*name) {
            let bytes = text.strip_prefix(SEALED_PREFIX).and_then(|text| STANDARD.decode(text).ok());
            let secret = cx.open(&bytes.unwrap_or_default(), &seal_context::<K>(app, name))?;
            secret.reveal().clone_into(text);
        }
    }
    Ok(members)
}

/// Where a secret belongs: it opens nowhere else.
fn seal_context<K: ChannelKind>(app: &App, member: &str) -> String {
    format!("channel/{}/{}/{}/{member}", app.key.account, app.key.app, id(K::CHANNEL))
}

fn response<K: ChannelKind>(app: &App, head: &Head, members: Members) -> Result<K::Response, ApiError> {
    let mut answer = common(app, head, &members);
    answer.insert("Platform".to_owned(), json!(K::CHANNEL.as_str()));
    answer.extend(K::extra(&members).into_iter().map(|(name, value)| (name.to_owned(), value)));
    for (name, value) in members {
        answer.entry(name).or_insert(value);
    }
    Ok(serde_json::from_value(Value::Object(answer))?)
}

/// What every channel's answer has. `HasCredential` stands for push channels only, as AWS's samples have it.
fn common(app: &App, head: &Head, members: &Members) -> Members {
    let mut answer = Members::new();
    let mut put = |name: &str, value: Value| answer.insert(name.to_owned(), value);
    put("ApplicationId", json!(app.key.app.as_str()));
    put("CreationDate", json!(head.created.to_string()));
    put("Enabled", members.get("Enabled").cloned().unwrap_or(Value::Bool(true)));
    put("Id", json!(head.id));
    put("IsArchived", json!(false));
    put("LastModifiedDate", json!(head.modified.to_string()));
    put("Version", json!(head.latest));
    if ChannelType::parse(&head.id.to_ascii_uppercase()).is_some_and(ChannelType::is_push) {
        put("HasCredential", json!(true));
    }
    answer
}
