//! The messages of a treatment: what is mailed, and which channels have a message (spec/50-campaigns.md §6).

use std::collections::BTreeSet;

use model::pinpoint as wire;

use super::{EmailContent, TemplateRef, TemplateVersion};
use crate::channels::ChannelType;
use crate::email::parse_headers;
use crate::endpoints::Invalid;

/// Stands for the newest version of a template, in any case of letters.
const LATEST: &str = "latest";
/// Characters of the body of a push notification.
const PUSH_BODY_CHARACTERS_MAX: usize = 200;
/// Bytes of what a channel of one's own is handed.
const CUSTOM_DATA_BYTES_MAX: usize = 5 * 1024;
/// Apple's channels: one message serves them all.
const APNS: [ChannelType; 4] =
    [ChannelType::Apns, ChannelType::ApnsSandbox, ChannelType::ApnsVoip, ChannelType::ApnsVoipSandbox];

/// What a treatment has to say.
#[derive(Debug, Default)]
pub(super) struct Messages {
    pub(super) email: Option<EmailContent>,
    pub(super) channels: BTreeSet<ChannelType>,
}

/// Reads the messages of a treatment. An empty object is no message.
pub(super) fn parse_messages(
    messages: Option<&wire::MessageConfiguration>,
    templates: Option<&wire::TemplateConfiguration>,
    custom: Option<&wire::CustomDeliveryConfiguration>,
) -> Result<Messages, Invalid> {
    let messages = messages.cloned().unwrap_or_default();
    let templates = templates.cloned().unwrap_or_default();
    let email = parse_email(
        given(messages.email_message.as_ref()),
        given(templates.email_template.as_ref()),
        given(messages.default_message.as_ref()),
    )?;
    check_lengths(&messages)?;
    let mut channels = of_messages(&messages, custom);
    channels.extend(of_templates(&templates));
    if email.is_some() {
        channels.insert(ChannelType::Email);
    }
    Ok(Messages { email, channels })
}

/// What is pushed and what is handed to a channel of one's own is short (spec/95-limits.md §2). Mails are made of the default
/// message too: it may be longer.
fn check_lengths(messages: &wire::MessageConfiguration) -> Result<(), Invalid> {
    let pushed = [
        ("ADMMessage", &messages.adm_message),
        ("APNSMessage", &messages.apns_message),
        ("BaiduMessage", &messages.baidu_message),
        ("GCMMessage", &messages.gcm_message),
    ];
    for (name, message) in pushed {
        let body = message.as_ref().and_then(|message| message.body.as_ref());
        if body.is_some_and(|body| body.chars().count() > PUSH_BODY_CHARACTERS_MAX) {
            let text = format!("The Body of {name} has more than {PUSH_BODY_CHARACTERS_MAX} characters");
            return Err(Invalid(text));
        }
    }
    let data = messages.custom_message.as_ref().and_then(|custom| custom.data.as_ref());
    if data.is_some_and(|data| data.len() > CUSTOM_DATA_BYTES_MAX) {
        return Err(Invalid(format!(
            "The Data of CustomMessage has more than {CUSTOM_DATA_BYTES_MAX} bytes"
        )));
    }
    Ok(())
}

/// A message or template that says anything.
fn given<T: Default + PartialEq>(message: Option<&T>) -> Option<&T> {
    message.filter(|message| **message != T::default())
}

