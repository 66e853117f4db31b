//! Jobs that are not made, and jobs that are not there.

use engine::jobs::RUNNING_MAX;
use serde_json::{Value, json};

use super::{CSV, ROLE, call, csv, get, gzip, import_of, made, merged, put, text};
use crate::support::World;

/// Asserts that a job is refused with a text that has `part`, and leaves nothing behind.
async fn refused(world: &World, app: &str, kind: &str, body: &Value, (status, part): (u16, &str)) {
    let before = get(world, &format!("{app}/segments")).await;
    let path = format!("/v1/apps/{app}/jobs/{kind}");
    let answer = world.call("POST", &path).body(body.to_string()).send().await;
    let code = if status == 404 { "NotFoundException" } else { "BadRequestException" };
    assert_eq!((answer.status, answer.header("x-amzn-errortype")), (status, code), "{body} {answer:?}");
    assert!(text(&answer.json(), "/Message").contains(part), "{body} {answer:?}");
    assert_eq!(get(world, &format!("{app}/jobs/{kind}")).await, json!({"Item": []}));
    assert_eq!(get(world, &format!("{app}/segments")).await, before);
}

fn without(mut body: Value, member: &str) -> Value {
    body.as_object_mut().unwrap().remove(member).unwrap();
    body
}

#[tokio::test]
async fn an_import_has_to_say_what_from_where_and_what_for() {
    let world = World::start_with_objects().await;
    let app = world.app("a").await;
    let whole = import_of("s3://bucket/x", json!({}));
    for member in ["Format", "S3Url", "RoleArn"] {
        refused(&world, &app, "import", &without(whole.clone(), member), (400, member)).await;
    }
    let long = "x".repeat(2_049);
    for (members, part) in [
        (json!({"Format": "XML"}), "XML"),
        (json!({"S3Url": ""}), "S3Url is required"),
        (
            json!({"S3Url": "bucket/x"}),
            "S3Url: \"bucket/x\" is not a URL of an S3 object: it does not begin with s3://",
        ),
        (json!({"S3Url": "s3://"}), "S3Url: "),
        (json!({"S3Url": "s3://bucket/../x"}), "S3Url: "),
        (json!({"RoleArn": " "}), "RoleArn is required"),
        (json!({"RoleArn": long}), "RoleArn has more than 2048 characters"),
        (json!({"ExternalId": long}), "ExternalId has more than 1224 characters"),
        (json!({"SegmentName": long}), "SegmentName has more than 256 characters"),
        (json!({"DefineSegment": false}), "At least one of DefineSegment and RegisterEndpoints must be true"),
        (json!({"DefineSegment": false, "RegisterEndpoints": false}), "At least one of"),
        (
            json!({"DefineSegment": false, "RegisterEndpoints": true, "SegmentId": "x"}),
            "SegmentId needs DefineSegment",
        ),
    ] {
        refused(&world, &app, "import", &merged(whole.clone(), members), (400, part)).await;
    }
}

#[tokio::test]
async fn an_import_only_goes_into_an_imported_segment() {
    let world = World::start_with_objects().await;
    let app = world.app("a").await;
    let (_, segment) = call(&world, "POST", &format!("{app}/segments"), &json!({"Name": "dynamic"})).await;
    let dynamic = import_of("s3://bucket/x", json!({"SegmentId": text(&segment, "/Id")}));
    refused(&world, &app, "import", &dynamic, (400, "SegmentId names a segment that was not imported")).await;
    let unknown = import_of("s3://bucket/x", json!({"SegmentId": "unknown"}));
    refused(&world, &app, "import", &unknown, (404, "Resource not found")).await;
}

#[tokio::test]
async fn an_import_whose_first_record_cannot_be_read_is_refused() {
    let world = World::start_with_objects().await;
    let app = world.app("a").await;
    put(&world, "s3://bucket/csv", CSV);
    put(&world, "s3://bucket/csv.gz", gzip(b"Id,Address\n"));
    put(&world, "s3://bucket/colours", "Colour\nred\n");
    put(&world, "s3://bucket/prefix/colours", "Colour\nred\n");
    let unexpected =
        |letter: char| format!("Unexpected character ('{letter}' (code {})): ", u32::from(letter));
    for (object, format, part) in [
        ("csv", "JSON", unexpected('C')),
        ("csv.gz", "JSON", unexpected('I')),
        ("colours", "CSV", "unknown column \"Colour\"".to_owned()),
    ] {
        let body = import_of(&format!("s3://bucket/{object}"), json!({"Format": format}));
        refused(&world, &app, "import", &body, (400, &part)).await;
    }
    // What lies below a prefix may be of other formats: the job tells.
    made(&world, &app, "import", &import_of("s3://bucket/prefix", json!({}))).await;
}

