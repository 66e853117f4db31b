//! Import and export jobs.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::time::Duration;

use aws_sdk_pinpoint::types::{
    ExportJobRequest, Format, ImportJobRequest, ImportJobResponse, JobStatus, SegmentType,
};
use domain::channels::ChannelType;
use engine::jobs::RUNNING_MAX;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use store::kv::faults::Fault;

use crate::support::World;

mod lists;
mod refusals;

const ROLE: &str = "arn:aws:iam::123456789012:role/jobs";
const CSV: &str = "ChannelType,Address,Attributes.Ride\n\
    EMAIL,a@example.com,Bus\n\
    SMS,+4915100000001,Train\n\
    PIGEON,nobody,Sky\n";

fn put(world: &World, url: &str, bytes: impl AsRef<[u8]>) {
    let path = world.object(url);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A CSV of new endpoints with these addresses.
fn csv(addresses: &[&str]) -> String {
    let rows = addresses.iter().map(|address| format!("EMAIL,{address}\n"));
    format!("ChannelType,Address\n{}", rows.collect::<String>())
}

async fn call(world: &World, method: &str, target: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = world.call(method, &format!("/v1/apps/{target}")).body(body).send().await;
    (answer.status, answer.json())
}

async fn get(world: &World, target: &str) -> Value {
    let (status, answer) = call(world, "GET", target, &Value::Null).await;
    assert_eq!(status, 200, "{target}: {answer}");
    answer
}

/// An import of CSV, with these members over or beside what each has.
fn import_of(url: &str, members: Value) -> Value {
    merged(json!({"Format": "CSV", "S3Url": url, "RoleArn": ROLE}), members)
}

fn merged(mut body: Value, members: Value) -> Value {
    let Value::Object(members) = members else { panic!("{members} is no object") };
    body.as_object_mut().unwrap().extend(members);
    body
}

/// Makes a job, and answers it.
async fn made(world: &World, app: &str, kind: &str, body: &Value) -> Value {
    let (status, answer) = call(world, "POST", &format!("{app}/jobs/{kind}"), body).await;
    assert_eq!(status, if kind == "import" { 201 } else { 202 }, "{answer}");
    answer
}

fn text<'j>(job: &'j Value, pointer: &str) -> &'j str {
    job.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("no {pointer} in {job}"))
}

/// The documents of an export by id, from every `.gz` below a prefix.
fn exported(world: &World, prefix: &str) -> BTreeMap<String, Value> {
    let mut documents = BTreeMap::new();
    for file in fs::read_dir(world.object(prefix)).unwrap() {
        let path = file.unwrap().path();
        assert!(path.extension().is_some_and(|extension| extension == "gz"), "{}", path.display());
        let mut lines = String::new();
        GzDecoder::new(fs::File::open(path).unwrap()).read_to_string(&mut lines).unwrap();
        for line in lines.lines() {
            let document: Value = serde_json::from_str(line).unwrap();
            documents.insert(document["Id"].as_str().unwrap().to_owned(), document);
        }
    }
    documents
}

fn addresses(documents: &BTreeMap<String, Value>) -> Vec<&str> {
    let mut addresses: Vec<&str> = documents.values().map(|document| text(document, "/Address")).collect();
    addresses.sort_unstable();
    addresses
}

async fn job_of_sdk(world: &World, app: &str, id: &str) -> ImportJobResponse {
    let output = world.sdk().get_import_job().application_id(app).job_id(id).send().await.unwrap();
    output.import_job_response.unwrap()
}

