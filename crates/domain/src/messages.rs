//! Direct messages: `SendMessages` and `SendUsersMessages` (spec/80-messaging.md §1, §2).

use std::collections::BTreeMap;

use model::pinpoint as wire;
use serde::{Deserialize, Serialize};

use crate::campaigns::{EmailContent, parse_template};
use crate::channels::ChannelType;
use crate::email::parse_headers;
use crate::endpoints::{Endpoint, EndpointStatus, Invalid, OptOut};
use crate::ids::AppId;
use crate::records::SendStatus;
use crate::rendering::Substitutions;

/// Addresses, endpoints or users of one request (spec/80 §1).
pub const RECIPIENTS_MAX: usize = 100;

/// What a direct message is made of: kept with its page of the outbox as JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DirectRequest {
    pub message_configuration: wire::DirectMessageConfiguration,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template_configuration: Option<wire::TemplateConfiguration>,
    pub addresses: BTreeMap<String, wire::AddressConfiguration>,
    /// By endpoint id as sent.
    pub endpoints: BTreeMap<String, wire::EndpointSendConfiguration>,
    pub users: BTreeMap<String, wire::EndpointSendConfiguration>,
}

/// What is particular to one recipient.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    /// A template, as the message's body is one.
    pub body: Option<String>,
    /// A template: the subject of a mail.
    pub title: Option<String>,
    pub substitutions: Substitutions,
}

/// The mail of a direct message.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DirectEmail {
    pub content: EmailContent,
    pub reply_to: Vec<String>,
    pub return_path: Option<String>,
    /// A whole message; nothing else of the content is used.
    pub raw: Option<Vec<u8>>,
    /// Those of the default message, and over them those of the email message.
    pub substitutions: Substitutions,
}

impl From<wire::MessageRequest> for DirectRequest {
    fn from(request: wire::MessageRequest) -> Self {
        Self {
            message_configuration: request.message_configuration,
            template_configuration: request.template_configuration,
            addresses: request.addresses.unwrap_or_default(),
            endpoints: request.endpoints.unwrap_or_default(),
            users: BTreeMap::new(),
        }
    }
}

impl From<wire::SendUsersMessageRequest> for DirectRequest {
    fn from(request: wire::SendUsersMessageRequest) -> Self {
        Self {
            message_configuration: request.message_configuration,
            template_configuration: request.template_configuration,
            users: request.users,
            ..Self::default()
        }
    }
}

impl DirectRequest {
    /// Checks what makes the whole request wrong: no recipients, or too many; an address without a channel; a message that
    /// cannot be meant.
    pub fn check(&self) -> Result<(), Invalid> {
        let recipients = self.addresses.len() + self.endpoints.len() + self.users.len();
        if recipients == 0 {
            return Err(Invalid::new("No recipients: Addresses, Endpoints or Users is required"));
        }
        if recipients > RECIPIENTS_MAX {
            return Err(Invalid::new(format!("A request has at most {RECIPIENTS_MAX} recipients")));
        }
        for (address, configuration) in &self.addresses {
            if configuration.channel_type.is_none() {
                return Err(Invalid::new(format!("Missing ChannelType of address {address}")));
            }
        }
        self.email().map(drop)
    }

