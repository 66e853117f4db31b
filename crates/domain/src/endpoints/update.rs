//! An update as a caller sends it: read leniently, checked exactly.

use std::collections::BTreeMap;
use std::fmt;

use compact_str::ToCompactString;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use smallvec::smallvec;

use super::{
    ATTRIBUTE_NAME_CHARACTERS_MAX, ATTRIBUTE_VALUE_CHARACTERS_MAX, ATTRIBUTE_VALUES_MAX, Demographic,
    EndpointStatus, Invalid, Location, OptOut, Text, Values,
};
use crate::audience::AttributeKind;
use crate::channels::ChannelType;
use crate::time::Timestamp;

/// The body of `UpdateEndpoint`, an item of `UpdateEndpointsBatch`, the `Endpoint` of a `PutEvents` item, a line of an import.
/// A member that is absent or null changes nothing.
#[derive(Debug, Clone, Default, PartialEq, serde::Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct EndpointUpdate {
    /// Only in batches and imports; elsewhere the path names the endpoint.
    pub id: Option<Text>,
    pub address: Option<Text>,
    /// An empty list removes the attribute's values (spec/97 C11).
    #[serde(deserialize_with = "attributes")]
    pub attributes: Option<BTreeMap<Text, Values>>,
    #[serde(deserialize_with = "channel_type")]
    pub channel_type: Option<ChannelType>,
    #[serde(deserialize_with = "demographic")]
    pub demographic: Option<Demographic>,
    #[serde(deserialize_with = "instant")]
    pub effective_date: Option<Timestamp>,
    #[serde(deserialize_with = "endpoint_status")]
    pub endpoint_status: Option<EndpointStatus>,
    #[serde(deserialize_with = "location")]
    pub location: Option<Location>,
    pub metrics: Option<BTreeMap<Text, f64>>,
    #[serde(deserialize_with = "opt_out")]
    pub opt_out: Option<OptOut>,
    pub request_id: Option<Text>,
    pub user: Option<UserUpdate>,
}

/// The `User` of an update.
#[derive(Debug, Clone, Default, PartialEq, serde::Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct UserUpdate {
    /// An empty text ends the link (Amplify signs out so, spec/97 §12).
    pub user_id: Option<Text>,
    #[serde(deserialize_with = "attributes")]
    pub user_attributes: Option<BTreeMap<Text, Values>>,
}

impl EndpointUpdate {
    /// Reads an update from JSON; the message names the place of the fault.
    pub fn parse(json: &str) -> Result<Self, Invalid> {
        serde_json::from_str(json).map_err(|fault| Invalid::new(fault.to_string()))
    }

    /// Says nothing at all: only that the endpoint is there.
    pub fn is_empty(&self) -> bool {
        *self == Self { id: self.id.clone(), ..Self::default() }
    }

    /// The names that it would capture. An attribute without values is removed, and captures nothing.
    pub fn names(&self) -> impl Iterator<Item = (AttributeKind, &str)> {
        let user = self.user.as_ref().and_then(|user| user.user_attributes.as_ref());
        let metrics = self.metrics.iter().flat_map(BTreeMap::keys);
        with_values(AttributeKind::Endpoint, self.attributes.as_ref())
            .chain(metrics.map(|name| (AttributeKind::Metric, name.as_str())))
            .chain(with_values(AttributeKind::User, user))
    }

    /// Checks what can be checked without knowing the endpoint (spec/10 §9).
    pub fn check(&self) -> Result<(), Invalid> {
        check_attributes("attribute", self.attributes.as_ref())?;
        for name in self.metrics.iter().flat_map(BTreeMap::keys) {
            check_name("metric", name)?;
        }
        if let Some(user) = &self.user {
            check_attributes("user attribute", user.user_attributes.as_ref())?;
            if let Some(id) = &user.user_id
                && id.chars().count() > super::ENDPOINT_ID_CHARACTERS_MAX
            {
                return Err(Invalid::new("UserId is too long"));
            }
        }
        Ok(())
    }
}

fn with_values(
    kind: AttributeKind,
    attributes: Option<&BTreeMap<Text, Values>>,
) -> impl Iterator<Item = (AttributeKind, &str)> {
    let attributes = attributes.into_iter().flatten().filter(|(_, values)| !values.is_empty());
    attributes.map(move |(name, _)| (kind, name.as_str()))
}

fn check_name(kind: &str, name: &str) -> Result<(), Invalid> {
    if name.is_empty() {
        return Err(Invalid::new(format!("Name of {kind} is empty")));
    }
    if name.chars().count() > ATTRIBUTE_NAME_CHARACTERS_MAX {
        return Err(Invalid::new(format!(
            "Name of {kind} has more than {ATTRIBUTE_NAME_CHARACTERS_MAX} characters: {name}"
        )));
    }
    Ok(())
}

fn check_attributes(kind: &str, attributes: Option<&BTreeMap<Text, Values>>) -> Result<(), Invalid> {
    for (name, values) in attributes.into_iter().flatten() {
        check_name(kind, name)?;
        if values.len() > ATTRIBUTE_VALUES_MAX {
            return Err(Invalid::new(format!("More than {ATTRIBUTE_VALUES_MAX} values of {kind} {name}")));
        }
        for value in values {
            // Bytes bound characters from above: most values need no count.
            if value.len() > ATTRIBUTE_VALUE_CHARACTERS_MAX
                && value.chars().count() > ATTRIBUTE_VALUE_CHARACTERS_MAX
            {
                return Err(Invalid::new(format!(
                    "Value of {kind} {name} has more than {ATTRIBUTE_VALUE_CHARACTERS_MAX} characters"
                )));
            }
        }
    }
    Ok(())
}

