//! Signs requests, for calls of our own to AWS and for tests.

use domain::time::Timestamp;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use ring::hmac;

use super::canonical::{PathStyle, canonical_request};
use super::keys::derive;
use super::{ALGORITHM, Request, Scope, hex, instant, string_to_sign};
use crate::secrets::Secret;

/// Headers that are never signed: proxies change them, or the signature itself stands there.
const NEVER_SIGNED: [&str; 4] = ["authorization", "user-agent", "x-amzn-trace-id", "transfer-encoding"];

/// Who signs, and for which service.
#[derive(Debug, Clone, Copy)]
pub struct Signer<'a> {
    pub access_key_id: &'a str,
    pub secret: &'a Secret,
    /// Of temporary credentials.
    pub security_token: Option<&'a str>,
    pub region: &'a str,
    pub service: &'a str,
    pub path_style: PathStyle,
}

/// The request cannot be signed as it is: a mistake in the code or the configuration behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    #[error("a request without Host header cannot be signed")]
    MissingHost,
    #[error("{0} has characters that a header cannot carry")]
    InvalidHeader(&'static str),
}

/// The payload hash to sign for `body`.
pub fn payload_hash(body: &[u8]) -> String {
    hex::sha256(body)
}

impl Signer<'_> {
    /// Adds date, payload hash, security token and `Authorization` to `headers`, which must hold `Host` already. All
    /// headers but a few that proxies change are signed. `payload_hash` is from [`payload_hash`] or a literal such as
    /// `UNSIGNED-PAYLOAD`; path and query are percent-encoded as they will be sent.
    pub fn sign(
        &self,
        (method, path, query): (&str, &str, &str),
        headers: &mut HeaderMap,
        payload_hash: &str,
        now: Timestamp,
    ) -> Result<(), SignError> {
        if !headers.contains_key("host") {
            return Err(SignError::MissingHost);
        }
        let timestamp = instant::basic(now);
        insert(headers, "x-amz-date", &timestamp)?;
        insert(headers, "x-amz-content-sha256", payload_hash)?;
        if let Some(token) = self.security_token {
            insert(headers, "x-amz-security-token", token)?;
        }
        let mut names: Vec<&str> =
            headers.keys().map(HeaderName::as_str).filter(|name| !NEVER_SIGNED.contains(name)).collect();
        names.sort_unstable();
        let signed_headers = names.join(";");
        let request = Request { method, path, query, headers };
        let canonical = canonical_request(&request, self.path_style, &signed_headers, payload_hash)
            .expect("the names come from the headers themselves");
        let date = timestamp.split('T').next().unwrap_or_default();
        let scope = Scope { date, region: self.region, service: self.service };
        let text = string_to_sign(&timestamp, &scope, &canonical);
        let signature = hmac::sign(&derive(self.secret, &scope), text.as_bytes());
        let mut credential = format!("{}/", self.access_key_id);
        scope.push_to(&mut credential);
        let authorization = format!(
            "{ALGORITHM} Credential={credential}, SignedHeaders={signed_headers}, Signature={}",
            hex::encode(signature.as_ref()),
        );
        insert(headers, "authorization", &authorization)
    }
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) -> Result<(), SignError> {
    let value = HeaderValue::from_str(value).map_err(|_| SignError::InvalidHeader(name))?;
    headers.insert(HeaderName::from_static(name), value);
    Ok(())
}
