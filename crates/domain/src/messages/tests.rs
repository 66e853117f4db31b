use serde_json::{Value, json};

use super::*;

fn request(body: &Value) -> DirectRequest {
    let mut members = json!({ "Addresses": { "a@b.c": { "ChannelType": "EMAIL" } } });
    members.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    DirectRequest::from(serde_json::from_value::<wire::MessageRequest>(members).unwrap())
}

fn email(body: &Value) -> Option<DirectEmail> {
    request(body).email().unwrap()
}

fn configuration(message: &Value) -> Value {
    json!({ "MessageConfiguration": message })
}

#[test]
fn the_default_message_is_a_text_that_others_override() {
    let default = json!({"Body": "default", "Substitutions": {"a": ["1"], "b": ["2"]}});
    let sent = email(&configuration(&json!({ "DefaultMessage": default }))).unwrap();
    assert_eq!((sent.content.text.as_deref(), sent.content.html.as_deref()), (Some("default"), None));
    assert_eq!(sent.substitutions["a"], ["1"]);

    for (message, text, html) in [
        (json!({"FromAddress": "x@y.z"}), Some("default"), None),
        (json!({"Body": "own"}), Some("own"), None),
        (json!({"SimpleEmail": {"HtmlPart": {"Data": "<p>"}}}), None, Some("<p>")),
    ] {
        let sent =
            email(&configuration(&json!({ "DefaultMessage": default, "EmailMessage": message }))).unwrap();
        assert_eq!((sent.content.text.as_deref(), sent.content.html.as_deref()), (text, html), "{message}");
    }
    let message = json!({"Substitutions": {"b": ["3"]}});
    let sent = email(&configuration(&json!({ "DefaultMessage": default, "EmailMessage": message }))).unwrap();
    assert_eq!(
        (&sent.substitutions["a"][0], &sent.substitutions["b"][0]),
        (&"1".to_owned(), &"3".to_owned())
    );

    let template = json!({"MessageConfiguration": {"DefaultMessage": default},
        "TemplateConfiguration": {"EmailTemplate": {"Name": "t"}}});
    let sent = email(&template).unwrap();
    assert_eq!(sent.content.text, None, "the template's texts are sent");
    assert_eq!(sent.content.template.unwrap().name, "t");
    assert_eq!(sent.substitutions["b"], ["2"]);
}

#[test]
fn without_a_message_for_mail_there_is_none() {
    for message in [
        json!({}),
        json!({"GCMMessage": {"Body": "b"}}),
        json!({"DefaultMessage": {"Substitutions": {"a": ["b"]}}}),
    ] {
        assert_eq!(email(&configuration(&message)), None, "{message}");
    }
}

#[test]
fn what_withholds_a_message_is_told_as_pinpoint_tells_it() {
    let app = AppId::new("0123");
    let check =
        |channel, has_email, enabled| check_channel(channel, has_email, &app, |_| enabled).unwrap_err();
    assert_eq!(
        check(ChannelType::Email, false, true),
        (SendStatus::ChannelMismatch, "Either template or email message must be specified".to_owned())
    );
    assert_eq!(
        check(ChannelType::Email, true, false),
        (
            SendStatus::UnsupportedChannel,
            "No channel of type EMAIL is enabled for the application 0123".to_owned()
        )
    );
    assert_eq!(check(ChannelType::Gcm, true, true).0, SendStatus::UnsupportedChannel);
    assert_eq!(check_channel(ChannelType::Email, true, &app, |_| true), Ok(()));
}
