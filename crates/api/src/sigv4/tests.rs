//! Signatures against the published vectors, botocore and the `aws-sigv4` crate.

use bytes::Bytes;
use domain::time::Timestamp;
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};

use super::*;
use crate::secrets::Secret;

mod chunked;
mod forms;
mod oracle;
mod times;
mod vectors;

/// The secret of the published vectors.
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// A request that a test owns and may spoil.
#[derive(Debug, Clone)]
struct Owned {
    method: String,
    path: String,
    query: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Owned {
    fn new(method: &str, path: &str, query: &str, headers: &[(&str, &str)], body: &[u8]) -> Self {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(
                name.parse::<HeaderName>().unwrap(),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        Self {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers: map,
            body: Bytes::copy_from_slice(body),
        }
    }

    fn request(&self) -> Request<'_> {
        Request { method: &self.method, path: &self.path, query: &self.query, headers: &self.headers }
    }

    fn set(&mut self, name: &'static str, value: &str) {
        self.headers.insert(name, HeaderValue::from_str(value).unwrap());
    }

    fn parse(&self) -> Result<Presented, SignatureError> {
        parse(&self.request())
    }

    /// Parses and verifies with [`SECRET`].
    fn verify(&self, now: Timestamp) -> Result<Bytes, SignatureError> {
        let presented = self.parse()?;
        SigningKeys::new().verify(&presented, &self.request(), &Secret::new(SECRET), &self.body, now)
    }

    /// Signs with our own signer.
    fn sign(&mut self, payload_hash: &str, now: Timestamp) {
        let secret = Secret::new(SECRET);
        signer(&secret)
            .sign((&self.method, &self.path, &self.query), &mut self.headers, payload_hash, now)
            .unwrap();
    }
}

fn signer(secret: &Secret) -> Signer<'_> {
    Signer {
        access_key_id: "AKIDEXAMPLE",
        secret,
        security_token: None,
        region: "us-east-1",
        service: "mobiletargeting",
        path_style: PathStyle::Normalised,
    }
}

fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// An event call signed by our own signer.
fn signed_events(now: Timestamp) -> Owned {
    let body = br#"{"BatchItem":{}}"#;
    let headers = [("host", "pinpoint.us-east-1.amazonaws.com"), ("content-type", "application/json")];
    let mut request = Owned::new("POST", "/v1/apps/abc/events", "", &headers, body);
    request.sign(&payload_hash(body), now);
    request
}
