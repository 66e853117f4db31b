//! What a caller presents: the signature in the `Authorization` header, or in the query of a presigned address.

use std::borrow::Cow;

use domain::time::Timestamp;
use hyper::HeaderMap;
use percent_encoding::percent_decode_str;

use super::error::SignatureError;
use super::{ALGORITHM, Request, Scope, TERMINATOR, UNSIGNED_PAYLOAD, hex, instant};
use crate::secrets::Secret;

/// A presigned address is good for at most a week.
pub const EXPIRES_SECONDS_MAX: u64 = 604_800;
/// Bytes of a region's name; it becomes a part of ARNs.
pub const REGION_BYTES_MAX: usize = 64;

/// What the payload line of the canonical request says of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Payload {
    /// Nothing was sent: the hash of the body as received.
    Computed,
    /// The hash that the client sent; the body must have it.
    Hash(String),
    /// The body is not covered by the signature.
    Unsigned,
    /// Chunks, each with a signature of its own.
    SignedChunks,
    /// Chunks without signatures, and trailing headers: not covered by the signature either.
    UnsignedChunks,
}

/// Where the signature was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Header,
    /// In the query; good for so many seconds from its date on.
    Presigned {
        expires_seconds: u64,
    },
}

/// A claim that is well formed, and nothing more: [`super::SigningKeys::verify`] tells whether it is true.
#[derive(Debug, Clone)]
pub struct Presented {
    pub access_key_id: String,
    /// The day in the credential's scope, `20150830`; the same as that of `timestamp`.
    pub date: String,
    /// Lower-case letters, digits and dashes.
    pub region: String,
    pub service: String,
    /// Names in lower case, joined by `;`, in order and without repeats.
    pub signed_headers: String,
    pub timestamp: Timestamp,
    pub payload: Payload,
    pub form: Form,
    /// Sent with temporary credentials.
    pub security_token: Option<Secret>,
    /// `timestamp` as it is signed.
    pub(super) timestamp_text: String,
    pub(super) signature: [u8; 32],
}

impl Presented {
    pub(super) fn scope(&self) -> Scope<'_> {
        Scope { date: &self.date, region: &self.region, service: &self.service }
    }
}

/// Reads the claim of a request.
pub fn parse(request: &Request<'_>) -> Result<Presented, SignatureError> {
    let authorization = single(request.headers, "authorization", "Authorization header is repeated")?;
    let claim = presigned(request.query)?;
    match (authorization, claim) {
        (Some(_), Some(_)) => {
            Err(incomplete("Only one of Authorization header and query may carry a signature"))
        }
        (Some(authorization), None) => from_header(request.headers, authorization),
        (None, Some(claim)) => from_query(request.headers, claim),
        (None, None) => Err(SignatureError::MissingAuthenticationToken),
    }
}

fn from_header(headers: &HeaderMap, authorization: &str) -> Result<Presented, SignatureError> {
    let (mut credential, mut signed_headers, mut signature) = (None, None, None);
    let (scheme, rest) = authorization.split_once([' ', '\t']).unwrap_or((authorization, ""));
    if !scheme.starts_with("AWS4-") {
        // Basic, Bearer and the like sign nothing.
        return Err(SignatureError::MissingAuthenticationToken);
    }
    if scheme != ALGORITHM {
        return Err(incomplete("Authorization header requires the algorithm AWS4-HMAC-SHA256"));
    }
    for parameter in rest.split(',') {
        let Some((name, value)) = parameter.split_once('=') else { continue };
        let slot = match name.trim() {
            "Credential" => &mut credential,
            "SignedHeaders" => &mut signed_headers,
            "Signature" => &mut signature,
            _ => continue,
        };
        if slot.replace(value.trim()).is_some() {
            return Err(incomplete("A parameter of the Authorization header is repeated"));
        }
    }
    let credential = credential.ok_or(incomplete("Authorization header requires 'Credential' parameter."))?;
    let signature = signature.ok_or(incomplete("Authorization header requires 'Signature' parameter."))?;
    let signed_headers =
        signed_headers.ok_or(incomplete("Authorization header requires 'SignedHeaders' parameter."))?;
    let (timestamp, timestamp_text) = header_timestamp(headers)?;
    let token = single(headers, "x-amz-security-token", "X-Amz-Security-Token is repeated")?;
    Claim {
        credential: Cow::Borrowed(credential),
        signed_headers: Cow::Borrowed(signed_headers),
        signature: Cow::Borrowed(signature),
        security_token: token.map(Cow::Borrowed),
        payload: header_payload(headers)?.unwrap_or(Payload::Computed),
    }
    .present(timestamp, timestamp_text, Form::Header)
}

