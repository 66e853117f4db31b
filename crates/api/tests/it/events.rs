//! `PutEvents`: what is taken, what is refused, and who waits for the projection.

use std::collections::BTreeMap;
use std::time::Duration;

use api::{Options, Quotas};
use aws_sdk_pinpoint::types::{Event, EventsBatch, EventsRequest, PublicEndpoint, Session};
use engine::project::{Projector, Step};
use serde_json::{Value, json};
use store::Kv as _;
use store::tables::events::{Count, counts};
use store::value::decode;

use crate::sending::app_key;
use crate::support::{Response, World};

const TIME: &str = "2026-11-22T10:00:00Z";

async fn put(world: &World, app: &str, items: Value) -> Response {
    let body = json!({ "BatchItem": items }).to_string();
    world.call("POST", &format!("/v1/apps/{app}/events")).body(body).send().await
}

/// The results of a call that was taken.
async fn results(world: &World, app: &str, items: Value) -> Value {
    let answer = put(world, app, items).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()["Results"].clone()
}

/// The message of the only endpoint item of a call.
async fn endpoint_message(world: &World, app: &str, id: &str, endpoint: Value) -> String {
    let results = results(world, app, json!({ id: {"Endpoint": endpoint, "Events": {}} })).await;
    let item = &results[id]["EndpointItemResponse"];
    let expected = if item["Message"] == "Accepted" { 202 } else { 400 };
    assert_eq!(item["StatusCode"], expected, "{results}");
    item["Message"].as_str().unwrap().to_owned()
}

/// The message of the only event of a call.
async fn event_message(world: &World, app: &str, event: Value) -> String {
    let results = results(world, app, json!({"e": {"Endpoint": {}, "Events": {"ev": event}}})).await;
    let item = &results["e"]["EventsItemResponse"]["ev"];
    let expected = if item["Message"] == "Accepted" { 202 } else { 400 };
    assert_eq!(item["StatusCode"], expected, "{results}");
    item["Message"].as_str().unwrap().to_owned()
}

fn event(event_type: &str) -> Value {
    json!({"EventType": event_type, "Timestamp": TIME})
}

/// A map of so many names.
fn names(prefix: &str, range: std::ops::Range<usize>, value: &Value) -> Value {
    range.map(|number| (format!("{prefix}{number}"), value.clone())).collect::<serde_json::Map<_, _>>().into()
}

/// Counted events by type.
async fn counted(world: &World, app: &str) -> BTreeMap<String, u64> {
    let prefix = counts(&app_key(app));
    let rows = world.kv.scan(prefix.prefix(), 10_000).await.unwrap();
    let read = |(key, row): &(store::Key, store::Versioned)| {
        let mut components = key.components_behind(&prefix);
        components.number().unwrap();
        let Count(count) = decode(&row.value).unwrap();
        (components.text().unwrap(), count)
    };
    rows.iter().map(read).collect()
}

/// Waits until everything that was sent before is projected.
async fn settle(world: &World, app: &str) {
    let path = format!("/v1/apps/{app}/endpoints/settled");
    assert_eq!(world.call("PUT", &path).body("{}").send().await.status, 202);
}

