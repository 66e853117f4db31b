//! How large an endpoint is: its texts and names added up, a number as eight bytes (spec/95-limits.md §2).
//!
//! What an update adds is at most its own size, so whether an endpoint can become too large is known without merging.

use std::collections::BTreeMap;

use super::{Demographic, Endpoint, EndpointUpdate, Location, Text, User, Values};
use crate::ids::UserId;

/// Bytes of a number.
const NUMBER_BYTES: usize = 8;

impl Endpoint {
    /// Bytes that count towards [`super::ENDPOINT_BYTES_MAX`].
    pub fn bytes(&self) -> usize {
        text(self.address.as_deref())
            + text(self.user_id.as_ref().map(UserId::as_str))
            + attributes(&self.attributes)
            + attributes(&self.loose_user_attributes)
            + metrics(&self.metrics)
            + demographic(&self.demographic)
            + location(&self.location)
    }
}

impl User {
    /// Bytes that count towards [`super::USER_BYTES_MAX`].
    pub fn bytes(&self) -> usize {
        attributes(&self.attributes)
    }
}

impl EndpointUpdate {
    /// Bytes by which it makes an endpoint larger, at most.
    pub fn bytes(&self) -> usize {
        text(self.address.as_deref())
            + text(self.user.as_ref().and_then(|user| user.user_id.as_deref()))
            + self.attributes.as_ref().map_or(0, attributes)
            + self.user_bytes()
            + self.metrics.as_ref().map_or(0, metrics)
            + self.demographic.as_ref().map_or(0, demographic)
            + self.location.as_ref().map_or(0, location)
    }

    /// Bytes by which it makes the endpoint's user larger, at most.
    pub fn user_bytes(&self) -> usize {
        self.user.as_ref().and_then(|user| user.user_attributes.as_ref()).map_or(0, attributes)
    }
}

fn text(text: Option<&str>) -> usize {
    text.map_or(0, str::len)
}

fn attributes(attributes: &BTreeMap<Text, Values>) -> usize {
    attributes.iter().map(|(name, values)| name.len() + values.iter().map(Text::len).sum::<usize>()).sum()
}

fn metrics(metrics: &BTreeMap<Text, f64>) -> usize {
    metrics.keys().map(|name| name.len() + NUMBER_BYTES).sum()
}

fn demographic(demographic: &Demographic) -> usize {
    let Demographic { app_version, locale, make, model, model_version, platform, platform_version, timezone } =
        demographic;
    let texts = [app_version, locale, make, model, model_version, platform, platform_version, timezone];
    texts.into_iter().map(|member| text(member.as_deref())).sum()
}

fn location(location: &Location) -> usize {
    let Location { city, country, latitude, longitude, postal_code, region } = location;
    let texts = [city, country, postal_code, region];
    let numbers = [latitude, longitude];
    texts.into_iter().map(|member| text(member.as_deref())).sum::<usize>()
        + numbers.into_iter().flatten().count() * NUMBER_BYTES
}