/// One value or a list of them: the guide's samples send bare texts (spec/10 §1).
struct ValueList(Values);

impl<'de> Deserialize<'de> for ValueList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Lenient;
        impl<'de> Visitor<'de> for Lenient {
            type Value = ValueList;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a list of strings")
            }
            fn visit_unit<E>(self) -> Result<ValueList, E> {
                Ok(ValueList(Values::new()))
            }
            fn visit_str<E>(self, value: &str) -> Result<ValueList, E> {
                Ok(ValueList(smallvec![Text::new(value)]))
            }
            fn visit_bool<E>(self, value: bool) -> Result<ValueList, E> {
                Ok(ValueList(smallvec![value.to_compact_string()]))
            }
            fn visit_i64<E>(self, value: i64) -> Result<ValueList, E> {
                Ok(ValueList(smallvec![value.to_compact_string()]))
            }
            fn visit_u64<E>(self, value: u64) -> Result<ValueList, E> {
                Ok(ValueList(smallvec![value.to_compact_string()]))
            }
            fn visit_f64<E>(self, value: f64) -> Result<ValueList, E> {
                Ok(ValueList(smallvec![value.to_compact_string()]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<ValueList, A::Error> {
                let mut values = Values::new();
                while let Some(ValueList(mut item)) = items.next_element()? {
                    values.append(&mut item);
                }
                Ok(ValueList(values))
            }
        }
        deserializer.deserialize_any(Lenient)
    }
}

/// Reads a map of value lists straight into the map that is kept.
fn attributes<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<Text, Values>>, D::Error> {
    struct Map;
    impl<'de> Visitor<'de> for Map {
        type Value = Option<BTreeMap<Text, Values>>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a map")
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_none<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }
        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_map(self)
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut attributes = BTreeMap::new();
            while let Some((name, ValueList(values))) = map.next_entry()? {
                attributes.insert(name, values);
            }
            Ok(Some(attributes))
        }
    }
    deserializer.deserialize_option(Map)
}

fn channel_type<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ChannelType>, D::Error> {
    let name = Option::<Text>::deserialize(deserializer)?;
    name.map(|name| {
        ChannelType::parse(&name).ok_or_else(|| D::Error::custom(format!("unknown ChannelType {name:?}")))
    })
    .transpose()
}

fn endpoint_status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<EndpointStatus>, D::Error> {
    match Option::<Text>::deserialize(deserializer)?.as_deref() {
        None => Ok(None),
        Some("ACTIVE") => Ok(Some(EndpointStatus::Active)),
        Some("INACTIVE") => Ok(Some(EndpointStatus::Inactive)),
        Some(other) => {
            Err(D::Error::custom(format!("EndpointStatus must be ACTIVE or INACTIVE, not {other:?}")))
        }
    }
}

fn opt_out<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<OptOut>, D::Error> {
    match Option::<Text>::deserialize(deserializer)?.as_deref() {
        None => Ok(None),
        Some("ALL") => Ok(Some(OptOut::All)),
        Some("NONE") => Ok(Some(OptOut::None)),
        Some(other) => Err(D::Error::custom(format!("OptOut must be ALL or NONE, not {other:?}"))),
    }
}

fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    match Option::<Text>::deserialize(deserializer)? {
        None => Ok(None),
        Some(text) => Timestamp::parse(&text)
            .map(Some)
            .ok_or_else(|| D::Error::custom(format!("EffectiveDate is not an ISO 8601 date: {text:?}"))),
    }
}

#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct WireDemographic {
    app_version: Option<Text>,
    locale: Option<Text>,
    make: Option<Text>,
    model: Option<Text>,
    model_version: Option<Text>,
    platform: Option<Text>,
    platform_version: Option<Text>,
    timezone: Option<Text>,
}

fn demographic<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Demographic>, D::Error> {
    let wire = Option::<WireDemographic>::deserialize(deserializer)?;
    Ok(wire.map(|wire| Demographic {
        app_version: wire.app_version,
        locale: wire.locale,
        make: wire.make,
        model: wire.model,
        model_version: wire.model_version,
        platform: wire.platform,
        platform_version: wire.platform_version,
        timezone: wire.timezone,
    }))
}

#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct WireLocation {
    city: Option<Text>,
    country: Option<Text>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    postal_code: Option<Text>,
    region: Option<Text>,
}

fn location<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Location>, D::Error> {
    let wire = Option::<WireLocation>::deserialize(deserializer)?;
    Ok(wire.map(|wire| Location {
        city: wire.city,
        country: wire.country,
        latitude: wire.latitude.map(one_decimal),
        longitude: wire.longitude.map(one_decimal),
        postal_code: wire.postal_code,
        region: wire.region,
    }))
}

/// 47.61 is kept as 47.6 (spec/10 §1).
fn one_decimal(degrees: f64) -> f64 {
    (degrees * 10.0).round() / 10.0
}
