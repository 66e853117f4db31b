//! An account that has as many pages in the outbox as it may.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use api::{Options, Quotas};
use deliver::Outcome;
use serde_json::{Value, json};

use super::{created, status};
use crate::sending::{Sending, campaign, mailbox, shop};
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
