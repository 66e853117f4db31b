//! An account that has as many pages in the outbox as it may.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use api::{Options, Quotas};
use deliver::{Email, Outcome};
use engine::dispatch::DispatchOptions;
use serde_json::{Value, json};

use super::{created, status};
use crate::sending::{Sending, campaign, done, mailbox, shop};
use crate::support::World;

#[tokio::test]
async fn a_full_outbox_refuses_direct_messages_and_lets_campaigns_wait() {
    let quotas = Quotas { outbox_rows: Some(1), ..Quotas::default() };
    let world = World::start_with(Options { throttle_scale: None, quotas }, |server| server).await;
    let (app, segment) = shop(&world).await;
    let is_up = Arc::new(AtomicBool::new(false));
    let provider = Arc::clone(&is_up);
    let answer = move || {
        if provider.load(Ordering::Relaxed) {
            return Outcome::Accepted { detail: String::new() };
        }
        Outcome::Transient { code: Some(451), detail: String::new(), retry_after: None }
    };
    let mut sending = Sending::start_with(&world, move |_| answer()).await;
    sending.register(&app, [("e", mailbox("e@example.com"))]).await;
    let rows = &world.server.engine.queues.rows;
    created(&world, &app, &campaign(&segment, json!({}))).await;
    // What was refused for now waits in a page of its own.
    assert_eq!((sending.settle().await.len(), rows.total()), (1, 1));

    let message = json!({
        "Addresses": {"ann@example.com": {"ChannelType": "EMAIL"}},
        "MessageConfiguration": {"EmailMessage": {"SimpleEmail": {"TextPart": {"Data": "x"}}}},
    });
    let to_users = json!({"Users": {"u": {}}, "MessageConfiguration": message["MessageConfiguration"]});
    sending.register(&app, [("f", user_of(mailbox("f@example.com"), "u"))]).await;
    for (path, body) in [("messages", &message), ("users-messages", &to_users)] {
        let path = format!("/v1/apps/{app}/{path}");
        let refused = world.call("POST", &path).body(body.to_string()).send().await;
        assert_eq!(refused.header("retry-after"), "1");
        refused.assert_error(429, "TooManyRequestsException", "Too many requests");
    }
    let second = created(&world, &app, &campaign(&segment, json!({}))).await;
    assert_eq!((sending.settle().await.len(), rows.total()), (0, 1), "the second campaign waits");

    is_up.store(true, Ordering::Relaxed);
    world.advance(Duration::from_mins(1));
    assert_eq!(sending.settle().await.len(), 1, "the first campaign's second attempt");
    world.advance(Duration::from_secs(1));
    assert_eq!((sending.settle().await.len(), rows.total()), (2, 0));
    world.advance(Duration::from_secs(1));
    sending.settle().await;
    assert_eq!(status(&world, &app, &second).await, "COMPLETED");
}

fn user_of(mut endpoint: Value, user: &str) -> Value {
    endpoint["User"] = json!({"UserId": user});
    endpoint
}

#[tokio::test]
async fn a_mail_is_tried_again_later_each_time_and_not_for_ever() {
    let world = World::start().await;
    let (app, segment) = shop(&world).await;
    let options = DispatchOptions {
        attempts_max: 5,
        backoff: Duration::from_secs(30),
        backoff_max: Duration::from_secs(100),
        ..DispatchOptions::default()
    };
    let refuse =
        |_: &Email| Outcome::Transient { code: Some(451), detail: "later".to_owned(), retry_after: None };
    let mut sending = Sending::start_as(&world, refuse, options).await;
    sending.register(&app, [("e", mailbox("e@example.com"))]).await;
    let id = created(&world, &app, &campaign(&segment, json!({}))).await;
    let mut waits = Vec::new();
    let mut waited = 0;
    for _ in 0..400 {
        match sending.settle().await.len() {
            0 => {}
            1 => waits.push(std::mem::take(&mut waited)),
            more => panic!("{more} at once"),
        }
        world.advance(Duration::from_secs(1));
        waited += 1;
    }
    // Doubled each time up to the limit; between half of it and the whole, so that not everybody comes back at once.
    assert_eq!(waits.len(), 5, "{waits:?}");
    for (wait, whole) in waits.iter().zip([0, 30, 60, 100, 100]) {
        assert!((whole / 2..=whole + 1).contains(wait), "{waits:?}");
    }
    let activities =
        done(&world, "GET", &format!("apps/{app}/campaigns/{id}/activities"), &Value::Null).await;
    assert_eq!(activities["Item"][0]["ExecutionMetrics"]["TRANSIENT_FAILURE"], "1", "{activities}");
    assert_eq!(status(&world, &app, &id).await, "COMPLETED");
}

#[tokio::test]
async fn a_lane_and_a_campaign_keep_their_rates() {
    let world = World::start().await;
    let (app, segment) = shop(&world).await;
    let options = DispatchOptions { messages_per_second: Some(100), ..DispatchOptions::default() };
    let take = |_: &Email| Outcome::Accepted { detail: String::new() };
    let mut sending = Sending::start_as(&world, take, options).await;
    let people: Vec<String> = (0..200).map(|number| format!("p{number}")).collect();
    let mailboxes = people.iter().map(|id| (id.as_str(), mailbox(&format!("{id}@example.com"))));
    sending.register(&app, mailboxes).await;
    let mut mails_of_a_second = async |changes: Value| {
        created(&world, &app, &campaign(&segment, changes)).await;
        let mut mails = sending.settle().await.len();
        for _ in 0..100 {
            world.advance(Duration::from_millis(10));
            mails += sending.settle().await.len();
        }
        loop {
            world.advance(Duration::from_secs(1));
            if sending.settle().await.is_empty() {
                return mails;
            }
        }
    };
    // With a tenth of a second's worth saved up.
    assert_eq!(mails_of_a_second(json!({})).await, 110);
    assert_eq!(mails_of_a_second(json!({"Limits": {"MessagesPerSecond": 50}})).await, 55);
}
