//! What is particular to each kind of template: its sizes, and which of its texts hold variables (spec/40 §3, spec/95 §2).

use domain::email::parse_headers;
use domain::rendering::{Escape, Template};
use model::pinpoint as wire;
use model::pinpoint::{AndroidPushNotificationTemplate, TemplateType};
use serde::Serialize;
use serde_json::Value;

use super::TemplateKind;
use crate::error::ApiError;

/// Characters of an email's subject and parts, together.
const EMAIL_CHARACTERS_MAX: usize = 600_000;
const SMS_CHARACTERS_MAX: usize = 1_600;
const VOICE_CHARACTERS_MAX: usize = 10_000;
/// Characters of one part of a push template: of all its texts together.
const PUSH_CHARACTERS_MAX: usize = 4_000;
const ADM_CHARACTERS_MAX: usize = 6_000;
/// Characters of an in-app template's document.
const IN_APP_CHARACTERS_MAX: usize = 200_000;
/// Pages of a carousel.
const IN_APP_CONTENTS_MAX: usize = 5;

pub(in super::super) struct Email;
pub(in super::super) struct InApp;
pub(in super::super) struct Push;
pub(in super::super) struct Sms;
pub(in super::super) struct Voice;

impl TemplateKind for Email {
    type Request = wire::EmailTemplateRequest;
    type Response = wire::EmailTemplateResponse;
    type Created = wire::CreateTemplateMessageBody;
    const TYPE: TemplateType = TemplateType::Email;

    fn check(request: &Self::Request) -> Result<(), ApiError> {
        let parts = [&request.subject, &request.html_part, &request.text_part];
        check_characters("Email template", parts.into_iter().flatten(), EMAIL_CHARACTERS_MAX)?;
        compile("Subject", request.subject.as_deref(), Escape::None)?;
        compile("HtmlPart", request.html_part.as_deref(), Escape::Html)?;
        compile("TextPart", request.text_part.as_deref(), Escape::None)?;
        let headers = parse_headers(request.headers.as_deref())?;
        headers.iter().try_for_each(|(_, value)| compile("Headers", Some(value), Escape::None))
    }
}

impl TemplateKind for Sms {
    type Request = wire::SMSTemplateRequest;
    type Response = wire::SMSTemplateResponse;
    type Created = wire::CreateTemplateMessageBody;
    const TYPE: TemplateType = TemplateType::Sms;

    fn check(request: &Self::Request) -> Result<(), ApiError> {
        check_characters("SMS template", &request.body, SMS_CHARACTERS_MAX)?;
        compile("Body", request.body.as_deref(), Escape::None)
    }
}

impl TemplateKind for Voice {
    type Request = wire::VoiceTemplateRequest;
    type Response = wire::VoiceTemplateResponse;
    type Created = wire::CreateTemplateMessageBody;
    const TYPE: TemplateType = TemplateType::Voice;

    fn check(request: &Self::Request) -> Result<(), ApiError> {
        check_characters("Voice template", &request.body, VOICE_CHARACTERS_MAX)?;
        compile("Body", request.body.as_deref(), Escape::None)
    }
}

impl TemplateKind for Push {
    type Request = wire::PushNotificationTemplateRequest;
    type Response = wire::PushNotificationTemplateResponse;
    type Created = wire::CreateTemplateMessageBody;
    const TYPE: TemplateType = TemplateType::Push;

    fn check(request: &Self::Request) -> Result<(), ApiError> {
        let android = |name: &str, part: &Option<AndroidPushNotificationTemplate>, characters_max: usize| {
            let Some(part) = part else { return Ok(()) };
            check_part(name, part, [&part.title, &part.body, &part.raw_content], characters_max)
        };
        android("ADM", &request.adm, ADM_CHARACTERS_MAX)?;
        android("Baidu", &request.baidu, PUSH_CHARACTERS_MAX)?;
        android("GCM", &request.gcm, PUSH_CHARACTERS_MAX)?;
        if let Some(part) = &request.apns {
            check_part("APNS", part, [&part.title, &part.body, &part.raw_content], PUSH_CHARACTERS_MAX)?;
        }
        if let Some(part) = &request.default {
            check_part("Default", part, [&part.title, &part.body, &None], PUSH_CHARACTERS_MAX)?;
        }
        Ok(())
    }
}

impl TemplateKind for InApp {
    type Request = wire::InAppTemplateRequest;
    type Response = wire::InAppTemplateResponse;
    type Created = wire::TemplateCreateMessageBody;
    const TYPE: TemplateType = TemplateType::Inapp;

    /// In-app templates have no variables.
    fn check(request: &Self::Request) -> Result<(), ApiError> {
        if request.content.as_ref().is_some_and(|contents| contents.len() > IN_APP_CONTENTS_MAX) {
            return Err(ApiError::bad_request(format!("Content has more than {IN_APP_CONTENTS_MAX} items")));
        }
        let document = serde_json::to_string(request)?;
        check_characters("In-app template", [&document], IN_APP_CHARACTERS_MAX)
    }
}

/// Checks a part of a push template: the size of all its texts, and those that hold variables.
fn check_part(
    name: &str,
    part: &impl Serialize,
    templates: [&Option<String>; 3],
    characters_max: usize,
) -> Result<(), ApiError> {
    let members = serde_json::to_value(part)?;
    let members = members.as_object().into_iter().flatten();
    let characters: usize =
        members.filter_map(|(_, value)| Value::as_str(value)).map(|text| text.chars().count()).sum();
    if characters > characters_max {
        return Err(too_long(name, characters_max));
    }
    templates.into_iter().try_for_each(|text| compile(name, text.as_deref(), Escape::None))
}

fn check_characters<'a>(
    name: &str,
    texts: impl IntoIterator<Item = &'a String>,
    characters_max: usize,
) -> Result<(), ApiError> {
    let characters: usize = texts.into_iter().map(|text| text.chars().count()).sum();
    if characters > characters_max { Err(too_long(name, characters_max)) } else { Ok(()) }
}

fn too_long(name: &str, characters_max: usize) -> ApiError {
    ApiError::bad_request(format!("{name} has more than {characters_max} characters"))
}

fn compile(name: &str, text: Option<&str>, escape: Escape) -> Result<(), ApiError> {
    let Some(text) = text else { return Ok(()) };
    match Template::compile(text, escape) {
        Ok(_) => Ok(()),
        Err(error) => Err(ApiError::bad_request(format!("{name}: {error}"))),
    }
}
