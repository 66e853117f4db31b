//! Direct messages: SendMessages and SendUsersMessages (spec/80-messaging.md §1, §2).

use std::collections::BTreeMap;

use model::pinpoint as wire;
use serde::{Deserialize, Serialize};

use crate::campaigns::{EmailContent, parse_template};
use crate::channels::ChannelType;
use crate::endpoints::{Endpoint, EndpointStatus, Invalid, OptOut};
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
    pub body: Option<String>,
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

    /// The mail; `None` when the request has neither an email message nor an email template.
    pub fn email(&self) -> Result<Option<DirectEmail>, Invalid> {
        let message = self.message_configuration.email_message.as_ref();
        let template = self.template_configuration.as_ref().and_then(|it| it.email_template.as_ref());
        if message.is_none() && template.is_none() {
            return Ok(None);
        }
        let mut email = DirectEmail::default();
        if let Some(message) = message {
            let part =
                |part: &Option<wire::SimpleEmailPart>| part.as_ref().and_then(|part| part.data.clone());
            if let Some(simple) = &message.simple_email {
                email.content.subject = part(&simple.subject);
                email.content.html = part(&simple.html_part);
                email.content.text = part(&simple.text_part);
                let headers = simple.headers.iter().flatten();
                email.content.headers = headers
                    .filter_map(|header| {
                        Some((header.name.clone()?, header.value.clone().unwrap_or_default()))
                    })
                    .collect();
            }
            if email.content.text.is_none() {
                email.content.text.clone_from(&message.body);
            }
            email.content.from.clone_from(&message.from_address);
            email.reply_to = message.reply_to_addresses.clone().unwrap_or_default();
            email.return_path.clone_from(&message.feedback_forwarding_address);
            email.raw = message.raw_email.as_ref().and_then(|raw| raw.data.clone()).map(|blob| blob.0);
            email.substitutions = message.substitutions.clone().unwrap_or_default();
        }
        email.content.template = template.map(parse_template).transpose()?;
        let content = &email.content;
        let has_body = content.html.is_some() || content.text.is_some();
        let default = self.message_configuration.default_message.as_ref();
        if !has_body && content.template.is_none() && email.raw.is_none() {
            email.content.text = default.and_then(|message| message.body.clone());
        }
        Ok(Some(email))
    }

    /// What is particular to an address.
    pub fn of_address(&self, address: &str) -> Overrides {
        let Some(configuration) = self.addresses.get(address) else { return Overrides::default() };
        Overrides {
            body: configuration.body_override.clone(),
            title: configuration.title_override.clone(),
            substitutions: configuration.substitutions.clone().unwrap_or_default(),
        }
    }

    /// What is particular to an endpoint that was named, or to the user through whom it was found.
    pub fn of_endpoint(&self, id: &str, user: Option<&str>) -> Overrides {
        let named = self.endpoints.get(id).or_else(|| {
            self.endpoints
                .iter()
                .find(|(name, _)| name.to_lowercase() == id)
                .map(|(_, configuration)| configuration)
        });
        let configuration = user.and_then(|user| self.users.get(user)).or(named);
        let Some(configuration) = configuration else { return Overrides::default() };
        Overrides {
            body: configuration.body_override.clone(),
            title: configuration.title_override.clone(),
            substitutions: configuration.substitutions.clone().unwrap_or_default(),
        }
    }
}

/// Whether a direct message goes to an endpoint; the error is its status and text (spec/80 §1, spec/97 §1.4).
pub fn decide_direct(
    endpoint: Option<&Endpoint>,
    has_email: bool,
    enabled: impl Fn(ChannelType) -> bool,
) -> Result<(ChannelType, String), (SendStatus, &'static str)> {
    let endpoint = endpoint.ok_or((SendStatus::EndpointDeleted, "Endpoint not found"))?;
    if endpoint.opt_out == OptOut::All {
        return Err((SendStatus::OptOut, "Endpoint is opted out"));
    }
    if endpoint.status == EndpointStatus::Inactive {
        return Err((SendStatus::Inactive, "Endpoint is inactive"));
    }
    let (Some(channel), Some(address)) = (endpoint.channel_type, &endpoint.address) else {
        return Err((SendStatus::MissingAddress, "Endpoint has no address or channel"));
    };
    check_channel(channel, has_email, enabled)?;
    Ok((channel, address.clone()))
}

/// Whether a message can go out on a channel.
pub fn check_channel(
    channel: ChannelType,
    has_email: bool,
    enabled: impl Fn(ChannelType) -> bool,
) -> Result<(), (SendStatus, &'static str)> {
    if channel != ChannelType::Email {
        return Err((SendStatus::UnsupportedChannel, "Channel is not supported yet"));
    }
    if !has_email {
        return Err((SendStatus::ChannelMismatch, "Either template or email message must be specified"));
    }
    if !enabled(channel) {
        return Err((
            SendStatus::UnsupportedChannel,
            "No channel of type EMAIL is enabled for the application",
        ));
    }
    Ok(())
}