#[tokio::test]
async fn events_make_endpoints_and_are_counted() {
    let world = World::start().await;
    let _projecting = world.projecting();
    let (sdk, app) = (world.sdk(), world.app("a").await);
    let session = Session::builder().id("s").start_timestamp(TIME).build();
    let opened = Event::builder().event_type("_session.start").timestamp(TIME).session(session).build();
    let bought = Event::builder()
        .event_type("bought")
        .timestamp(TIME)
        .attributes("colour", "red")
        .metrics("price", 9.5)
        .build();
    let endpoint = PublicEndpoint::builder().attributes("Ride", vec!["Bus".to_owned()]).build();
    let item = EventsBatch::builder().endpoint(endpoint).events("1", opened).events("2", bought).build();
    let request = EventsRequest::builder().batch_item("E1", item).build();
    let put = || sdk.put_events().application_id(&app).events_request(request.clone()).send();
    let output = put().await.unwrap().events_response.unwrap().results.unwrap();
    let item = &output["E1"];
    assert_eq!(item.endpoint_item_response.as_ref().unwrap().status_code, Some(202));
    let events = item.events_item_response.as_ref().unwrap();
    assert_eq!(events.len(), 2);
    for event in events.values() {
        assert_eq!((event.status_code, event.message.as_deref()), (Some(202), Some("Accepted")));
    }
    let endpoint = sdk.get_endpoint().application_id(&app).endpoint_id("e1").send().await.unwrap();
    let endpoint = endpoint.endpoint_response.unwrap();
    assert_eq!(endpoint.attributes.unwrap()["Ride"], ["Bus"]);

    // A repeat is answered alike, and counted once.
    assert_eq!(put().await.unwrap().events_response.unwrap().results.unwrap(), output);
    settle(&world, &app).await;
    let expected = BTreeMap::from([("_session.start".to_owned(), 1), ("bought".to_owned(), 1)]);
    assert_eq!(counted(&world, &app).await, expected);
}

#[tokio::test]
async fn what_is_wrong_with_an_item_is_told_of_that_item() {
    let world = World::start().await;
    let _projecting = world.projecting();
    let app = world.app("a").await;
    let wrong_duration = json!({"EventType": "stop", "Timestamp": TIME, "Session": {
        "Id": "s", "StartTimestamp": TIME, "StopTimestamp": "2026-11-22T10:00:01Z", "Duration": 999}});
    let results = results(
        &world,
        &app,
        json!({
            "good": {"Endpoint": {}, "Events": {
                "1": event("a"),
                "2": {"Timestamp": TIME},
                "3": {"EventType": "a", "Timestamp": "noon"},
                "4": {"EventType": "a", "Timestamp": TIME, "Attributes": {"k": "v".repeat(201)}},
                "5": {"EventType": "a", "Timestamp": TIME, "Attributes": names("k", 0..40, &json!("v")), "Metrics": {"m": 1}},
                "6": wrong_duration,
            }},
            "bad": {"Endpoint": {"Address": "x"}, "Events": {"1": event("b")}},
            "a$b": {"Endpoint": {}, "Events": {}},
        }),
    )
    .await;
    let message =
        |id: &str| results["good"]["EventsItemResponse"][id]["Message"].as_str().unwrap().to_owned();
    assert_eq!(message("1"), "Accepted");
    assert_eq!(message("2"), "Missing EventType");
    assert_eq!(message("3"), "Timestamp is not an ISO 8601 date");
    assert_eq!(message("4"), "Value of an attribute has more than 200 characters");
    assert_eq!(message("5"), "Event has more than 40 attributes and metrics");
    let text = "Session duration in milliseconds must be equal to the difference of start and stop timestamp";
    assert_eq!(message("6"), text);
    let refused = json!({"StatusCode": 400, "Message": "Missing ChannelType"});
    assert_eq!(results["bad"]["EndpointItemResponse"], refused);
    assert_eq!(results["bad"]["EventsItemResponse"]["1"]["StatusCode"], 202, "its events are taken");
    assert_eq!(results["a$b"]["EndpointItemResponse"]["StatusCode"], 400);
    settle(&world, &app).await;
    assert_eq!(counted(&world, &app).await, BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 1)]));
}

