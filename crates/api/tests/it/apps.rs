//! Projects, through AWS's SDK.

use aws_sdk_pinpoint::error::ProvideErrorMetadata as _;
use aws_sdk_pinpoint::operation::RequestId as _;
use aws_sdk_pinpoint::types::{CampaignLimits, CreateApplicationRequest, WriteApplicationSettingsRequest};
use domain::audience::AppKey;
use domain::time::Timestamp;
use engine::SHARD;
use serde_json::json;
use std::time::Duration;
use store::tables::due::{self, Due, Task};
use store::value::decode;
use store::{Key, Kv as _, Table};

use crate::support::{ACCOUNT, World};

#[tokio::test]
async fn an_application_is_made_read_and_deleted() {
    let world = World::start().await;
    let sdk = world.sdk();
    let request = CreateApplicationRequest::builder().name("Shop").tags("Stage", "Test").build();
    let created = sdk.create_app().create_application_request(request).send().await.unwrap();
    assert_eq!(created.request_id().unwrap().len(), 36);
    let app = created.application_response.unwrap();
    let id = app.id.clone().unwrap();
    assert!(id.len() == 32 && id.bytes().all(|byte| b"0123456789abcdef".contains(&byte)), "{id}");
    assert_eq!(app.name.as_deref(), Some("Shop"));
    let arn = format!("arn:aws:mobiletargeting:eu-central-1:{ACCOUNT}:apps/{id}");
    assert_eq!(app.arn.as_deref(), Some(arn.as_str()));
    assert_eq!(app.creation_date.as_deref(), Some("2026-11-23T00:00:00.000Z"));
    assert_eq!(app.tags.as_ref().unwrap()["Stage"], "Test");

    let read = sdk.get_app().application_id(&id).send().await.unwrap();
    assert_eq!(read.application_response.as_ref(), Some(&app));
    let deleted = sdk.delete_app().application_id(&id).send().await.unwrap();
    assert_eq!(deleted.application_response, Some(app));

    let gone = sdk.get_app().application_id(&id).send().await.unwrap_err().into_service_error();
    assert!(gone.is_not_found_exception(), "{gone:?}");
    assert_eq!(gone.message(), Some("Application not found"));
    let again = sdk.delete_app().application_id(&id).send().await.unwrap_err().into_service_error();
    assert!(again.is_not_found_exception(), "{again:?}");
}

#[tokio::test]
async fn names_and_tags_are_checked() {
    let world = World::start().await;
    let sdk = world.sdk();
    let request = CreateApplicationRequest::builder().name("Shop").tags("aws:x", "y").build();
    let refused = sdk.create_app().create_application_request(request).send().await.unwrap_err();
    assert!(refused.into_service_error().is_bad_request_exception());
    let request = CreateApplicationRequest::builder().name("x".repeat(257)).build();
    let refused = sdk.create_app().create_application_request(request).send().await.unwrap_err();
    assert!(refused.into_service_error().is_bad_request_exception());
    assert_eq!(world.call("GET", "/v1/apps").send().await.json(), json!({"Item": []}));
}

#[tokio::test]
async fn lists_are_newest_first_and_paged() {
    let world = World::start().await;
    let mut ids = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        ids.insert(0, world.app(name).await);
        world.advance(Duration::from_secs(1));
    }
    let sdk = world.sdk();
    let (mut seen, mut token, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = sdk.get_apps().page_size("2").set_token(token).send().await.unwrap();
        let page = page.applications_response.unwrap();
        seen.extend(page.item.unwrap().into_iter().map(|app| app.id.unwrap()));
        pages += 1;
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!((seen, pages), (ids, 3));
    let refused = sdk.get_apps().page_size("0").send().await.unwrap_err().into_service_error();
    assert!(refused.is_bad_request_exception(), "{refused:?}");
}

#[tokio::test]
async fn deleting_an_application_leaves_no_definition_behind() {
    let world = World::start().await;
    let sdk = world.sdk();
    let (app, other) = (world.app("a").await, world.app("b").await);
    for id in [&app, &other] {
        let settings = WriteApplicationSettingsRequest::builder();
        let settings = settings.limits(CampaignLimits::builder().daily(3).build()).build();
        let update = sdk.update_application_settings().application_id(id);
        update.write_application_settings_request(settings).send().await.unwrap();
        let path = format!("/v1/apps/{id}/channels/sms");
        assert_eq!(world.call("PUT", &path).body("{}").send().await.status, 200);
    }
    sdk.delete_app().application_id(&app).send().await.unwrap();
    // What is not deleted at once has a due row.
    let rows = world.kv.scan(due::since(SHARD, Timestamp(0)), 100).await.unwrap();
    let tasks: Vec<Due> = rows.iter().map(|(_, row)| decode(&row.value).unwrap()).collect();
    let key = AppKey { account: ACCOUNT.into(), app: app.as_str().into() };
    assert_eq!(tasks, [Due { app: key, task: Task::PurgeApp, scheduled: world.now() }]);
    for table in [Table::Apps, Table::Settings, Table::Channels] {
        let rows = world.kv.scan(Key::new(table).prefix(), 100).await.unwrap();
        let names = |id: &str| rows.iter().filter(|(key, _)| format!("{key:?}").contains(id)).count();
        assert_eq!((names(&app), names(&other)), (0, 2), "{table:?}");
    }
    let path = format!("/v1/apps/{app}/channels");
    world.call("GET", &path).send().await.assert_error(404, "NotFoundException", "Application not found");
}
