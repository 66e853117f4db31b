//! Campaigns: definitions, and what they refer to and count against.

use std::time::Duration;

use aws_sdk_pinpoint::types::{
    CampaignEmailMessage, CampaignStatus, MessageConfiguration, Schedule, WriteCampaignRequest,
};
use domain::campaigns::Limits;
use serde_json::{Value, json};
use store::tables::campaigns::{CampaignState, Status, state_key};
use store::value::encode;
use store::{Batch, Durability, Kv as _};

use crate::sending::{app_key, call, campaign, done, shop};
use crate::support::World;

mod messages;
mod outbox;
mod runs;
mod schedules;

/// Creates a campaign, and answers its id.
async fn created(world: &World, app: &str, document: &Value) -> String {
    let answer = done(world, "POST", &format!("apps/{app}/campaigns"), document).await;
    answer["Id"].as_str().unwrap().to_owned()
}

/// Asserts that a campaign is refused on create with a text that has these words.
async fn refused(world: &World, app: &str, document: &Value, words: &str) {
    let (status, answer) = call(world, "POST", &format!("apps/{app}/campaigns"), document).await;
    let message = answer["Message"].as_str().unwrap_or_default();
    assert!(status == 400 && message.contains(words), "{document}: {status} {answer}");
}

async fn update(world: &World, app: &str, id: &str, changes: &Value) -> (u16, Value) {
    call(world, "PUT", &format!("apps/{app}/campaigns/{id}"), changes).await
}

async fn status(world: &World, app: &str, id: &str) -> String {
    let read = done(world, "GET", &format!("apps/{app}/campaigns/{id}"), &Value::Null).await;
    read["State"]["CampaignStatus"].as_str().unwrap().to_owned()
}

/// The newest activities of a campaign, the default treatment's first.
async fn activities(world: &World, app: &str, id: &str) -> Vec<Value> {
    let answer = done(world, "GET", &format!("apps/{app}/campaigns/{id}/activities"), &Value::Null).await;
    let mut items = answer["Item"].as_array().unwrap().clone();
    items.sort_by_key(|item| item["TreatmentId"].as_str().unwrap().len());
    items
}

#[tokio::test]
async fn a_campaign_goes_round() {
    let world = World::start().await;
    let (app, segment) = shop(&world).await;
    let sdk = world.sdk();
    let email = CampaignEmailMessage::builder().title("t").html_body("h").from_address("a@b.example").build();
    let request = WriteCampaignRequest::builder()
        .name("news")
        .segment_id(&segment)
        .schedule(Schedule::builder().start_time("2026-12-01T10:00:00+01:00").build())
        .message_configuration(MessageConfiguration::builder().email_message(email).build())
        .tags("k", "v");
    let create = sdk.create_campaign().application_id(&app).write_campaign_request(request.build());
    let created = create.send().await.unwrap().campaign_response.unwrap();
    let id = created.id.clone().unwrap();
    let status = |campaign: &aws_sdk_pinpoint::types::CampaignResponse| {
        campaign.state.as_ref().unwrap().campaign_status.clone().unwrap()
    };
    assert_eq!(
        (created.version, created.segment_version, status(&created)),
        (Some(1), Some(1), CampaignStatus::Scheduled)
    );
    assert_eq!(created.schedule.as_ref().unwrap().timezone.as_deref(), Some("UTC"));
    let read = sdk.get_campaign().application_id(&app).campaign_id(&id).send().await.unwrap();
    assert_eq!(read.campaign_response.unwrap(), created);

    world.advance(Duration::from_secs(10));
    let pause = WriteCampaignRequest::builder().is_paused(true).build();
    let update =
        world.sdk().update_campaign().application_id(&app).campaign_id(&id).write_campaign_request(pause);
    let paused = update.send().await.unwrap().campaign_response.unwrap();
    assert_eq!(
        (paused.version, paused.is_paused, status(&paused)),
        (Some(2), Some(true), CampaignStatus::Paused)
    );
    assert_eq!(paused.message_configuration, created.message_configuration, "what is left out stays");

    // A version shows what it says itself.
    let shown = |campaign: &Value| {
        let date = campaign["LastModifiedDate"].as_str().unwrap().to_owned();
        (campaign["Version"].clone(), campaign["IsPaused"].clone(), date)
    };
    let first = (json!(1), json!(false), "2026-11-23T00:00:00.000Z".to_owned());
    let second = (json!(2), json!(true), "2026-11-23T00:00:10.000Z".to_owned());
    let target = format!("apps/{app}/campaigns/{id}");
    let versions = done(&world, "GET", &format!("{target}/versions"), &Value::Null).await;
    let versions: Vec<_> = versions["Item"].as_array().unwrap().iter().map(shown).collect();
    assert_eq!(versions, [second, first.clone()]);
    assert_eq!(shown(&done(&world, "GET", &format!("{target}/versions/1"), &Value::Null).await), first);

    let deleted = done(&world, "DELETE", &target, &Value::Null).await;
    assert_eq!(deleted["State"]["CampaignStatus"], "DELETED");
    assert_eq!(call(&world, "GET", &target, &Value::Null).await.0, 404);
    assert_eq!(call(&world, "GET", &format!("{target}/activities"), &Value::Null).await.0, 404);
}