#[tokio::test]
async fn a_call_that_cannot_be_read_or_holds_too_much_is_refused_as_a_whole() {
    let world = World::start().await;
    let _projecting = world.projecting();
    let app = world.app("a").await;
    let path = format!("/v1/apps/{app}/events");
    let send = async |body: &str| {
        let answer = world.call("POST", &path).body(body).send().await;
        let message = answer.json()["Message"].as_str().unwrap().to_owned();
        answer.assert_error(400, "BadRequestException", &message);
        message
    };
    assert_eq!(send("").await, "request body is required");
    for malformed in ["{", "[]", "{}", r#"{"EventsRequest":{"BatchItem":{}}}"#, r#"{"BatchItem":{"e":{}}}"#] {
        send(malformed).await;
    }
    let events = names("", 0..101, &event("a"));
    let body = json!({"BatchItem": {"e": {"Endpoint": {}, "Events": events}}}).to_string();
    assert_eq!(send(&body).await, "A request holds at most 100 events");
    let items = names("e", 0..101, &json!({"Endpoint": {}, "Events": {}}));
    assert_eq!(
        send(&json!({ "BatchItem": items }).to_string()).await,
        "A request holds at most 100 endpoints"
    );
    assert_eq!(
        put(&world, &app, names("e", 0..100, &json!({"Endpoint": {}, "Events": {}}))).await.status,
        202
    );
    assert!(counted(&world, &app).await.is_empty());
    let answer = put(&world, "0123456789abcdef0123456789abcdef", json!({})).await;
    answer.assert_error(404, "NotFoundException", "Application not found");
}

/// Nothing is projected while the call is answered: it did not wait.
#[tokio::test]
async fn what_cannot_be_refused_does_not_wait() {
    let world = World::start().await;
    let app = world.app("a").await;
    let mut projector = Projector::open(world.server.engine.clone()).await.unwrap();
    let endpoint = json!({"Address": "a@b.c", "ChannelType": "EMAIL", "OptOut": "NONE",
        "Attributes": {"Ride": ["Bus"]}, "Metrics": {"m": 1},
        "User": {"UserId": "u", "UserAttributes": {"Name": ["Ann"]}}});
    let bought = json!({"EventType": "bought", "Timestamp": TIME, "Attributes": {"colour": "red"}});
    let items =
        json!({"E": {"Endpoint": endpoint, "Events": {"1": bought}}, "f": {"Endpoint": {}, "Events": {}}});
    let (first, ()) = tokio::join!(results(&world, &app, items.clone()), async {
        projector.wait().await.unwrap();
        while projector.step().await.unwrap() == Step::Progress {}
    });
    assert_eq!(first["E"]["EndpointItemResponse"]["StatusCode"], 202, "{first}");

    // The same again, less, other values, nothing at all; of an endpoint that nobody knows too.
    results(&world, &app, items).await;
    assert_eq!(
        endpoint_message(&world, &app, "e", json!({"Attributes": {"Ride": ["Car"]}})).await,
        "Accepted"
    );
    assert_eq!(endpoint_message(&world, &app, "e", json!({"OptOut": "ALL"})).await, "Accepted");
    assert_eq!(endpoint_message(&world, &app, "e", json!({"Attributes": {"new": []}})).await, "Accepted");
    assert_eq!(endpoint_message(&world, &app, "g", json!({})).await, "Accepted");
    assert_eq!(event_message(&world, &app, event("_session.start")).await, "Accepted");
    // A name that is new waits.
    for waiting in [
        json!({"e": {"Endpoint": {}, "Events": {"2": event("sold")}}}),
        json!({"e": {"Endpoint": {"Attributes": {"new": ["x"]}}, "Events": {}}}),
    ] {
        let waits = tokio::time::timeout(Duration::from_millis(200), put(&world, &app, waiting.clone()));
        assert!(waits.await.is_err(), "{waiting}");
    }
}

