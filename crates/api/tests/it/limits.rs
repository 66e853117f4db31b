//! Rates, repeats of SDKs, and the end of a server.

use std::sync::Arc;
use std::time::Duration;

use api::Options;
use serde_json::json;
use store::kv::faults::Fault;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::support::{Response, World};

#[tokio::test]
async fn too_many_calls_are_told_when_to_come_back() {
    // 300 a second, scaled down: a bucket of 3, a token each 333 ms.
    let world =
        World::start_with(Options { throttle_scale: Some(0.01), ..Options::default() }, |server| server)
            .await;
    for _ in 0..3 {
        assert_eq!(world.call("GET", "/v1/apps").send().await.status, 200);
    }
    let refused = world.call("GET", "/v1/apps").send().await;
    refused.assert_error(429, "TooManyRequestsException", "Too many requests");
    assert_eq!(refused.header("retry-after"), "1");
    // Other operations have buckets of their own.
    assert_eq!(world.call("GET", "/v1/templates").send().await.status, 200);
    world.advance(Duration::from_millis(400));
    assert_eq!(world.call("GET", "/v1/apps").send().await.status, 200);
    assert_eq!(world.call("GET", "/v1/apps").send().await.status, 429);
}

#[tokio::test]
async fn sms_voice_v2_throttles_with_its_own_error() {
    let world = World::start_with(Options::default(), |server| server).await;
    let call = || {
        let call = world.call("POST", "/").service("sms-voice").body("{}");
        call.header("x-amz-target", "PinpointSMSVoiceV2.DescribePools")
    };
    assert_eq!(call().send().await.json()["__type"], "ValidationException");
    let refused = call().send().await;
    assert_eq!((refused.status, &refused.json()["__type"]), (400, &json!("ThrottlingException")));
    assert_eq!(refused.header("retry-after"), "1");
}