#[tokio::test]
async fn the_quota_of_active_campaigns_is_the_accounts() {
    let world = World::start().await;
    let (app, segment) = shop(&world).await;
    let elsewhere = world.app("elsewhere").await;
    let paused = json!({"Schedule": {"StartTime": "2026-12-01T10:00:00Z"}, "IsPaused": true});
    let paused = created(&world, &app, &campaign(&segment, paused)).await;
    // As many as may be active, in another application, and some that are not.
    let mut batch = Batch::default();
    for number in 0..220 {
        let state = CampaignState {
            status: if number < 200 { Status::Scheduled } else { Status::Completed },
            version: 1,
            is_paused: false,
            due: None,
            run: None,
            runs: 0,
            default_limits: Limits::default(),
            default_quiet_time: None,
            fault: None,
        };
        batch.put(state_key(&app_key(&elsewhere), &format!("c{number:03}")), encode(&state));
    }
    world.kv.commit(batch, Durability::Durable).await.unwrap();
    let full = "Too many active campaigns";
    refused(&world, &app, &campaign(&segment, json!({})), full).await;
    let (status, answer) = update(&world, &app, &paused, &json!({"IsPaused": false})).await;
    assert_eq!((status, &answer["Message"]), (400, &json!(full)), "resuming counts too");
    // One that is paused is not active, and one place is enough for one.
    let at = json!({"StartTime": "2026-12-01T10:00:00Z"});
    created(&world, &app, &campaign(&segment, json!({"Schedule": at, "IsPaused": true}))).await;
    let mut batch = Batch::default();
    batch.delete(state_key(&app_key(&elsewhere), "c000"));
    world.kv.commit(batch, Durability::Durable).await.unwrap();
    assert_eq!(update(&world, &app, &paused, &json!({"IsPaused": false})).await.0, 200);
    refused(&world, &app, &campaign(&segment, json!({})), full).await;
}