#[tokio::test]
async fn a_file_becomes_endpoints_and_a_segment() {
    let world = World::start_with_objects().await;
    let (sdk, app) = (world.sdk(), world.app("a").await);
    put(&world, "s3://bucket/in/a.csv", CSV);
    let request = ImportJobRequest::builder()
        .format(Format::Csv)
        .s3_url("s3://bucket/in/a.csv")
        .role_arn(ROLE)
        .define_segment(true)
        .segment_name("Riders")
        .build();
    let create = sdk.create_import_job().application_id(&app).import_job_request(request);
    let created = create.send().await.unwrap().import_job_response.unwrap();
    assert_eq!(created.job_status, Some(JobStatus::Created));
    let id = created.id.clone().unwrap();
    let definition = created.definition.clone().unwrap();
    let segment_id = definition.segment_id.clone().unwrap();
    assert_eq!(job_of_sdk(&world, &app, &id).await, created);

    // The segment is there at once, and can be named by a campaign.
    let read = async || {
        let read = sdk.get_segment().application_id(&app).segment_id(&segment_id).send().await.unwrap();
        read.segment_response.unwrap()
    };
    let segment = read().await;
    assert_eq!((segment.segment_type.clone(), segment.version), (Some(SegmentType::Import), Some(1)));
    assert_eq!(segment.name.as_deref(), Some("Riders"));
    assert_eq!(segment.import_definition.unwrap().size, Some(0));
    let campaign = json!({
        "Name": "c", "SegmentId": segment_id, "SegmentVersion": 1, "Schedule": {"StartTime": "IMMEDIATE"},
        "MessageConfiguration": {"EmailMessage": {"Title": "t", "Body": "b"}},
    });
    let (status, campaign) = call(&world, "POST", &format!("{app}/campaigns"), &campaign).await;
    assert_eq!((status, &campaign["SegmentVersion"]), (201, &json!(1)), "{campaign}");

    world.advance(Duration::from_secs(2));
    world.run_jobs().await;
    let job = job_of_sdk(&world, &app, &id).await;
    assert_eq!(job.job_status, Some(JobStatus::Completed));
    assert_eq!(job.completion_date.as_deref(), Some("2026-11-23T00:00:02.000Z"));
    assert_eq!((job.total_processed, job.total_failures), (Some(2), Some(1)));
    assert_eq!((job.total_pieces, job.completed_pieces, job.failed_pieces), (Some(1), Some(1), Some(0)));
    let failures = job.failures.unwrap();
    assert!(failures.len() == 1 && failures[0].starts_with("s3://bucket/in/a.csv line 4: "), "{failures:?}");
    assert_eq!(job.definition.unwrap(), definition);

    let imported = read().await.import_definition.unwrap();
    assert_eq!((imported.size, imported.format), (Some(2), Some(Format::Csv)));
    let counts = [("EMAIL".to_owned(), 1), ("SMS".to_owned(), 1)];
    assert_eq!(imported.channel_counts.unwrap(), counts.into());
    assert_eq!((imported.external_id, imported.role_arn), (definition.external_id, Some(ROLE.to_owned())));
    assert_eq!(imported.s3_url.as_deref(), Some("s3://bucket/in/a.csv"));
    let endpoint_id = domain::import::endpoint_id(ChannelType::Email, "a@example.com");
    let endpoint = sdk.get_endpoint().application_id(&app).endpoint_id(endpoint_id).send().await.unwrap();
    let endpoint = endpoint.endpoint_response.unwrap();
    assert_eq!(endpoint.address.as_deref(), Some("a@example.com"));
    assert_eq!(endpoint.attributes.unwrap()["Ride"], ["Bus"]);
}

#[tokio::test]
async fn the_first_answer_has_what_was_asked_and_the_ids_and_nothing_else() {
    let world = World::start_with_objects().await;
    let app = world.app("a").await;
    let first = |job: &Value, definition: Value| {
        json!({
            "ApplicationId": app, "CreationDate": "2026-11-23T00:00:00.000Z", "Definition": definition,
            "Id": text(job, "/Id"), "JobStatus": "CREATED",
        })
    };
    let body = import_of("s3://bucket/x", json!({"DefineSegment": true}));
    let job = made(&world, &app, "import", &body).await;
    let (segment, external) = (text(&job, "/Definition/SegmentId"), text(&job, "/Definition/ExternalId"));
    assert_eq!([text(&job, "/Id").len(), segment.len(), external.len()], [32; 3], "{job}");
    let ids = json!({"SegmentId": segment, "ExternalId": external});
    let expected = merged(first(&job, merged(body, ids)), json!({"Type": "IMPORT"}));
    assert_eq!(job, expected);
    // Whoever is to carry it out was woken.
    tokio::select! {
        biased;
        () = world.server.engine.jobs.notified() => {}
        () = std::future::ready(()) => panic!("nobody was woken"),
    }

    let only_endpoints = json!({"DefineSegment": false, "RegisterEndpoints": true, "ExternalId": "mine"});
    let body = import_of("s3://bucket/x", only_endpoints);
    let job = made(&world, &app, "import", &body).await;
    assert_eq!(job, merged(first(&job, body), json!({"Type": "IMPORT"})));
    assert_eq!(get(&world, &format!("{app}/segments")).await["Item"].as_array().unwrap().len(), 1);

    let body =
        json!({"RoleArn": ROLE, "S3UrlPrefix": "s3://bucket/out", "SegmentId": segment, "SegmentVersion": 1});
    let job = made(&world, &app, "export", &body).await;
    assert_eq!(job, merged(first(&job, body), json!({"Type": "EXPORT"})));
    tokio::select! {
        biased;
        () = world.server.engine.jobs.notified() => {}
        () = std::future::ready(()) => panic!("nobody was woken"),
    }
}