#[tokio::test]
async fn a_repeat_of_the_sdk_gets_the_first_answer() {
    let world = World::start().await;
    let create = async |id: &str, attempt: &str, name: &str| {
        let call = world.call("POST", "/v1/apps").body(format!(r#"{{"Name":"{name}"}}"#));
        let call = call.header("amz-sdk-invocation-id", id);
        let answer = call.header("amz-sdk-request", &format!("attempt={attempt}; max=3")).send().await;
        assert_eq!((answer.status, answer.header("content-type")), (201, "application/json"), "{answer:?}");
        answer.json()["Id"].as_str().unwrap().to_owned()
    };
    let first = create("id-1", "1", "a").await;
    assert_eq!(create("id-1", "2", "a").await, first);
    // Somebody in between repeated it: it still says that it is the first attempt.
    assert_eq!(create("id-1", "1", "a").await, first);
    // Another request, or another invocation, is another call.
    assert_ne!(create("id-1", "2", "b").await, first);
    assert_ne!(create("id-2", "1", "a").await, first);
    let apps = async || world.call("GET", "/v1/apps").send().await.json()["Item"].as_array().unwrap().len();
    assert_eq!(apps().await, 3);
    // After 15 minutes it is a new call.
    world.advance(Duration::from_mins(15));
    assert_ne!(create("id-1", "2", "a").await, first);
    assert_eq!(apps().await, 4);
}

#[tokio::test]
async fn an_answer_without_a_body_is_remembered_as_such() {
    let world = World::start().await;
    let app = world.app("a").await;
    let path = format!("/v1/tags/arn%3Aaws%3Amobiletargeting%3Aeu-central-1%3A123456789012%3Aapps%2F{app}");
    for _ in 0..2 {
        let call =
            world.call("POST", &path).header("amz-sdk-invocation-id", "id").body(r#"{"tags":{"a":"b"}}"#);
        let answer = call.send().await;
        assert_eq!((answer.status, answer.body.as_str()), (204, ""));
    }
}

#[tokio::test]
async fn a_repeat_finds_what_a_failed_call_has_done() {
    let world = World::start().await;
    let create = || {
        let call =
            world.call("POST", "/v1/apps").body(r#"{"Name":"a"}"#).header("amz-sdk-invocation-id", "id");
        call.header("amz-sdk-request", "attempt=1; max=3").send()
    };
    world.fail_next([Fault::FailAfter]);
    create().await.assert_error(500, "InternalServerErrorException", "Internal server error");
    let answer = create().await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let apps = world.call("GET", "/v1/apps").send().await.json();
    assert_eq!(apps, json!({"Item": [answer.json()]}));
}

#[tokio::test]
async fn a_full_disk_is_a_fault_that_may_pass() {
    let world = World::start().await;
    world.fail_next([Fault::FailBefore]);
    let create = || world.call("POST", "/v1/apps").body(r#"{"Name":"a"}"#).send();
    create().await.assert_error(
        500,
        "InternalServerErrorException",
        "No space is left to store this; try again later",
    );
    assert_eq!(create().await.status, 201);
}

#[tokio::test]
async fn a_lost_race_is_decided_again_but_not_for_ever() {
    let world = World::start().await;
    let create = || world.call("POST", "/v1/apps").body(r#"{"Name":"a"}"#).send();
    world.fail_next([Fault::Conflict; 7]);
    assert_eq!(create().await.status, 201);
    world.fail_next([Fault::Conflict; 8]);
    let refused = create().await;
    refused.assert_error(429, "TooManyRequestsException", "Too many requests");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(world.call("GET", "/v1/apps").send().await.json()["Item"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn simultaneous_changes_are_all_kept() {
    let world = Arc::new(World::start().await);
    let app = world.app("a").await;
    let path = format!("/v1/tags/arn%3Aaws%3Amobiletargeting%3Aeu-central-1%3A123456789012%3Aapps%2F{app}");
    // Each commit lets the others read first, so that all but one are too late.
    world.fail_next([Fault::Yield(200); 6]);
    let mut calls = tokio::task::JoinSet::new();
    for number in 0..6 {
        let (world, path) = (Arc::clone(&world), path.clone());
        calls.spawn(async move {
            let body = format!(r#"{{"tags":{{"k{number}":"v"}}}}"#);
            world.call("POST", &path).body(body).send().await.status
        });
    }
    let before = world.faults.commits();
    assert_eq!(calls.join_all().await, [204; 6]);
    assert!(world.faults.commits() - before > 6, "nobody was too late");
    let tags = world.call("GET", &path).send().await.json();
    assert_eq!(tags["tags"].as_object().unwrap().len(), 6);
}

/// A server with one slow handler, which says when it has begun and ends when it is told.
async fn slow_world() -> (World, Arc<Notify>, Arc<Notify>) {
    let (begun, end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (begins, ends) = (Arc::clone(&begun), Arc::clone(&end));
    let world = World::start_with(Options::default(), move |server| {
        server.own("slow", move |_, _| {
            let (begins, ends) = (Arc::clone(&begins), Arc::clone(&ends));
            async move {
                begins.notify_one();
                ends.notified().await;
                Ok(api::Answer::json("done"))
            }
        })
    })
    .await;
    (world, begun, end)
}

#[tokio::test]
async fn a_shutdown_lets_requests_in_flight_end() {
    let (world, begun, end) = slow_world().await;
    let mut idle = TcpStream::connect(&world.address).await.unwrap();
    let mut busy = TcpStream::connect(&world.address).await.unwrap();
    busy.write_all(&world.call("POST", "/counterpoint/v1/slow").bytes()).await.unwrap();
    begun.notified().await;
    assert_eq!(world.server.in_flight(), 1);
    world.shutdown.cancel();
    // An idle connection is closed at once, though the other one is busy still.
    tokio::io::AsyncReadExt::read(&mut idle, &mut [0; 1]).await.map(|read| assert_eq!(read, 0)).unwrap();
    assert!(!world.served.is_finished());
    assert!(TcpStream::connect(&world.address).await.is_err());
    end.notify_one();
    let answer = Response::read(&mut busy).await;
    assert_eq!((answer.status, answer.body.as_str()), (200, "done"));
    world.served.await.unwrap();
    assert_eq!(world.server.in_flight(), 0);
}

#[tokio::test]
async fn a_handler_ends_though_its_client_has_gone() {
    let (world, begun, end) = slow_world().await;
    let mut client = TcpStream::connect(&world.address).await.unwrap();
    client.write_all(&world.call("POST", "/counterpoint/v1/slow").bytes()).await.unwrap();
    begun.notified().await;
    drop(client);
    world.shutdown.cancel();
    end.notify_one();
    world.served.await.unwrap();
    assert_eq!(world.server.in_flight(), 0);
}
