//! What is left of an HTTP request once it has been routed, and how inputs are read from and written to it.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The parts of a request that an input is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestParts<'a> {
    /// Label of the path template, for example `application-id`, and value, percent-decoded.
    pub labels: Vec<(&'static str, String)>,
    /// Names and values of the query in the order received, percent-decoded. A list is a repeated name.
    pub query: Vec<(String, String)>,
    pub body: Cow<'a, [u8]>,
}

/// Why a request could not be read. The text is meant for the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    pub message: String,
}

impl RequestParts<'_> {
    pub(crate) fn label<T: FromStr>(&self, name: &str) -> Result<T, DecodeError> {
        let Some((_, value)) = self.labels.iter().find(|(label, _)| *label == name) else {
            return Err(DecodeError::new(format!("missing path label `{name}`")));
        };
        parse(name, value)
    }

    pub(crate) fn query<T: FromStr>(&self, name: &str) -> Result<Option<T>, DecodeError> {
        let Some((_, value)) = self.query.iter().find(|(key, _)| key == name) else {
            return Ok(None);
        };
        parse(name, value).map(Some)
    }

    pub(crate) fn query_list<T: FromStr>(&self, name: &str) -> Result<Vec<T>, DecodeError> {
        self.query.iter().filter(|(key, _)| key == name).map(|(_, value)| parse(name, value)).collect()
    }

    /// The body as the one member that is bound to it.
    pub(crate) fn payload<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        if self.body.is_empty() {
            return Err(DecodeError::new("request body is required"));
        }
        document(&self.body)
    }

    /// The body as a whole input (JSON 1.0), where no body means no members.
    pub(crate) fn document<T: DeserializeOwned>(&self) -> Result<T, DecodeError> {
        document(if self.body.is_empty() { b"{}" } else { &self.body })
    }

    pub(crate) fn set_label(&mut self, name: &'static str, value: &impl ToString) {
        self.labels.push((name, value.to_string()));
    }

    pub(crate) fn set_query<'v, T: ToString + 'v>(
        &mut self,
        name: &str,
        values: impl IntoIterator<Item = &'v T>,
    ) {
        self.query.extend(values.into_iter().map(|value| (name.to_owned(), value.to_string())));
    }

    pub(crate) fn set_payload(&mut self, value: &impl Serialize) -> Result<(), serde_json::Error> {
        self.body = Cow::Owned(serde_json::to_vec(value)?);
        Ok(())
    }
}

pub(crate) fn document<T: DeserializeOwned>(body: &[u8]) -> Result<T, DecodeError> {
    serde_json::from_slice(body).map_err(|error| DecodeError::new(error.to_string()))
}

fn parse<T: FromStr>(name: &str, value: &str) -> Result<T, DecodeError> {
    value.parse().map_err(|_| DecodeError::new(format!("invalid value for `{name}`: `{value}`")))
}

impl DecodeError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DecodeError {}
