use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::sync::Arc;

use engine::jobs::{self, Kind, Outcome};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use store::kv::faults::{Fault, FaultPlan, FaultyKv};
use store::kv::memory::MemoryKv;
use store::log::memory::MemoryLog;
use store::tables::jobs::JobStatus;
use tokio_util::sync::CancellationToken;

use super::world::{World, app, csv};

/// The documents of an export, by id; and the names of its parts.
fn exported(world: &World, folder: &str) -> (BTreeMap<String, Value>, Vec<String>) {
    let mut documents = BTreeMap::new();
    let mut names = Vec::new();
    for file in fs::read_dir(world.objects.path().join(folder)).unwrap() {
        let file = file.unwrap();
        names.push(file.file_name().into_string().unwrap());
        let mut text = String::new();
        GzDecoder::new(fs::File::open(file.path()).unwrap()).read_to_string(&mut text).unwrap();
        for line in text.lines() {
            let document: Value = serde_json::from_str(line).unwrap();
            assert!(documents.insert(document["Id"].as_str().unwrap().to_owned(), document).is_none());
        }
    }
    names.sort();
    (documents, names)
}

/// An endpoint without what another application gives it anew.
fn portable(mut document: Value) -> Value {
    for own in ["ApplicationId", "CohortId", "CreationDate", "RequestId"] {
        document.as_object_mut().unwrap().remove(own);
    }
    document
}

#[tokio::test]
async fn what_is_exported_can_be_imported_elsewhere() {
    let world = World::new();
    let (from, to) = (app("from"), app("to"));
    let rich = json!({
        "ChannelType": "EMAIL", "Address": "ä@example.com", "OptOut": "ALL", "EffectiveDate": "2026-11-01T00:00:00.000Z",
        "Attributes": {"A": ["x", "\"y\"\n"]}, "Metrics": {"M": 1.5},
        "Demographic": {"Locale": "de_DE", "Timezone": "Europe/Berlin"},
        "Location": {"Country": "DE", "Latitude": 47.6, "Longitude": 7.0},
        "User": {"UserId": "u", "UserAttributes": {"U": ["1", "2"]}},
    });
    world.put_endpoint(&from, "Rich", &rich).await;
    world
        .put_endpoint(
            &from,
            "second",
            &json!({"ChannelType": "SMS", "Address": "+49", "User": {"UserId": "u"}}),
        )
        .await;
    world.object("x", csv(0, 900).as_bytes());
    world.imported(&from, "in", json!({"Format": "CSV", "S3Url": "s3://bucket/x"})).await;

    let state = world.exported(&from, "out", "s3://backup/of/from", None).await;
    assert_eq!((state.status, state.processed, state.pieces), (JobStatus::Completed, 902, 1), "{state:?}");
    let (documents, names) = exported(&world, "backup/of/from");
    assert_eq!(names, ["out-00000.gz"]);
    assert_eq!(documents.len(), 902);
    assert_eq!(documents["Rich"], world.endpoint(&from, "rich").await.unwrap());

    let state = world.imported(&to, "in", json!({"Format": "JSON", "S3Url": "s3://backup/of/from/"})).await;
    assert_eq!((state.status, state.processed, state.failed), (JobStatus::Completed, 902, 0), "{state:?}");
    for (id, document) in documents {
        let copy = world.endpoint(&to, &id).await.unwrap();
        assert_eq!(portable(copy), portable(document), "{id}");
    }
}

#[tokio::test]
async fn a_segment_is_exported_with_the_endpoints_that_it_has() {
    let world = World::new();
    let app = app("a");
    world.object("x", csv(0, 10).as_bytes());
    world.imported(&app, "segment", json!({"Format": "CSV", "S3Url": "s3://bucket/x"})).await;
    world.object("y", csv(10, 500).as_bytes());
    world.imported(&app, "another", json!({"Format": "CSV", "S3Url": "s3://bucket/y"})).await;
    let state = world.exported(&app, "out", "s3://bucket/out/", Some("segment")).await;
    assert_eq!((state.status, state.processed), (JobStatus::Completed, 10));
    assert_eq!(exported(&world, "bucket/out").0.len(), 10);

    let state = world.exported(&app, "none", "s3://bucket/none", Some("unknown")).await;
    assert_eq!((state.status, state.failures.len()), (JobStatus::Failed, 1));
    // Who waits for a file gets one.
    let state = world.exported(&super::world::app("empty"), "out", "s3://empty", None).await;
    assert_eq!((state.status, state.processed, state.pieces), (JobStatus::Completed, 0, 1));
    assert_eq!(exported(&world, "empty"), (BTreeMap::new(), vec!["out-00000.gz".to_owned()]));
}

#[tokio::test]
async fn parts_are_cut_and_those_of_an_earlier_run_do_not_stay() {
    let world = World::new();
    let app = app("a");
    world.object("x", csv(0, 50_100).as_bytes());
    world.imported(&app, "in", json!({"Format": "CSV", "S3Url": "s3://bucket/x"})).await;
    world.export(&app, "out", "s3://bucket/out", None).await;
    // The job crashes as it tells of its second part, and what it wrote beyond is not its own any more.
    let plan = FaultPlan::none().at(3, Fault::Crash { written: false });
    let kv = Arc::new(FaultyKv::new(Arc::<MemoryKv>::clone(&world.kv), plan));
    let crashed = world.restarted(kv, Arc::<MemoryLog>::clone(&world.log));
    let stop = CancellationToken::new();
    assert!(jobs::run_export(&crashed, &app, "out", &stop).await.is_err());
    fs::write(world.objects.path().join("bucket/out/out-00002.gz"), "leftover").unwrap();
    fs::write(world.objects.path().join("bucket/out/other-00002.gz"), super::world::gzip(b"")).unwrap();

    assert_eq!(jobs::run_export(&world.engine, &app, "out", &stop).await.unwrap(), Outcome::Ended);
    let (documents, names) = exported(&world, "bucket/out");
    assert_eq!(names, ["other-00002.gz", "out-00000.gz", "out-00001.gz"]);
    assert_eq!(documents.len(), 50_100);
    let state = world.state(&app, Kind::Export, "out").await;
    assert_eq!((state.status, state.processed, state.pieces), (JobStatus::Completed, 50_100, 2));
    // A job that is over is not carried out again.
    fs::remove_dir_all(world.objects.path().join("bucket/out")).unwrap();
    assert_eq!(jobs::run_export(&world.engine, &app, "out", &stop).await.unwrap(), Outcome::Ended);
    assert!(!world.objects.path().join("bucket/out").is_dir());
}

#[tokio::test]
async fn a_stopped_export_leaves_no_half_part() {
    let world = World::new();
    let app = app("a");
    world.put_endpoint(&app, "e", &json!({"ChannelType": "SMS", "Address": "+49"})).await;
    world.export(&app, "out", "s3://bucket/out", None).await;
    let stop = CancellationToken::new();
    stop.cancel();
    assert_eq!(jobs::run_export(&world.engine, &app, "out", &stop).await.unwrap(), Outcome::Stopped);
    assert!(!world.objects.path().join("bucket/out").is_dir());
    let go_on = CancellationToken::new();
    assert_eq!(jobs::run_export(&world.engine, &app, "out", &go_on).await.unwrap(), Outcome::Ended);
    assert_eq!(exported(&world, "bucket/out").0.len(), 1);
}
