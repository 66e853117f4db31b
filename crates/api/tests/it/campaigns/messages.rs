//! What campaigns mail: messages, default messages, templates and their versions.

use serde_json::{Value, json};

use super::{activities, created, refused, status, update};
use crate::sending::{Sending, call, campaign, done, mailbox, shop};
use crate::support::World;

/// A campaign that mails only this.
fn saying(segment: &str, message: &Value) -> Value {
    campaign(segment, json!({"MessageConfiguration": message}))
}

#[tokio::test]
async fn a_default_message_is_mailed_where_mail_has_none_of_its_own() {
    let world = World::start().await;
    let (app, segment) = shop(&world).await;
    let mut sending = Sending::start(&world).await;
    sending.register(&app, [("e", mailbox("e@example.com"))]).await;
    let default = json!({"Title": "Hi {{Address}}", "Body": "Dear {{Address}}"});
    let text = Some("Dear e@example.com");
    for (message, from, subject, html, text) in [
        (json!({"DefaultMessage": default}), "shop@example.com", "Hi e@example.com", None, text),
        (json!({"DefaultMessage": {"Body": "b"}}), "shop@example.com", "", None, Some("b")),
        (
            json!({"DefaultMessage": default, "EmailMessage": {"FromAddress": "x@example.com"}}),
            "x@example.com",
            "Hi e@example.com",
            None,
            text,
        ),
        (
            json!({"DefaultMessage": default, "EmailMessage": {"Title": "t", "HtmlBody": "h"}}),
            "shop@example.com",
            "t",
            Some("h"),
            None,
        ),
    ] {
        created(&world, &app, &saying(&segment, &message)).await;
        let mails = sending.settle().await;
        let [mail] = &mails[..] else { panic!("{message}: {mails:?}") };
        let sent = (mail.from.as_str(), mail.subject.as_str(), mail.html.as_deref(), mail.text.as_deref());
        assert_eq!(sent, (from, subject, html, text), "{message}");
    }
}

#[tokio::test]
async fn a_template_must_exist_in_the_version_that_is_named() {
    let world = World::start().await;
    let (app, segment) = shop(&world).await;
    done(&world, "POST", "templates/t/email", &json!({"Subject": "s", "TextPart": "x"})).await;
    let with = |kind: &str, name: &str, version: Option<&str>| {
        let mut template = json!({"Name": name});
        if let Some(version) = version {
            template["Version"] = json!(version);
        }
        json!({"TemplateConfiguration": {kind: template}})
    };
    for (changes, words) in [
        (with("EmailTemplate", "other", None), "EMAIL template other does not exist"),
        (with("EmailTemplate", "other", Some("latest")), "EMAIL template other"),
        (with("EmailTemplate", "t", Some("2")), "EMAIL template t in version 2 does not exist"),
        (with("EmailTemplate", "t", Some("newest")), "must be a number or latest"),
        (with("EmailTemplate", "", Some("1")), "needs a Name"),
        // A template is of one kind.
        (with("SMSTemplate", "t", None), "SMS template t does not exist"),
        (with("PushTemplate", "t", None), "PUSH template t does not exist"),
        (with("InAppTemplate", "t", None), "INAPP template t does not exist"),
    ] {
        refused(&world, &app, &campaign(&segment, changes.clone()), words).await;
        let mut treatment = changes;
        treatment["SizePercent"] = json!(50);
        refused(&world, &app, &campaign(&segment, json!({"AdditionalTreatments": [treatment]})), words).await;
    }
    for version in [None, Some("1"), Some("Latest")] {
        created(&world, &app, &campaign(&segment, with("EmailTemplate", "t", version))).await;
    }
    let later = json!({"Schedule": {"StartTime": "2026-12-01T10:00:00Z"}});
    let id = created(&world, &app, &campaign(&segment, later)).await;
    assert_eq!(update(&world, &app, &id, &with("EmailTemplate", "other", None)).await.0, 400);
}

#[tokio::test]
async fn a_template_that_vanished_makes_its_campaign_invalid() {
    let world = World::start().await;
    let (app, segment) = shop(&world).await;
    let mut sending = Sending::start(&world).await;
    sending.register(&app, [("e", mailbox("e@example.com"))]).await;
    done(&world, "POST", "templates/t/email", &json!({"Subject": "s", "TextPart": "x"})).await;
    let changes = json!({
        "MessageConfiguration": {}, "TemplateConfiguration": {"EmailTemplate": {"Name": "t"}},
    });
    let id = created(&world, &app, &campaign(&segment, changes.clone())).await;
    done(&world, "DELETE", "templates/t/email", &Value::Null).await;
    assert!(sending.settle().await.is_empty());
    assert_eq!(status(&world, &app, &id).await, "INVALID");
    assert_eq!(update(&world, &app, &id, &json!({"IsPaused": true})).await.0, 400);
    assert_eq!(activities(&world, &app, &id).await, Vec::<Value>::new(), "no run began");

    // One that vanishes while the run goes on fails it.
    done(&world, "POST", "templates/t/email", &json!({"Subject": "s", "TextPart": "x"})).await;
    let id = created(&world, &app, &campaign(&segment, changes)).await;
    assert!(sending.due().await && sending.due().await);
    done(&world, "DELETE", "templates/t/email", &Value::Null).await;
    assert!(sending.settle().await.is_empty());
    let activity = &activities(&world, &app, &id).await[0];
    assert_eq!((&activity["State"], &activity["Result"]), (&json!("COMPLETED"), &json!("FAIL")));
    assert_eq!(activity["ExecutionMetrics"], json!({"ENDPOINT_PRODUCED": "1", "RENDERING_FAILURE": "1"}));
}

#[tokio::test]
async fn the_latest_version_of_a_template_need_not_be_the_active_one() {
    let world = World::start().await;
    let (app, segment) = shop(&world).await;
    let mut sending = Sending::start(&world).await;
    sending.register(&app, [("e", mailbox("e@example.com"))]).await;
    let write = async |method: &str, query: &str, text: &str| {
        let body = json!({"Subject": "s", "TextPart": text});
        done(&world, method, &format!("templates/t/email{query}"), &body).await;
    };
    write("POST", "", "one").await;
    write("PUT", "?create-new-version=true", "two").await;
    write("PUT", "?create-new-version=true", "three").await;
    let mut text = async |version: Value| {
        let changes = json!({
            "MessageConfiguration": {},
            "TemplateConfiguration": {"EmailTemplate": {"Name": "t", "Version": version}},
        });
        created(&world, &app, &campaign(&segment, changes)).await;
        sending.settle().await[0].text.clone().unwrap()
    };
    assert_eq!(text(Value::Null).await, "one", "a new version is not active by being new");
    assert_eq!(text(json!("latest")).await, "three");
    assert_eq!(text(json!("LATEST")).await, "three");
    assert_eq!(text(json!("2")).await, "two");
    // The newest one that is left.
    assert_eq!(call(&world, "DELETE", "templates/t/email?version=3", &Value::Null).await.0, 202);
    assert_eq!(text(json!("latest")).await, "two");
    assert_eq!(text(Value::Null).await, "one");
}
