//! Settings of an application.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::World;

async fn put(world: &World, app: &str, body: &str) -> Value {
    let path = format!("/v1/apps/{app}/settings");
    let answer = world.call("PUT", &path).body(body).send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

#[tokio::test]
async fn settings_exist_as_soon_as_the_application_does() {
    let world = World::start().await;
    let app = world.app("a").await;
    let read = world.sdk().get_application_settings().application_id(&app).send().await.unwrap();
    let read = read.application_settings_resource.unwrap();
    // Terraform reads into these without a look.
    assert!(read.campaign_hook.is_some() && read.limits.is_some() && read.quiet_time.is_some());
    assert_eq!(read.journey_limits, None);
    assert_eq!(read.last_modified_date.as_deref(), Some("2026-11-23T00:00:00.000Z"));
    let unknown = world.sdk().get_application_settings().application_id("x").send().await.unwrap_err();
    assert!(unknown.into_service_error().is_not_found_exception());
}

#[tokio::test]
async fn blocks_that_are_absent_stay() {
    let world = World::start().await;
    let app = world.app("a").await;
    let empty = put(&world, &app, "{}").await;
    assert_eq!(
        (&empty["Limits"], &empty["QuietTime"], &empty["CampaignHook"]),
        (&json!({}), &json!({}), &json!({}))
    );
    put(&world, &app, r#"{"Limits":{"Daily":3,"Total":5},"QuietTime":{"Start":"22:00","End":"06:30"}}"#)
        .await;
    world.advance(Duration::from_secs(1));
    let hook = r#"{"CampaignHook":{"Mode":"DELIVERY","LambdaFunctionName":"arn:aws:lambda:x"},"EventTaggingEnabled":true,
        "JourneyLimits":{"DailyCap":100,"TimeframeCap":{"Cap":1,"Days":30}}}"#;
    let kept = put(&world, &app, hook).await;
    assert_eq!(kept["Limits"], json!({"Daily": 3, "Total": 5}));
    // A block that is there replaces the whole block.
    let answer = put(&world, &app, r#"{"Limits":{"Daily":4}}"#).await;
    let expected = json!({
        "ApplicationId": app,
        "CampaignHook": {"LambdaFunctionName": "arn:aws:lambda:x", "Mode": "DELIVERY"},
        "JourneyLimits": {"DailyCap": 100, "TimeframeCap": {"Cap": 1, "Days": 30}},
        "LastModifiedDate": "2026-11-23T00:00:01.000Z",
        "Limits": {"Daily": 4},
        "QuietTime": {"End": "06:30", "Start": "22:00"},
    });
    assert_eq!(answer, expected);
    let path = format!("/v1/apps/{app}/settings");
    assert_eq!(world.call("GET", &path).send().await.json(), expected);
}

#[tokio::test]
async fn ranges_are_checked() {
    let world = World::start().await;
    let app = world.app("a").await;
    let path = format!("/v1/apps/{app}/settings");
    for body in [
        r#"{"Limits":{"Daily":101}}"#,
        r#"{"Limits":{"Total":-1}}"#,
        r#"{"Limits":{"MessagesPerSecond":-1}}"#,
        r#"{"Limits":{"MessagesPerSecond":20001}}"#,
        r#"{"Limits":{"MaximumDuration":59}}"#,
        r#"{"QuietTime":{"Start":"22:00"}}"#,
        r#"{"QuietTime":{"Start":"22:00","End":"24:00"}}"#,
        r#"{"CampaignHook":{"WebUrl":"ftp://x"}}"#,
        r#"{"JourneyLimits":{"DailyCap":101}}"#,
        r#"{"JourneyLimits":{"TimeframeCap":{"Cap":1,"Days":31}}}"#,
    ] {
        let answer = world.call("PUT", &path).body(body).send().await;
        assert_eq!(
            (answer.status, answer.header("x-amzn-errortype")),
            (400, "BadRequestException"),
            "{body}"
        );
    }
    let unset = world.call("GET", &path).send().await.json();
    assert_eq!(unset["Limits"], json!({}));
}
