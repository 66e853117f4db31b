//! A server that is killed goes on where it was.

use aws_sdk_pinpoint::error::ProvideErrorMetadata as _;
use aws_sdk_pinpoint::types::{Event, EventsBatch, EventsRequest, PublicEndpoint};

use crate::support::{World, app, campaign, ended, metric, people};

/// Events that one request carries.
const EVENTS: usize = 50;

fn events(first: usize) -> EventsRequest {
    let event = || Event::builder().event_type("viewed").timestamp("2026-11-24T10:00:00.000Z").build();
    let mut batch = EventsBatch::builder().endpoint(PublicEndpoint::builder().build());
    for number in first..first + EVENTS {
        batch = batch.events(format!("event-{number}"), event());
    }
    EventsRequest::builder().batch_item("phone", batch.build()).build()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_a_kill_and_is_counted_once() {
    let world = World::new();
    let mut server = world.serve().await;
    let app = app(&server.sdk()).await;
    for round in 0..3 {
        let sdk = server.sdk();
        let request = events(round * EVENTS);
        sdk.put_events().application_id(&app).events_request(request.clone()).send().await.unwrap();
        server.kill().await;
        server = world.serve().await;
        // The client did not see the answer, and sends the same again.
        server.sdk().put_events().application_id(&app).events_request(request).send().await.unwrap();
    }
    server.settled().await;
    let counts = server.get(&format!("/counterpoint/v1/apps/{app}/events/counts")).await;
    let expected = serde_json::json!([{ "Date": "2026-11-24", "EventType": "viewed", "Count": 3 * EVENTS }]);
    assert_eq!(counts["Item"], expected);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_campaign_that_is_killed_sends_nothing_twice() {
    const PEOPLE: usize = 600;
    let world = World::new();
    let server = world.serve().await;
    let sdk = server.sdk();
    let app = app(&sdk).await;
    people(&sdk, &app, PEOPLE).await;
    let campaign = campaign(&sdk, &app).await;
    server.kill().await;
    let server = world.serve().await;
    let activity = ended(&server.sdk(), &app, &campaign).await;
    let (sent, unknown) = (metric(&activity, "SUCCESS"), metric(&activity, "UNKNOWN"));
    assert_eq!(sent + unknown, PEOPLE as u64, "{activity:?}");
    let mut recipients = std::collections::BTreeMap::<String, u64>::new();
    let page = server.get("/counterpoint/v1/sandbox/messages?page-size=1000").await;
    for message in page["Messages"].as_array().unwrap() {
        *recipients.entry(message["To"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert!(recipients.values().all(|times| *times == 1), "{recipients:?}");
    // What the sandbox kept in memory when it was killed is in its file.
    assert!(recipients.len() as u64 >= sent, "{} arrived, {sent} are counted as sent", recipients.len());
    let listed = server.get(&format!("/counterpoint/v1/apps/{app}/deliveries/unknown")).await;
    assert_eq!(listed["Item"].as_array().unwrap().len() as u64, unknown.min(200));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_has_one_process() {
    let world = World::new();
    let server = world.serve().await;
    let complaint = world.complaint(&["serve"], &[]).await;
    assert!(complaint.contains("in use by another process"), "{complaint}");
    server.stop().await;
    world.serve().await.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_at_its_limit_refuses_for_now_and_loses_nothing() {
    let world = World::new().with("LOG__DISK_BYTES_MAX", "60000").with("LOG__COMPRESS", "false");
    let server = world.serve().await;
    let app = app(&server.sdk()).await;
    let path = format!("/v1/apps/{app}/events");
    let body = |round: usize| {
        let events: Vec<String> = (0..EVENTS)
            .map(|number| {
                let id = round * EVENTS + number;
                format!(r#""event-{id}":{{"EventType":"viewed","Timestamp":"2026-11-24T10:00:00.000Z"}}"#)
            })
            .collect();
        format!(r#"{{"BatchItem":{{"phone":{{"Endpoint":{{}},"Events":{{{}}}}}}}}}"#, events.join(","))
    };
    let mut taken = 0;
    let refusal = loop {
        assert!(taken < 100, "the limit is not kept");
        let (status, answer) = server.call_as("mobiletargeting", "POST", &path, &body(taken)).await;
        if status != 202 {
            break (status, answer);
        }
        taken += 1;
    };
    // What an SDK repeats by itself.
    assert_eq!(refusal.0, 500, "{refusal:?}");
    assert!(refusal.1.contains("No space is left to store this; try again later"), "{refusal:?}");
    assert!(taken > 3, "{taken}");
    // Nothing else stops, and with room it goes on.
    assert_eq!(server.call("GET", "/health", "").await.0, 200);
    server.stop().await;
    let server = world.with("LOG__DISK_BYTES_MAX", "0").serve().await;
    assert_eq!(server.call_as("mobiletargeting", "POST", &path, &body(taken)).await.0, 202);
    server.settled().await;
    let counts = server.get(&format!("/counterpoint/v1/apps/{app}/events/counts")).await;
    assert_eq!(counts["Item"][0]["Count"], (taken + 1) * EVENTS);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_no_row_can_have_are_unknown_and_stop_nothing() {
    let world = World::new();
    let server = world.serve().await;
    let sdk = server.sdk();
    let app = app(&sdk).await;
    people(&sdk, &app, 1).await;
    let long = "x".repeat(70_000);
    let message = r#""MessageConfiguration":{"EmailMessage":{"SimpleEmail":{"TextPart":{"Data":"t"}}}}"#;
    let template = format!(r#""TemplateConfiguration":{{"EmailTemplate":{{"Name":"{long}"}}}}"#);
    for (what, body) in [
        ("messages", format!(r#"{{"Endpoints":{{"{long}":{{}},"person-0":{{}}}},{message}}}"#)),
        ("users-messages", format!(r#"{{"Users":{{"{long}":{{}}}},{message}}}"#)),
        (
            "messages",
            format!(r#"{{"Addresses":{{"{long}@b.example":{{"ChannelType":"EMAIL"}}}},{message}}}"#),
        ),
        (
            "messages",
            format!(r#"{{"Endpoints":{{"person-0":{{}}}},"MessageConfiguration":{{}},{template}}}"#),
        ),
    ] {
        let path = format!("/v1/apps/{app}/{what}");
        let (status, answer) = server.call_as("mobiletargeting", "POST", &path, &body).await;
        let shown = answer.replace(&long, "(long)");
        assert!(status == 200 || status == 400, "{what}: {status} {}", &shown[..shown.len().min(500)]);
    }
    let stranger = server.sdk_of(&format!("AKIA{}", "X".repeat(66_000)), "secret");
    let refused = stranger.get_apps().send().await.unwrap_err();
    assert_eq!(refused.into_service_error().code(), Some("UnrecognizedClientException"));
    // Everything else goes on, also after a restart.
    server.stop().await;
    let server = world.serve().await;
    let campaign = campaign(&server.sdk(), &app).await;
    let activity = ended(&server.sdk(), &app, &campaign).await;
    assert_eq!(metric(&activity, "SUCCESS"), 1);
    server.stop().await;
}
