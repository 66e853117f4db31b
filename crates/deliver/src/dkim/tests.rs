//! Signatures, checked against RFC 8463's example and by a verifier written apart from the signer.

use ring::signature::{ED25519, KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};

use super::*;

/// RFC 8463 appendix A.3: a message, its signature and the published key.
const RFC_8463_MESSAGE: &str = "From: Joe SixPack <joe@football.example.com>\r\n\
    To: Suzie Q <suzie@shopping.example.net>\r\n\
    Subject: Is dinner ready?\r\n\
    Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n\
    Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n\
    \r\n\
    Hi.\r\n\
    \r\n\
    We lost the game.  Are you hungry yet?\r\n\
    \r\n\
    Joe.\r\n";
const RFC_8463_SIGNATURE: &str = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n \
    d=football.example.com; i=@football.example.com;\r\n \
    q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n \
    subject : date : message-id : from : subject : date;\r\n \
    bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n \
    b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n \
    Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==\r\n";
const RFC_8463_PUBLIC: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
/// The private key of the same appendix, as PKCS#8.
const ED25519_PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
    -----END PRIVATE KEY-----\n";

const MESSAGE: &str = "From: =?utf-8?b?R3LDvMOfZQ==?=\r\n <shop@news.example.com>\r\nTo:ann@example.org  \r\n\
    SUBJECT : two \t words\r\nX-Other: not signed\r\nList-Unsubscribe: <https://example.com/u>\r\n\
    List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n\r\n a  b \t\r\n.\r\n\r\nend \r\n\r\n\r\n";

fn rsa_pem() -> &'static str {
    include_str!("../../tests/dkim-test-key.pem")
}

fn public_of(key: &DkimKey) -> Vec<u8> {
    match &key.pair {
        KeyPair::Rsa(pair) => pair.public().as_ref().to_vec(),
        KeyPair::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
    }
}

/// A verifier by the letter of RFC 6376 §3.7, on text: no code of the signer's.
fn verify(signed: &str, public: &[u8]) -> Result<(), String> {
    let (head, body) = signed.split_once("\r\n\r\n").ok_or("no body")?;
    let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
    let fields: Vec<(String, String)> = unfolded
        .split("\r\n")
        .map(|line| {
            let (name, value) = line.split_once(':').unwrap();
            let value =
                value.split([' ', '\t']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
            (name.trim_end().to_lowercase(), value)
        })
        .collect();
    let signature = fields.iter().find(|(name, _)| name == "dkim-signature").ok_or("no signature")?;
    let tag = |tag: &str| {
        let tags = signature.1.split(';').filter_map(|pair| pair.trim().split_once('='));
        tags.into_iter().find(|(name, _)| *name == tag).map(|(_, value)| value.replace(' ', "")).unwrap()
    };
    let mut lines: Vec<String> = body
        .split("\r\n")
        .map(|line| {
            let mut text = String::new();
            for character in line.trim_end_matches([' ', '\t']).chars() {
                match character {
                    ' ' | '\t' if text.ends_with(' ') => {}
                    '\t' => text.push(' '),
                    other => text.push(other),
                }
            }
            text + "\r\n"
        })
        .collect();
    while lines.last().is_some_and(|line| line == "\r\n") {
        lines.pop();
    }
    let body_hash = BASE64.encode(digest(&SHA256, lines.concat().as_bytes()));
    if body_hash != tag("bh") {
        return Err("body".to_owned());
    }
    let mut left = fields.clone();
    let mut data = String::new();
    for name in tag("h").split(':') {
        if let Some(at) = left.iter().rposition(|(field, _)| field == name) {
            let (name, value) = left.remove(at);
            data.extend([&name, ":", &value, "\r\n"]);
        }
    }
    let (before, _) = signature.1.rsplit_once("b=").unwrap();
    data.extend(["dkim-signature:", before, "b="]);
    let given = BASE64.decode(tag("b")).unwrap();
    let valid = match tag("a").as_str() {
        "rsa-sha256" => {
            UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public).verify(data.as_bytes(), &given)
        }
        "ed25519-sha256" => {
            UnparsedPublicKey::new(&ED25519, public).verify(digest(&SHA256, data.as_bytes()).as_ref(), &given)
        }
        other => return Err(format!("algorithm {other}")),
    };
    valid.map_err(|_| "signature".to_owned())
}

fn signed(message: &str, key: &DkimKey) -> String {
    let header = sign(message.as_bytes(), key, Timestamp(1_528_637_909_999)).unwrap();
    String::from_utf8(header).unwrap() + message
}