    /// The mail; `None` when the request has neither an email message, nor a default message, nor an email template. The
    /// email message overrides the default one, and with a template the texts come from that (spec/80 §1).
    pub fn email(&self) -> Result<Option<DirectEmail>, Invalid> {
        let message = self.message_configuration.email_message.as_ref();
        let default = self.message_configuration.default_message.as_ref();
        let default_body = default.and_then(|message| message.body.as_ref());
        let template = self.template_configuration.as_ref().and_then(|it| it.email_template.as_ref());
        if message.is_none() && default_body.is_none() && template.is_none() {
            return Ok(None);
        }
        let default_values = default.and_then(|message| message.substitutions.clone());
        let mut email =
            DirectEmail { substitutions: default_values.unwrap_or_default(), ..DirectEmail::default() };
        if let Some(message) = message {
            let part =
                |part: &Option<wire::SimpleEmailPart>| part.as_ref().and_then(|part| part.data.clone());
            if let Some(simple) = &message.simple_email {
                email.content.subject = part(&simple.subject);
                email.content.html = part(&simple.html_part);
                email.content.text = part(&simple.text_part);
                email.content.headers = parse_headers(simple.headers.as_deref())?;
            }
            if email.content.text.is_none() {
                email.content.text.clone_from(&message.body);
            }
            email.content.from.clone_from(&message.from_address);
            email.reply_to = message.reply_to_addresses.clone().unwrap_or_default();
            email.return_path.clone_from(&message.feedback_forwarding_address);
            email.raw = message.raw_email.as_ref().and_then(|raw| raw.data.clone()).map(|blob| blob.0);
            email.substitutions.extend(message.substitutions.clone().unwrap_or_default());
        }
        email.content.template = template.map(parse_template).transpose()?;
        let content = &email.content;
        let has_body = content.html.is_some() || content.text.is_some();
        if !has_body && content.template.is_none() && email.raw.is_none() {
            email.content.text = default_body.cloned();
        }
        Ok(Some(email))
    }
}

impl From<&wire::AddressConfiguration> for Overrides {
    fn from(configuration: &wire::AddressConfiguration) -> Self {
        Self {
            body: configuration.body_override.clone(),
            title: configuration.title_override.clone(),
            substitutions: configuration.substitutions.clone().unwrap_or_default(),
        }
    }
}

impl From<&wire::EndpointSendConfiguration> for Overrides {
    fn from(configuration: &wire::EndpointSendConfiguration) -> Self {
        Self {
            body: configuration.body_override.clone(),
            title: configuration.title_override.clone(),
            substitutions: configuration.substitutions.clone().unwrap_or_default(),
        }
    }
}

/// Why a direct message is not sent: its status, and the `StatusMessage` of the answer.
pub type Withheld = (SendStatus, String);

/// Whether a direct message goes to an endpoint (spec/80 §1, spec/97 §1.2 and §1.4).
pub fn decide_direct(
    endpoint: Option<&Endpoint>,
    has_email: bool,
    app: &AppId,
    enabled: impl Fn(ChannelType) -> bool,
) -> Result<(ChannelType, String), Withheld> {
    let withheld = |status: SendStatus, text: &str| (status, text.to_owned());
    let endpoint = endpoint.ok_or_else(|| withheld(SendStatus::EndpointDeleted, "Endpoint not found"))?;
    if endpoint.opt_out == OptOut::All {
        // Clients look for the words "opted out" (spec/97 §1.2).
        return Err(withheld(SendStatus::OptOut, "Endpoint is opted out"));
    }
    if endpoint.status == EndpointStatus::Inactive {
        return Err(withheld(SendStatus::Inactive, "Endpoint is inactive"));
    }
    let channel =
        endpoint.channel_type.ok_or_else(|| withheld(SendStatus::MissingChannel, "Missing ChannelType"))?;
    let address =
        endpoint.address.as_ref().ok_or_else(|| withheld(SendStatus::MissingAddress, "Missing Address"))?;
    check_channel(channel, has_email, app, enabled)?;
    Ok((channel, address.as_str().to_owned()))
}

/// Whether a message can go out on a channel. The texts for mail are those of spec/97 §1.2 and §1.4.
pub fn check_channel(
    channel: ChannelType,
    has_email: bool,
    app: &AppId,
    enabled: impl Fn(ChannelType) -> bool,
) -> Result<(), Withheld> {
    let channel_name = channel.as_str();
    if channel != ChannelType::Email {
        let text = format!("Messages to endpoints of type {channel_name} are not supported by this version");
        return Err((SendStatus::UnsupportedChannel, text));
    }
    if !has_email {
        let text = "Either template or email message must be specified";
        return Err((SendStatus::ChannelMismatch, text.to_owned()));
    }
    if !enabled(channel) {
        let text = format!("No channel of type {channel_name} is enabled for the application {app}");
        return Err((SendStatus::UnsupportedChannel, text));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