#[tokio::test]
async fn lines_of_json_are_imported_packed_or_not() {
    let world = World::start_with_objects().await;
    let lines = concat!(
        "{\"Id\":\"E1\",\"ChannelType\":\"SMS\",\"Address\":\"+4901\",\"User\":{\"UserId\":\"u\"}}\n",
        "{\"ChannelType\":\"EMAIL\",\"Address\":\"b@example.com\",\"Attributes\":{\"A\":[\"x\"]}}\n",
    );
    put(&world, "s3://bucket/plain.json", lines);
    put(&world, "s3://bucket/packed", gzip(lines.as_bytes()));
    for object in ["plain.json", "packed"] {
        let app = world.app(object).await;
        let body = import_of(&format!("s3://bucket/{object}"), json!({"Format": "JSON"}));
        let job = made(&world, &app, "import", &body).await;
        world.run_jobs().await;
        let job = get(&world, &format!("{app}/jobs/import/{}", text(&job, "/Id"))).await;
        assert_eq!((&job["JobStatus"], &job["TotalProcessed"]), (&json!("COMPLETED"), &json!(2)), "{job}");
        assert_eq!((&job["TotalFailures"], &job["Failures"]), (&json!(0), &json!([])));
        let endpoint = get(&world, &format!("{app}/endpoints/e1")).await;
        assert_eq!((&endpoint["Id"], &endpoint["Address"]), (&json!("E1"), &json!("+4901")));
        let segment = get(&world, &format!("{app}/segments/{}", text(&job, "/Definition/SegmentId"))).await;
        let definition = &segment["ImportDefinition"];
        assert_eq!((&definition["Size"], &definition["Format"]), (&json!(2), &json!("JSON")), "{segment}");
        assert_eq!(definition["ChannelCounts"], json!({"SMS": 1, "EMAIL": 1}));
    }
}

#[tokio::test]
async fn a_segment_that_is_imported_again_has_a_new_version_with_the_new_members() {
    let world = World::start_with_objects().await;
    let app = world.app("a").await;
    put(&world, "s3://bucket/1", csv(&["1@example.com", "2@example.com"]));
    put(&world, "s3://bucket/2", csv(&["3@example.com"]));
    let body = import_of("s3://bucket/1", json!({"SegmentName": "List"}));
    let first = made(&world, &app, "import", &body).await;
    let segment = text(&first, "/Definition/SegmentId").to_owned();
    world.run_jobs().await;
    world.advance(Duration::from_secs(1));
    let again = import_of("s3://bucket/2", json!({"SegmentId": segment}));
    let again = made(&world, &app, "import", &again).await;
    assert_eq!(text(&again, "/Definition/SegmentId"), segment);
    world.run_jobs().await;

    let shown = get(&world, &format!("{app}/segments/{segment}")).await;
    assert_eq!((&shown["Version"], &shown["Name"]), (&json!(2), &json!("List")), "{shown}");
    assert_eq!(shown["LastModifiedDate"], json!("2026-11-23T00:00:01.000Z"));
    assert_eq!(
        (text(&shown, "/ImportDefinition/S3Url"), &shown["ImportDefinition"]["Size"]),
        ("s3://bucket/2", &json!(1))
    );
    let before = get(&world, &format!("{app}/segments/{segment}/versions/1")).await;
    assert_eq!(
        (text(&before, "/ImportDefinition/S3Url"), &before["ImportDefinition"]["Size"]),
        ("s3://bucket/1", &json!(2))
    );
    for (folder, version, expected) in [
        ("new", json!({}), &["3@example.com"][..]),
        ("old", json!({"SegmentVersion": 1}), &["1@example.com", "2@example.com"]),
    ] {
        let prefix = format!("s3://bucket/{folder}");
        let body = json!({"RoleArn": ROLE, "S3UrlPrefix": prefix, "SegmentId": segment});
        made(&world, &app, "export", &merged(body, version)).await;
        world.run_jobs().await;
        assert_eq!(addresses(&exported(&world, &prefix)), expected);
    }
}