fn from_query(headers: &HeaderMap, query: QueryClaim<'_>) -> Result<Presented, SignatureError> {
    if query.algorithm.as_deref() != Some(ALGORITHM) {
        return Err(incomplete("Query requires 'X-Amz-Algorithm' to be AWS4-HMAC-SHA256"));
    }
    let credential = query.credential.ok_or(incomplete("Query requires 'X-Amz-Credential' parameter."))?;
    let signature = query.signature.ok_or(incomplete("Query requires 'X-Amz-Signature' parameter."))?;
    let signed_headers =
        query.signed_headers.ok_or(incomplete("Query requires 'X-Amz-SignedHeaders' parameter."))?;
    let date = query.date.ok_or(incomplete("Query requires 'X-Amz-Date' parameter."))?;
    let timestamp =
        instant::parse_basic(&date).ok_or(incomplete("X-Amz-Date is not of the form 20150830T123600Z"))?;
    let expires_seconds = query
        .expires
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))
        .and_then(|text| text.parse().ok())
        .filter(|seconds| (1..=EXPIRES_SECONDS_MAX).contains(seconds))
        .ok_or(incomplete("X-Amz-Expires must be a number of seconds from 1 to 604800"))?;
    let payload = match (header_payload(headers)?, query.content_sha256) {
        (Some(payload), _) => payload,
        // Signers that move x-amz headers into the query move this one too.
        (None, Some(text)) => payload(&text)?,
        (None, None) => Payload::Computed,
    };
    Claim { credential, signed_headers, signature, security_token: query.security_token, payload }.present(
        timestamp,
        date.into_owned(),
        Form::Presigned { expires_seconds },
    )
}

/// What both forms have in common, still as text.
struct Claim<'a> {
    credential: Cow<'a, str>,
    signed_headers: Cow<'a, str>,
    signature: Cow<'a, str>,
    security_token: Option<Cow<'a, str>>,
    payload: Payload,
}

impl Claim<'_> {
    fn present(
        self,
        timestamp: Timestamp,
        timestamp_text: String,
        form: Form,
    ) -> Result<Presented, SignatureError> {
        let mut parts = self.credential.split('/');
        let mut part = || parts.next().filter(|part| !part.is_empty());
        let (Some(access_key_id), Some(date), Some(region), Some(service), Some(TERMINATOR), None) =
            (part(), part(), part(), part(), part(), parts.next())
        else {
            return Err(incomplete("Credential must have the form ID/date/region/service/aws4_request"));
        };
        if !is_region(region) {
            return Err(incomplete("Credential should be scoped to a valid region."));
        }
        if timestamp_text.get(..date.len()) != Some(date) || date.len() != "20150830".len() {
            return Err(incomplete("Date in Credential scope does not match the date of the request"));
        }
        if !are_signed_headers(&self.signed_headers) {
            return Err(incomplete("SignedHeaders must be in lower case, sorted, and without repeats"));
        }
        Ok(Presented {
            access_key_id: access_key_id.to_owned(),
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            signature: hex::decode(&self.signature).ok_or(SignatureError::InvalidSignature)?,
            signed_headers: self.signed_headers.into_owned(),
            timestamp,
            payload: self.payload,
            form,
            security_token: self.security_token.map(|token| Secret::new(token.into_owned())),
            timestamp_text,
        })
    }
}

