//! Endpoints and users: through AWS's SDK, and by hand where the bytes count.

use std::collections::HashMap;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use api::{Options, Quotas};
use aws_sdk_pinpoint::Client;
use aws_sdk_pinpoint::error::ProvideErrorMetadata as _;
use aws_sdk_pinpoint::types::{
    ChannelType, EndpointBatchItem, EndpointBatchRequest, EndpointDemographic, EndpointLocation,
    EndpointRequest, EndpointResponse, EndpointUser, UpdateAttributesRequest,
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Response, World};

async fn update(sdk: &Client, app: &str, id: &str, request: EndpointRequest) {
    let update = sdk.update_endpoint().application_id(app).endpoint_id(id).endpoint_request(request);
    let body = update.send().await.unwrap().message_body.unwrap();
    assert_eq!((body.message.as_deref(), body.request_id.map(|id| id.len())), (Some("Accepted"), Some(36)));
}

async fn get(sdk: &Client, app: &str, id: &str) -> EndpointResponse {
    let output = sdk.get_endpoint().application_id(app).endpoint_id(id).send().await.unwrap();
    output.endpoint_response.unwrap()
}

async fn put(world: &World, app: &str, id: &str, body: &Value) -> Response {
    world.call("PUT", &format!("/v1/apps/{app}/endpoints/{id}")).body(body.to_string()).send().await
}

/// `UpdateEndpoint` that must be taken.
async fn put_done(world: &World, app: &str, id: &str, body: &Value) {
    let answer = put(world, app, id, body).await;
    assert_eq!((answer.status, &answer.json()["Message"]), (202, &json!("Accepted")), "{body}");
}