#[tokio::test]
async fn everybody_or_a_segment_is_exported() {
    let world = World::start_with_objects().await;
    let (sdk, app) = (world.sdk(), world.app("a").await);
    put(&world, "s3://bucket/in", CSV);
    made(&world, &app, "import", &import_of("s3://bucket/in", json!({}))).await;
    world.run_jobs().await;
    let only_mail = json!({"Dimensions": {"Demographic": {"Channel": {"Values": ["EMAIL"]}}}});
    let (_, segment) = call(&world, "POST", &format!("{app}/segments"), &only_mail).await;
    for (prefix, segment, expected) in [
        ("s3://out/all/", None, &["+4915100000001", "a@example.com"][..]),
        ("s3://out/some", Some(text(&segment, "/Id")), &["a@example.com"]),
    ] {
        let request = ExportJobRequest::builder().role_arn(ROLE).s3_url_prefix(prefix);
        let request = request.set_segment_id(segment.map(str::to_owned)).build();
        let create = sdk.create_export_job().application_id(&app).export_job_request(request);
        let created = create.send().await.unwrap().export_job_response.unwrap();
        assert_eq!(created.job_status, Some(JobStatus::Created));
        world.run_jobs().await;
        let read = sdk.get_export_job().application_id(&app).job_id(created.id.unwrap());
        let job = read.send().await.unwrap().export_job_response.unwrap();
        assert_eq!(job.job_status, Some(JobStatus::Completed));
        assert_eq!(job.total_processed, Some(expected.len() as i32));
        assert_eq!((job.total_pieces, job.completed_pieces, job.failed_pieces), (Some(1), Some(1), Some(0)));
        assert!(job.completion_date.is_some() && job.failures.unwrap().is_empty());
        // Clients read the prefix back from here (spec/97 C8).
        let definition = job.definition.unwrap();
        assert_eq!(
            (definition.s3_url_prefix.as_deref(), definition.segment_id.as_deref()),
            (Some(prefix), segment)
        );

        let documents = exported(&world, prefix);
        assert_eq!(addresses(&documents), expected);
        for (id, document) in documents {
            assert_eq!(get(&world, &format!("{app}/endpoints/{id}")).await, document);
        }
    }
}

#[tokio::test]
async fn who_selects_by_a_segment_waits_until_its_import_is_over() {
    let world = World::start_with_objects().await;
    let app = world.app("a").await;
    put(&world, "s3://bucket/in", csv(&["1@example.com"]));
    let import = made(&world, &app, "import", &import_of("s3://bucket/in", json!({}))).await;
    let segment = text(&import, "/Definition/SegmentId");
    let body = json!({"RoleArn": ROLE, "S3UrlPrefix": "s3://bucket/out", "SegmentId": segment});
    let export = made(&world, &app, "export", &body).await;
    // Both are due at the same instant, and the export's turn is first.
    world.run_jobs().await;
    assert_eq!(get(&world, &format!("{app}/jobs/import")).await["Item"][0]["JobStatus"], json!("COMPLETED"));
    let path = format!("{app}/jobs/export/{}", text(&export, "/Id"));
    let waiting = get(&world, &path).await;
    assert_eq!((&waiting["JobStatus"], &waiting["CompletedPieces"]), (&json!("PROCESSING"), &json!(0)));
    assert_eq!((waiting.get("TotalPieces"), waiting.get("CompletionDate")), (None, None));
    world.advance(Duration::from_secs(1));
    world.run_jobs().await;
    assert_eq!(get(&world, &path).await["JobStatus"], json!("COMPLETED"));
    assert_eq!(addresses(&exported(&world, "s3://bucket/out")), ["1@example.com"]);
}

