//! When campaigns start, and what changes that.

use std::time::Duration;

use serde_json::json;

use super::{created, refused, status, update};
use crate::sending::{Sending, campaign, mailbox, shop};
use crate::support::World;

/// The clock of a world stands at midnight, 23 November 2026.
fn at(time: &str) -> serde_json::Value {
    json!({"StartTime": format!("2026-11-23T{time}Z")})
}

#[tokio::test]
async fn a_campaign_that_is_told_to_start_immediately_does() {
    let world = World::start().await;
    let (app, segment) = shop(&world).await;
    let mut sending = Sending::start(&world).await;
    sending.register(&app, [("e", mailbox("e@example.com"))]).await;
    let id = created(&world, &app, &campaign(&segment, json!({"Schedule": at("10:00:00")}))).await;
    assert!(sending.settle().await.is_empty());
    world.advance(Duration::from_secs(10));
    let (answer, _) = update(&world, &app, &id, &json!({"Schedule": {"StartTime": "IMMEDIATE"}})).await;
    assert_eq!(answer, 200);
    assert_eq!(sending.settle().await.len(), 1);
    assert_eq!(status(&world, &app, &id).await, "COMPLETED");
    world.advance(Duration::from_hours(11));
    assert!(sending.settle().await.is_empty(), "the time that it had before is forgotten");
}

#[tokio::test]
async fn times_are_checked_when_they_are_set() {
    let world = World::start().await;
    let (app, segment) = shop(&world).await;
    world.advance(Duration::from_hours(12));
    let ending = |start: &str, end: &str| json!({"Schedule": {"StartTime": start, "EndTime": format!("2026-11-23T{end}Z")}});
    let id = created(&world, &app, &campaign(&segment, json!({"Schedule": at("20:00:00")}))).await;
    let early = json!({"Schedule": at("11:00:00"), "Limits": {"MaximumDuration": 4000}});
    created(&world, &app, &campaign(&segment, early)).await;
    for (changes, words) in [
        (json!({"Schedule": at("10:59:59")}), "StartTime lies too far in the past"),
        (ending("2026-11-23T20:00:00Z", "19:00:00"), "EndTime must lie after StartTime"),
        (ending("2026-11-23T20:00:00Z", "20:00:00"), "EndTime must lie after StartTime"),
        (ending("IMMEDIATE", "11:59:00"), "EndTime lies in the past"),
        (json!({"Schedule": at("11:30:00"), "Limits": {"MaximumDuration": 60}}), "StartTime lies too far"),
        (json!({"Schedule": {"StartTime": "soon"}}), "StartTime"),
    ] {
        refused(&world, &app, &campaign(&segment, changes.clone()), words).await;
        let (status, answer) = update(&world, &app, &id, &changes).await;
        assert!(status == 400 && answer["Message"].as_str().unwrap().contains(words), "{changes}: {answer}");
    }
    assert_eq!(update(&world, &app, &id, &ending("2026-11-23T20:00:00Z", "20:00:01")).await.0, 200);
}

#[tokio::test]
async fn a_duration_of_the_application_bounds_a_start_too() {
    let world = World::start().await;
    let (app, segment) = shop(&world).await;
    crate::sending::done(
        &world,
        "PUT",
        &format!("apps/{app}/settings"),
        &json!({"Limits": {"MaximumDuration": 60}}),
    )
    .await;
    world.advance(Duration::from_hours(12));
    let late = json!({"Schedule": at("11:30:00")});
    refused(&world, &app, &campaign(&segment, late), "StartTime lies too far in the past").await;
}

#[tokio::test]
async fn a_campaign_that_goes_on_after_its_time_runs_now() {
    let world = World::start().await;
    let (app, segment) = shop(&world).await;
    let mut sending = Sending::start(&world).await;
    sending.register(&app, [("e", mailbox("e@example.com"))]).await;
    let id = created(&world, &app, &campaign(&segment, json!({"Schedule": at("10:00:00")}))).await;
    assert_eq!(update(&world, &app, &id, &json!({"IsPaused": true})).await.0, 200);
    world.advance(Duration::from_hours(15));
    assert!(sending.settle().await.is_empty());
    assert_eq!(status(&world, &app, &id).await, "PAUSED");
    // Pausing once more is no change of time, and a client may send back all that it read.
    assert_eq!(update(&world, &app, &id, &json!({"IsPaused": true})).await.0, 200);
    let whole = campaign(&segment, json!({"Schedule": at("10:00:00"), "IsPaused": false}));
    assert_eq!(update(&world, &app, &id, &whole).await.0, 200);
    assert_eq!(sending.settle().await.len(), 1);
    assert_eq!(status(&world, &app, &id).await, "COMPLETED");
}

#[tokio::test]
async fn a_campaign_that_is_over_is_neither_paused_nor_resumed() {
    let world = World::start().await;
    let (app, segment) = shop(&world).await;
    let mut sending = Sending::start(&world).await;
    sending.register(&app, [("e", mailbox("e@example.com"))]).await;
    let id = created(&world, &app, &campaign(&segment, json!({"Schedule": at("00:00:00")}))).await;
    assert!(sending.due().await);
    assert_eq!(status(&world, &app, &id).await, "EXECUTING");
    // A run in progress is finished (spec/50 §2), and nothing else about it can be changed.
    assert_eq!(update(&world, &app, &id, &json!({"IsPaused": true})).await.0, 200);
    assert_eq!(update(&world, &app, &id, &json!({"Name": "x"})).await.0, 400);
    assert_eq!(sending.settle().await.len(), 1);
    assert_eq!(status(&world, &app, &id).await, "COMPLETED");
    for changes in [json!({"IsPaused": true}), json!({"IsPaused": false}), json!({"Name": "x"})] {
        let (status, answer) = update(&world, &app, &id, &changes).await;
        assert_eq!(status, 400, "{changes}: {answer}");
    }
    let immediate = created(&world, &app, &campaign(&segment, json!({}))).await;
    assert_eq!(update(&world, &app, &immediate, &json!({"IsPaused": true})).await.0, 400);
}