#[tokio::test]
async fn hooks_that_filter_are_refused_wherever_they_come_from() {
    let world = World::start().await;
    let (app, segment) = shop(&world).await;
    let settings = format!("apps/{app}/settings");
    let filter = json!({"Mode": "FILTER", "LambdaFunctionName": "arn:aws:lambda:x"});
    let delivery = json!({"Mode": "DELIVERY", "LambdaFunctionName": "arn:aws:lambda:x"});
    let unsupported = "FILTER";
    let plain = created(&world, &app, &campaign(&segment, json!({}))).await;
    refused(&world, &app, &campaign(&segment, json!({"Hook": filter})), unsupported).await;
    for hook in [json!({}), delivery.clone(), json!({"Mode": "FILTER", "LambdaFunctionName": ""})] {
        created(&world, &app, &campaign(&segment, json!({"Hook": hook}))).await;
    }
    let (status, answer) = update(&world, &app, &plain, &json!({"Hook": filter})).await;
    assert!(status == 400 && answer["Message"].as_str().unwrap().contains(unsupported), "{answer}");

    // The application may keep one; its campaigns would inherit it.
    done(&world, "PUT", &settings, &json!({"CampaignHook": filter})).await;
    refused(&world, &app, &campaign(&segment, json!({})), unsupported).await;
    refused(&world, &app, &campaign(&segment, json!({"Hook": {}})), unsupported).await;
    created(&world, &app, &campaign(&segment, json!({"Hook": delivery}))).await;
    // One that was made before has not.
    assert_eq!(update(&world, &app, &plain, &json!({"Name": "renamed"})).await.0, 200);
    done(&world, "PUT", &settings, &json!({"CampaignHook": delivery})).await;
    created(&world, &app, &campaign(&segment, json!({}))).await;
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused() {
    let world = World::start().await;
    let (app, segment) = shop(&world).await;
    let message = json!({"EmailMessage": {"Body": "b"}});
    let header = |name: &str, value: &str| {
        let headers = [json!({"Name": name, "Value": value})];
        json!({"MessageConfiguration": {"EmailMessage": {"Body": "b", "Headers": headers}}})
    };
    let long = "x".repeat(871);
    let text = |length: usize| "ü".repeat(length);
    let with = |name: &str, message: Value| json!({"MessageConfiguration": {"EmailMessage": {"Body": "b"}, name: message}});
    created(&world, &app, &campaign(&segment, json!({"Name": text(256), "Description": text(4_096)}))).await;
    created(&world, &app, &campaign(&segment, with("GCMMessage", json!({"Body": text(200)})))).await;
    for (changes, words) in [
        (json!({"MessageConfiguration": {}}), "Each treatment needs a message"),
        (json!({"MessageConfiguration": {"EmailMessage": {}}}), "Each treatment needs a message"),
        (json!({"AdditionalTreatments": [{"SizePercent": 10}]}), "Each treatment needs a message"),
        (
            json!({"AdditionalTreatments": [{"SizePercent": 10, "MessageConfiguration": {}}]}),
            "Each treatment needs a message",
        ),
        (json!({"Limits": {"MaximumDuration": 59}}), "MaximumDuration"),
        (json!({"Name": text(257)}), "Name has more than 256"),
        (json!({"Description": text(4_097)}), "Description has more than 4096"),
        (json!({"TreatmentName": text(257)}), "TreatmentName has more than"),
        (
            json!({"AdditionalTreatments": [{
                "SizePercent": 10, "TreatmentDescription": text(4_097), "MessageConfiguration": message,
            }]}),
            "TreatmentDescription has more than",
        ),
        (with("GCMMessage", json!({"Body": text(201)})), "GCMMessage has more than 200"),
        (with("CustomMessage", json!({"Data": "x".repeat(5_121)})), "CustomMessage has more than 5120"),
        (header("Bcc", "a@b.example"), "Bcc"),
        (header("X A", "b"), "X A"),
        (header("X-A", "b\r\nBcc: c"), "X-A"),
        (header("X-A", &long), "X-A"),
        (
            json!({"MessageConfiguration": {"EmailMessage": {"Body": "b", "Headers": vec![json!({"Name": "X"}); 16]}}}),
            "at most 15 headers",
        ),
        (
            json!({"AdditionalTreatments": [{"SizePercent": 10, "MessageConfiguration": message,
                "Schedule": {"StartTime": "2026-12-01T10:00:00Z"}}]}),
            "Schedule of its own",
        ),
    ] {
        refused(&world, &app, &campaign(&segment, changes), words).await;
    }
    created(&world, &app, &campaign(&segment, header("X-A", "b"))).await;
    // The same of a message that is sent directly.
    let mut direct = json!({
        "Addresses": {"a@b.example": {"ChannelType": "EMAIL"}},
        "MessageConfiguration": {"EmailMessage": {"SimpleEmail": {
            "TextPart": {"Data": "t"}, "Headers": [{"Name": "Reply-To", "Value": "x@y.example"}],
        }}},
    });
    let (status, answer) = call(&world, "POST", &format!("apps/{app}/messages"), &direct).await;
    assert!(status == 400 && answer["Message"].as_str().unwrap().contains("Reply-To"), "{answer}");
    let headers = &mut direct["MessageConfiguration"]["EmailMessage"]["SimpleEmail"]["Headers"];
    *headers = json!(vec![json!({"Name": "X-A", "Value": "b"}); 16]);
    assert_eq!(call(&world, "POST", &format!("apps/{app}/messages"), &direct).await.0, 400);
}

#[tokio::test]
async fn a_campaign_is_made_again_from_what_was_read() {
    let world = World::start().await;
    let (app, segment) = shop(&world).await;
    let schedule = json!({"StartTime": "2026-12-01T10:00:00Z"});
    let treatment = json!({
        "SizePercent": 10, "Schedule": schedule, "MessageConfiguration": {"EmailMessage": {"Body": "b"}},
    });
    let changes = json!({"Schedule": schedule, "AdditionalTreatments": [treatment]});
    let id = created(&world, &app, &campaign(&segment, changes)).await;
    let read = done(&world, "GET", &format!("apps/{app}/campaigns/{id}"), &Value::Null).await;
    assert_eq!(read["AdditionalTreatments"][0]["Schedule"], schedule);
    let again = created(&world, &app, &read).await;
    // What stays of a campaign whose time is changed follows it.
    let later = json!({"Schedule": {"StartTime": "2026-12-02T10:00:00Z"}});
    let (status, updated) = update(&world, &app, &again, &later).await;
    assert_eq!((status, &updated["AdditionalTreatments"][0]["Schedule"]), (200, &Value::Null));
    let other = json!([{ "SizePercent": 10, "Schedule": schedule, "MessageConfiguration": {"EmailMessage": {"Body": "b"}} }]);
    assert_eq!(update(&world, &app, &again, &json!({"AdditionalTreatments": other})).await.0, 400);
}