#[test]
fn the_verifier_of_these_tests_agrees_with_the_rfc() {
    let public = BASE64.decode(RFC_8463_PUBLIC).unwrap();
    assert_eq!(verify(&format!("{RFC_8463_SIGNATURE}{RFC_8463_MESSAGE}"), &public), Ok(()));
    let key = DkimKey::new("football.example.com", "brisbane", ED25519_PEM).unwrap();
    assert_eq!(public_of(&key), public);
}

#[test]
fn signatures_verify_and_changes_are_found() {
    for pem in [ED25519_PEM, rsa_pem()] {
        let key = DkimKey::new("example.com", "s1", pem).unwrap();
        let public = public_of(&key);
        for message in
            [MESSAGE, RFC_8463_MESSAGE, "From: a@example.com\r\n\r\n", "From: a@example.com\r\n\r\n\r\n\r\n"]
        {
            let signed = signed(message, &key);
            assert_eq!(verify(&signed, &public), Ok(()), "{signed}");
            for line in signed.split("\r\n") {
                assert!(line.len() <= 80, "{line}");
            }
        }
        let whole = signed(MESSAGE, &key);
        let relaxed = whole.replace("two \t words", "two words").replace(" a  b \t\r\n", " a b\r\n");
        assert_eq!(verify(&relaxed, &public), Ok(()));
        for (from, to, fault) in [
            ("end", "fin", "body"),
            ("words", "worlds", "signature"),
            ("One-Click", "Two-Click", "signature"),
            // Another From on top: it is signed that there is none.
            ("X-Other: not signed", "From: evil@example.com", "signature"),
            ("t=1528637909", "t=1528637910", "signature"),
        ] {
            assert_eq!(verify(&whole.replacen(from, to, 1), &public), Err(fault.to_owned()), "{from}");
        }
        assert_eq!(verify(&whole.replace("not signed", "changed"), &public), Ok(()));
    }
}

#[test]
fn a_signature_as_it_travels() {
    let key = DkimKey::new("football.example.com", "brisbane", ED25519_PEM).unwrap();
    let header = sign(RFC_8463_MESSAGE.as_bytes(), &key, Timestamp(1_528_637_909_000)).unwrap();
    insta::assert_snapshot!(String::from_utf8(header).unwrap().replace("\r\n", "\n"), @"
    DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;
     d=football.example.com;
     s=brisbane; t=1528637909;
     h=from:from:to:subject:date:
     message-id;
     bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;
     b=
     F/JN27RE8WeF+RdjN8Ng84zUPcvrlMh4hNwVRtDoWU61zpaJX/rj6Y8dIoXtoPei57kfXaD3
     mqRSrBWAuuJIDw==
    ");
}

#[test]
fn keys_are_checked() {
    let key = |domain, selector, pem| DkimKey::new(domain, selector, pem).map(|key| key.domain().to_owned());
    assert_eq!(key("Bücher.example", "s1", ED25519_PEM), Ok("xn--bcher-kva.example".to_owned()));
    assert_eq!(key("example", "s1", ED25519_PEM), Err(DkimKeyError::Domain));
    assert_eq!(key("a b.example", "s1", ED25519_PEM), Err(DkimKeyError::Domain));
    assert_eq!(key("example.com", "s1;", ED25519_PEM), Err(DkimKeyError::Selector));
    assert_eq!(key("example.com", "s1", "no key"), Err(DkimKeyError::Pem));
    let wrong = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert_eq!(key("example.com", "s1", wrong), Err(DkimKeyError::Kind));
    let shown = format!("{:?}", DkimKey::new("example.com", "s1", ED25519_PEM));
    assert_eq!(shown, "Ok(DkimKey { domain: \"example.com\", selector: \"s1\", .. })");
}

#[test]
fn the_closest_domain_signs() {
    let key = |domain| DkimKey::new(domain, "s1", ED25519_PEM).unwrap();
    let keys = [key("example.com"), key("news.example.com"), key("other.example")];
    for (domain, expected) in [
        ("example.com", Some("example.com")),
        ("EXAMPLE.com", Some("example.com")),
        ("shop.example.com", Some("example.com")),
        ("a.news.example.com", Some("news.example.com")),
        ("badexample.com", None),
        ("com", None),
    ] {
        assert_eq!(DkimKey::of_domain(&keys, domain).map(DkimKey::domain), expected, "{domain}");
    }
}
