//! Access keys of the caller's account.

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{list, parts};
use crate::context::Cx;
use crate::error::ApiError;
use crate::keys::{self, KeyError, NewKey};
use crate::policy::Policy;
use crate::protocol::Answer;
use crate::server::OwnRequest;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct CreateRequest {
    name: String,
    /// A policy document; absent: everything in the account.
    policy: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct UpdateRequest {
    disabled: Option<bool>,
    policy: Option<Value>,
}

pub(super) async fn answer(cx: Cx, request: OwnRequest) -> Result<Answer, ApiError> {
    let parts = parts(&request.path)?;
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let (kv, account) = (&*cx.engine().kv, cx.account().clone());
    match (&request.method, &parts[..]) {
        (&Method::GET, []) => {
            let keys = keys::list(kv, &account).await?;
            let items: Vec<Value> = keys.iter().map(|(id, key)| keys::shown(id, key)).collect();
            Ok(list(&items, None))
        }
        (&Method::POST, []) => {
            let CreateRequest { name, policy } = read(&request.body)?;
            let new = NewKey { account, name, policy: policy.map(parse_policy).transpose()? };
            let made = keys::create(kv, &cx.server().master_key, new, cx.now()).await?;
            let document = json!({
                "AccessKeyId": made.id, "SecretAccessKey": made.secret.reveal(), "AccountId": cx.account().as_str(),
            });
            Ok(Answer { status: 201, ..Answer::json(document.to_string()) })
        }
        (&Method::PUT, [id]) => {
            let UpdateRequest { disabled, policy } = read(&request.body)?;
            refuse_own(&cx, id)?;
            let key = keys::change(kv, &account, id, disabled, policy.map(parse_policy).transpose()?).await?;
            cx.server().forget_access_key(id);
            Ok(Answer::json(keys::shown(id, &key).to_string()))
        }
        (&Method::DELETE, [id]) => {
            refuse_own(&cx, id)?;
            keys::delete(kv, &account, id).await?;
            cx.server().forget_access_key(id);
            Ok(Answer { status: 204, ..Answer::json("") })
        }
        (_, [] | [_]) => Err(ApiError::method_not_allowed()),
        _ => Err(ApiError::not_found()),
    }
}

/// Nobody locks himself out by mistake.
fn refuse_own(cx: &Cx, id: &str) -> Result<(), ApiError> {
    if id == cx.caller.access_key_id {
        return Err(ApiError::bad_request("A call cannot change the access key that signs it"));
    }
    Ok(())
}

fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, ApiError> {
    serde_json::from_slice(body).map_err(|error| ApiError::bad_request(error.to_string()))
}

/// A policy as a document, or as the text of one.
fn parse_policy(policy: Value) -> Result<Policy, ApiError> {
    let text = match policy {
        Value::String(text) => text,
        document => document.to_string(),
    };
    Policy::parse(&text).map_err(|error| ApiError::bad_request(error.to_string()))
}

impl From<KeyError> for ApiError {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Missing(_) => Self::not_found(),
            KeyError::TooMany | KeyError::Name => Self::bad_request(error.to_string()),
            KeyError::Kv(error) => error.into(),
            KeyError::Secrets(error) => error.into(),
        }
    }
}
