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
