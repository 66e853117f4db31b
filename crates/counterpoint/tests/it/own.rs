//! Our own API is what docs/openapi.json says.

use serde_json::{Value, json};

use crate::support::{World, app, people};

#[tokio::test(flavor = "multi_thread")]
async fn every_call_of_the_document_is_answered() {
    let document: Value = serde_json::from_str(include_str!("../../../../docs/openapi.json")).unwrap();
    let world = World::new();
    let server = world.serve().await;
    let sdk = server.sdk();
    let app = app(&sdk).await;
    people(&sdk, &app, 3).await;
    let segment = aws_sdk_pinpoint::types::WriteSegmentRequest::builder().name("all").build();
    let output =
        sdk.create_segment().application_id(&app).write_segment_request(segment).send().await.unwrap();
    let segment = output.segment_response.unwrap().id.unwrap();
    let (_, key) = server.call("POST", "/counterpoint/v1/keys", r#"{"Name":"documented"}"#).await;
    let key: Value = serde_json::from_str(&key).unwrap();
    let message = r#"{"Addresses":{"ann@example.com":{"ChannelType":"EMAIL"}},"MessageConfiguration":{"EmailMessage":{"SimpleEmail":
        {"Subject":{"Data":"s"},"TextPart":{"Data":"t"}}}}}"#;
    let message =
        server.call_as("mobiletargeting", "POST", &format!("/v1/apps/{app}/messages"), message).await;
    assert_eq!(message.0, 200, "{message:?}");

    let names = [
        ("{application-id}", app.as_str()),
        ("{segment-id}", &segment),
        ("{endpoint-id}", "person-1"),
        ("{access-key-id}", key["AccessKeyId"].as_str().unwrap()),
        ("{id}", "1"),
    ];
    let backup = json!({ "Destination": world.path("backup") }).to_string();
    let mut calls = 0;
    for (template, methods) in document["paths"].as_object().unwrap() {
        let path = names.iter().fold(template.clone(), |path, (name, value)| path.replace(name, value));
        // What is deleted is gone: last.
        for method in ["get", "post", "put", "delete"] {
            let Some(call) = methods.get(method) else { continue };
            let body = match (method, template.rsplit('/').next().unwrap()) {
                ("post", "backup") => backup.as_str(),
                ("post", "keys") => r#"{"Name":"another"}"#,
                ("post" | "put", _) => "{}",
                _ => "",
            };
            let (status, answer) = server.call(&method.to_uppercase(), &path, body).await;
            let is_documented = call["responses"].get(status.to_string()).is_some();
            assert!(is_documented, "{method} {path}: {status} {answer}");
            calls += 1;
        }
    }
    assert_eq!(calls, 15);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_are_exact_and_faults_are_told() {
    let world = World::new();
    let server = world.serve().await;
    let app = app(&server.sdk()).await;
    people(&server.sdk(), &app, 101).await;
    let path = format!("/counterpoint/v1/apps/{app}/segments/count");
    let criteria = r#"{"Dimensions":{"Attributes":{"shard":{"Values":["s1"]}}}}"#;
    let (status, answer) = server.call("POST", &path, criteria).await;
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((status, &answer["Count"], &answer["Total"]), (200, &json!(50), &json!(101)));
    for (method, path, body, status) in [
        ("POST", path.as_str(), "{", 400),
        ("GET", path.as_str(), "", 405),
        ("POST", "/counterpoint/v1/apps/nowhere/segments/count", "{}", 404),
        ("GET", "/counterpoint/v1/nothing", "", 404),
        ("GET", "/counterpoint/v1/sandbox/messages?colour=red", "", 400),
        ("GET", "/counterpoint/v1/sandbox/messages/77", "", 404),
        ("POST", "/counterpoint/v1/backup", r#"{"Destination":"relative"}"#, 400),
        ("POST", "/counterpoint/v1/keys", r#"{"Name":"with blanks"}"#, 400),
        ("DELETE", "/counterpoint/v1/keys/CPKATESTTESTTESTTEST", "", 400),
    ] {
        let (found, answer) = server.call(method, path, body).await;
        assert_eq!(found, status, "{method} {path}: {answer}");
        assert!(answer.contains("\"Message\""), "{method} {path}: {answer}");
    }
    server.stop().await;
}
