//! How a claim may be written, what is refused, and what the refusals say.

use super::*;

const NOW: &str = "2026-11-02T09:30:00Z";

fn authorization(request: &Owned) -> String {
    request.headers["authorization"].to_str().unwrap().to_owned()
}

/// A good request, its Authorization header changed by `change`.
fn with_authorization(change: impl FnOnce(String) -> String) -> Owned {
    let mut request = signed_events(at(NOW));
    let changed = change(authorization(&request));
    request.set("authorization", &changed);
    request
}

#[test]
fn spacing_of_the_header_does_not_matter() {
    for (from, to) in [(", ", ","), (", ", "  ,\t "), (" Credential", "   Credential"), ("=", " = ")] {
        let request = with_authorization(|text| text.replace(from, to));
        assert!(request.verify(at(NOW)).is_ok(), "{}", authorization(&request));
    }
}

#[test]
fn a_request_without_a_signature_is_missing_its_token() {
    let mut request = signed_events(at(NOW));
    for scheme in ["Basic dXNlcjpwYXNz", "Bearer abc", "AWS AKID:sig", ""] {
        request.set("authorization", scheme);
        assert_eq!(request.parse().unwrap_err(), SignatureError::MissingAuthenticationToken, "{scheme}");
    }
    request.headers.remove("authorization");
    let refusal = request.parse().unwrap_err();
    assert_eq!(refusal.to_string(), "Missing Authentication Token");
    assert_eq!(refusal.aws_code(), "MissingAuthenticationTokenException");
}

#[test]
fn what_is_absent_repeated_or_malformed_is_incomplete() {
    let cases: [(&str, &str); 15] = [
        ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
        ("Credential=", "Credent="),
        ("SignedHeaders=", "Headers="),
        ("Signature=", "Sig="),
        ("Signature=", "Signature=aa,Signature="),
        ("/aws4_request", ""),
        ("/aws4_request", "/aws4_request/x"),
        ("/aws4_request", "/aws5_request"),
        ("AKIDEXAMPLE/", "/"),
        ("/us-east-1/", "//"),
        ("/us-east-1/", "/us:east*1/"),
        ("/20261102/", "/20261101/"),
        ("/20261102/", "/2026/"),
        ("content-type;host;", "host;content-type;"),
        ("content-type;host;", "content-type;host;host;"),
    ];
    for (from, to) in cases {
        let request = with_authorization(|text| text.replace(from, to));
        let refusal = request.parse().unwrap_err();
        assert!(matches!(refusal, SignatureError::IncompleteSignature(_)), "{to}: {refusal}");
        assert_eq!(refusal.aws_code(), "IncompleteSignatureException");
    }
    for header in ["x-amz-date", "authorization", "x-amz-content-sha256"] {
        let mut request = signed_events(at(NOW));
        let value = request.headers[header].clone();
        request.headers.append(header, value);
        assert!(matches!(request.parse(), Err(SignatureError::IncompleteSignature(_))), "{header} twice");
    }
    let mut request = signed_events(at(NOW));
    request.query = "X-Amz-Signature=00".to_owned();
    assert!(matches!(request.parse(), Err(SignatureError::IncompleteSignature(_))), "two signatures");
}

#[test]
fn a_signature_has_one_spelling() {
    for change in
        [str::to_uppercase as fn(&str) -> String, |text| text[1..].to_owned(), |text| format!("{text}00")]
    {
        let request = with_authorization(|text| {
            let (head, signature) = text.split_once("Signature=").unwrap();
            format!("{head}Signature={}", change(signature))
        });
        assert_eq!(request.verify(at(NOW)), Err(SignatureError::InvalidSignature));
    }
}

#[test]
fn headers_that_change_the_meaning_must_be_signed() {
    let request = with_authorization(|text| text.replace(";host;", ";"));
    assert!(matches!(request.verify(at(NOW)), Err(SignatureError::IncompleteSignature(_))));
    let mut request = signed_events(at(NOW));
    request.set("x-amz-user-agent", "aws-amplify/6");
    request.set("x-amzn-trace-id", "Root=1");
    assert!(request.verify(at(NOW)).is_ok());
    request.set("x-amz-target", "PinpointSMSVoiceV2.DeletePool");
    assert!(matches!(request.verify(at(NOW)), Err(SignatureError::IncompleteSignature(_))));
}

#[test]
fn a_signed_header_that_is_gone_fails() {
    let mut request = signed_events(at(NOW));
    request.headers.remove("content-type");
    assert_eq!(request.verify(at(NOW)), Err(SignatureError::InvalidSignature));
}

