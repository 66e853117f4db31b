//! Clocks that differ, and addresses that expire.

use super::*;

const SIGNED: &str = "2026-11-02T09:30:00Z";

fn code(result: &Result<Bytes, SignatureError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(SignatureError::Expired { .. }) => "expired",
        Err(SignatureError::NotYetCurrent { .. }) => "future",
        Err(_) => "other",
    }
}

#[test]
fn a_header_signature_is_good_for_five_minutes_either_way() {
    let request = signed_events(at(SIGNED));
    for (now, expected) in [
        ("2026-11-02T09:30:00Z", "ok"),
        ("2026-11-02T09:35:00.000Z", "ok"),
        ("2026-11-02T09:35:00.001Z", "expired"),
        ("2026-11-03T09:30:00Z", "expired"),
        ("2026-11-02T09:25:00.000Z", "ok"),
        ("2026-11-02T09:24:59.999Z", "future"),
        ("2015-11-02T09:24:59Z", "future"),
    ] {
        assert_eq!(code(&request.verify(at(now))), expected, "{now}");
    }
}

#[test]
fn a_presigned_address_is_good_until_it_expires() {
    // The signature is wrong on purpose: time is judged first, and "other" is the signature.
    let query = |expires: &str| {
        format!(
            "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=A%2F20261102%2Fus-east-1%2Fmobiletargeting%2Faws4_request&X-Amz-Date=20261102T093000Z&X-Amz-Expires={expires}&X-Amz-SignedHeaders=host&X-Amz-Signature={}",
            "0".repeat(64)
        )
    };
    let request = Owned::new("GET", "/", &query("600"), &[("host", "h")], b"");
    for (now, expected) in [
        ("2026-11-02T09:24:59.999Z", "future"),
        ("2026-11-02T09:25:00Z", "other"),
        ("2026-11-02T09:40:00.000Z", "other"),
        ("2026-11-02T09:40:00.001Z", "expired"),
    ] {
        assert_eq!(code(&request.verify(at(now))), expected, "{now}");
    }
    for (expires, accepted) in
        [("1", true), ("604800", true), ("604801", false), ("0", false), ("+5", false), ("", false)]
    {
        let request = Owned::new("GET", "/", &query(expires), &[("host", "h")], b"");
        assert_eq!(request.parse().is_ok(), accepted, "{expires}");
    }
}

#[test]
fn the_refusal_names_the_clocks_as_aws_does() {
    let refusal = signed_events(at(SIGNED)).verify(at("2026-11-02T09:40:00Z")).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "Signature expired: 20261102T093000Z is now earlier than 20261102T093500Z (20261102T094000Z - 5 min.)"
    );
    assert_eq!(refusal.aws_code(), "InvalidSignatureException");
    let refusal = signed_events(at(SIGNED)).verify(at("2026-11-02T09:20:00Z")).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "Signature not yet current: 20261102T093000Z is still later than 20261102T092500Z (20261102T092000Z + 5 min.)"
    );
}

#[test]
fn instants_have_one_spelling() {
    assert_eq!(instant::parse_basic("20150830T123600Z"), Some(at("2015-08-30T12:36:00Z")));
    for text in [
        "20150830T123600",
        "2015-08-30T12:36:00Z",
        "20151330T123600Z",
        "20150830t123600z",
        "",
        "2015083éT123600Z",
    ] {
        assert_eq!(instant::parse_basic(text), None, "{text}");
    }
    assert_eq!(instant::basic(at("2015-08-30T12:36:00.999Z")), "20150830T123600Z");
    assert_eq!(instant::parse_http_date("Mon, 09 Sep 2011 23:36:00 GMT"), Some(at("2011-09-09T23:36:00Z")));
    for text in [
        "Mon, 09 Sep 2011 23:36:00 +0200",
        "Mon, 09 Foo 2011 23:36:00 GMT",
        "09 Sep 2011",
        "a, b c d e f g",
        ", ",
    ] {
        assert_eq!(instant::parse_http_date(text), None, "{text}");
    }
}

#[test]
fn a_date_header_serves_where_there_is_no_x_amz_date() {
    let mut request = signed_events(at(SIGNED));
    // The signature still covers an x-amz-date, so only the claim is looked at.
    request.headers.remove("x-amz-date");
    assert!(matches!(request.parse(), Err(SignatureError::IncompleteSignature(_))));
    for date in ["Mon, 02 Nov 2026 09:30:00 GMT", "20261102T093000Z"] {
        request.set("date", date);
        let presented = request.parse().unwrap();
        assert_eq!(presented.timestamp, at(SIGNED));
        assert_eq!(presented.timestamp_text, "20261102T093000Z");
    }
}