/// Channels other than mail that have a message. Destructured in full: a new message has to be decided here.
fn of_messages(
    messages: &wire::MessageConfiguration,
    custom: Option<&wire::CustomDeliveryConfiguration>,
) -> BTreeSet<ChannelType> {
    let wire::MessageConfiguration {
        adm_message,
        apns_message,
        baidu_message,
        custom_message,
        default_message,
        email_message: _,
        gcm_message,
        in_app_message,
        sms_message,
    } = messages;
    let mut channels = BTreeSet::new();
    let mut add = |is_given: bool, of: &[ChannelType]| {
        if is_given {
            channels.extend(of);
        }
    };
    add(given(adm_message.as_ref()).is_some(), &[ChannelType::Adm]);
    add(given(apns_message.as_ref()).is_some(), &APNS);
    add(given(baidu_message.as_ref()).is_some(), &[ChannelType::Baidu]);
    add(given(gcm_message.as_ref()).is_some(), &[ChannelType::Gcm]);
    add(given(in_app_message.as_ref()).is_some(), &[ChannelType::InApp]);
    add(given(sms_message.as_ref()).is_some(), &[ChannelType::Sms]);
    // The default is for every channel; a mail is made of it where it has a body, and nothing is pushed in an app.
    let all = ChannelType::ALL.into_iter();
    let all: Vec<_> = all.filter(|it| !matches!(it, ChannelType::Email | ChannelType::InApp)).collect();
    add(given(default_message.as_ref()).is_some(), &all);
    // A custom message goes to the endpoints that its delivery names (spec/50 §9).
    let types = custom.and_then(|custom| custom.endpoint_types.as_ref()).filter(|types| !types.is_empty());
    let custom: Vec<_> = match types {
        Some(types) => types.iter().filter_map(|it| ChannelType::parse(it.as_str())).collect(),
        None => vec![ChannelType::Custom],
    };
    add(custom_message.is_some(), &custom);
    channels
}

/// Channels other than mail that have a template. One for voice is not supported for campaigns (spec/50 §6).
fn of_templates(templates: &wire::TemplateConfiguration) -> Vec<ChannelType> {
    let wire::TemplateConfiguration {
        email_template: _,
        in_app_template,
        push_template,
        sms_template,
        voice_template: _,
    } = templates;
    let mut channels = Vec::new();
    if given(in_app_template.as_ref()).is_some() {
        channels.push(ChannelType::InApp);
    }
    if given(push_template.as_ref()).is_some() {
        channels.extend(ChannelType::ALL.into_iter().filter(|channel| channel.is_push()));
    }
    if given(sms_template.as_ref()).is_some() {
        channels.push(ChannelType::Sms);
    }
    channels
}

/// The mail: the message for mail, then the template, then the default message. `None` where none of them says anything.
fn parse_email(
    message: Option<&wire::CampaignEmailMessage>,
    template: Option<&wire::Template>,
    default: Option<&wire::Message>,
) -> Result<Option<EmailContent>, Invalid> {
    let default_body = default.and_then(|default| default.body.clone());
    if message.is_none() && template.is_none() && default_body.is_none() {
        return Ok(None);
    }
    let wire::CampaignEmailMessage { body, from_address, headers, html_body, title } =
        message.cloned().unwrap_or_default();
    let mut content = EmailContent {
        from: from_address,
        subject: title,
        html: html_body,
        text: body,
        headers: parse_headers(headers.as_deref())?,
        template: template.map(parse_template).transpose()?,
    };
    if content.template.is_none() {
        content.subject = content.subject.or_else(|| default.and_then(|default| default.title.clone()));
        if content.html.is_none() {
            content.text = content.text.or(default_body);
        }
        if content.html.is_none() && content.text.is_none() {
            return Err(Invalid::new(
                "EmailMessage needs HtmlBody or Body, a DefaultMessage or an EmailTemplate",
            ));
        }
    }
    Ok(Some(content))
}

/// Reads a reference to a template.
pub fn parse_template(template: &wire::Template) -> Result<TemplateRef, Invalid> {
    let name = template.name.clone().filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| Invalid::new("Template needs a Name"))?;
    let version = match template.version.as_deref() {
        None | Some("") => TemplateVersion::Active,
        Some(text) if text.eq_ignore_ascii_case(LATEST) => TemplateVersion::Latest,
        Some(text) => {
            let number = text.parse().map_err(|_| {
                Invalid::new(format!("Version of a template must be a number or {LATEST}, not {text:?}"))
            })?;
            TemplateVersion::Number(number)
        }
    };
    Ok(TemplateRef { name, version })
}
