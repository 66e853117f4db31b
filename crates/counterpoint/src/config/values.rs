//! Values that are more than a text or a number.

use std::fmt;

use api::secrets::Secret;
use deliver::mime::Refused;
use deliver::{ListUnsubscribe, SmtpOptions};
use engine::dispatch::MissingValues;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};

/// Connections to a mail server, at most.
const CONNECTIONS_MAX: usize = 1_000;
/// Attempts for one mail, at most.
const ATTEMPTS_MAX: u16 = 100;
/// Digits of an account id.
const ACCOUNT_ID_DIGITS: usize = 12;
/// Characters of an access key id (AWS: 16 to 128).
const ACCESS_KEY_ID_CHARACTERS: std::ops::RangeInclusive<usize> = 4..=128;

/// How mail leaves.
#[derive(Debug, Clone)]
pub(crate) enum EmailTransportKind {
    Sandbox,
    Smtp(Box<SmtpOptions>),
}

impl<'de> Deserialize<'de> for EmailTransportKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Through a secret, because the URL may hold a password that an error must not show.
        let text = secret(deserializer)?;
        match text.reveal() {
            "sandbox" => Ok(Self::Sandbox),
            "ses" => Err(D::Error::custom(
                "ses is not available in this version: use smtps:// with the SMTP credentials of SES",
            )),
            // Each lane has connections of its own.
            url if url.starts_with("smtp")
                && ["?", "&"].iter().any(|it| url.contains(&format!("{it}connections="))) =>
            {
                Err(D::Error::custom("say how many connections in email.connections"))
            }
            url if url.starts_with("smtp://") || url.starts_with("smtps://") => {
                url.parse().map(Box::new).map(Self::Smtp).map_err(D::Error::custom)
            }
            _ => Err(D::Error::custom("must be sandbox, smtp://… or smtps://…")),
        }
    }
}

/// What the log looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Auto,
    Pretty,
    Json,
}

/// A text that no error repeats.
pub(super) fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Secret, D::Error> {
    deserializer.deserialize_any(SecretVisitor)
}

struct SecretVisitor;

/// The methods for numbers are there to keep the number out of the error.
impl Visitor<'_> for SecretVisitor {
    type Value = Secret;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a text in quotes")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Secret, E> {
        Ok(Secret::new(text))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Secret, E> {
        Err(E::custom("must be a text in quotes"))
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Secret, E> {
        Err(E::custom("must be a text in quotes"))
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Secret, E> {
        Err(E::custom("must be a text in quotes"))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Secret, E> {
        Err(E::custom("must be a text in quotes"))
    }
}

pub(super) fn not_negative<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let number = f64::deserialize(deserializer)?;
    if number.is_finite() && number >= 0.0 {
        return Ok(number);
    }
    Err(D::Error::custom("must not be negative"))
}

pub(super) fn account_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let is_one = text.len() == ACCOUNT_ID_DIGITS && text.bytes().all(|byte| byte.is_ascii_digit());
    if text.is_empty() || is_one {
        return Ok(text);
    }
    Err(D::Error::custom("must be 12 digits in quotes"))
}

pub(super) fn access_key_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    let is_one = ACCESS_KEY_ID_CHARACTERS.contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if text.is_empty() || is_one {
        return Ok(text);
    }
    Err(D::Error::custom("must be 4 to 128 letters, digits or _"))
}

pub(super) fn connections<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let number = usize::deserialize(deserializer)?;
    if (1..=CONNECTIONS_MAX).contains(&number) {
        return Ok(number);
    }
    Err(D::Error::custom("must be 1 to 1000"))
}

pub(super) fn attempts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u16, D::Error> {
    let number = u16::deserialize(deserializer)?;
    if (1..=ATTEMPTS_MAX).contains(&number) {
        return Ok(number);
    }
    Err(D::Error::custom("must be 1 to 100"))
}

pub(super) fn missing_values<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MissingValues, D::Error> {
    match String::deserialize(deserializer)?.as_str() {
        "refuse" => Ok(MissingValues::Refuse),
        "blank" => Ok(MissingValues::Blank),
        _ => Err(D::Error::custom("must be refuse or blank")),
    }
}

/// What recipients unsubscribe at: checked by making the header of a mail.
pub(super) fn list_unsubscribe_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    check_unsubscribe(&ListUnsubscribe { url: Some(text.clone()), mailto: None }, &text)
        .map_err(D::Error::custom)?;
    Ok(text)
}

pub(super) fn list_unsubscribe_mailto<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    check_unsubscribe(&ListUnsubscribe { url: None, mailto: Some(text.clone()) }, &text)
        .map_err(D::Error::custom)?;
    Ok(text)
}

fn check_unsubscribe(unsubscribe: &ListUnsubscribe, text: &str) -> Result<(), Refused> {
    // An empty one is none.
    if text.is_empty() { Ok(()) } else { unsubscribe.check() }
}