/// The region becomes a part of ARNs, so nothing may stand in it that has a meaning there.
fn is_region(text: &str) -> bool {
    text.len() <= REGION_BYTES_MAX
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

/// Repeats would let a small request make a canonical request of any size.
fn are_signed_headers(text: &str) -> bool {
    !text.bytes().any(|byte| byte.is_ascii_uppercase())
        && text.split(';').zip(text.split(';').skip(1)).all(|(one, next)| one < next)
}

fn header_timestamp(headers: &HeaderMap) -> Result<(Timestamp, String), SignatureError> {
    if let Some(text) = single(headers, "x-amz-date", "X-Amz-Date is repeated")? {
        return match instant::parse_basic(text) {
            Some(timestamp) => Ok((timestamp, text.to_owned())),
            None => Err(incomplete("X-Amz-Date is not of the form 20150830T123600Z")),
        };
    }
    let text = single(headers, "date", "Date is repeated")?.ok_or(incomplete(
        "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.",
    ))?;
    let timestamp = instant::parse_basic(text)
        .or_else(|| instant::parse_http_date(text))
        .ok_or(incomplete("Date is neither of the form 20150830T123600Z nor an HTTP date"))?;
    Ok((timestamp, instant::basic(timestamp)))
}

fn header_payload(headers: &HeaderMap) -> Result<Option<Payload>, SignatureError> {
    let text = single(headers, "x-amz-content-sha256", "X-Amz-Content-SHA256 is repeated")?;
    text.map(payload).transpose()
}

fn payload(text: &str) -> Result<Payload, SignatureError> {
    Ok(match text {
        UNSIGNED_PAYLOAD => Payload::Unsigned,
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" => Payload::SignedChunks,
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER" => Payload::UnsignedChunks,
        hash if hex::decode(hash).is_some() => Payload::Hash(hash.to_owned()),
        _ => return Err(SignatureError::InvalidPayload("x-amz-content-sha256 is not a supported value")),
    })
}

impl Payload {
    /// The payload line of the canonical request; `None` where it is the hash of the body.
    pub(super) fn line(&self) -> Option<&str> {
        match self {
            Self::Computed => None,
            Self::Hash(hash) => Some(hash),
            Self::Unsigned => Some(UNSIGNED_PAYLOAD),
            Self::SignedChunks => Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            Self::UnsignedChunks => Some("STREAMING-UNSIGNED-PAYLOAD-TRAILER"),
        }
    }
}

/// The value of a header that may stand there once.
fn single<'a>(
    headers: &'a HeaderMap,
    name: &'static str,
    repeated: &'static str,
) -> Result<Option<&'a str>, SignatureError> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(incomplete(repeated));
    }
    match value.to_str() {
        Ok(text) => Ok(Some(text.trim())),
        Err(_) => Err(incomplete("A header of the signature is not ASCII text")),
    }
}

#[derive(Default)]
struct QueryClaim<'a> {
    algorithm: Option<Cow<'a, str>>,
    credential: Option<Cow<'a, str>>,
    date: Option<Cow<'a, str>>,
    expires: Option<Cow<'a, str>>,
    signed_headers: Option<Cow<'a, str>>,
    signature: Option<Cow<'a, str>>,
    security_token: Option<Cow<'a, str>>,
    content_sha256: Option<Cow<'a, str>>,
}

/// The parameters of a presigned address; `None` where the query carries no signature.
fn presigned(query: &str) -> Result<Option<QueryClaim<'_>>, SignatureError> {
    let mut claim = QueryClaim::default();
    let mut found = false;
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name: Cow<'_, [u8]> = percent_decode_str(name).into();
        let slot = match &*name {
            b"X-Amz-Algorithm" => &mut claim.algorithm,
            b"X-Amz-Credential" => &mut claim.credential,
            b"X-Amz-Date" => &mut claim.date,
            b"X-Amz-Expires" => &mut claim.expires,
            b"X-Amz-SignedHeaders" => &mut claim.signed_headers,
            b"X-Amz-Signature" => &mut claim.signature,
            b"X-Amz-Security-Token" => &mut claim.security_token,
            b"X-Amz-Content-Sha256" => &mut claim.content_sha256,
            _ => continue,
        };
        found |= matches!(&*name, b"X-Amz-Algorithm" | b"X-Amz-Credential" | b"X-Amz-Signature");
        let value = percent_decode_str(value)
            .decode_utf8()
            .map_err(|_| incomplete("A parameter of the signature is not UTF-8 text"))?;
        if slot.replace(value).is_some() {
            return Err(incomplete("A parameter of the signature is repeated in the query"));
        }
    }
    Ok(found.then_some(claim))
}

const fn incomplete(message: &'static str) -> SignatureError {
    SignatureError::IncompleteSignature(message)
}
