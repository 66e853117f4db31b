//! Channels.

use std::time::Duration;

use aws_sdk_pinpoint::types::{EmailChannelRequest, GcmChannelRequest};
use serde_json::{Value, json};
use store::{Key, Kv as _, Table};

use crate::support::World;

async fn call(world: &World, method: &str, app: &str, channel: &str, body: &str) -> (u16, Value) {
    let path = format!("/v1/apps/{app}/channels/{channel}");
    let answer = world.call(method, &path).body(body).send().await;
    (answer.status, answer.json())
}

/// The smallest valid settings of each channel.
const ALL: [(&str, &str); 10] = [
    ("adm", r#"{"ClientId":"secret-1","ClientSecret":"secret-2"}"#),
    ("apns", r#"{"Certificate":"secret-3","PrivateKey":"secret-4"}"#),
    ("apns_sandbox", r#"{"BundleId":"b","TeamId":"t","TokenKey":"secret-5","TokenKeyId":"k"}"#),
    ("apns_voip", r#"{"Certificate":"secret-6","PrivateKey":"secret-7"}"#),
    ("apns_voip_sandbox", r#"{"Certificate":"secret-8","PrivateKey":"secret-9"}"#),
    ("baidu", r#"{"ApiKey":"shown","SecretKey":"secret-10"}"#),
    ("email", r#"{"FromAddress":"Shop <a@example.com>","Identity":"arn:aws:ses:x"}"#),
    ("gcm", r#"{"ServiceJson":"{\"private_key\":\"secret-11\"}"}"#),
    ("sms", r#"{"SenderId":"Shop"}"#),
    ("voice", "{}"),
];

#[tokio::test]
async fn every_channel_is_configured_read_and_deleted() {
    let world = World::start().await;
    let app = world.app("a").await;
    for (channel, body) in ALL {
        assert_eq!(call(&world, "GET", &app, channel, "").await.0, 404, "{channel}");
        assert_eq!(call(&world, "DELETE", &app, channel, "").await.0, 404, "{channel}");
        let (status, put) = call(&world, "PUT", &app, channel, body).await;
        assert_eq!(status, 200, "{channel}: {put}");
        assert_eq!(put["Platform"], json!(channel.to_uppercase()), "{put}");
        assert_eq!(
            (&put["Id"], &put["Version"], &put["Enabled"]),
            (&json!(channel), &json!(1), &json!(true))
        );
        assert_eq!(call(&world, "GET", &app, channel, "").await, (200, put.clone()));
        assert_eq!(call(&world, "PUT", &app, channel, body).await.1["Version"], json!(2));
        let (status, deleted) = call(&world, "DELETE", &app, channel, "").await;
        assert_eq!((status, &deleted["Enabled"], &deleted["Version"]), (200, &json!(false), &json!(2)));
        assert_eq!(call(&world, "GET", &app, channel, "").await.0, 404, "{channel}");
    }
}

#[tokio::test]
async fn secrets_are_neither_answered_nor_stored_readably() {
    let world = World::start().await;
    let app = world.app("a").await;
    for (channel, body) in ALL {
        let path = format!("/v1/apps/{app}/channels/{channel}");
        // With the answer remembered for repeats.
        let put = world.call("PUT", &path).header("amz-sdk-invocation-id", channel).body(body).send().await;
        assert_eq!(world.call("PUT", &path).body(body).send().await.status, 200);
        let got = world.call("GET", &path).send().await;
        assert_eq!((put.status, got.status), (200, 200), "{put:?}");
        assert!(!put.body.contains("secret-") && !got.body.contains("secret-"), "{put:?} {got:?}");
    }
    for (key, value) in world.kv.snapshot() {
        assert!(!String::from_utf8_lossy(&value).contains("secret-"), "{key:?} holds a secret");
    }
    // A head and a body each: the settings before, and their secrets, are gone.
    let rows = world.kv.scan(Key::new(Table::Channels).prefix(), 100).await.unwrap();
    assert_eq!(rows.len(), 2 * ALL.len());
}

#[tokio::test]
async fn answers_have_what_clients_read() {
    let world = World::start().await;
    let app = world.app("a").await;
    for (channel, body) in ALL {
        assert_eq!(call(&world, "PUT", &app, channel, body).await.0, 200, "{channel}");
    }
    let common = |channel: &str| {
        json!({
            "ApplicationId": app, "CreationDate": "2026-11-23T00:00:00.000Z", "Enabled": true, "Id": channel,
            "IsArchived": false, "LastModifiedDate": "2026-11-23T00:00:00.000Z", "Platform": channel.to_uppercase(),
            "Version": 1,
        })
    };
    let check = async |channel: &str, extra: Value| {
        let mut expected = common(channel);
        expected.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        assert_eq!(call(&world, "GET", &app, channel, "").await.1, expected);
    };
    check(
        "email",
        json!({"FromAddress": "Shop <a@example.com>", "Identity": "arn:aws:ses:x", "MessagesPerSecond": 1}),
    )
    .await;
    let rates =
        json!({"SenderId": "Shop", "PromotionalMessagesPerSecond": 20, "TransactionalMessagesPerSecond": 20});
    check("sms", rates).await;
    check("voice", json!({})).await;
    let apns =
        json!({"HasCredential": true, "DefaultAuthenticationMethod": "CERTIFICATE", "HasTokenKey": false});
    check("apns", apns).await;
    let token = json!({"HasCredential": true, "DefaultAuthenticationMethod": "TOKEN", "HasTokenKey": true});
    check("apns_sandbox", token).await;
    check("baidu", json!({"HasCredential": true, "Credential": "shown"})).await;
    let gcm = json!({"HasCredential": true, "DefaultAuthenticationMethod": "TOKEN", "HasFcmServiceCredentials": true});
    check("gcm", gcm).await;
}

#[tokio::test]
async fn the_list_has_what_was_configured_and_in_app() {
    let world = World::start().await;
    let app = world.app("a").await;
    let path = format!("/v1/apps/{app}/channels");
    let in_app = json!({"Enabled": true, "IsArchived": false, "Version": 0});
    assert_eq!(world.call("GET", &path).send().await.json(), json!({"Channels": {"IN_APP": in_app}}));
    call(&world, "PUT", &app, "sms", r#"{"Enabled":false}"#).await;
    let sdk = world.sdk();
    let request = EmailChannelRequest::builder().from_address("a@example.com").identity("arn").build();
    sdk.update_email_channel().application_id(&app).email_channel_request(request).send().await.unwrap();
    let list = sdk.get_channels().application_id(&app).send().await.unwrap().channels_response.unwrap();
    let channels = list.channels.unwrap();
    let mut names: Vec<_> = channels.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["EMAIL", "IN_APP", "SMS"]);
    assert_eq!((channels["EMAIL"].enabled, channels["SMS"].enabled), (Some(true), Some(false)));
    assert_eq!(channels["EMAIL"].id.as_deref(), Some("email"));
}

#[tokio::test]
async fn an_update_keeps_what_it_does_not_say() {
    let world = World::start().await;
    let app = world.app("a").await;
    let sdk = world.sdk();
    let request = GcmChannelRequest::builder().api_key("key").enabled(false).build();
    sdk.update_gcm_channel().application_id(&app).gcm_channel_request(request).send().await.unwrap();
    world.advance(Duration::from_secs(1));
    // Switched on without credentials, as Amplify does: they stay, and so does their method.
    let (status, on) = call(&world, "PUT", &app, "gcm", r#"{"Enabled":true}"#).await;
    assert_eq!(
        (status, &on["Enabled"], &on["DefaultAuthenticationMethod"]),
        (200, &json!(true), &json!("KEY"))
    );
    assert_eq!(on["LastModifiedDate"], json!("2026-11-23T00:00:01.000Z"));
    assert_eq!(on["CreationDate"], json!("2026-11-23T00:00:00.000Z"));
    // New credentials replace the old ones as a set.
    let (_, moved) = call(&world, "PUT", &app, "gcm", r#"{"ServiceJson":"{}"}"#).await;
    let seen = (&moved["Enabled"], &moved["DefaultAuthenticationMethod"], &moved["HasFcmServiceCredentials"]);
    assert_eq!(seen, (&json!(true), &json!("TOKEN"), &json!(true)));
    assert_eq!(call(&world, "PUT", &app, "gcm", r#"{"DefaultAuthenticationMethod":"KEY"}"#).await.0, 400);
    // Settings that are no credentials are replaced.
    call(&world, "PUT", &app, "sms", r#"{"SenderId":"Shop","Enabled":false}"#).await;
    let (_, sms) = call(&world, "PUT", &app, "sms", r#"{"ShortCode":"12345"}"#).await;
    assert_eq!(
        (&sms["SenderId"], &sms["ShortCode"], &sms["Enabled"]),
        (&Value::Null, &json!("12345"), &json!(false))
    );
}

#[tokio::test]
async fn settings_are_checked() {
    let world = World::start().await;
    let app = world.app("a").await;
    for (channel, body, message) in [
        ("apns", "{}", "Missing credentials"),
        ("apns", r#"{"Certificate":"x"}"#, "Missing credentials"),
        ("apns_voip", r#"{"TokenKey":"x","TokenKeyId":"y","TeamId":"z"}"#, "Missing credentials"),
        ("gcm", r#"{"Enabled":false}"#, "Missing credentials"),
        ("gcm", r#"{"ServiceJson":"x"}"#, "ServiceJson is not a JSON object"),
        ("gcm", r#"{"ApiKey":"x","DefaultAuthenticationMethod":"TOKEN"}"#, "Missing credentials"),
        (
            "gcm",
            r#"{"ApiKey":"x","DefaultAuthenticationMethod":"MAGIC"}"#,
            "Invalid DefaultAuthenticationMethod",
        ),
        ("adm", r#"{"ClientId":"","ClientSecret":"x"}"#, "Missing ClientId"),
        ("email", r#"{"FromAddress":"a","Identity":"x"}"#, "FromAddress is not an email address"),
        ("email", r#"{"FromAddress":"a@b","Identity":""}"#, "Missing Identity"),
        ("sms", r#"{"SenderId":"abcdefghijkl"}"#, "SenderId has more than 11 characters"),
    ] {
        let (status, answer) = call(&world, "PUT", &app, channel, body).await;
        assert_eq!((status, &answer["Message"]), (400, &json!(message)), "{channel} {body}");
    }
    let (status, answer) = call(&world, "PUT", "nowhere", "sms", "{}").await;
    assert_eq!((status, &answer["Message"]), (404, &json!("Application not found")));
}
