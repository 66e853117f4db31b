//! Segments and their versions, and what becomes of campaigns when one is deleted.

use std::time::Duration;

use aws_sdk_pinpoint::types::{
    AttributeDimension, SegmentDimensions, SegmentType as SdkType, WriteSegmentRequest,
};
use serde_json::{Value, json};
use store::Kv as _;
use store::tables::campaigns::runs;
use store::{Key, Table};

use crate::sending::{Sending, app_key, call, campaign, done, mailbox, shop};
use crate::support::World;

const NOW: &str = "2026-11-23T00:00:00.000Z";
const LATER: &str = "2026-11-23T00:00:10.000Z";

#[tokio::test]
async fn a_segment_goes_round_and_its_versions_keep_their_dates() {
    let world = World::start().await;
    let app = world.app("a").await;
    let sdk = world.sdk();
    let plan = AttributeDimension::builder().values("pro").build();
    let dimensions = SegmentDimensions::builder().attributes("plan", plan).build();
    let request = WriteSegmentRequest::builder().name("s").dimensions(dimensions).tags("k", "v").build();
    let create = sdk.create_segment().application_id(&app).write_segment_request(request);
    let created = create.send().await.unwrap().segment_response.unwrap();
    let id = created.id.clone().unwrap();
    assert_eq!((created.version, created.segment_type.clone()), (Some(1), Some(SdkType::Dimensional)));
    let read = sdk.get_segment().application_id(&app).segment_id(&id).send().await.unwrap();
    assert_eq!(read.segment_response.unwrap(), created);

    world.advance(Duration::from_secs(10));
    let request = WriteSegmentRequest::builder().name("t").build();
    let update =
        world.sdk().update_segment().application_id(&app).segment_id(&id).write_segment_request(request);
    let updated = update.send().await.unwrap().segment_response.unwrap();
    assert_eq!((updated.version, updated.name.as_deref()), (Some(2), Some("t")));
    assert_eq!(updated.dimensions, created.dimensions, "what is left out stays");

    let target = format!("apps/{app}/segments/{id}");
    let date = |segment: &Value| {
        let text = |name: &str| segment[name].as_str().unwrap().to_owned();
        (segment["Version"].as_u64().unwrap(), text("CreationDate"), text("LastModifiedDate"))
    };
    let expected = |version: u64, modified: &str| (version, NOW.to_owned(), modified.to_owned());
    let versions = done(&world, "GET", &format!("{target}/versions"), &Value::Null).await;
    let versions: Vec<_> = versions["Item"].as_array().unwrap().iter().map(date).collect();
    assert_eq!(versions, [expected(2, LATER), expected(1, NOW)]);
    let first = done(&world, "GET", &format!("{target}/versions/1"), &Value::Null).await;
    assert_eq!(date(&first), expected(1, NOW));
    let newest = done(&world, "GET", &target, &Value::Null).await;
    assert_eq!(date(&newest), expected(2, LATER));

    let deleted = done(&world, "DELETE", &target, &Value::Null).await;
    assert_eq!(deleted, newest);
    for target in [target.clone(), format!("{target}/versions"), format!("{target}/versions/1")] {
        assert_eq!(call(&world, "GET", &target, &Value::Null).await.0, 404);
    }
}

/// Status of a campaign, and of its one activity with its counters.
async fn stand(world: &World, app: &str, campaign: &str) -> (String, Value) {
    let target = format!("apps/{app}/campaigns/{campaign}");
    let read = done(world, "GET", &target, &Value::Null).await;
    let activities = done(world, "GET", &format!("{target}/activities"), &Value::Null).await;
    let activity = activities["Item"].as_array().unwrap().first().cloned().unwrap_or_default();
    let shown = json!([activity["State"], activity["Result"], activity["ExecutionMetrics"]]);
    (read["State"]["CampaignStatus"].as_str().unwrap().to_owned(), shown)
}

