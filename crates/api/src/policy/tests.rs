//! Policies read and judged.

use proptest::prelude::*;

use super::*;

const APP: &str = "arn:aws:mobiletargeting:us-east-1:111122223333:apps/abc";

fn statement(text: &str) -> Policy {
    Policy::parse(&format!(r#"{{"Version":"2012-10-17","Statement":[{text}]}}"#)).unwrap()
}

#[test]
fn decisions() {
    use Decision::{Allow, ExplicitDeny, ImplicitDeny};
    let read = r#"{"Sid":"r","Effect":"Allow","Action":["mobiletargeting:Get*","mobiletargeting:List?ourneys"],"Resource":"arn:aws:mobiletargeting:*:111122223333:apps/abc*"}"#;
    let deny = format!(
        r#"{{"Effect":"Allow","Action":"*","Resource":"*"}},{{"Effect":"Deny","Action":"mobiletargeting:Delete*","Resource":"{APP}/*"}}"#
    );
    let not_action =
        r#"{"Effect":"Allow","NotAction":["mobiletargeting:Delete*","sms-voice:*"],"Resource":["*"]}"#;
    let not_resource = format!(r#"{{"Effect":"Deny","Action":"*","NotResource":"{APP}*"}},{read}"#);
    let segment = format!("{APP}/segments/s1");
    for (policy, action, resource, expected) in [
        (read, "mobiletargeting:GetSegment", &*segment, Allow),
        (read, "MOBILETARGETING:getsegment", &segment, Allow),
        (read, "mobiletargeting:ListJourneys", &segment, Allow),
        (read, "mobiletargeting:ListTemplates", &segment, ImplicitDeny),
        (read, "mobiletargeting:GetSegment", &segment.to_uppercase(), ImplicitDeny),
        (
            read,
            "mobiletargeting:GetSegment",
            "arn:aws:mobiletargeting:us-east-1:999922223333:apps/abc",
            ImplicitDeny,
        ),
        (read, "mobiletargeting:DeleteSegment", &segment, ImplicitDeny),
        (&deny, "mobiletargeting:DeleteSegment", &segment, ExplicitDeny),
        (&deny, "mobiletargeting:DeleteApp", APP, Allow),
        (&deny, "sms-voice:SendTextMessage", "arn:aws:sms-voice:us-east-1:1:pool/p", Allow),
        (not_action, "mobiletargeting:GetApp", APP, Allow),
        (not_action, "mobiletargeting:deleteApp", APP, ImplicitDeny),
        (not_action, "sms-voice:SendTextMessage", APP, ImplicitDeny),
        (&not_resource, "mobiletargeting:GetApp", APP, Allow),
        (
            &not_resource,
            "mobiletargeting:GetApp",
            "arn:aws:mobiletargeting:us-east-1:111122223333:apps/x",
            ExplicitDeny,
        ),
    ] {
        assert_eq!(
            statement(policy).decide(action, resource),
            expected,
            "{action} on {resource} by {policy}"
        );
    }
}

#[test]
fn a_deny_wins_wherever_it_stands() {
    let allow = r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#;
    let deny = r#"{"Effect":"Deny","Action":"*","Resource":"*"}"#;
    for policy in [format!("{allow},{deny}"), format!("{deny},{allow}")] {
        assert_eq!(statement(&policy).decide("mobiletargeting:GetApps", APP), Decision::ExplicitDeny);
    }
}

#[test]
fn ready_made_policies() {
    assert_eq!(Policy::allow_all().decide("sms-voice:DeletePool", "anything"), Decision::Allow);
    let mobile = Policy::mobile(APP).unwrap();
    for (action, resource, expected) in [
        ("mobiletargeting:PutEvents", format!("{APP}/events"), Decision::Allow),
        ("mobiletargeting:PutEvents", APP.to_owned(), Decision::Allow),
        ("mobiletargeting:UpdateEndpoint", format!("{APP}/endpoints/e/1"), Decision::Allow),
        ("mobiletargeting:GetEndpoint", format!("{APP}/endpoints/e1"), Decision::ImplicitDeny),
        ("mobiletargeting:PutEvents", format!("{APP}d/events"), Decision::ImplicitDeny),
    ] {
        assert_eq!(mobile.decide(action, &resource), expected, "{action} on {resource}");
    }
    assert_eq!(Policy::parse(mobile.document()), Ok(mobile.clone()), "the stored text is the policy");
    assert!(Policy::mobile("abc").is_err());
    assert!(Policy::mobile("arn:${x}").is_err());
}

#[test]
fn what_cannot_be_judged_is_refused() {
    for (statement, reason) in [
        (
            r#"{"Effect":"Allow","Action":"*","Resource":"*","Condition":{"Bool":{}}}"#,
            "Condition is not supported",
        ),
        (r#"{"Effect":"Allow","Action":"*","Resource":"*","Principal":"*"}"#, "unknown field `Principal`"),
        (r#"{"Effect":"Maybe","Action":"*","Resource":"*"}"#, "unknown variant `Maybe`"),
        (r#"{"Effect":"Allow","Resource":"*"}"#, "exactly one of Action and NotAction"),
        (r#"{"Effect":"Allow","Action":"*","NotAction":"a:b","Resource":"*"}"#, "exactly one of Action"),
        (r#"{"Effect":"Allow","Action":"*"}"#, "exactly one of Resource and NotResource"),
        (r#"{"Effect":"Allow","Action":[],"Resource":"*"}"#, "Action is empty"),
        (r#"{"Effect":"Allow","Action":"PutEvents","Resource":"*"}"#, "action `PutEvents`"),
        (r#"{"Effect":"Deny","Action":"*","Resource":"apps/abc"}"#, "resource `apps/abc`"),
        (r#"{"Effect":"Deny","Action":"*","Resource":"arn:aws:x:${aws:username}"}"#, "policy variable"),
        (r#"{"Effect":"Allow","Effect":"Deny","Action":"*","Resource":"*"}"#, "duplicate field"),
        (r#"{"Effect":"Allow","Action":5,"Resource":"*"}"#, "did not match"),
        ("5", "invalid type"),
    ] {
        let document = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"*","Resource":"*"}},{statement}]}}"#
        );
        let refusal = Policy::parse(&document).unwrap_err().to_string();
        assert!(refusal.starts_with("statement 2: ") && refusal.contains(reason), "{statement}: {refusal}");
    }
    for document in [
        "",
        "{}",
        "[]",
        r#"{"Statement":[]}"#,
        r#"{"Version":"2020-01-01","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
        r#"{"Other":1,"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#,
    ] {
        assert!(matches!(Policy::parse(document), Err(PolicyError::Malformed(_))), "{document}");
    }
}

#[test]
fn a_single_statement_needs_no_list_and_white_space_is_free() {
    let policy = "{ \"Id\": \"x\", \"Statement\" :  { \"Effect\" : \"Allow\" , \"Action\":\"*\",\n\"Resource\":\"*\"} }";
    assert_eq!(Policy::parse(policy).unwrap().decide("a:b", "arn:x"), Decision::Allow);
}

#[test]
fn limits() {
    let one = r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#;
    let of = |count: usize| format!(r#"{{"Statement":[{}]}}"#, vec![one; count].join(","));
    assert!(Policy::parse(&of(STATEMENTS_MAX)).is_ok());
    assert_eq!(Policy::parse(&of(STATEMENTS_MAX + 1)), Err(PolicyError::TooManyStatements));
    let padded = |bytes: usize| format!("{}{}", of(1), " ".repeat(bytes - of(1).len()));
    assert!(Policy::parse(&padded(POLICY_BYTES_MAX)).is_ok());
    assert_eq!(Policy::parse(&padded(POLICY_BYTES_MAX + 1)), Err(PolicyError::TooLong));
    let long = "x".repeat(PATTERN_BYTES_MAX);
    let document = format!(r#"{{"Statement":{{"Effect":"Allow","Action":"*","Resource":"arn:{long}"}}}}"#);
    assert!(matches!(Policy::parse(&document), Err(PolicyError::Statement { statement: 1, .. })));
}

#[test]
fn the_refusal_reads_as_aws_writes_it() {
    assert_eq!(
        denial("arn:aws:iam::111122223333:user/x", "mobiletargeting:PutEvents", &format!("{APP}/events")),
        format!(
            "User: arn:aws:iam::111122223333:user/x is not authorized to perform: mobiletargeting:PutEvents on resource: {APP}/events"
        )
    );
}

/// By definition, and in exponential time.
fn naive(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some(('*', rest)), _) => {
            naive(rest, text) || text.split_first().is_some_and(|(_, tail)| naive(pattern, tail))
        }
        (Some(('?', rest)), Some((_, tail))) => naive(rest, tail),
        (Some((expected, rest)), Some((found, tail))) => expected == found && naive(rest, tail),
        _ => false,
    }
}

proptest! {
    #[test]
    fn globs_match_by_definition(pattern in "[ab*?é]{0,8}", text in "[abé*]{0,8}") {
        let characters: (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
        prop_assert_eq!(matches(&pattern, &text), naive(&characters.0, &characters.1));
    }

    #[test]
    fn no_document_makes_it_panic(document in "[{}\\[\\]\":,A-Za-z*]{0,60}") {
        let _ = Policy::parse(&document);
    }
}

#[test]
fn a_hostile_glob_takes_no_time() {
    let pattern = format!("arn:{}b", "*a".repeat(1_000));
    let text = format!("arn:{}", "a".repeat(2_000));
    assert!(!matches(&pattern, &text));
}
