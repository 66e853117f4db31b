//! A server that is killed goes on where it was.

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
