//! Lists of jobs.

use std::time::Duration;

use serde_json::{Value, json};

use super::{ROLE, call, csv, get, import_of, made, merged, put, text};
use crate::support::World;

/// The ids of a page, and its token.
async fn page(world: &World, target: &str) -> (Vec<String>, Option<String>) {
    let page = get(world, target).await;
    let ids = page["Item"].as_array().unwrap().iter().map(|job| text(job, "/Id").to_owned());
    (ids.collect(), page.get("NextToken").map(|token| token.as_str().unwrap().to_owned()))
}

#[tokio::test]
async fn jobs_are_listed_newest_first_and_in_pages() {
    let world = World::start_with_objects().await;
    let app = world.app("a").await;
    let export = json!({"RoleArn": ROLE, "S3UrlPrefix": "s3://bucket/out"});
    for (kind, body) in [("import", import_of("s3://bucket/x", json!({}))), ("export", export)] {
        let list = format!("{app}/jobs/{kind}");
        assert_eq!(get(&world, &list).await, json!({"Item": []}));
        let mut jobs = Vec::new();
        for _ in 0..3 {
            jobs.insert(0, made(&world, &app, kind, &body).await);
            world.advance(Duration::from_secs(1));
        }
        // Each as it is shown alone.
        assert_eq!(get(&world, &list).await, json!({"Item": jobs}));
        let ids: Vec<&str> = jobs.iter().map(|job| text(job, "/Id")).collect();
        let (first, token) = page(&world, &format!("{list}?page-size=2")).await;
        assert_eq!(first, ids[..2]);
        let (second, end) = page(&world, &format!("{list}?page-size=2&token={}", token.unwrap())).await;
        assert_eq!((second.as_slice(), end), (&[ids[2].to_owned()][..], None));
        for query in ["page-size=0", "page-size=x", "token=nonsense"] {
            assert_eq!(call(&world, "GET", &format!("{list}?{query}"), &Value::Null).await.0, 400, "{query}");
        }
    }
    let sdk = world.sdk();
    let imports = sdk.get_import_jobs().application_id(&app).page_size("1").send().await.unwrap();
    let imports = imports.import_jobs_response.unwrap();
    assert_eq!(imports.item.unwrap()[0].r#type.as_deref(), Some("IMPORT"));
    let next =
        sdk.get_import_jobs().application_id(&app).token(imports.next_token.unwrap()).send().await.unwrap();
    assert_eq!(next.import_jobs_response.unwrap().item.unwrap().len(), 2);
    let exports = sdk.get_export_jobs().application_id(&app).send().await.unwrap();
    assert_eq!(exports.export_jobs_response.unwrap().item.unwrap().len(), 3);
}

#[tokio::test]
async fn a_segment_lists_the_jobs_that_fill_or_export_it() {
    let world = World::start_with_objects().await;
    let (sdk, app) = (world.sdk(), world.app("a").await);
    put(&world, "s3://bucket/x", csv(&["1@example.com"]));
    let import = async |members: Value| {
        world.advance(Duration::from_secs(1));
        made(&world, &app, "import", &import_of("s3://bucket/x", members)).await
    };
    let first = import(json!({})).await;
    let segment = text(&first, "/Definition/SegmentId");
    let other = import(json!({})).await;
    let again = import(json!({"SegmentId": segment})).await;
    import(json!({"DefineSegment": false, "RegisterEndpoints": true})).await;
    let mut exports = Vec::new();
    for members in
        [json!({"SegmentId": segment}), json!({"SegmentId": segment, "SegmentVersion": 1}), json!({})]
    {
        let body = merged(json!({"RoleArn": ROLE, "S3UrlPrefix": "s3://bucket/out"}), members);
        world.advance(Duration::from_secs(1));
        exports.insert(0, made(&world, &app, "export", &body).await);
    }

    let list = format!("{app}/segments/{segment}/jobs");
    assert_eq!(get(&world, &format!("{list}/import")).await, json!({"Item": [&again, &first]}));
    assert_eq!(get(&world, &format!("{list}/export")).await, json!({"Item": exports[1..]}));
    let (ids, token) = page(&world, &format!("{list}/import?page-size=1")).await;
    assert_eq!(ids, [text(&again, "/Id")]);
    let (ids, end) = page(&world, &format!("{list}/import?page-size=1&token={}", token.unwrap())).await;
    assert_eq!((ids.as_slice(), end), (&[text(&first, "/Id").to_owned()][..], None));
    let (ids, _) = page(&world, &format!("{list}/export?page-size=1")).await;
    assert_eq!(ids, [text(&exports[1], "/Id")]);

    let other_segment = text(&other, "/Definition/SegmentId");
    let imports = sdk.get_segment_import_jobs().application_id(&app).segment_id(other_segment);
    let imports = imports.send().await.unwrap().import_jobs_response.unwrap().item.unwrap();
    assert_eq!((imports.len(), imports[0].id.as_deref()), (1, Some(text(&other, "/Id"))));
    let exports = sdk.get_segment_export_jobs().application_id(&app).segment_id(other_segment);
    assert_eq!(exports.send().await.unwrap().export_jobs_response.unwrap().item.unwrap(), []);
}