#[tokio::test]
async fn what_the_state_refuses_is_told() {
    let world = World::start().await;
    let _projecting = world.projecting();
    let app = world.app("a").await;
    let accepted = async |id: &str, endpoint: Value| {
        assert_eq!(endpoint_message(&world, &app, id, endpoint.clone()).await, "Accepted", "{endpoint}");
    };
    // Everything is known of these endpoints before they are refused something.
    accepted("e", json!({"Metrics": {"m": 1}})).await;
    settle(&world, &app).await;
    assert_eq!(endpoint_message(&world, &app, "e", json!({"OptOut": "ALL"})).await, "Missing Address");
    let opt_out = json!({"OptOut": "ALL", "Address": "", "Metrics": {"m": 2}});
    assert_eq!(endpoint_message(&world, &app, "E", opt_out).await, "Missing Address");
    assert_eq!(endpoint_message(&world, &app, "e", json!({"Address": "a"})).await, "Missing ChannelType");

    let texts = |count: usize| json!(vec!["x".repeat(100); count]);
    accepted("e", json!({"Attributes": {"a": texts(50), "b": texts(50)}})).await;
    accepted("e", json!({"Attributes": {"c": texts(50)}})).await;
    let too_large = "Endpoint is larger than 15360 bytes";
    assert_eq!(endpoint_message(&world, &app, "e", json!({"Attributes": {"m": texts(4)}})).await, too_large);
    assert_eq!(
        endpoint_message(&world, &app, "e", json!({"Demographic": {"Make": "x".repeat(400)}})).await,
        too_large
    );
    accepted("e", json!({"Attributes": {"a": texts(40), "m": texts(4)}})).await;

    // The user of two endpoints is filled through one, and found full through the other.
    let user = |attributes: Value| json!({"User": {"UserId": "u", "UserAttributes": attributes}});
    accepted("f", user(json!({"a": texts(50)}))).await;
    accepted("g", user(json!({"b": texts(50), "c": texts(50)}))).await;
    settle(&world, &app).await;
    let refused = endpoint_message(&world, &app, "f", user(json!({"a": texts(50), "d": texts(4)}))).await;
    assert_eq!(refused, "User attributes are larger than 15360 bytes");
    accepted("f", user(json!({"a": texts(50)}))).await;

    for number in 0..15 {
        let full = json!({"Address": number.to_string(), "ChannelType": "SMS", "User": {"UserId": "full"}});
        accepted(&format!("s{number}"), full).await;
    }
    let text = "Exceeded maximum endpoint per user count: 15";
    assert_eq!(endpoint_message(&world, &app, "e", json!({"User": {"UserId": "full"}})).await, text);
}

#[tokio::test]
async fn a_name_too_many_is_told() {
    let world = World::start().await;
    let _projecting = world.projecting();
    let app = world.app("a").await;
    let attributes = |range| json!({ "Attributes": names("n", range, &json!(["x"])) });
    assert_eq!(endpoint_message(&world, &app, "e", attributes(0..250)).await, "Accepted");
    let text = "Too many custom attributes: an application keeps at most 250 names";
    assert_eq!(endpoint_message(&world, &app, "e", attributes(250..251)).await, text);
    assert_eq!(
        endpoint_message(&world, &app, "e", json!({"Metrics": {"n1": 1}})).await,
        text,
        "of another kind"
    );
    assert_eq!(endpoint_message(&world, &app, "e", attributes(240..250)).await, "Accepted");
}

#[tokio::test]
async fn events_bring_so_many_names_and_no_more() {
    let world = World::start().await;
    let _projecting = world.projecting();
    let app = world.app("a").await;
    let with = |event_type: &str, member: &str, names: Value| {
        let mut event = event(event_type);
        event[member] = names;
        event
    };
    for first in (0..500).step_by(40) {
        let last = (first + 40).min(500);
        let attributes = with("t0", "Attributes", names("k", first..last, &json!("v")));
        assert_eq!(event_message(&world, &app, attributes).await, "Accepted");
        let metrics = with("t0", "Metrics", names("k", first..last, &json!(1)));
        assert_eq!(event_message(&world, &app, metrics).await, "Accepted");
    }
    for first in (0..1_500).step_by(100) {
        let events = (first..first + 100).map(|number| (number.to_string(), event(&format!("t{number}"))));
        let events: serde_json::Map<_, _> = events.collect();
        let results = results(&world, &app, json!({"e": {"Endpoint": {}, "Events": events}})).await;
        let accepted = json!({"StatusCode": 202, "Message": "Accepted"});
        assert!(results["e"]["EventsItemResponse"].as_object().unwrap().values().all(|it| *it == accepted));
    }
    settle(&world, &app).await;
    let before = counted(&world, &app).await;
    assert_eq!(before.len(), 1_500);

    let text = "Too many custom event types: an application has at most 1500";
    assert_eq!(event_message(&world, &app, event("one too many")).await, text);
    let text = "Too many attribute keys: the events of an application have at most 500";
    assert_eq!(event_message(&world, &app, with("t1", "Attributes", json!({"new": "v"}))).await, text);
    let text = "Too many metric keys: the events of an application have at most 500";
    assert_eq!(event_message(&world, &app, with("t1", "Metrics", json!({"new": 1}))).await, text);
    settle(&world, &app).await;
    assert_eq!(counted(&world, &app).await, before, "what is refused is not counted");

    // What is known goes on, and so does what the service itself defines.
    let known =
        json!({"EventType": "t7", "Timestamp": TIME, "Attributes": {"k499": "v"}, "Metrics": {"k0": 1}});
    let items = json!({"e": {"Endpoint": {}, "Events": {
        "known": known, "session": event("_session.start"), "new": event("one too many")}}});
    let results = results(&world, &app, items).await;
    let status = |id: &str| results["e"]["EventsItemResponse"][id]["StatusCode"].as_u64().unwrap();
    assert_eq!((status("known"), status("session"), status("new")), (202, 202, 400));
}

