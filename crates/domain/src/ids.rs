//! The newtype ids, one per kind, in one list.
//!
//! An id is the text that the wire shows. Ids of applications, segments, campaigns, jobs and activities are 32 lower-case
//! hexadecimal characters (spec/00-overview.md §1); endpoint and user ids are chosen by the caller.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps the text of an id that is known to be well formed.
            pub fn new(text: impl AsRef<str>) -> Self {
                Self(Arc::from(text.as_ref()))
            }

            /// The id as the wire shows it.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, "{}({})", stringify!($name), self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::new(text)
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(Arc::from(text))
            }
        }
    )+};
}

ids! {
    /// Twelve digits; owns everything.
    AccountId,
    /// A project.
    AppId,
    /// A run of a campaign for one treatment.
    ActivityId,
    CampaignId,
    /// One attempt to reach one recipient: travels in the protocol (Message-ID) and in every record of the outcome.
    DeliveryId,
    /// Chosen by the caller; compared without case (spec/10-endpoints-users.md §1): use [`EndpointId::folded`] in keys.
    EndpointId,
    /// An import or export job.
    JobId,
    /// Of one HTTP request, a dashed UUID.
    RequestId,
    SegmentId,
    TemplateName,
    /// Chosen by the caller; case-sensitive.
    UserId,
}

impl EndpointId {
    /// The form under which the endpoint is stored and compared: lower case.
    pub fn folded(&self) -> Arc<str> {
        match folded(&self.0) {
            Cow::Borrowed(_) => Arc::clone(&self.0),
            Cow::Owned(folded) => folded.into(),
        }
    }
}

/// As [`EndpointId::folded`], borrowed where the text is folded already: what most apps send.
pub fn folded(endpoint_id: &str) -> Cow<'_, str> {
    if endpoint_id.is_ascii() && !endpoint_id.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Cow::Borrowed(endpoint_id);
    }
    Cow::Owned(endpoint_id.to_lowercase())
}