#[tokio::test]
async fn a_job_that_fails_says_so() {
    let world = World::start_with_objects().await;
    let app = world.app("a").await;
    fs::create_dir(world.object("s3://bucket")).unwrap();
    let check = async |kind: &str, id: &str, failure: &str| {
        world.run_jobs().await;
        let job = get(&world, &format!("{app}/jobs/{kind}/{id}")).await;
        assert_eq!((&job["JobStatus"], &job["TotalFailures"]), (&json!("FAILED"), &json!(1)), "{job}");
        let pieces =
            ["TotalPieces", "CompletedPieces", "FailedPieces", "TotalProcessed"].map(|name| &job[name]);
        assert_eq!(pieces, [&json!(1), &json!(0), &json!(1), &json!(0)]);
        assert_eq!(job["Failures"], json!([failure]));
        assert!(job.get("CompletionDate").is_some(), "{job}");
    };
    let import = made(&world, &app, "import", &import_of("s3://bucket/none", json!({}))).await;
    let missing = "there is no object s3://bucket/none, and none below it";
    check("import", text(&import, "/Id"), missing).await;

    let (_, segment) = call(&world, "POST", &format!("{app}/segments"), &json!({"Name": "s"})).await;
    let segment = text(&segment, "/Id");
    let body = json!({"RoleArn": ROLE, "S3UrlPrefix": "s3://bucket/out", "SegmentId": segment});
    let export = made(&world, &app, "export", &body).await;
    call(&world, "DELETE", &format!("{app}/segments/{segment}"), &Value::Null).await;
    check("export", text(&export, "/Id"), "the segment or its version does not exist").await;
}

#[tokio::test]
async fn a_repeat_of_an_sdk_makes_one_job() {
    let world = World::start_with_objects().await;
    let app = world.app("a").await;
    let count = async |list: &str| {
        let list = get(&world, &format!("{app}/{list}")).await;
        list["Item"].as_array().unwrap().len()
    };
    let import = import_of("s3://bucket/x", json!({}));
    let export = json!({"RoleArn": ROLE, "S3UrlPrefix": "s3://bucket/out"});
    for (kind, body) in [("import", import), ("export", export)] {
        let path = format!("/v1/apps/{app}/jobs/{kind}");
        let create = async |id: &str, attempt: &str| {
            let call = world.call("POST", &path).header("amz-sdk-invocation-id", id).body(body.to_string());
            let answer = call.header("amz-sdk-request", &format!("attempt={attempt}; max=3")).send().await;
            assert!(answer.status < 300, "{answer:?}");
            answer.json()
        };
        let first = create("id-1", "1").await;
        assert_eq!(create("id-1", "2").await, first);
        assert_eq!(create("id-1", "1").await, first);
        assert_eq!(count(&format!("jobs/{kind}")).await, 1);
        assert_ne!(create("id-2", "1").await["Id"], first["Id"]);
        assert_eq!(count(&format!("jobs/{kind}")).await, 2);
    }
    assert_eq!(count("segments").await, 2);
}

#[tokio::test]
async fn a_job_and_its_segment_are_made_together_or_not_at_all() {
    let world = World::start_with_objects().await;
    let app = world.app("a").await;
    let body = import_of("s3://bucket/x", json!({}));
    world.fail_next([Fault::FailBefore]);
    let (status, _) = call(&world, "POST", &format!("{app}/jobs/import"), &body).await;
    assert_eq!(status, 500);
    for list in ["jobs/import", "segments"] {
        assert_eq!(get(&world, &format!("{app}/{list}")).await, json!({"Item": []}));
    }
    // A lost race is decided again, once for both.
    world.fail_next([Fault::Conflict]);
    made(&world, &app, "import", &body).await;
    for list in ["jobs/import", "segments"] {
        assert_eq!(get(&world, &format!("{app}/{list}")).await["Item"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn jobs_of_a_deleted_application_end() {
    let world = World::start_with_objects().await;
    let (app, other) = (world.app("a").await, world.app("b").await);
    put(&world, "s3://bucket/in", csv(&["1@example.com"]));
    for _ in 0..RUNNING_MAX {
        made(&world, &app, "import", &import_of("s3://bucket/in", json!({}))).await;
    }
    made(&world, &app, "export", &json!({"RoleArn": ROLE, "S3UrlPrefix": "s3://bucket/out"})).await;
    assert_eq!(call(&world, "DELETE", &app, &Value::Null).await.0, 200);
    world.run_jobs().await;
    assert!(!world.object("s3://bucket/out").exists());
    // They take no places any more.
    let job = made(&world, &other, "import", &import_of("s3://bucket/in", json!({}))).await;
    world.run_jobs().await;
    let job = get(&world, &format!("{other}/jobs/import/{}", text(&job, "/Id"))).await;
    assert_eq!(job["JobStatus"], json!("COMPLETED"));
}
