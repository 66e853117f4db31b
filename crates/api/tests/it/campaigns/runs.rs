//! What runs do and how that is told: activities, counters and caps.

use deliver::Outcome;
use domain::campaigns::ReceivedRow;
use domain::time::Timestamp;
use engine::SHARD;
use serde_json::{Value, json};
use store::tables::campaigns::{received_key, runs};
use store::tables::due::since;
use store::value::decode;
use store::{Key, Kv as _, Table};

use super::{activities, created, refused, status};
use crate::sending::{Sending, app_key, call, campaign, done, mailbox, shop};
use crate::support::World;

/// Endpoints, one for each way not to be mailed.
fn everybody() -> Vec<(&'static str, Value)> {
    let change = |address: &str, changes: Value| {
        let mut endpoint = mailbox(address);
        endpoint.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        endpoint
    };
    vec![
        ("good", mailbox("good@example.com")),
        ("refused", mailbox("refused@example.com")),
        ("later", mailbox("later@example.com")),
        ("out", change("out@example.com", json!({"OptOut": "ALL"}))),
        ("asleep", change("asleep@example.com", json!({"EndpointStatus": "INACTIVE"}))),
        // Two spellings of one mailbox: the second holds it.
        ("first", mailbox("Same@Example.com")),
        ("second", mailbox("same@example.COM")),
        ("unaddressed", json!({"ChannelType": "EMAIL"})),
        ("nowhere", json!({"Attributes": {"a": ["b"]}})),
        ("phone", json!({"Address": "+491", "ChannelType": "SMS"})),
        ("token", json!({"Address": "t", "ChannelType": "GCM"})),
    ]
}

#[tokio::test]
async fn every_reason_is_counted_under_its_name() {
    let world = World::start().await;
    let (app, segment) = shop(&world).await;
    let mut sending = Sending::start_with(&world, |mail| match mail.to.as_str() {
        "refused@example.com" => Outcome::Permanent { code: Some(550), detail: "no".to_owned() },
        "later@example.com" => Outcome::Unknown { detail: "?".to_owned() },
        _ => Outcome::Accepted { detail: String::new() },
    })
    .await;
    sending.register(&app, everybody()).await;
    let message = json!({"EmailMessage": {"Title": "t", "HtmlBody": "h"}, "SMSMessage": {"Body": "b"}});
    let id = created(&world, &app, &campaign(&segment, json!({"MessageConfiguration": message}))).await;
    let mails = sending.settle().await;
    let to: Vec<&str> = mails.iter().map(|mail| mail.to.as_str()).collect();
    assert_eq!(to, ["good@example.com", "later@example.com", "refused@example.com", "same@example.COM"]);
    assert_eq!(status(&world, &app, &id).await, "COMPLETED");
    let found = activities(&world, &app, &id).await;
    let [activity] = &found[..] else { panic!("{found:?}") };
    let metrics = json!({
        "ENDPOINT_PRODUCED": "11", "SUCCESS": "2", "PERMANENT_FAILURE": "1", "UNKNOWN": "1",
        "ENDPOINT_OPT_OUT": "1", "ENDPOINT_INACTIVE": "2", "ENDPOINT_MISSING_ADDRESS": "1",
        "ENDPOINT_MISSING_CHANNEL": "1", "UNSUPPORTED_CHANNEL": "1", "ENDPOINT_CHANNEL_MISMATCH": "1",
    });
    assert_eq!(activity["ExecutionMetrics"], metrics);
    // Attempted are those that a mail was made for.
    assert_eq!(
        (&activity["TotalEndpointCount"], &activity["SuccessfulEndpointCount"]),
        (&json!(4), &json!(2))
    );
    let shown =
        ["State", "Result", "TreatmentId", "TimezonesCompletedCount"].map(|name| activity[name].clone());
    assert_eq!(json!(shown), json!(["COMPLETED", "SUCCESS", "0", 1]));
}