#[tokio::test]
async fn a_segment_that_is_deleted_stops_its_campaigns() {
    let world = World::start().await;
    let (app, segment) = shop(&world).await;
    let other = done(&world, "POST", &format!("apps/{app}/segments"), &json!({"Name": "other"})).await;
    let target = format!("apps/{app}/campaigns");
    let create = async |segment: &str, changes: Value| {
        let created = done(&world, "POST", &target, &campaign(segment, changes)).await;
        created["Id"].as_str().unwrap().to_owned()
    };
    let at = |minute: u32| json!({"StartTime": format!("2026-11-23T00:{minute:02}:00Z")});
    let mut sending = Sending::start(&world).await;
    let people: Vec<String> = (0..150).map(|number| format!("p{number:03}")).collect();
    let mailboxes = people.iter().map(|id| (id.as_str(), mailbox(&format!("{id}@example.com"))));
    sending.register(&app, mailboxes).await;

    let over = create(&segment, json!({})).await;
    assert_eq!(sending.settle().await.len(), 150);
    let running = create(&segment, json!({})).await;
    // The run begins, its page is written, and the first hundred are claimed.
    assert!(sending.due().await && sending.due().await && sending.dispatch().await);
    let starting = create(&segment, json!({})).await;
    assert!(sending.due().await, "the run begins; nobody is in a page yet");
    let scheduled = create(&segment, json!({"Schedule": at(10)})).await;
    let paused = create(&segment, json!({"Schedule": at(10), "IsPaused": true})).await;
    let elsewhere = create(other["Id"].as_str().unwrap(), json!({"Schedule": at(10)})).await;

    done(&world, "DELETE", &format!("apps/{app}/segments/{segment}"), &Value::Null).await;
    for (campaign, status) in [
        (&over, "COMPLETED"),
        (&running, "DELETED"),
        (&starting, "DELETED"),
        (&scheduled, "DELETED"),
        (&paused, "DELETED"),
        (&elsewhere, "SCHEDULED"),
    ] {
        assert_eq!(stand(&world, &app, campaign).await.0, status, "{campaign}");
    }
    let resumed = call(&world, "PUT", &format!("{target}/{paused}"), &json!({"IsPaused": false})).await;
    assert_eq!(resumed.0, 400, "{resumed:?}");

    assert_eq!(sending.settle().await.len(), 100, "what was handed over before");
    let cut = json!({"ENDPOINT_PRODUCED": "150", "SUCCESS": "100", "CANCELLED": "50"});
    assert_eq!(stand(&world, &app, &running).await.1, json!(["CANCELLED", "SUCCESS", cut]));
    let nobody = json!({"ENDPOINT_PRODUCED": "150"});
    assert_eq!(stand(&world, &app, &starting).await.1, json!(["CANCELLED", "FAIL", nobody]));
    assert_eq!(stand(&world, &app, &over).await.1[0], "COMPLETED");
    let left = |prefix: Key| world.kv.scan(prefix.prefix(), 10);
    assert!(left(runs(&app_key(&app))).await.unwrap().is_empty(), "no run is left");
    assert!(left(Key::new(Table::RunAudiences)).await.unwrap().is_empty(), "and no audience of one");

    world.advance(Duration::from_mins(20));
    assert_eq!(sending.settle().await.len(), 150, "only the campaign to the other segment is sent");
    assert_eq!(stand(&world, &app, &elsewhere).await.0, "COMPLETED");
}

#[tokio::test]
async fn what_is_written_for_a_segment_that_is_gone_is_refused() {
    let world = World::start().await;
    let (app, segment) = shop(&world).await;
    let target = format!("apps/{app}/campaigns");
    let (status, answer) =
        call(&world, "POST", &target, &campaign(&segment, json!({"SegmentVersion": 2}))).await;
    assert_eq!((status, answer["Message"].as_str()), (400, Some(&*format!("Segment {segment} not found"))));
    done(&world, "DELETE", &format!("apps/{app}/segments/{segment}"), &Value::Null).await;
    assert_eq!(call(&world, "POST", &target, &campaign(&segment, json!({}))).await.0, 400);
}

#[tokio::test]
async fn how_segments_are_built_on_each_other_is_bounded() {
    let world = World::start().await;
    let (app, segment) = shop(&world).await;
    let target = format!("apps/{app}/segments");
    let on = |sources: &[(&str, Option<u32>)]| {
        let sources: Vec<_> =
            sources.iter().map(|(id, version)| json!({"Id": id, "Version": version})).collect();
        json!({"Name": "s", "SegmentGroups": {"Groups": [{"SourceSegments": sources}]}})
    };
    let create = async |document: Value| {
        let (status, answer) = call(&world, "POST", &target, &document).await;
        let word = if status == 201 { "Id" } else { "Message" };
        (status, answer[word].as_str().unwrap().to_owned())
    };
    let refused = |result: (u16, String), words: &str| {
        assert!(result.0 == 400 && result.1.contains(words), "{result:?}");
    };
    refused(create(on(&[("nobody", None)])).await, "Source segment nobody not found");
    refused(create(on(&[(&"x".repeat(70_000), None)])).await, "not found");
    // The same one a thousand times is one, on every level.
    let mut last = segment.clone();
    for _ in 0..3 {
        let (status, id) = create(on(&vec![(last.as_str(), None); 1_000])).await;
        assert_eq!(status, 201);
        last = id;
    }
    refused(
        (
            400,
            call(&world, "PUT", &format!("{target}/{segment}"), &on(&[(&last, None)])).await.1["Message"]
                .to_string(),
        ),
        "cannot be built on itself",
    );
    for _ in 0..11 {
        last = create(on(&[(&last, None)])).await.1;
    }
    let (status, deepest) = create(on(&[(&last, None)])).await;
    assert_eq!(status, 201);
    refused(create(on(&[(&deepest, None)])).await, "more than 16 deep");
    let names: Vec<String> = (0..1_001).map(|number| format!("s{number}")).collect();
    let many: Vec<_> = names.iter().map(|name| (name.as_str(), None)).collect();
    refused(create(on(&many)).await, "built on at most 1000 others");
}
