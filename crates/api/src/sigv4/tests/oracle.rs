//! Random requests: what the `aws-sigv4` crate signs verifies here, what was changed afterwards does not, and no bytes at
//! all make the parser panic.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningParams, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;

use super::*;

/// Of each property.
const CASES: u32 = 400;
const NOW: &str = "2026-11-02T09:30:00Z";

/// Signs as the Rust SDK does.
fn signed_by_sdk(mut request: Owned, location: SignatureLocation, is_body_signed: bool) -> Owned {
    let identity = Credentials::new("AKIDEXAMPLE", SECRET, Some("token/+=".to_owned()), None, "test").into();
    let mut settings = SigningSettings::default();
    settings.signature_location = location;
    settings.expires_in = Some(Duration::from_mins(15));
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(at(NOW).as_millis() as u64);
    let params: SigningParams<'_> = v4::SigningParams::builder()
        .identity(&identity)
        .region("eu-central-1")
        .name("mobiletargeting")
        .time(time)
        .settings(settings)
        .build()
        .unwrap()
        .into();
    if !is_body_signed {
        request.set("x-amz-content-sha256", "UNSIGNED-PAYLOAD");
    }
    let instructions = {
        let question = if request.query.is_empty() { "" } else { "?" };
        let uri = format!("http://localhost:8080{}{question}{}", request.path, request.query);
        let headers: Vec<(&str, &str)> =
            request.headers.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        let body =
            if is_body_signed { SignableBody::Bytes(&request.body) } else { SignableBody::UnsignedPayload };
        let signable = SignableRequest::new(&request.method, uri, headers.into_iter(), body).unwrap();
        sign(signable, &params).unwrap().into_parts().0
    };
    let (headers, parameters) = instructions.into_parts();
    for header in headers {
        request.set(header.name(), header.value());
    }
    for (name, value) in parameters {
        if !request.query.is_empty() {
            request.query.push('&');
        }
        write!(request.query, "{name}={}", utf8_percent_encode(&value, NON_ALPHANUMERIC)).unwrap();
    }
    request
}