#[test]
fn the_body_must_have_the_hash_that_was_sent() {
    let mut request = signed_events(at(NOW));
    request.body = Bytes::from_static(b"{}");
    let refusal = request.verify(at(NOW)).unwrap_err();
    assert!(matches!(refusal, SignatureError::InvalidPayload(_)));
    assert_eq!(refusal.aws_code(), "InvalidSignatureException");
    // An attacker who takes the hash away changes what was signed.
    for payload in ["UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"] {
        request.set("x-amz-content-sha256", payload);
        assert_eq!(request.verify(at(NOW)), Err(SignatureError::InvalidSignature), "{payload}");
    }
    request.set("x-amz-content-sha256", "sha256 of something");
    assert!(matches!(request.parse(), Err(SignatureError::InvalidPayload(_))));
}

#[test]
fn an_unsigned_payload_may_be_anything() {
    let mut request = signed_events(at(NOW));
    request.headers.remove("authorization");
    request.sign("UNSIGNED-PAYLOAD", at(NOW));
    request.body = Bytes::from_static(b"whatever");
    assert_eq!(request.verify(at(NOW)), Ok(request.body.clone()));
}

#[test]
fn another_secret_fails_also_when_the_key_is_remembered() {
    let request = signed_events(at(NOW));
    let presented = request.parse().unwrap();
    let keys = SigningKeys::new();
    let verify = |secret: &str| {
        keys.verify(&presented, &request.request(), &Secret::new(secret), &request.body, at(NOW))
    };
    assert_eq!(verify("other"), Err(SignatureError::InvalidSignature));
    assert_eq!(keys.len(), 0, "a key that verified nothing is not remembered");
    assert!(verify(SECRET).is_ok());
    assert_eq!(keys.len(), 1);
    assert!(verify(SECRET).is_ok());
    assert_eq!(verify("other"), Err(SignatureError::InvalidSignature));
    assert_eq!(keys.len(), 1);
}

#[test]
fn remembered_keys_are_bounded() {
    let keys = SigningKeys::new();
    let secret = Secret::new(SECRET);
    let scope = |region| Scope { date: "20261102", region, service: "mobiletargeting" };
    let key = keys::derive(&secret, &scope("r"));
    let first = keys::Fingerprint::new("A", &secret, &scope("r"));
    keys.insert(first, key.clone());
    for number in 0..SIGNING_KEYS_MAX * 2 {
        keys.insert(keys::Fingerprint::new(&number.to_string(), &secret, &scope("r")), key.clone());
        assert!(keys.len() <= SIGNING_KEYS_MAX);
        assert!(keys.get(first).is_some(), "a key in use stays");
    }
    assert!(keys.get(keys::Fingerprint::new("0", &secret, &scope("r"))).is_none(), "an old one is forgotten");
}

#[test]
fn fingerprints_keep_parts_apart() {
    let secret = Secret::new("s");
    let one = Scope { date: "d", region: "ab", service: "c" };
    let other = Scope { date: "d", region: "a", service: "bc" };
    assert!(keys::Fingerprint::new("k", &secret, &one) != keys::Fingerprint::new("k", &secret, &other));
    assert!(
        keys::Fingerprint::new("k", &secret, &one) != keys::Fingerprint::new("k", &Secret::new("t"), &one)
    );
}

#[test]
fn signing_needs_a_host_and_clean_values() {
    let secret = Secret::new(SECRET);
    let mut headers = HeaderMap::new();
    let sign = |headers: &mut HeaderMap, token| {
        Signer { security_token: token, ..signer(&secret) }.sign(("GET", "/", ""), headers, "x", at(NOW))
    };
    assert_eq!(sign(&mut headers, None), Err(SignError::MissingHost));
    headers.insert("host", HeaderValue::from_static("h"));
    assert_eq!(sign(&mut headers, Some("a\nb")), Err(SignError::InvalidHeader("x-amz-security-token")));
    assert_eq!(sign(&mut headers, Some("token")), Ok(()));
    assert_eq!(headers["x-amz-security-token"], "token");
}

#[test]
fn nothing_that_is_shown_holds_a_secret() {
    let mut request = signed_events(at(NOW));
    request.set("x-amz-security-token", "TOKEN-TEXT");
    let presented = request.parse().unwrap();
    let shown = format!("{presented:?} {:?} {:?}", SigningKeys::new(), signer(&Secret::new(SECRET)));
    assert!(!shown.contains("TOKEN-TEXT") && !shown.contains(SECRET), "{shown}");
}