#[tokio::test]
async fn an_account_sends_so_many_bytes_a_second() {
    let quotas = Quotas { ingest_bytes_per_second: Some(1_000), ..Quotas::default() };
    let world = World::start_with(Options { throttle_scale: None, quotas }, |server| server).await;
    let _projecting = world.projecting();
    let app = world.app("a").await;
    let padded = |bytes: usize| format!(r#"{{"BatchItem":{{}}}}{}"#, " ".repeat(bytes - 16));
    let path = format!("/v1/apps/{app}/events");
    let send = |bytes: usize| world.call("POST", &path).body(padded(bytes)).send();
    // More than the bucket holds goes through while there is anything in it, and is paid for afterwards.
    assert_eq!(send(900).await.status, 202);
    assert_eq!(send(2_100).await.status, 202);
    let refused = send(100).await;
    refused.assert_error(429, "TooManyRequestsException", "Too many requests");
    assert_eq!(refused.header("retry-after"), "3");
    let endpoint = format!("/v1/apps/{app}/endpoints/e");
    assert_eq!(world.call("PUT", &endpoint).body("{}").send().await.status, 429);
    let batch = format!("/v1/apps/{app}/endpoints");
    assert_eq!(world.call("PUT", &batch).body(r#"{"Item":[{"Id":"e"}]}"#).send().await.status, 429);
    // Reading and defining are not ingest.
    assert_eq!(world.call("GET", "/v1/apps").send().await.status, 200);
    world.app("b").await;
    world.advance(Duration::from_millis(2_100));
    assert_eq!(send(100).await.status, 202);
}

#[tokio::test]
async fn a_projection_that_is_behind_slows_ingest_down() {
    let world = World::start().await;
    let app = world.app("a").await;
    let items = || json!({"e": {"Endpoint": {}, "Events": {"1": event("_session.start")}}});
    let settle = async || {
        let _projecting = world.projecting();
        assert_eq!(put(&world, &app, items()).await.status, 202);
        while world.server.engine.lag_ms() > 0 {
            tokio::task::yield_now().await;
        }
    };
    // What is known does not wait for a verdict; nobody projects it then.
    settle().await;
    assert_eq!(put(&world, &app, items()).await.status, 202);
    assert_eq!(put(&world, &app, items()).await.status, 202, "it is behind, and not for long");
    world.advance(Duration::from_millis(2_100));
    let refused = put(&world, &app, items()).await;
    assert_eq!(refused.header("retry-after"), "1");
    refused.assert_error(429, "TooManyRequestsException", "Too many requests");
    let projecting = world.projecting();
    while world.server.engine.lag_ms() > 0 {
        tokio::task::yield_now().await;
    }
    drop(projecting);
    settle().await;
}
