//! AWS Signature Version 4: reads what a caller presents, verifies it, and signs calls of our own.
//!
//! A request passes [`parse`] (who claims to have signed what?), then the caller looks the secret up by access key id,
//! then [`SigningKeys::verify`] decides and gives back the body that was signed (decoded, where it came in chunks).
//! The Host header is taken as received: Amplify signs for `pinpoint.<region>.amazonaws.com` and is routed here.
//! Which services, regions and security tokens are welcome is the caller's decision. [`Signer`] signs.

use hyper::HeaderMap;

mod canonical;
mod chunked;
mod error;
pub(crate) mod hex;
mod instant;
mod keys;
mod presented;
mod sign;
#[cfg(test)]
mod tests;
mod verify;

pub use canonical::PathStyle;
pub use error::SignatureError;
pub use keys::{SIGNING_KEYS_MAX, SigningKeys};
pub use presented::{EXPIRES_SECONDS_MAX, Form, Payload, Presented, REGION_BYTES_MAX, parse};
pub use sign::{SignError, Signer, payload_hash};
pub use verify::SKEW_MAX;

pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
pub(crate) const TERMINATOR: &str = "aws4_request";
pub(crate) const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// The parts of a request that a signature covers, as they were received: nothing is decoded or normalised.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub method: &'a str,
    /// Still percent-encoded.
    pub path: &'a str,
    /// Still percent-encoded, without the question mark; empty where there is none.
    pub query: &'a str,
    pub headers: &'a HeaderMap,
}

impl<'a> From<&'a hyper::http::request::Parts> for Request<'a> {
    fn from(parts: &'a hyper::http::request::Parts) -> Self {
        Self {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
        }
    }
}

/// What the second line of a string to sign is made of, and what the signing key is derived for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scope<'a> {
    /// As `20150830`.
    pub(crate) date: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
}

impl Scope<'_> {
    fn push_to(&self, text: &mut String) {
        for part in [self.date, self.region, self.service] {
            text.push_str(part);
            text.push('/');
        }
        text.push_str(TERMINATOR);
    }
}

/// The text that is signed for a whole request.
pub(crate) fn string_to_sign(timestamp: &str, scope: &Scope<'_>, canonical_request: &[u8]) -> String {
    let mut text = String::with_capacity(STRING_TO_SIGN_BYTES);
    text.push_str(ALGORITHM);
    text.push('\n');
    text.push_str(timestamp);
    text.push('\n');
    scope.push_to(&mut text);
    text.push('\n');
    text.push_str(&hex::sha256(canonical_request));
    text
}

/// Room for a usual string to sign, so that it is allocated once.
const STRING_TO_SIGN_BYTES: usize = 192;