fn requests() -> impl Strategy<Value = Owned> {
    let segment = prop_oneof![
        4 => "[a-zA-Z0-9._~-]{1,8}",
        // As SDKs encode labels.
        2 => "\\PC{1,6}".prop_map(|text| utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string()),
        1 => "[a-z!$&'()*+,:;=@]{1,6}",
        1 => prop_oneof![Just(String::new()), Just(".".to_owned()), Just("..".to_owned())],
    ];
    let text = prop_oneof![
        "[a-zA-Z0-9._~-]{0,6}",
        "\\PC{0,6}".prop_map(|text| utf8_percent_encode(&text, NON_ALPHANUMERIC).to_string()),
        "[a-z+/:,]{0,6}",
    ];
    let query = prop::collection::vec(
        prop_oneof![(text.clone(), text).prop_map(|(name, value)| format!("{name}={value}")), "[a-z]{0,3}",],
        0..6,
    );
    let headers = prop::collection::vec(("x-h[a-d]", "[!-~][ -~]{0,12}"), 0..5);
    let method = prop::sample::select(vec!["GET", "PUT", "POST", "DELETE"]);
    let body = prop::collection::vec(any::<u8>(), 0..200);
    (method, prop::collection::vec(segment, 0..6), query, headers, body).prop_map(
        |(method, segments, query, headers, body)| {
            let mut all = vec![("host", "localhost:8080")];
            all.extend(headers.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            Owned::new(method, &format!("/{}", segments.join("/")), &query.join("&"), &all, &body)
        },
    )
}

/// Another letter or digit in place of one, so that no encoding or spacing can hide the change; nor the case of an escape.
fn flip(text: &str, seed: usize) -> Option<String> {
    let places: Vec<usize> =
        text.bytes().enumerate().filter(|(_, byte)| byte.is_ascii_alphanumeric()).map(|(at, _)| at).collect();
    let place = *places.get(seed % places.len().max(1))?;
    let mut bytes = text.as_bytes().to_vec();
    bytes[place] = if bytes[place].eq_ignore_ascii_case(&b'a') { b'b' } else { b'a' };
    Some(String::from_utf8(bytes).unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(CASES))]

    #[test]
    fn what_the_sdk_signs_verifies(request in requests(), presigned: bool, is_body_signed: bool) {
        let location =
            if presigned { SignatureLocation::QueryParams } else { SignatureLocation::Headers };
        let request = signed_by_sdk(request, location, is_body_signed);
        prop_assert_eq!(request.verify(at(NOW)), Ok(request.body.clone()));
    }

    #[test]
    fn a_changed_request_does_not_verify(request in requests(), presigned: bool, what in 0..5, seed: usize) {
        let location =
            if presigned { SignatureLocation::QueryParams } else { SignatureLocation::Headers };
        let mut request = signed_by_sdk(request, location, true);
        match what {
            0 => {
                // `/a/..` and `/b/..` are the same path.
                if request.path.contains("..") {
                    return Ok(());
                }
                let Some(path) = flip(&request.path, seed) else { return Ok(()) };
                request.path = path;
            }
            1 => {
                let Some(query) = flip(&request.query, seed) else { return Ok(()) };
                request.query = query;
            }
            2 => {
                // One header of those that are there, the signature's own among them.
                let name = request.headers.keys().nth(seed % request.headers.keys_len()).unwrap().clone();
                let Some(value) = flip(request.headers[&name].to_str().unwrap(), seed / 7) else { return Ok(()) };
                request.headers.insert(name, value.parse().unwrap());
            }
            3 => {
                if request.body.is_empty() {
                    return Ok(());
                }
                let mut body = request.body.to_vec();
                let place = seed % body.len();
                body[place] ^= 1 << (seed % 8);
                request.body = Bytes::from(body);
            }
            _ => request.method.push('X'),
        }
        let changed = request.verify(at(NOW));
        // The signature does not cover the access key id: another id has another secret.
        let is_key_known = request.parse().is_ok_and(|presented| presented.access_key_id == "AKIDEXAMPLE");
        prop_assert!(changed.is_err() || !is_key_known, "{request:?}");
    }

    #[test]
    fn what_we_sign_verifies(request in requests()) {
        let mut request = request;
        let hash = payload_hash(&request.body);
        request.sign(&hash, at(NOW));
        prop_assert_eq!(request.verify(at(NOW)), Ok(request.body.clone()));
    }

    #[test]
    fn no_bytes_make_it_panic(
        path in "\\PC{0,30}",
        query in "(X-Amz-(Algorithm|Credential|Date|Expires|SignedHeaders|Signature)=[%0-9a-zA-Z/-]{0,20}&|\\PC){0,12}",
        authorization in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            "AWS4-HMAC-SHA256 (Credential=|SignedHeaders=|Signature=|[a-z0-9/;,= -]){0,12}".prop_map(String::into_bytes),
        ],
        date in prop::collection::vec(any::<u8>(), 0..18),
        body in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut request = Owned::new("GET", &path, &query, &[("host", "h")], &body);
        if let Ok(value) = HeaderValue::from_bytes(&authorization) {
            request.headers.insert("authorization", value);
        }
        if let Ok(value) = HeaderValue::from_bytes(&date) {
            request.headers.insert("x-amz-date", value);
        }
        let _ = request.verify(at(NOW));
    }

    #[test]
    fn no_chunked_bytes_make_it_panic(
        body in prop_oneof![prop::collection::vec(any::<u8>(), 0..80), "([0-9a-f]{1,3}|;|=|\r\n|[a-z:]){0,30}".prop_map(String::into_bytes)],
        is_signed: bool,
    ) {
        let mut request = Owned::new("POST", "/", "", &[("host", "h")], &body);
        let payload =
            if is_signed { "STREAMING-AWS4-HMAC-SHA256-PAYLOAD" } else { "STREAMING-UNSIGNED-PAYLOAD-TRAILER" };
        request.sign(payload, at(NOW));
        let _ = request.verify(at(NOW));
    }
}