#[tokio::test]
async fn an_export_has_to_say_where_and_of_what_there_is() {
    let world = World::start_with_objects().await;
    let app = world.app("a").await;
    put(&world, "s3://bucket/x", csv(&["1@example.com"]));
    let (_, segment) = call(&world, "POST", &format!("{app}/segments"), &json!({"Name": "s"})).await;
    let segment = text(&segment, "/Id");
    let whole = json!({"RoleArn": ROLE, "S3UrlPrefix": "s3://bucket/out"});
    for member in ["S3UrlPrefix", "RoleArn"] {
        refused(&world, &app, "export", &without(whole.clone(), member), (400, member)).await;
    }
    for (members, expected) in [
        (json!({"RoleArn": ""}), (400, "RoleArn is required")),
        (json!({"S3UrlPrefix": ""}), (400, "S3UrlPrefix is required")),
        (json!({"S3UrlPrefix": "https://bucket/out"}), (400, "S3UrlPrefix: \"https://bucket/out\" is not")),
        (json!({"SegmentVersion": 1}), (400, "SegmentVersion needs SegmentId")),
        (json!({"SegmentId": "unknown"}), (404, "Resource not found")),
        (json!({"SegmentId": segment, "SegmentVersion": 2}), (404, "Resource not found")),
        (json!({"SegmentId": segment, "SegmentVersion": -1}), (404, "Resource not found")),
    ] {
        refused(&world, &app, "export", &merged(whole.clone(), members), expected).await;
    }
}

#[tokio::test]
async fn without_an_object_store_the_operator_is_named_what_to_configure() {
    let world = World::start().await;
    let app = world.app("a").await;
    let message =
        "this server has no object store: its operator has to set objects.directory or objects.s3_endpoint";
    refused(&world, &app, "import", &import_of("s3://bucket/x", json!({})), (400, message)).await;
    let export = json!({"RoleArn": ROLE, "S3UrlPrefix": "s3://bucket/out"});
    refused(&world, &app, "export", &export, (400, message)).await;
}

#[tokio::test]
async fn an_account_has_a_limited_number_of_active_jobs_of_each_kind() {
    let world = World::start_with_objects().await;
    let (app, other) = (world.app("a").await, world.app("b").await);
    put(&world, "s3://bucket/x", csv(&["1@example.com"]));
    let export = json!({"RoleArn": ROLE, "S3UrlPrefix": "s3://bucket/out"});
    for (kind, body) in [("import", import_of("s3://bucket/x", json!({}))), ("export", export)] {
        for _ in 0..RUNNING_MAX {
            made(&world, &app, kind, &body).await;
        }
        let message = format!("Too many active {kind} jobs: an account may have 10 at a time");
        refused(&world, &other, kind, &body, (400, &message)).await;
        world.run_jobs().await;
        made(&world, &other, kind, &body).await;
    }
}

#[tokio::test]
async fn what_is_not_there_is_not_found() {
    let world = World::start_with_objects().await;
    let (app, other) = (world.app("a").await, world.app("b").await);
    let import = made(&world, &app, "import", &import_of("s3://bucket/x", json!({}))).await;
    let (id, segment) = (text(&import, "/Id"), text(&import, "/Definition/SegmentId"));
    let import = import_of("s3://bucket/x", json!({})).to_string();
    let export = json!({"RoleArn": ROLE, "S3UrlPrefix": "s3://bucket/out"}).to_string();
    for (method, path, body) in [
        ("POST", "jobs/import".to_owned(), import.as_str()),
        ("POST", "jobs/export".to_owned(), &export),
        ("GET", "jobs/import".to_owned(), ""),
        ("GET", "jobs/export".to_owned(), ""),
        ("GET", format!("jobs/import/{id}"), ""),
        ("GET", format!("jobs/export/{id}"), ""),
        ("GET", format!("segments/{segment}/jobs/import"), ""),
        ("GET", format!("segments/{segment}/jobs/export"), ""),
    ] {
        let unknown_app = world.call(method, &format!("/v1/apps/unknown/{path}")).body(body).send().await;
        unknown_app.assert_error(404, "NotFoundException", "Application not found");
    }
    // An export has not the ids of imports, nor another application those of this one.
    for path in [
        format!("{app}/jobs/import/unknown"),
        format!("{app}/jobs/export/{id}"),
        format!("{other}/jobs/import/{id}"),
        format!("{app}/segments/unknown/jobs/import"),
        format!("{app}/segments/unknown/jobs/export"),
        format!("{other}/segments/{segment}/jobs/import"),
    ] {
        let answer = world.call("GET", &format!("/v1/apps/{path}")).send().await;
        answer.assert_error(404, "NotFoundException", "Resource not found");
    }
}
