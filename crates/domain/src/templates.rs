//! Templates and channels as they are used: read from the documents that clients wrote.

use model::pinpoint as wire;
use serde_json::Value;

use crate::endpoints::Invalid;
use crate::rendering::parse_default_substitutions;

/// An email template's content (spec/40-templates.md §3).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EmailTemplate {
    pub subject: Option<String>,
    pub html: Option<String>,
    pub text: Option<String>,
    pub headers: Vec<(String, String)>,
    /// A JSON object.
    pub defaults: Value,
}

impl EmailTemplate {
    /// Reads an `EmailTemplateRequest`, JSON.
    pub fn parse_document(document: &str) -> Result<Self, Invalid> {
        let request: wire::EmailTemplateRequest = parse(document)?;
        let defaults = request.default_substitutions.as_deref().unwrap_or_default();
        let defaults =
            parse_default_substitutions(defaults).map_err(|error| Invalid::new(error.to_string()))?;
        let headers = request.headers.into_iter().flatten();
        Ok(Self {
            subject: request.subject,
            html: request.html_part,
            text: request.text_part,
            headers: headers
                .filter_map(|header| Some((header.name?, header.value.unwrap_or_default())))
                .collect(),
            defaults,
        })
    }
}

/// An application's email channel (spec/80-messaging.md §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EmailChannel {
    pub from: String,
    pub enabled: bool,
}

impl EmailChannel {
    /// Reads an `EmailChannelRequest`, JSON. A channel that does not say otherwise is enabled.
    pub fn parse_document(document: &str) -> Result<Self, Invalid> {
        let request: wire::EmailChannelRequest = parse(document)?;
        Ok(Self { from: request.from_address, enabled: request.enabled != Some(false) })
    }
}

fn parse<T: serde::de::DeserializeOwned>(document: &str) -> Result<T, Invalid> {
    serde_json::from_str(document).map_err(|error| Invalid::new(error.to_string()))
}