#[tokio::test]
async fn a_run_in_which_nobody_succeeds_fails() {
    let world = World::start().await;
    let (app, segment) = shop(&world).await;
    let mut sending =
        Sending::start_with(&world, |_| Outcome::Permanent { code: None, detail: String::new() }).await;
    let result = async |sending: &mut Sending<'_>| {
        let id = created(&world, &app, &campaign(&segment, json!({}))).await;
        sending.settle().await;
        let activity = activities(&world, &app, &id).await.remove(0);
        (activity["State"].clone(), activity["Result"].clone(), activity["ExecutionMetrics"].clone())
    };
    let of = |result: &str, metrics: Value| (json!("COMPLETED"), json!(result), metrics);
    // An empty run has no counters, and nothing failed.
    assert_eq!(result(&mut sending).await, of("SUCCESS", json!({})));
    sending
        .register(&app, [("e", json!({"ChannelType": "EMAIL", "Address": "a@b.example", "OptOut": "ALL"}))])
        .await;
    let metrics = json!({"ENDPOINT_PRODUCED": "1", "ENDPOINT_OPT_OUT": "1"});
    assert_eq!(result(&mut sending).await, of("SUCCESS", metrics));
    sending.register(&app, [("e", json!({"OptOut": "NONE"}))]).await;
    let metrics = json!({"ENDPOINT_PRODUCED": "1", "PERMANENT_FAILURE": "1"});
    assert_eq!(result(&mut sending).await, of("FAIL", metrics));
}

#[tokio::test]
async fn treatments_have_one_id_and_holdouts_are_not_attempted() {
    let world = World::start().await;
    let (app, segment) = shop(&world).await;
    let mut sending = Sending::start(&world).await;
    let people: Vec<String> = (0..200).map(|number| format!("p{number}")).collect();
    sending
        .register(&app, people.iter().map(|id| (id.as_str(), mailbox(&format!("{id}@example.com")))))
        .await;
    let changes = json!({
        "HoldoutPercent": 20,
        "AdditionalTreatments": [
            {"SizePercent": 30, "MessageConfiguration": {"EmailMessage": {"Title": "u", "Body": "b"}}},
            {"SizePercent": 20, "MessageConfiguration": {"EmailMessage": {"Title": "v", "Body": "b"}}},
        ],
    });
    let id = created(&world, &app, &campaign(&segment, changes)).await;
    let mails = sending.settle().await;
    let sent = |subject: &str| mails.iter().filter(|mail| mail.subject == subject).count();
    let read = done(&world, "GET", &format!("apps/{app}/campaigns/{id}"), &Value::Null).await;
    let ids: Vec<&Value> =
        read["AdditionalTreatments"].as_array().unwrap().iter().map(|treatment| &treatment["Id"]).collect();
    let found = activities(&world, &app, &id).await;
    assert_eq!(found.len(), 3);
    for (treatment, subject) in [(json!("0"), "t"), (ids[0].clone(), "u"), (ids[1].clone(), "v")] {
        let activity = found.iter().find(|activity| activity["TreatmentId"] == treatment);
        let activity = activity.unwrap_or_else(|| panic!("no activity of {treatment}: {found:?}"));
        let counts = (&activity["TotalEndpointCount"], &activity["SuccessfulEndpointCount"]);
        assert_eq!(counts, (&json!(sent(subject)), &json!(sent(subject))), "{subject}");
        assert!(sent(subject) > 0);
    }
    let held = found.iter().filter_map(|activity| activity["ExecutionMetrics"]["TREATMENT_HOLDOUT"].as_str());
    let held: usize = held.map(|count| count.parse::<usize>().unwrap()).sum();
    assert_eq!((held + mails.len(), held > 0), (200, true));
}

