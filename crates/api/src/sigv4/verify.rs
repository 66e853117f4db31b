//! Decides whether a claim is true.

use std::time::Duration;

use bytes::Bytes;
use domain::time::Timestamp;
use ring::hmac;

use super::canonical::{PathStyle, canonical_request};
use super::chunked::{self, ChunkSignatures};
use super::error::SignatureError;
use super::keys::{Fingerprint, SigningKeys, derive};
use super::presented::{Form, Payload, Presented};
use super::{Request, hex, instant, string_to_sign};
use crate::secrets::Secret;

/// How far the signer's clock may be from ours, either way.
pub const SKEW_MAX: Duration = Duration::from_mins(5);

/// `x-amz-` headers that need not be signed: the first three enter the signature in other ways or are added behind it by
/// signers (temporary credentials); of the others this server reads none, and SDKs or proxies add them unsigned.
const MAY_BE_UNSIGNED: [&str; 6] = [
    "x-amz-date",
    "x-amz-content-sha256",
    "x-amz-security-token",
    "x-amz-user-agent",
    "x-amz-checksum-mode",
    "x-amz-cf-id",
];

impl SigningKeys {
    /// Verifies a claim, and returns the body that was signed: `body` itself, or what its chunks hold.
    ///
    /// The signature is compared in constant time, and the body is looked at only behind a good signature, wherever the
    /// signature does not need the body's hash.
    ///
    /// A body is not covered where the payload is unsigned, in chunks or not; trailing checksums are not compared.
    pub fn verify(
        &self,
        presented: &Presented,
        request: &Request<'_>,
        secret: &Secret,
        body: &Bytes,
        now: Timestamp,
    ) -> Result<Bytes, SignatureError> {
        check_time(presented, now)?;
        check_signed_headers(presented, request)?;
        let computed;
        let payload_line = if let Some(line) = presented.payload.line() {
            line
        } else {
            computed = hex::sha256(body);
            &computed
        };
        let canonical =
            canonical_request(request, PathStyle::Normalised, &presented.signed_headers, payload_line)
                .map_err(|_| SignatureError::InvalidSignature)?;
        let key = self.check_signature(presented, secret, &canonical)?;
        match &presented.payload {
            Payload::Computed | Payload::Unsigned => Ok(body.clone()),
            Payload::Hash(hash) if *hash == hex::sha256(body) => Ok(body.clone()),
            Payload::Hash(_) => Err(SignatureError::InvalidPayload(
                "x-amz-content-sha256 does not match the body that was received",
            )),
            Payload::SignedChunks => {
                let signatures = ChunkSignatures {
                    key: &key,
                    timestamp: &presented.timestamp_text,
                    scope: presented.scope(),
                    seed: presented.signature,
                };
                chunked::decode(body, request.headers, Some(signatures))
            }
            Payload::UnsignedChunks => chunked::decode(body, request.headers, None),
        }
    }

    fn check_signature(
        &self,
        presented: &Presented,
        secret: &Secret,
        canonical: &[u8],
    ) -> Result<hmac::Key, SignatureError> {
        let scope = presented.scope();
        let text = string_to_sign(&presented.timestamp_text, &scope, canonical);
        let fingerprint = Fingerprint::new(&presented.access_key_id, secret, &scope);
        let known = self.get(fingerprint);
        let is_new = known.is_none();
        let key = known.unwrap_or_else(|| derive(secret, &scope));
        // Compares in constant time.
        hmac::verify(&key, text.as_bytes(), &presented.signature)
            .map_err(|_| SignatureError::InvalidSignature)?;
        if is_new {
            self.insert(fingerprint, key.clone());
        }
        Ok(key)
    }
}

/// Both ends of the window belong to it.
fn check_time(presented: &Presented, now: Timestamp) -> Result<(), SignatureError> {
    let signed = presented.timestamp;
    let allowed = match presented.form {
        Form::Header => SKEW_MAX,
        Form::Presigned { expires_seconds } => Duration::from_secs(expires_seconds),
    };
    if now.since(signed) > allowed {
        return Err(SignatureError::Expired {
            signed: presented.timestamp_text.clone(),
            earliest: instant::basic(now.minus(allowed)),
            now: instant::basic(now),
            allowed_minutes: allowed.as_secs() / 60,
        });
    }
    if signed.since(now) > SKEW_MAX {
        return Err(SignatureError::NotYetCurrent {
            signed: presented.timestamp_text.clone(),
            latest: instant::basic(now.plus(SKEW_MAX)),
            now: instant::basic(now),
            allowed_minutes: SKEW_MAX.as_secs() / 60,
        });
    }
    Ok(())
}

/// Host and the headers that change what a request means must be signed.
fn check_signed_headers(presented: &Presented, request: &Request<'_>) -> Result<(), SignatureError> {
    let is_signed = |name: &str| presented.signed_headers.split(';').any(|signed| signed == name);
    if !is_signed("host") {
        return Err(SignatureError::IncompleteSignature(
            "'Host' must be a 'SignedHeader' in the AWS Authorization.",
        ));
    }
    for name in request.headers.keys().map(hyper::header::HeaderName::as_str) {
        if name.starts_with("x-amz-") && !MAY_BE_UNSIGNED.contains(&name) && !is_signed(name) {
            return Err(SignatureError::IncompleteSignature(
                "There were x-amz- headers which were not signed",
            ));
        }
    }
    Ok(())
}
