//! Message templates and their versions.

use std::time::Duration;

use aws_sdk_pinpoint::types::{EmailTemplateRequest, MessageHeader};
use serde_json::{Value, json};

use crate::support::{ACCOUNT, World};

async fn call(world: &World, method: &str, target: &str, body: &str) -> (u16, Value) {
    let path = format!("/v1/templates{target}");
    let answer = world.call(method, &path).body(body).send().await;
    (answer.status, answer.json())
}

/// Version and body of the answer to a GET.
async fn sms(world: &World, target: &str) -> (String, String) {
    let (status, answer) = call(world, "GET", target, "").await;
    assert_eq!(status, 200, "{target}: {answer}");
    let text = |name: &str| answer[name].as_str().unwrap().to_owned();
    (text("Version"), text("Body"))
}

async fn done(world: &World, method: &str, target: &str, body: &str) {
    let (status, answer) = call(world, method, target, body).await;
    assert!(status < 300, "{method} {target}: {answer}");
}

#[tokio::test]
async fn an_email_template_goes_round() {
    let world = World::start().await;
    let sdk = world.sdk();
    let header = MessageHeader::builder().name("List-Unsubscribe").value("<https://x/{{Id}}>").build();
    let request = EmailTemplateRequest::builder()
        .subject("Hello {{User.UserAttributes.FirstName}}")
        .html_part("<p>{{Attributes.City.[0]}}</p>")
        .text_part("{{Attributes.City.[0]}}")
        .headers(header)
        .default_substitutions(r#"{"Attributes.City":"Berlin"}"#)
        .template_description("Greets")
        .tags("Stage", "Test");
    let create = sdk.create_email_template().template_name("Hello_1").email_template_request(request.build());
    let created = create.send().await.unwrap().create_template_message_body.unwrap();
    let arn = format!("arn:aws:mobiletargeting:eu-central-1:{ACCOUNT}:templates/Hello_1/EMAIL");
    assert_eq!((created.arn.as_deref(), created.message.as_deref()), (Some(arn.as_str()), Some("Created")));
    assert!(created.request_id.is_some());

    let read = sdk.get_email_template().template_name("Hello_1").send().await.unwrap();
    let read = read.email_template_response.unwrap();
    assert_eq!(read.arn.as_deref(), Some(arn.as_str()));
    assert_eq!(read.subject.as_deref(), Some("Hello {{User.UserAttributes.FirstName}}"));
    assert_eq!(read.headers.unwrap()[0].name.as_deref(), Some("List-Unsubscribe"));
    assert_eq!(read.default_substitutions.as_deref(), Some(r#"{"Attributes.City":"Berlin"}"#));
    assert_eq!(read.template_type.unwrap().as_str(), "EMAIL");
    assert_eq!(read.version.as_deref(), Some("1"));
    assert_eq!(read.tags.unwrap()["Stage"], "Test");
    assert_eq!(read.creation_date.as_deref(), Some("2026-11-23T00:00:00.000Z"));

    // Tags of an update are ignored.
    let request = EmailTemplateRequest::builder().subject("New").tags("Stage", "Live").build();
    let update = sdk.update_email_template().template_name("Hello_1").email_template_request(request);
    let updated = update.send().await.unwrap().message_body.unwrap();
    assert_eq!(updated.message.as_deref(), Some("Accepted"));
    let read = sdk.get_email_template().template_name("Hello_1").send().await.unwrap();
    let read = read.email_template_response.unwrap();
    assert_eq!((read.subject.as_deref(), read.html_part), (Some("New"), None));
    assert_eq!(read.tags.unwrap()["Stage"], "Test");

    sdk.delete_email_template().template_name("Hello_1").send().await.unwrap();
    let gone = sdk.get_email_template().template_name("Hello_1").send().await.unwrap_err();
    assert!(gone.into_service_error().is_not_found_exception());
}

#[tokio::test]
async fn every_kind_is_made_read_and_deleted() {
    let world = World::start().await;
    for (kind, body) in [
        ("email", r#"{"Subject":"s","TextPart":"t"}"#),
        ("sms", r#"{"Body":"b"}"#),
        ("voice", r#"{"Body":"b","LanguageCode":"en-US","VoiceId":"Joanna"}"#),
        (
            "push",
            r#"{"Default":{"Title":"t","Body":"b","Action":"OPEN_APP"},"APNS":{"RawContent":"{\"aps\":{}}"}}"#,
        ),
        (
            "inapp",
            r##"{"Layout":"TOP_BANNER","Content":[{"BackgroundColor":"#FFFFFF"}],"CustomConfig":{"a":"b"}}"##,
        ),
    ] {
        // The same name may be used once for each kind.
        let target = format!("/same/{kind}");
        assert_eq!(call(&world, "GET", &target, "").await.0, 404);
        let (status, created) = call(&world, "POST", &target, body).await;
        assert_eq!(status, 201, "{created}");
        let (status, again) = call(&world, "POST", &target, body).await;
        assert_eq!((status, &again["Message"]), (400, &json!("Template same already exists")));
        let (status, mut got) = call(&world, "GET", &target, "").await;
        assert_eq!((status, &got["TemplateType"]), (200, &json!(kind.to_uppercase())));
        assert_eq!(created["Arn"], got["Arn"]);
        let common =
            ["Arn", "CreationDate", "LastModifiedDate", "TemplateName", "TemplateType", "Version", "tags"];
        for name in common {
            assert!(got.as_object_mut().unwrap().remove(name).is_some(), "{kind}: no {name}");
        }
        assert_eq!(got, serde_json::from_str::<Value>(body).unwrap(), "every member goes round");
        assert_eq!(call(&world, "PUT", &target, body).await.0, 202);
        assert_eq!(call(&world, "DELETE", &target, "").await.0, 202);
        assert_eq!(call(&world, "PUT", &target, body).await.0, 404);
        assert_eq!(call(&world, "DELETE", &target, "").await.0, 404);
    }
}

#[tokio::test]
async fn versions_are_added_pinned_and_deleted() {
    let world = World::start().await;
    let seen = |version: &str, body: &str| (version.to_owned(), body.to_owned());
    done(&world, "POST", "/t/sms", r#"{"Body":"one"}"#).await;
    done(&world, "PUT", "/t/sms?create-new-version=true", r#"{"Body":"two"}"#).await;
    // A new version is not active by being new.
    assert_eq!(sms(&world, "/t/sms").await, seen("1", "one"));
    assert_eq!(sms(&world, "/t/sms?version=2").await, seen("2", "two"));
    // An update overwrites the latest version, which a version in the query must name.
    done(&world, "PUT", "/t/sms", r#"{"Body":"two, again"}"#).await;
    done(&world, "PUT", "/t/sms?version=2", r#"{"Body":"two at last"}"#).await;
    done(&world, "PUT", "/t/sms?version=2&create-new-version=false", r#"{"Body":"two at last"}"#).await;
    assert_eq!(call(&world, "PUT", "/t/sms?version=1", r#"{"Body":"x"}"#).await.0, 400);
    assert_eq!(
        call(&world, "PUT", "/t/sms?version=2&create-new-version=true", r#"{"Body":"x"}"#).await.0,
        400
    );
    assert_eq!(sms(&world, "/t/sms").await, seen("1", "one"));
    assert_eq!(sms(&world, "/t/sms?version=latest").await, seen("2", "two at last"));

    done(&world, "PUT", "/t/SMS/active-version", r#"{"Version":"2"}"#).await;
    assert_eq!(sms(&world, "/t/sms").await, seen("2", "two at last"));
    assert_eq!(call(&world, "PUT", "/t/sms/active-version", r#"{"Version":"3"}"#).await.0, 404);
    assert_eq!(call(&world, "PUT", "/t/sms/active-version", r#"{"Version":"x"}"#).await.0, 400);
    assert_eq!(call(&world, "PUT", "/t/sms/active-version", "{}").await.0, 400);
    done(&world, "PUT", "/t/sms?create-new-version=true", r#"{"Body":"three"}"#).await;
    done(&world, "PUT", "/t/sms/active-version", r#"{"Version":"latest"}"#).await;
    assert_eq!(sms(&world, "/t/sms").await, seen("3", "three"));

    // The active version goes: the newest one left takes its place. Its number is never used again.
    done(&world, "DELETE", "/t/sms?version=3", "").await;
    assert_eq!(sms(&world, "/t/sms").await, seen("2", "two at last"));
    assert_eq!(call(&world, "GET", "/t/sms?version=3", "").await.0, 404);
    assert_eq!(call(&world, "DELETE", "/t/sms?version=3", "").await.0, 404);
    done(&world, "PUT", "/t/sms?version=2", r#"{"Body":"two is the latest"}"#).await;
    done(&world, "PUT", "/t/sms?create-new-version=true", r#"{"Body":"four"}"#).await;
    assert_eq!(sms(&world, "/t/sms?version=4").await, seen("4", "four"));
    // Another version goes: the active one stays.
    done(&world, "DELETE", "/t/sms?version=4", "").await;
    assert_eq!(sms(&world, "/t/sms").await, seen("2", "two is the latest"));
    done(&world, "DELETE", "/t/sms?version=1", "").await;
    done(&world, "DELETE", "/t/sms?version=2", "").await;
    assert_eq!(call(&world, "GET", "/t/sms", "").await.0, 404);
    // A template of that name begins anew.
    done(&world, "POST", "/t/sms", r#"{"Body":"new"}"#).await;
    assert_eq!(sms(&world, "/t/sms").await, seen("1", "new"));
    assert_eq!(call(&world, "GET", "/t/sms?version=4", "").await.0, 404);
}

#[tokio::test]
async fn versions_are_listed_newest_first() {
    let world = World::start().await;
    done(
        &world,
        "POST",
        "/t/sms",
        r#"{"Body":"1","TemplateDescription":"first","DefaultSubstitutions":"{}"}"#,
    )
    .await;
    for _ in 0..4 {
        world.advance(Duration::from_secs(1));
        done(&world, "PUT", "/t/sms?create-new-version=true", r#"{"Body":"x"}"#).await;
    }
    done(&world, "DELETE", "/t/sms?version=4", "").await;
    let (_, page) = call(&world, "GET", "/t/sms/versions?page-size=2", "").await;
    let versions = |page: &Value| {
        let items = page["Item"].as_array().unwrap();
        items.iter().map(|item| item["Version"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(versions(&page), ["5", "3"]);
    let token = page["NextToken"].as_str().unwrap();
    let (_, page) = call(&world, "GET", &format!("/t/SMS/versions?page-size=2&next-token={token}"), "").await;
    assert_eq!(versions(&page), ["2", "1"]);
    assert_eq!((&page["NextToken"], page["RequestID"].is_string()), (&Value::Null, true));
    let first = json!({
        "CreationDate": "2026-11-23T00:00:00.000Z", "DefaultSubstitutions": "{}",
        "LastModifiedDate": "2026-11-23T00:00:00.000Z", "TemplateDescription": "first", "TemplateName": "t",
        "TemplateType": "SMS", "Version": "1",
    });
    assert_eq!(page["Item"][1], first);
    assert_eq!(call(&world, "GET", "/t/email/versions", "").await.0, 404);
    assert_eq!(call(&world, "GET", "/t/fax/versions", "").await.0, 400);
}

#[tokio::test]
async fn templates_are_listed_and_filtered() {
    let world = World::start().await;
    assert_eq!(call(&world, "GET", "", "").await, (200, json!({"Item": []})));
    for (name, kind) in [("news-a", "email"), ("news-b", "sms"), ("other", "email"), ("news-b", "email")] {
        done(&world, "POST", &format!("/{name}/{kind}"), "{}").await;
        world.advance(Duration::from_secs(1));
    }
    let names = async |query: &str| {
        let (status, page) = call(&world, "GET", query, "").await;
        assert_eq!(status, 200, "{page}");
        let items = page["Item"].as_array().unwrap();
        let name = |item: &Value| {
            format!("{}/{}", item["TemplateName"].as_str().unwrap(), item["TemplateType"].as_str().unwrap())
        };
        (items.iter().map(name).collect::<Vec<_>>().join(" "), page["NextToken"].as_str().map(str::to_owned))
    };
    let all = "news-b/EMAIL other/EMAIL news-b/SMS news-a/EMAIL";
    assert_eq!(names("").await, (all.to_owned(), None));
    assert_eq!(names("?prefix=news").await.0, "news-b/EMAIL news-b/SMS news-a/EMAIL");
    assert_eq!(names("?prefix=news&template-type=EMAIL").await.0, "news-b/EMAIL news-a/EMAIL");
    let (first, token) = names("?page-size=3").await;
    let (second, end) = names(&format!("?page-size=3&next-token={}", token.unwrap())).await;
    assert_eq!((format!("{first} {second}"), end), (all.to_owned(), None));
    assert_eq!(call(&world, "GET", "?template-type=FAX", "").await.0, 400);
    done(&world, "PUT", "/other/email?create-new-version=true", "{}").await;
    done(&world, "PUT", "/other/email/active-version", r#"{"Version":"2"}"#).await;
    let (_, page) = call(&world, "GET", "?prefix=other", "").await;
    let item = json!({
        "CreationDate": "2026-11-23T00:00:02.000Z", "LastModifiedDate": "2026-11-23T00:00:04.000Z",
        "TemplateName": "other", "TemplateType": "EMAIL", "Version": "2",
    });
    assert_eq!(page, json!({"Item": [item]}));
}

#[tokio::test]
async fn contents_are_checked() {
    let world = World::start().await;
    let long = |count: usize| "ä".repeat(count);
    let fifteen = |count: usize| vec![json!({"Name": "X-A", "Value": "b"}); count];
    for (kind, body, is_taken) in [
        ("sms", json!({"Body": long(1_600)}), true),
        ("sms", json!({"Body": long(1_601)}), false),
        ("sms", json!({"Body": "{{#if}"}), false),
        ("sms", json!({"Body": "{{x}}", "DefaultSubstitutions": "{\"x\":\"y\"}"}), true),
        ("sms", json!({"Body": "x", "DefaultSubstitutions": "[1]"}), false),
        ("sms", json!({"Body": "x", "DefaultSubstitutions": "{"}), false),
        ("sms", json!({"Body": "x", "TemplateDescription": long(501)}), false),
        ("sms", json!({"Body": "x", "tags": {"aws:a": "b"}}), false),
        ("voice", json!({"Body": long(10_001)}), false),
        ("email", json!({"HtmlPart": long(300_000), "TextPart": long(300_000)}), true),
        ("email", json!({"Subject": "x", "HtmlPart": long(300_000), "TextPart": long(300_000)}), false),
        ("email", json!({"Subject": "{{"}), false),
        ("email", json!({"Headers": fifteen(15)}), true),
        ("email", json!({"Headers": fifteen(16)}), false),
        ("email", json!({"Headers": [{"Name": "X A", "Value": "b"}]}), false),
        ("email", json!({"Headers": [{"Name": "x".repeat(126), "Value": long(870)}]}), true),
        ("email", json!({"Headers": [{"Name": "x".repeat(127), "Value": "b"}]}), false),
        ("email", json!({"Headers": [{"Name": "X", "Value": long(871)}]}), false),
        // A mail has them already.
        ("email", json!({"Headers": [{"Name": "Subject", "Value": "b"}]}), false),
        ("email", json!({"Headers": [{"Value": "b"}]}), false),
        ("email", json!({"Headers": [{"Name": "X", "Value": "b\r\nBcc: c"}]}), false),
        ("push", json!({"ADM": {"Body": long(6_000)}, "GCM": {"Body": long(4_000)}}), true),
        ("push", json!({"GCM": {"Title": "x", "Body": long(4_000)}}), false),
        ("push", json!({"Default": {"Title": "{{"}}), false),
        ("inapp", json!({"Content": vec![json!({}); 5]}), true),
        ("inapp", json!({"Content": vec![json!({}); 6]}), false),
        ("inapp", json!({"Layout": "SIDEWAYS"}), false),
    ] {
        let name = if is_taken { "taken" } else { "refused" };
        let text = body.to_string();
        let (status, answer) = call(&world, "POST", &format!("/{name}/{kind}"), &text).await;
        assert_eq!(status, if is_taken { 201 } else { 400 }, "{kind} {text:.60} {answer}");
        // An update is checked alike.
        let (status, _) = call(&world, "PUT", &format!("/{name}/{kind}"), &text).await;
        assert_eq!(status, if is_taken { 202 } else { 400 }, "{kind} {text:.60}");
        call(&world, "DELETE", &format!("/{name}/{kind}"), "").await;
    }
}

#[tokio::test]
async fn names_are_checked() {
    let world = World::start().await;
    let longest = "x".repeat(128);
    for name in ["a", "0_-Z", &longest] {
        done(&world, "POST", &format!("/{name}/sms"), "{}").await;
    }
    let too_long = "x".repeat(129);
    for name in ["-a", "_a", "a%20b", "a.b", "%C3%A4", &too_long] {
        assert_eq!(call(&world, "POST", &format!("/{name}/sms"), "{}").await.0, 400, "{name}");
    }
}
