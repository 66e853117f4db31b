//! Endpoints and users: what is kept of them, and how an update is read and checked (spec/10-endpoints-users.md).
//!
//! An [`EndpointUpdate`] is what a caller sent; [`crate::audience`] merges it into the [`Endpoint`] that is kept.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::channels::ChannelType;
use crate::ids::{EndpointId, RequestId, UserId};
use crate::time::Timestamp;

mod document;
mod size;
mod update;

pub use document::{document, document_read};
pub use update::{EndpointUpdate, UserUpdate};

/// A text of an endpoint. Most are short, and then it needs no memory of its own.
pub use compact_str::CompactString as Text;

/// Values of one attribute; never empty where they are kept, and mostly one.
pub type Values = smallvec::SmallVec<[Text; 1]>;

/// A user's endpoints, at most (spec/95-limits.md §2).
pub const ENDPOINTS_PER_USER_MAX: usize = 15;
/// Characters of an attribute's name.
pub const ATTRIBUTE_NAME_CHARACTERS_MAX: usize = 50;
/// Characters of an attribute's value.
pub const ATTRIBUTE_VALUE_CHARACTERS_MAX: usize = 100;
/// Values of one attribute.
pub const ATTRIBUTE_VALUES_MAX: usize = 50;
/// Bytes of an endpoint: see [`Endpoint::bytes`].
pub const ENDPOINT_BYTES_MAX: usize = 15 * 1024;
/// Bytes of a user's attributes: as many as an endpoint may have, of which they are a part on the wire.
pub const USER_BYTES_MAX: usize = ENDPOINT_BYTES_MAX;
/// Characters of an endpoint id. The service names no limit; a longer id is a mistake.
pub const ENDPOINT_ID_CHARACTERS_MAX: usize = 255;

/// Receives messages or not (spec/10 §2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EndpointStatus {
    #[default]
    Active,
    Inactive,
}

/// Wants messages or not (spec/10 §4).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum OptOut {
    #[default]
    None,
    All,
}

/// The device behind an endpoint. Every member is what the caller sent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Demographic {
    pub app_version: Option<Text>,
    pub locale: Option<Text>,
    pub make: Option<Text>,
    pub model: Option<Text>,
    pub model_version: Option<Text>,
    pub platform: Option<Text>,
    pub platform_version: Option<Text>,
    /// A name of the tz database; kept as sent, even where it is not one.
    pub timezone: Option<Text>,
}

/// Where an endpoint was seen last. Coordinates are kept to one decimal (spec/10 §1).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Location {
    pub city: Option<Text>,
    pub country: Option<Text>,
    pub latitude: Option<f64>,
    pub longitude: Option<f64>,
    pub postal_code: Option<Text>,
    pub region: Option<Text>,
}

/// An endpoint as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Endpoint {
    /// As its first writer spelled it.
    pub id: EndpointId,
    /// Its row in the audience index: per application, never reused.
    pub ordinal: u32,
    /// 0..99, for holdouts and treatments; never changes.
    pub cohort: u8,
    pub created: Timestamp,
    pub effective_date: Timestamp,
    pub request_id: RequestId,
    pub status: EndpointStatus,
    pub opt_out: OptOut,
    pub channel_type: Option<ChannelType>,
    pub address: Option<Text>,
    pub user_id: Option<UserId>,
    pub attributes: BTreeMap<Text, Values>,
    pub metrics: BTreeMap<Text, f64>,
    pub demographic: Demographic,
    pub location: Location,
    /// User attributes sent while no user is known: they move to the user when one is named.
    pub loose_user_attributes: BTreeMap<Text, Values>,
    /// The latest date that the endpoint was ever in effect at, where `effective_date` went back since: an import names old
    /// ones, and nobody who was active becomes inactive by it.
    pub last_effective_date: Option<Timestamp>,
}

/// What a user's endpoints share.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct User {
    pub attributes: BTreeMap<Text, Values>,
    /// Folded endpoint ids; a user without endpoints is not kept.
    pub endpoints: BTreeSet<String>,
}

/// A refusal that names what is wrong, as the client reads it. A 400 for the call, or for its item in a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

impl Invalid {
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl Endpoint {
    /// When updates say that the endpoint was active last; events may say later.
    pub fn last_active(&self) -> Timestamp {
        self.last_effective_date.unwrap_or(self.effective_date).max(self.effective_date)
    }

    /// User attributes in force: the user's, or the loose ones while there is no user.
    pub fn user_attributes<'a>(&'a self, user: Option<&'a User>) -> &'a BTreeMap<Text, Values> {
        match (&self.user_id, user) {
            (Some(_), Some(user)) => &user.attributes,
            _ => &self.loose_user_attributes,
        }
    }
}

/// Checks an endpoint id: not empty, not too long, none of `$`, `{`, `}` (spec/10 §1).
pub fn check_endpoint_id(id: &str) -> Result<(), Invalid> {
    if id.is_empty() {
        return Err(Invalid::new("Missing endpoint id"));
    }
    if id.chars().count() > ENDPOINT_ID_CHARACTERS_MAX {
        return Err(Invalid::new(format!(
            "Endpoint id has more than {ENDPOINT_ID_CHARACTERS_MAX} characters"
        )));
    }
    if id.contains(['$', '{', '}']) {
        return Err(Invalid::new("Endpoint id must not contain $, { or }"));
    }
    Ok(())
}
