use super::*;

fn body(event: &str) -> String {
    format!(r#"{{"BatchItem":{{"ep":{{"Endpoint":{{}},"Events":{{"ev":{event}}}}}}}}}"#)
}

#[test]
fn each_fault_of_an_event_is_named() {
    let long = |length: usize| "x".repeat(length);
    let keys =
        |count: usize| (0..count).map(|number| format!(r#""k{number}":"v""#)).collect::<Vec<_>>().join(",");
    let base = r#""EventType":"t","Timestamp":"2026-01-01T00:00:00Z""#;
    let cases: Vec<(String, Option<EventFault>)> = vec![
        (format!("{{{base}}}"), None),
        (r#"{"Timestamp":"2026-01-01T00:00:00Z"}"#.into(), Some(EventFault::MissingType)),
        (r#"{"EventType":"","Timestamp":"2026-01-01T00:00:00Z"}"#.into(), Some(EventFault::MissingType)),
        (r#"{"EventType":"t"}"#.into(), Some(EventFault::MissingTimestamp)),
        (r#"{"EventType":"t","Timestamp":"noon"}"#.into(), Some(EventFault::BadTimestamp)),
        (
            format!(r#"{{"EventType":"{}","Timestamp":"2026-01-01T00:00:00Z"}}"#, long(51)),
            Some(EventFault::TypeTooLong),
        ),
        (format!(r#"{{{base},"Attributes":{{{}}}}}"#, keys(40)), None),
        (format!(r#"{{{base},"Attributes":{{{}}}}}"#, keys(41)), Some(EventFault::TooManyKeys)),
        (
            format!(r#"{{{base},"Attributes":{{{}}},"Metrics":{{"m":1}}}}"#, keys(40)),
            Some(EventFault::TooManyKeys),
        ),
        (format!(r#"{{{base},"Metrics":{{"{}":1}}}}"#, long(51)), Some(EventFault::KeyTooLong)),
        (format!(r#"{{{base},"Attributes":{{"a":"{}"}}}}"#, "é".repeat(200)), None),
        (format!(r#"{{{base},"Attributes":{{"a":"{}"}}}}"#, long(201)), Some(EventFault::ValueTooLong)),
        (format!(r#"{{{base},"Attributes":null,"Metrics":null,"Session":null}}"#), None),
        (format!(r#"{{{base},"ClientSdkVersion":""}}"#), Some(EventFault::EmptySdkVersion)),
        (
            format!(r#"{{{base},"Session":{{"StartTimestamp":"2026-01-01T00:00:00Z"}}}}"#),
            Some(EventFault::MissingSessionId),
        ),
        (
            format!(
                r#"{{{base},"Session":{{"Id":"s","StartTimestamp":"2026-01-01T00:00:00Z","StopTimestamp":"2026-01-01T00:00:01Z","Duration":1000}}}}"#
            ),
            None,
        ),
        (
            format!(
                r#"{{{base},"Session":{{"Id":"s","StartTimestamp":"2026-01-01T00:00:00Z","StopTimestamp":"2026-01-01T00:00:01Z","Duration":999}}}}"#
            ),
            Some(EventFault::WrongSessionDuration),
        ),
        (format!(r#"{{{base},"Surprise":[1,{{"a":2}}]}}"#), None),
    ];
    for (event, fault) in cases {
        let body = body(&event);
        let batch = EventBatch::parse(&body).unwrap();
        assert_eq!(batch.items[0].events[0].fault, fault, "{event}");
    }
}

#[test]
fn a_malformed_body_fails_as_a_whole() {
    for body in [
        "",
        "[]",
        "{}",
        r#"{"EventsRequest":{"BatchItem":{}}}"#,
        r#"{"BatchItem":{"ep":{"Endpoint":{}}}}"#,
        r#"{"BatchItem":{"ep":{"Events":{}}}}"#,
        r#"{"BatchItem":{"ep":{"Endpoint":{}}}}"#,
        r#"{"BatchItem":{"ep":{"Endpoint":{},"Events":{"e":{"EventType":5,"Timestamp":"x"}}}}}"#,
        r#"{"BatchItem":{"ep":{"Endpoint":{},"Events":{"e":{"EventType":"t","Timestamp":"2026-01-01T00:00:00Z","Metrics":{"m":"1"}}}}}}"#,
        r#"{"BatchItem":{}} trailing"#,
    ] {
        assert!(EventBatch::parse(body).is_err(), "{body}");
    }
}

#[test]
fn more_than_a_hundred_events_are_refused() {
    let events = |count: usize| {
        let event = r#"{"EventType":"t","Timestamp":"2026-01-01T00:00:00Z"}"#;
        let list: Vec<String> = (0..count).map(|number| format!(r#""{number}":{event}"#)).collect();
        format!(r#"{{"BatchItem":{{"ep":{{"Endpoint":{{}},"Events":{{{}}}}}}}}}"#, list.join(","))
    };
    assert_eq!(EventBatch::parse(&events(100)).unwrap().events(), 100);
    assert!(EventBatch::parse(&events(101)).is_err());
}

#[test]
fn more_than_a_hundred_endpoints_are_refused() {
    let items = |count: usize| {
        let list: Vec<String> =
            (0..count).map(|number| format!(r#""e{number}":{{"Endpoint":{{}},"Events":{{}}}}"#)).collect();
        format!(r#"{{"BatchItem":{{{}}}}}"#, list.join(","))
    };
    assert_eq!(EventBatch::parse(&items(100)).unwrap().items.len(), 100);
    let refusal = EventBatch::parse(&items(101)).unwrap_err();
    assert_eq!(refusal.0, "A request holds at most 100 endpoints");
}

/// The names of the only event of a body that are not among `known`.
fn new_names<'b>(body: &'b str, known: &NameHashes) -> Vec<Name<'b>> {
    EventBatch::parse_known(body, known).unwrap().items.remove(0).events.remove(0).new_names
}

#[test]
fn names_that_are_not_known_are_collected() {
    let event = r#"{"EventType":"buy","Timestamp":"2026-01-01T00:00:00Z","Attributes":{"size":"L","colour":"red"},"Metrics":{"size":4}}"#;
    let sent = body(event);
    let mut names = EventNames::default();
    let new = new_names(&sent, &names.hashes());
    let expected = [
        (NameKind::Type, "buy"),
        (NameKind::AttributeKey, "size"),
        (NameKind::AttributeKey, "colour"),
        (NameKind::MetricKey, "size"),
    ];
    assert_eq!(new, expected.map(|(kind, name)| (kind, name.into())));
    assert_eq!(names.take(&new), Ok(true));
    assert_eq!(names.take(&new), Ok(false));
    assert_eq!(new_names(&sent, &names.hashes()), []);
    // What the service defines is no custom type, and a faulty event brings no name.
    let session = body(r#"{"EventType":"_session.start","Timestamp":"2026-01-01T00:00:00Z"}"#);
    assert_eq!(new_names(&session, &names.hashes()), []);
    assert_eq!(new_names(&body(r#"{"EventType":"new"}"#), &names.hashes()), []);
    assert_eq!(EventBatch::parse(&sent).unwrap().items[0].events[0].new_names, []);
}

#[test]
fn an_application_has_so_many_names_of_each_kind() {
    for (kind, max, fault) in [
        (NameKind::Type, 1_500, EventFault::TooManyTypes),
        (NameKind::AttributeKey, 500, EventFault::TooManyAttributeKeys),
        (NameKind::MetricKey, 500, EventFault::TooManyMetricKeys),
    ] {
        let name = |number: usize| (kind, format!("n{number}").into());
        let mut names = EventNames::default();
        for number in 0..max {
            assert_eq!(names.take(&[name(number)]), Ok(true), "{kind:?} {number}");
        }
        // All or none: another kind of the same event is not taken either.
        let other = if kind == NameKind::Type { NameKind::MetricKey } else { NameKind::Type };
        assert_eq!(names.take(&[(other, "other".into()), name(max)]), Err(fault));
        assert_eq!(names.take(&[(other, "other".into()), name(max - 1)]), Ok(true));
        assert_eq!(names.take(&[(NameKind::Type, "_session.stop".into())]), Ok(false));
    }
}

#[test]
fn ids_with_escapes_are_unescaped_and_endpoint_data_is_checked() {
    let body = r#"{"BatchItem":{"e\u0070":{"Endpoint":{"ChannelType":"FAX"},"Events":{}},"ok":{"Events":{},"Endpoint":{}},"$":{"Endpoint":{},"Events":{}}}}"#;
    let batch = EventBatch::parse(body).unwrap();
    assert_eq!(batch.items[0].id, "ep");
    assert!(batch.items[0].update().is_err());
    assert!(batch.items[1].update().unwrap().is_empty());
    assert!(batch.items[2].update().is_err());
}

#[test]
fn an_event_above_the_size_limit_is_marked() {
    let filler = "y".repeat(EVENT_BYTES_MAX);
    let body =
        body(&format!(r#"{{"EventType":"t","Timestamp":"2026-01-01T00:00:00Z","Ignored":"{filler}"}}"#));
    let batch = EventBatch::parse(&body).unwrap();
    assert_eq!(batch.items[0].events[0].fault, Some(EventFault::TooLarge));
}