async fn read(world: &World, app: &str, id: &str) -> Value {
    let answer = world.call("GET", &format!("/v1/apps/{app}/endpoints/{id}")).send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn email(address: &str) -> Value {
    json!({"Address": address, "ChannelType": "EMAIL"})
}

fn texts(list: &[&str]) -> Vec<String> {
    list.iter().map(|text| (*text).to_owned()).collect()
}

#[tokio::test]
async fn an_endpoint_is_made_merged_and_deleted() {
    let world = World::start().await;
    let _projecting = world.projecting();
    let (sdk, app) = (world.sdk(), world.app("a").await);
    let request = EndpointRequest::builder()
        .address("ann@example.com")
        .channel_type(ChannelType::Email)
        .attributes("Ride", texts(&["Bus", "Tram"]))
        .attributes("Gone", texts(&["x"]))
        .metrics("Age", 41.5)
        .demographic(EndpointDemographic::builder().make("A").model("M").build())
        .location(EndpointLocation::builder().city("Ulm").latitude(48.44).build());
    update(&sdk, &app, "E1", request.build()).await;
    let first = get(&sdk, &app, "e1").await;
    let made = "2026-11-23T00:00:00.000Z";
    assert_eq!(first.id.as_deref(), Some("E1"), "as its first writer spelled it");
    assert_eq!(first.application_id.as_ref(), Some(&app));
    assert_eq!((first.creation_date.as_deref(), first.effective_date.as_deref()), (Some(made), Some(made)));
    assert_eq!((first.endpoint_status.as_deref(), first.opt_out.as_deref()), (Some("ACTIVE"), Some("NONE")));
    let cohort: u8 = first.cohort_id.clone().unwrap().parse().unwrap();
    assert!(cohort < 100);

    world.advance(Duration::from_mins(1));
    let request = EndpointRequest::builder()
        .attributes("Ride", texts(&["Car"]))
        .attributes("Gone", Vec::new())
        .metrics("Visits", 2.0)
        .opt_out("ALL")
        .demographic(EndpointDemographic::builder().make("B").build())
        .location(EndpointLocation::builder().country("DE").build());
    update(&world.sdk(), &app, "e1", request.build()).await;
    let merged = get(&world.sdk(), &app, "E1").await;
    assert_eq!(merged.address.as_deref(), Some("ann@example.com"));
    assert_eq!(merged.attributes, Some(HashMap::from([("Ride".to_owned(), texts(&["Car"]))])));
    assert_eq!(merged.metrics, Some(HashMap::from([("Age".to_owned(), 41.5), ("Visits".to_owned(), 2.0)])));
    let demographic = merged.demographic.clone().unwrap();
    assert_eq!((demographic.make.as_deref(), demographic.model.as_deref()), (Some("B"), Some("M")));
    let location = merged.location.clone().unwrap();
    assert_eq!((location.city.as_deref(), location.country.as_deref()), (Some("Ulm"), Some("DE")));
    assert_eq!(location.latitude, Some(48.4));
    assert_eq!((merged.opt_out.as_deref(), merged.creation_date.as_deref()), (Some("ALL"), Some(made)));
    assert_eq!(merged.effective_date.as_deref(), Some("2026-11-23T00:01:00.000Z"));
    assert_eq!(merged.cohort_id, first.cohort_id);
    assert_ne!(merged.request_id, first.request_id);

    let sdk = world.sdk();
    let deleted = sdk.delete_endpoint().application_id(&app).endpoint_id("e1").send().await.unwrap();
    assert_eq!(deleted.endpoint_response, Some(merged));
    let gone = sdk.get_endpoint().application_id(&app).endpoint_id("e1").send().await;
    let gone = gone.unwrap_err().into_service_error();
    assert!(gone.is_not_found_exception(), "{gone:?}");
    assert_eq!(gone.message(), Some("Resource not found"));
    let again = sdk.delete_endpoint().application_id(&app).endpoint_id("e1").send().await;
    assert!(again.unwrap_err().into_service_error().is_not_found_exception());
}

#[tokio::test]
async fn a_repeated_deletion_gets_the_first_answer() {
    let world = World::start().await;
    let (app, log) = (world.app("a").await, Arc::clone(&world.server.engine.log));
    let paths = [format!("/v1/apps/{app}/endpoints/e"), format!("/v1/apps/{app}/users/u")];
    for path in &paths {
        let delete = |attempt: &str| {
            let call = world.call("DELETE", path).header("amz-sdk-invocation-id", path);
            call.header("amz-sdk-request", &format!("attempt={attempt}; max=3")).send()
        };
        let request = EndpointRequest::builder().user(EndpointUser::builder().user_id("u").build());
        let projecting = world.projecting();
        update(&world.sdk(), &app, "e", request.build()).await;
        drop(projecting);
        // The caller goes away before the deletion is visible: nobody folds it.
        let end = log.end(engine::SHARD);
        tokio::select! {
            answer = delete("1") => panic!("{answer:?}"),
            waited = log.wait_beyond(engine::SHARD, end) => waited.unwrap(),
        }
        let shown = world.call("GET", path).send().await;
        let projecting = world.projecting();
        world.server.engine.wait_projected(end).await;
        // The second one comes from a client that does not count its attempts.
        for attempt in ["2", "1"] {
            let repeat = delete(attempt).await;
            assert_eq!((repeat.status, repeat.json()), (202, shown.json()));
        }
        let other = world.call("DELETE", path).header("amz-sdk-invocation-id", "other").send().await;
        other.assert_error(404, "NotFoundException", "Resource not found");
        drop(projecting);
    }
}

#[tokio::test]
async fn the_endpoints_of_a_user_share_its_attributes() {
    let world = World::start().await;
    let _projecting = world.projecting();
    let (sdk, app) = (world.sdk(), world.app("a").await);
    let user = EndpointUser::builder().user_id("u").user_attributes("Name", texts(&["Ann"])).build();
    update(&sdk, &app, "e1", EndpointRequest::builder().user(user).build()).await;
    let user = EndpointUser::builder().user_id("u").user_attributes("City", texts(&["Ulm"])).build();
    update(&sdk, &app, "e2", EndpointRequest::builder().user(user).build()).await;
    let shared = HashMap::from([("Name".to_owned(), texts(&["Ann"])), ("City".to_owned(), texts(&["Ulm"]))]);
    let found = sdk.get_user_endpoints().application_id(&app).user_id("u").send().await.unwrap();
    let found = found.endpoints_response.unwrap().item.unwrap();
    assert_eq!(
        found.iter().map(|endpoint| endpoint.id.as_deref()).collect::<Vec<_>>(),
        [Some("e1"), Some("e2")]
    );
    for endpoint in &found {
        assert_eq!(endpoint.user.as_ref().unwrap().user_attributes, Some(shared.clone()));
    }
    // Ids of users are compared with their case.
    let other = sdk.get_user_endpoints().application_id(&app).user_id("U").send().await;
    let other = other.unwrap_err().into_service_error();
    assert!(other.is_not_found_exception() && other.message() == Some("Resource not found"), "{other:?}");

    let deleted = sdk.delete_user_endpoints().application_id(&app).user_id("u").send().await.unwrap();
    assert_eq!(deleted.endpoints_response.unwrap().item, Some(found));
    let gone = sdk.get_user_endpoints().application_id(&app).user_id("u").send().await;
    assert!(gone.unwrap_err().into_service_error().is_not_found_exception());
    let gone = sdk.get_endpoint().application_id(&app).endpoint_id("e1").send().await;
    assert!(gone.unwrap_err().into_service_error().is_not_found_exception());
}

#[tokio::test]
async fn a_user_has_up_to_fifteen_endpoints() {
    let world = World::start().await;
    let _projecting = world.projecting();
    let app = world.app("a").await;
    let of_user = |channel: &str, address: &str| json!({"Address": address, "ChannelType": channel, "User": {"UserId": "u"}});
    for number in 0..15 {
        let channel = if number == 4 { "GCM" } else { "EMAIL" };
        put_done(&world, &app, &format!("e{number}"), &of_user(channel, &format!("a{number}"))).await;
    }
    let refused = put(&world, &app, "x", &of_user("EMAIL", "x")).await;
    refused.assert_error(400, "BadRequestException", "Exceeded maximum endpoint per user count: 15");
    assert_eq!(world.call("GET", &format!("/v1/apps/{app}/endpoints/x")).send().await.status, 404);
    // A device takes the place of the user's oldest one.
    put_done(&world, &app, "x", &of_user("APNS", "x")).await;
    let displaced = read(&world, &app, "e4").await;
    assert_eq!((&displaced["EndpointStatus"], &displaced["User"]), (&json!("INACTIVE"), &json!({})));
    let users = world.call("GET", &format!("/v1/apps/{app}/users/u")).send().await.json();
    assert_eq!(users["Item"].as_array().unwrap().len(), 15);
}

#[tokio::test]
async fn the_last_who_claims_an_address_has_it() {
    let world = World::start().await;
    let _projecting = world.projecting();
    let app = world.app("a").await;
    put_done(&world, &app, "old", &email("ann@example.com")).await;
    put_done(&world, &app, "new", &email("ann@example.com")).await;
    assert_eq!(read(&world, &app, "old").await["EndpointStatus"], "INACTIVE");
    assert_eq!(read(&world, &app, "new").await["EndpointStatus"], "ACTIVE");
}

#[tokio::test]
async fn an_update_that_says_nothing_activates() {
    let world = World::start().await;
    let _projecting = world.projecting();
    let app = world.app("a").await;
    put_done(&world, &app, "e", &email("ann@example.com")).await;
    put_done(&world, &app, "e", &json!({"EndpointStatus": "INACTIVE"})).await;
    let before = read(&world, &app, "e").await;
    assert_eq!(before["EndpointStatus"], "INACTIVE");
    world.advance(Duration::from_secs(1));

    // In PutEvents it only says that the endpoint was active.
    let events = json!({"BatchItem": {"e": {"Endpoint": {}, "Events": {}}}}).to_string();
    let answer = world.call("POST", &format!("/v1/apps/{app}/events")).body(events).send().await;
    assert_eq!(answer.status, 202);
    put_done(&world, &app, "other", &json!({})).await;
    assert_eq!(read(&world, &app, "e").await, before);

    let answer = put(&world, &app, "e", &json!({})).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let after = read(&world, &app, "e").await;
    assert_eq!(after["EndpointStatus"], "ACTIVE");
    assert_eq!(after["EffectiveDate"], "2026-11-23T00:00:01.000Z");
    assert_eq!(after["RequestId"], answer.json()["RequestID"]);
    assert_eq!(after["Address"], before["Address"]);
}

#[tokio::test]
async fn an_id_may_hold_any_sign_that_a_path_can() {
    let world = World::start().await;
    let _projecting = world.projecting();
    let (sdk, app) = (world.sdk(), world.app("a").await);
    let id = "eq/b3+x y";
    update(&sdk, &app, id, EndpointRequest::builder().build()).await;
    assert_eq!(get(&sdk, &app, id).await.id.as_deref(), Some(id));
    assert_eq!(read(&world, &app, "EQ%2fb3%2Bx%20Y").await["Id"], id);
    assert_eq!(world.call("GET", &format!("/v1/apps/{app}/endpoints/eq/b3+x%20y")).send().await.status, 404);
    for wrong in ["%24", "a%7Bb", "%7D"] {
        let refused = put(&world, &app, wrong, &json!({})).await;
        refused.assert_error(400, "BadRequestException", "Endpoint id must not contain $, { or }");
    }
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_with_a_reason() {
    let world = World::start().await;
    let _projecting = world.projecting();
    let app = world.app("a").await;
    let long = "x".repeat(101);
    for (body, part) in [
        ("", "request body is required"),
        ("{", "EOF while parsing"),
        ("[1,2]", "invalid type"),
        (r#"{"Address":5}"#, "invalid type: integer `5`"),
        (r#"{"Address":"a"}"#, "Missing ChannelType"),
        (r#"{"ChannelType":"EMAIL","OptOut":"ALL"}"#, "Missing Address"),
        (r#"{"ChannelType":"FAX"}"#, "unknown ChannelType"),
        (r#"{"OptOut":"MAYBE"}"#, "OptOut must be ALL or NONE"),
        (&format!(r#"{{"Attributes":{{"a":["{long}"]}}}}"#), "Value of attribute a has more than 100"),
        (&format!(r#"{{"Metrics":{{"{long}":1}}}}"#), "Name of metric has more than 50"),
    ] {
        let path = format!("/v1/apps/{app}/endpoints/e");
        let answer = world.call("PUT", &path).body(body).send().await;
        let message = answer.json()["Message"].as_str().unwrap().to_owned();
        answer.assert_error(400, "BadRequestException", &message);
        assert!(message.contains(part), "{body}: {message}");
    }
    let answer = put(&world, "0123456789abcdef0123456789abcdef", "e", &json!({})).await;
    answer.assert_error(404, "NotFoundException", "Application not found");
    assert_eq!(world.call("GET", &format!("/v1/apps/{app}/endpoints/e")).send().await.status, 404);
}

#[tokio::test]
async fn a_batch_is_taken_as_a_whole() {
    let world = World::start().await;
    let _projecting = world.projecting();
    let (sdk, app) = (world.sdk(), world.app("a").await);
    let send = |items: Vec<EndpointBatchItem>| {
        let request = EndpointBatchRequest::builder().set_item(Some(items)).build();
        sdk.update_endpoints_batch().application_id(&app).endpoint_batch_request(request).send()
    };
    let item = |id: &str| EndpointBatchItem::builder().id(id);
    let many = |count: usize| (0..count).map(|number| item(&format!("e{number}")).build()).collect();
    let refused = send(many(101)).await.unwrap_err().into_service_error();
    assert_eq!(refused.message(), Some("A batch holds 1 to 100 endpoints"));
    assert!(send(Vec::new()).await.unwrap_err().into_service_error().is_bad_request_exception());
    send(many(100)).await.unwrap();
    assert_eq!(get(&sdk, &app, "e99").await.id.as_deref(), Some("e99"));

    // A fault that is seen without the state refuses all.
    let faulty = item("$").build();
    let refused = send(vec![item("first").build(), faulty]).await.unwrap_err().into_service_error();
    assert_eq!(refused.message(), Some("Item 1: Endpoint id must not contain $, { or }"));
    assert!(sdk.get_endpoint().application_id(&app).endpoint_id("first").send().await.is_err());
    // One that the state shows refuses its own item; of two items with one id the last wins.
    let bus = item("two").attributes("Ride", texts(&["Bus"])).build();
    let car = item("TWO").attributes("Ride", texts(&["Car"])).build();
    let refused = send(vec![bus, item("bad").address("x").build(), car]).await.unwrap_err();
    let text = "1 of 3 endpoints were refused, the others were updated; bad: Missing ChannelType";
    assert_eq!(refused.into_service_error().message(), Some(text));
    let expected = HashMap::from([("Ride".to_owned(), texts(&["Car"]))]);
    assert_eq!(get(&sdk, &app, "two").await.attributes, Some(expected));
    assert!(sdk.get_endpoint().application_id(&app).endpoint_id("bad").send().await.is_err());
}

#[tokio::test]
async fn removed_attributes_are_not_captured_and_not_counted() {
    let world = World::start().await;
    let _projecting = world.projecting();
    let (sdk, app) = (world.sdk(), world.app("a").await);
    let names = |range: std::ops::Range<usize>, value: &str| {
        let list: serde_json::Map<String, Value> =
            range.map(|number| (format!("n{number}"), json!([value]))).collect();
        json!({ "Attributes": list })
    };
    put_done(&world, &app, "e", &names(0..250, "x")).await;
    let text = "Too many custom attributes: an application keeps at most 250 names";
    put(&world, &app, "f", &names(250..251, "x")).await.assert_error(400, "BadRequestException", text);

    let remove = |kind: &str, list: &[&str]| {
        let request = UpdateAttributesRequest::builder().set_blacklist(Some(texts(list))).build();
        let call = sdk.remove_attributes().application_id(&app).attribute_type(kind);
        call.update_attributes_request(request).send()
    };
    let removed = remove("endpoint-custom-attributes", &["n24?"]).await.unwrap().attributes_resource.unwrap();
    assert_eq!(removed.application_id.as_ref(), Some(&app));
    assert_eq!(removed.attribute_type.as_deref(), Some("endpoint-custom-attributes"));
    assert_eq!(removed.attributes, Some(texts(&["n24?"])));
    // Ten names are free again; values stay, and change no more.
    put_done(&world, &app, "f", &names(250..260, "x")).await;
    put(&world, &app, "f", &names(260..261, "x")).await.assert_error(400, "BadRequestException", text);
    put_done(&world, &app, "e", &names(240..250, "changed")).await;
    assert_eq!(read(&world, &app, "e").await["Attributes"]["n240"], json!(["x"]));
    // The whole list is answered; each kind has its own.
    let removed = remove("endpoint-custom-attributes", &["n1"]).await.unwrap().attributes_resource.unwrap();
    assert_eq!(removed.attributes, Some(texts(&["n1", "n24?"])));
    let removed = remove("endpoint-user-attributes", &["n1"]).await.unwrap().attributes_resource.unwrap();
    assert_eq!(removed.attributes, Some(texts(&["n1"])));
    let refused = remove("endpoint-other-attributes", &["n1"]).await.unwrap_err().into_service_error();
    assert!(refused.is_bad_request_exception(), "{refused:?}");
    assert!(remove("endpoint-user-attributes", &[]).await.is_err());
}

#[tokio::test]
async fn an_account_makes_no_more_endpoints_than_its_quota() {
    let quotas = Quotas { endpoints: Some(2), ..Quotas::default() };
    let options = Options { throttle_scale: None, quotas };
    let world = World::start_with(options, |server| server).await;
    let _projecting = world.projecting();
    let (app, other) = (world.app("a").await, world.app("b").await);
    put_done(&world, &app, "e1", &json!({})).await;
    put_done(&world, &other, "e2", &json!({})).await;

    let text = "Too many endpoints: the account has as many as its quota allows";
    put(&world, &app, "e3", &json!({})).await.assert_error(400, "BadRequestException", text);
    let batch = async |ids: &[&str]| {
        let items: Vec<Value> = ids.iter().map(|id| json!({"Id": id, "Attributes": {"a": ["b"]}})).collect();
        let path = format!("/v1/apps/{app}/endpoints");
        world.call("PUT", &path).body(json!({ "Item": items }).to_string()).send().await
    };
    batch(&["e1", "e4"]).await.assert_error(400, "BadRequestException", text);
    assert_eq!(read(&world, &app, "e1").await["Attributes"], json!({}), "refused as a whole");
    let events = json!({"BatchItem": {
        "e1": {"Endpoint": {"Attributes": {"x": ["y"]}}, "Events": {}},
        "e5": {"Endpoint": {}, "Events": {}},
        "e6": {"Endpoint": {"Attributes": {"x": ["y"]}}, "Events": {}},
    }});
    let answer = world.call("POST", &format!("/v1/apps/{app}/events")).body(events.to_string()).send().await;
    let answer = answer.json();
    let status = |id: &str| answer["Results"][id]["EndpointItemResponse"].clone();
    assert_eq!(status("e1")["StatusCode"], 202, "{answer}");
    for id in ["e5", "e6"] {
        assert_eq!(status(id), json!({"StatusCode": 400, "Message": text}));
        assert_eq!(world.call("GET", &format!("/v1/apps/{app}/endpoints/{id}")).send().await.status, 404);
    }
    // What exists is changed as before, and what is deleted makes room.
    assert_eq!(batch(&["E1"]).await.status, 202);
    let path = format!("/v1/apps/{other}/endpoints/e2");
    assert_eq!(world.call("DELETE", &path).send().await.status, 202);
    put_done(&world, &app, "e3", &json!({})).await;
    put(&world, &app, "e4", &json!({})).await.assert_error(400, "BadRequestException", text);
}

#[tokio::test]
async fn an_account_makes_no_more_endpoints_than_its_indexes_may_take_memory() {
    let quotas = Quotas { index_bytes: Some(1), ..Quotas::default() };
    let world = World::start_with(Options { throttle_scale: None, quotas }, |server| server).await;
    let _projecting = world.projecting();
    let app = world.app("a").await;
    put_done(&world, &app, "e1", &json!({"Attributes": {"a": ["b"]}})).await;
    let text = "Too many endpoints: the account has as many as its quota allows";
    put(&world, &app, "e2", &json!({})).await.assert_error(400, "BadRequestException", text);
    put_done(&world, &app, "e1", &json!({"Attributes": {"a": ["c"]}})).await;
}

#[tokio::test]
async fn an_import_makes_no_more_endpoints_than_the_quota() {
    let quotas = Quotas { endpoints: Some(1), ..Quotas::default() };
    let options = Options { throttle_scale: None, quotas };
    let world = World::start_in(Some(TempDir::new().unwrap()), options, |server| server).await;
    let app = world.app("a").await;
    {
        let _projecting = world.projecting();
        put_done(&world, &app, "e1", &json!({})).await;
    }
    let file = world.object("s3://bucket/in.csv");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, "Id,Attributes.Ride\ne1,Bus\ne2,Bus\n").unwrap();
    let job = json!({"Format": "CSV", "S3Url": "s3://bucket/in.csv", "RegisterEndpoints": true,
        "RoleArn": "arn:aws:iam::123456789012:role/jobs"});
    let path = format!("/v1/apps/{app}/jobs/import");
    let job = world.call("POST", &path).body(job.to_string()).send().await.json();
    world.run_jobs().await;
    let path = format!("{path}/{}", job["Id"].as_str().unwrap());
    let job = world.call("GET", &path).send().await.json();
    assert_eq!((&job["TotalProcessed"], &job["TotalFailures"]), (&json!(1), &json!(1)), "{job}");
    let text = "e2: Too many endpoints: the account has as many as its quota allows";
    assert_eq!(job["Failures"], json!([text]));
    assert_eq!(read(&world, &app, "e1").await["Attributes"], json!({"Ride": ["Bus"]}));
}
