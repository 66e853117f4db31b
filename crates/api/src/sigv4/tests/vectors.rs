//! Requests whose signatures others published or made: the AWS SigV4 test suite, and botocore.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;

use super::*;

struct Vector {
    name: &'static str,
    method: &'static str,
    path: &'static str,
    query: &'static str,
    /// Beside Host and X-Amz-Date.
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    signature: &'static str,
}

const fn get(name: &'static str, path: &'static str, query: &'static str, signature: &'static str) -> Vector {
    Vector { name, method: "GET", path, query, headers: &[], body: "", signature }
}

const VANILLA: &str = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
const POST_VANILLA: &str = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b";
const POST_QUERY: &str = "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11";
const UNRESERVED: &str = "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const UNRESERVED_QUERY: &str = "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz=-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const TOKEN: &str = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267";
const STS_TOKEN: &str = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";
const FORM: &str = "application/x-www-form-urlencoded";
const FORM_HASH: &str = "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e";

/// The AWS SigV4 test suite: 20150830T123600Z, us-east-1, `service`.
const SUITE: [Vector; 30] = [
    get("get-vanilla", "/", "", VANILLA),
    get("get-vanilla-query", "/", "", VANILLA),
    get("normalize-path/get-relative", "/example/..", "", VANILLA),
    get("normalize-path/get-relative-relative", "/example1/example2/../..", "", VANILLA),
    get("normalize-path/get-slash", "//", "", VANILLA),
    get("normalize-path/get-slash-dot-slash", "/./", "", VANILLA),
    get(
        "normalize-path/get-slash-pointless-dot",
        "/./example",
        "",
        "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5",
    ),
    get(
        "normalize-path/get-slashes",
        "//example//",
        "",
        "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
    ),
    get(
        // The suite encodes this path once, as S3 does; the signature here is that of a path encoded twice.
        "normalize-path/get-space",
        "/example%20space/",
        "",
        "446b817944c553435b35e813c261ff4e161fff982d1bacdef1c87f6785dd1662",
    ),
    get("get-unreserved", UNRESERVED, "", "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
    get("get-utf8", "/\u{1234}", "", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
    get(
        "get-vanilla-empty-query-key",
        "/",
        "Param1=value1",
        "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
    ),
    get(
        "get-vanilla-query-order-key-case",
        "/",
        "Param2=value2&Param1=value1",
        "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
    ),
    get(
        "get-vanilla-query-order-encoded",
        "/",
        "Param-3=Value3&Param=Value2&%E1%88%B4=Value1",
        "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
    ),
    get(
        "get-vanilla-query-unreserved",
        "/",
        UNRESERVED_QUERY,
        "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
    ),
    get(
        "get-vanilla-utf8-query",
        "/",
        "\u{1234}=bar",
        "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
    ),
    with_headers(
        "get-header-key-duplicate",
        &[("my-header1", "value2"), ("my-header1", "value2"), ("my-header1", "value1")],
        "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
    ),
    with_headers(
        // Its lines are one value by the time a server sees it.
        "get-header-value-multiline",
        &[("my-header1", "value1   value2      value3")],
        "cfd34249e4b1c8d6b91ef74165d41a32e5fab3306300901bb65a51a73575eefd",
    ),
    with_headers(
        "get-header-value-order",
        &[
            ("my-header1", "value4"),
            ("my-header1", "value1"),
            ("my-header1", "value3"),
            ("my-header1", "value2"),
        ],
        "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
    ),
    with_headers(
        "get-header-value-trim",
        &[("my-header1", " value1"), ("my-header2", " \"a   b   c\" ")],
        "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
    ),
    with_headers(
        "get-vanilla-with-session-token",
        &[("x-amz-security-token", TOKEN)],
        "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
    ),
    post("post-vanilla", "", &[], "", POST_VANILLA),
    post("post-vanilla-query", "Param1=value1", &[], "", POST_QUERY),
    post("post-vanilla-empty-query-value", "Param1=value1", &[], "", POST_QUERY),
    post(
        "post-header-key-sort",
        "",
        &[("my-header1", "value1")],
        "",
        "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c",
    ),
    post(
        "post-header-value-case",
        "",
        &[("my-header1", "VALUE1")],
        "",
        "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
    ),
    post(
        "post-sts-header-before",
        "",
        &[("x-amz-security-token", STS_TOKEN)],
        "",
        "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead",
    ),
    post(
        "post-x-www-form-urlencoded",
        "",
        &[("content-type", FORM), ("content-length", "13"), ("x-amz-content-sha256", FORM_HASH)],
        "Param1=value1",
        "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
    ),
    post(
        "post-x-www-form-urlencoded-parameters",
        "",
        &[
            ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
            ("content-length", "13"),
            ("x-amz-content-sha256", FORM_HASH),
        ],
        "Param1=value1",
        "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422",
    ),
    get("an empty path is the root", "", "", VANILLA),
];

const fn with_headers(
    name: &'static str,
    headers: &'static [(&'static str, &'static str)],
    signature: &'static str,
) -> Vector {
    Vector { name, method: "GET", path: "/", query: "", headers, body: "", signature }
}

const fn post(
    name: &'static str,
    query: &'static str,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    signature: &'static str,
) -> Vector {
    Vector { name, method: "POST", path: "/", query, headers, body, signature }
}

const SUITE_TIME: &str = "2015-08-30T12:36:00Z";

impl Vector {
    fn request(&self) -> Owned {
        let mut headers = vec![("host", "example.amazonaws.com"), ("x-amz-date", "20150830T123600Z")];
        headers.extend_from_slice(self.headers);
        let mut names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders={}, Signature={}",
            names.join(";"),
            self.signature,
        );
        headers.push(("authorization", &authorization));
        Owned::new(self.method, self.path, self.query, &headers, self.body.as_bytes())
    }

    /// The signature by the `aws-sigv4` crate, so that a slip in the table cannot hide.
    fn oracle(&self) -> String {
        let identity = Credentials::new("AKIDEXAMPLE", SECRET, None, None, "test").into();
        let time =
            SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(at(SUITE_TIME).as_millis() as u64);
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("service")
            .time(time)
            .settings(SigningSettings::default())
            .build()
            .unwrap()
            .into();
        let question = if self.query.is_empty() { "" } else { "?" };
        let uri = format!("https://example.amazonaws.com{}{question}{}", self.path, self.query);
        let body = SignableBody::Bytes(self.body.as_bytes());
        let request = SignableRequest::new(self.method, uri, self.headers.iter().copied(), body).unwrap();
        sign(request, &params).unwrap().into_parts().1
    }
}

#[test]
fn the_published_vectors_verify() {
    for vector in &SUITE {
        assert_eq!(vector.oracle(), vector.signature, "oracle: {}", vector.name);
        let request = vector.request();
        assert_eq!(request.verify(at(SUITE_TIME)).as_ref(), Ok(&request.body), "{}", vector.name);
    }
}

#[test]
fn a_token_added_behind_the_signature_verifies() {
    // post-sts-header-after: the token is not signed.
    let mut request = post("", "", &[], "", POST_VANILLA).request();
    request.set("x-amz-security-token", STS_TOKEN);
    assert!(request.verify(at(SUITE_TIME)).is_ok());
    assert_eq!(request.parse().unwrap().security_token.unwrap().reveal(), STS_TOKEN);
}

#[test]
fn the_published_presigned_vectors_verify() {
    let scope = "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2Fus-east-1%2Fservice%2Faws4_request&X-Amz-Date=20150830T123600Z&X-Amz-Expires=3600";
    for (extra, headers, signature) in [
        (
            "X-Amz-SignedHeaders=host",
            &[][..],
            "e93c787ed7f371d5c6b165c1b38ede9550f4dce4144713e844b25b7192d3865d",
        ),
        (
            "Param2=value2&Param1=value1&X-Amz-SignedHeaders=host",
            &[],
            "86012e2c9ad4d77369f5d81c11f75158aae4f895a085212cc6d3f923d300bed5",
        ),
        (
            "X-Amz-SignedHeaders=host%3Bmy-header1%3Bmy-header2",
            &[("my-header1", "value1"), ("my-header2", "\"a   b   c\"")],
            "e7bb0fd515e125e1aec2ecc4c0c17484fb06f6846b927c35e46005dd3df3acd4",
        ),
        (
            "X-Amz-SignedHeaders=host&X-Amz-Security-Token=6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267",
            &[],
            "7ff2b50b376cb4d151970630573d6291dc128cc5c2a12ffb237f73cc53f67b6c",
        ),
    ] {
        let query = format!("{extra}&{scope}&X-Amz-Signature={signature}");
        let mut all = vec![("host", "example.amazonaws.com")];
        all.extend_from_slice(headers);
        let request = Owned::new("GET", "/", &query, &all, b"");
        assert_eq!(request.verify(at(SUITE_TIME)), Ok(Bytes::new()), "{query}");
        assert_eq!(request.parse().unwrap().form, Form::Presigned { expires_seconds: 3600 });
    }
}

#[test]
fn what_botocore_signs_verifies() {
    // botocore 1.43.11, SigV4Auth, at 2026-11-02T09:30:15Z; the body's hash is not sent.
    let rows = [
        (
            "PUT",
            "/v1/apps/0123456789abcdef0123456789abcdef/endpoints/eq%2Fb3%2Bx%20y%C3%A9",
            "",
            r#"{"Address":"a@b.c"}"#,
            "eu-central-1/mobiletargeting",
            "aa10bba73485e32887ec974797ef5be03e3ff4904e7d106be465c46bb4ef08c4",
        ),
        (
            "POST",
            "/v1/apps/0123456789abcdef0123456789abcdef/events",
            "",
            r#"{"BatchItem":{}}"#,
            "us-east-1/mobiletargeting",
            "daad12ae682b6780ad6a035153be7f8d94cd9ea788e5fa9a907730b3aece646c",
        ),
        (
            "DELETE",
            "/v1/tags/arn%3Aaws%3Amobiletargeting%3Aus-east-1%3A111122223333%3Aapps%2Fabc",
            "tagKeys=b%20c&tagKeys=a",
            "",
            "us-east-1/mobiletargeting",
            "447415e2f57dc5b2bb0a66aa23df51c5b2206fd47c7e728cf45e8e836bd71a5d",
        ),
        (
            "GET",
            "/v1/apps/abc/kpis/daterange/k",
            "start-time=2026-01-01T00%3A00%3A00Z&end-time=2026-02-01T00%3A00%3A00Z",
            "",
            "us-east-1/mobiletargeting",
            "eaa95970ef829f609a5df3fb25ba8cbb63aeab5a3026c6842c49afdec467ed7c",
        ),
        (
            "POST",
            "/v1/phone/number/validate/",
            "",
            "{}",
            "us-east-1/mobiletargeting",
            "8ccb6ee6ddb32d9ac25c9aa37a86183721d771eb6119083a2b6e8b2a352cf406",
        ),
        (
            "POST",
            "/",
            "",
            r#"{"PoolId":"pool-1"}"#,
            "us-west-2/sms-voice",
            "dd2337729314163ae631d6d51a069a360527823d24bfb7ba1c5b3a46219db544",
        ),
    ];
    for (method, path, query, body, scope, signature) in rows {
        let (region, service) = scope.split_once('/').unwrap();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=CPKATESTTESTTESTTEST/20261102/{scope}/aws4_request, SignedHeaders=amz-sdk-invocation-id;content-type;host;x-amz-date, Signature={signature}"
        );
        let host = format!("pinpoint.{region}.amazonaws.com");
        let headers = [
            ("host", host.as_str()),
            ("user-agent", "x"),
            ("content-type", "application/json"),
            ("amz-sdk-invocation-id", "0c1e"),
            ("x-amz-date", "20261102T093015Z"),
            ("authorization", &authorization),
        ];
        let request = Owned::new(method, path, query, &headers, body.as_bytes());
        let presented = request.parse().unwrap();
        assert_eq!((&*presented.region, &*presented.service), (region, service));
        assert_eq!(presented.access_key_id, "CPKATESTTESTTESTTEST");
        assert_eq!(request.verify(at("2026-11-02T09:30:15Z")).as_ref(), Ok(&request.body), "{path}");
    }
}