#[tokio::test]
async fn a_zero_of_the_campaign_is_no_limit_and_no_default() {
    let world = World::start().await;
    let (app, segment) = shop(&world).await;
    let mut sending = Sending::start(&world).await;
    sending.register(&app, [("e", mailbox("e@example.com"))]).await;
    // What Terraform sends of an application that limits only the day.
    let limits = json!({"Daily": 1, "Total": 0, "MaximumDuration": 0, "MessagesPerSecond": 0});
    let settings = done(&world, "PUT", &format!("apps/{app}/settings"), &json!({"Limits": limits})).await;
    assert_eq!(settings["Limits"], limits);
    let mut mails = async |limits: Value| {
        let id = created(&world, &app, &campaign(&segment, json!({"Limits": limits}))).await;
        let read = done(&world, "GET", &format!("apps/{app}/campaigns/{id}"), &Value::Null).await;
        assert_eq!(read["Limits"], limits, "shown as sent");
        sending.settle().await.len()
    };
    assert_eq!(mails(json!({})).await, 1);
    assert_eq!(mails(json!({})).await, 0, "the application's limit counts all campaigns");
    assert_eq!(mails(json!({"Daily": 0, "Total": 0, "MaximumDuration": 0, "MessagesPerSecond": 0})).await, 1);
    refused(&world, &app, &campaign(&segment, json!({"Limits": {"Daily": 101}})), "Daily").await;
}

#[tokio::test]
async fn what_was_received_is_kept_as_long_as_a_limit_can_ask() {
    let world = World::start().await;
    let (app, segment) = shop(&world).await;
    let mut sending = Sending::start(&world).await;
    sending.register(&app, [("e", mailbox("e@example.com"))]).await;
    let received = async || {
        let row = world.kv.get(&received_key(&app_key(&app), 0)).await.unwrap().unwrap();
        decode::<ReceivedRow>(&row.value).unwrap().get(0).totals
    };
    let mut ids = Vec::new();
    for limits in [json!({}), json!({"Total": 5}), json!({"Total": 5}), json!({"Total": 0})] {
        ids.push(created(&world, &app, &campaign(&segment, json!({"Limits": limits}))).await);
        assert_eq!(sending.settle().await.len(), 1);
    }
    assert_eq!(received().await, [(ids[2].clone(), 1)], "those that are over or have no limit are not kept");
}

#[tokio::test]
async fn a_campaign_that_is_deleted_leaves_nothing() {
    let world = World::start().await;
    let (app, segment) = shop(&world).await;
    let mut sending = Sending::start(&world).await;
    let people: Vec<String> = (0..150).map(|number| format!("p{number}")).collect();
    sending
        .register(&app, people.iter().map(|id| (id.as_str(), mailbox(&format!("{id}@example.com")))))
        .await;
    let target = |id: &str| format!("apps/{app}/campaigns/{id}");
    // One whose run has begun and is in no page, and one of whose page a hundred are sent.
    let sent = created(&world, &app, &campaign(&segment, json!({}))).await;
    assert!(sending.due().await && sending.due().await && sending.dispatch().await);
    let begun = created(&world, &app, &campaign(&segment, json!({}))).await;
    assert!(sending.due().await);
    for id in [&sent, &begun] {
        done(&world, "DELETE", &target(id), &Value::Null).await;
    }
    assert_eq!(sending.settle().await.len(), 100);
    assert_eq!(call(&world, "GET", &target(&sent), &Value::Null).await.0, 404);
    let prefixes = [
        runs(&app_key(&app)),
        Key::new(Table::RunAudiences),
        Key::new(Table::Activities),
        Key::new(Table::Outbox),
        Key::new(Table::Claims),
        Key::new(Table::Intents),
    ];
    for range in prefixes.map(|prefix| prefix.prefix()).into_iter().chain([since(SHARD, Timestamp(0))]) {
        let left = world.kv.scan(range.clone(), 10).await.unwrap();
        assert!(left.is_empty(), "{range:?}: {left:?}");
    }
}
