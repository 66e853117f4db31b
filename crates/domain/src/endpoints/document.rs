//! The endpoint as the wire shows it: `EndpointResponse`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{Demographic, Endpoint, EndpointStatus, Location, OptOut, Text, User};
use crate::channels::ChannelType;
use crate::ids::AppId;
use crate::rendering::Reads;

/// Members of an `EndpointResponse`.
const MEMBERS: [&str; 15] = [
    "ApplicationId",
    "Id",
    "Attributes",
    "Metrics",
    "CohortId",
    "CreationDate",
    "EffectiveDate",
    "RequestId",
    "EndpointStatus",
    "OptOut",
    "ChannelType",
    "Address",
    "Demographic",
    "Location",
    "User",
];

/// `EndpointResponse` as JSON (spec/10 §1): what `GetEndpoint` answers and an export writes. `Attributes`, `Metrics` and `User`
/// are always there; `Demographic` and `Location` only once something was said of them.
pub fn document(app: &AppId, endpoint: &Endpoint, user: Option<&User>) -> Value {
    object(MEMBERS.into_iter(), |name| member(app, endpoint, user, name, None))
}

/// As much of [`document`] as templates read: they find in it what they find in the whole.
pub fn document_read(app: &AppId, endpoint: &Endpoint, user: Option<&User>, reads: &Reads) -> Value {
    object(reads.members(), |name| member(app, endpoint, user, name, Some(reads)))
}

fn object<'a>(names: impl Iterator<Item = &'a str>, member: impl Fn(&str) -> Value) -> Value {
    let mut document = Map::new();
    for name in names {
        let value = member(name);
        // Nobody needs a null, nor a group without members.
        if !value.is_null() {
            document.insert(name.to_owned(), value);
        }
    }
    Value::Object(document)
}

/// Null where there is none of the name.
fn member(app: &AppId, endpoint: &Endpoint, user: Option<&User>, name: &str, reads: Option<&Reads>) -> Value {
    match name {
        "ApplicationId" => json!(app.as_str()),
        "Id" => json!(endpoint.id.as_str()),
        "Attributes" => Value::Object(entries(&endpoint.attributes, name, reads)),
        "Metrics" => Value::Object(entries(&endpoint.metrics, name, reads)),
        "CohortId" => json!(endpoint.cohort.to_string()),
        "CreationDate" => json!(endpoint.created.to_string()),
        "EffectiveDate" => json!(endpoint.effective_date.to_string()),
        "RequestId" => json!(endpoint.request_id.as_str()),
        "EndpointStatus" => match endpoint.status {
            EndpointStatus::Active => json!("ACTIVE"),
            EndpointStatus::Inactive => json!("INACTIVE"),
        },
        "OptOut" => match endpoint.opt_out {
            OptOut::None => json!("NONE"),
            OptOut::All => json!("ALL"),
        },
        "ChannelType" => json!(endpoint.channel_type.map(ChannelType::as_str)),
        "Address" => json!(endpoint.address),
        "Demographic" => demographic(&endpoint.demographic),
        "Location" => location(&endpoint.location),
        "User" => user_document(endpoint, user, reads.filter(|reads| !reads.includes_all(name))),
        _ => Value::Null,
    }
}

fn user_document(endpoint: &Endpoint, user: Option<&User>, reads: Option<&Reads>) -> Value {
    let mut document = Map::new();
    if let Some(id) = &endpoint.user_id {
        document.insert("UserId".to_owned(), json!(id.as_str()));
    }
    let attributes = entries(endpoint.user_attributes(user), "User.UserAttributes", reads);
    if !attributes.is_empty() {
        document.insert("UserAttributes".to_owned(), Value::Object(attributes));
    }
    Value::Object(document)
}

/// The entries of a group that are read; all where nothing says which.
fn entries<T: Serialize>(map: &BTreeMap<Text, T>, group: &str, reads: Option<&Reads>) -> Map<String, Value> {
    let mut members = Map::new();
    let mut put = |key: &Text, value: &T| drop(members.insert(key.to_string(), json!(value)));
    match reads.filter(|reads| !reads.includes_all(group)) {
        None => map.iter().for_each(|(key, value)| put(key, value)),
        Some(reads) => {
            for key in reads.keys(group) {
                if let Some((key, value)) = map.get_key_value(key) {
                    put(key, value);
                }
            }
        }
    }
    members
}

fn demographic(demographic: &Demographic) -> Value {
    group([
        ("AppVersion", json!(demographic.app_version)),
        ("Locale", json!(demographic.locale)),
        ("Make", json!(demographic.make)),
        ("Model", json!(demographic.model)),
        ("ModelVersion", json!(demographic.model_version)),
        ("Platform", json!(demographic.platform)),
        ("PlatformVersion", json!(demographic.platform_version)),
        ("Timezone", json!(demographic.timezone)),
    ])
}

fn location(location: &Location) -> Value {
    group([
        ("City", json!(location.city)),
        ("Country", json!(location.country)),
        ("Latitude", json!(location.latitude)),
        ("Longitude", json!(location.longitude)),
        ("PostalCode", json!(location.postal_code)),
        ("Region", json!(location.region)),
    ])
}

/// The members that have a value; null where none has.
fn group<const COUNT: usize>(all: [(&str, Value); COUNT]) -> Value {
    let members: Map<String, Value> = all
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    if members.is_empty() { Value::Null } else { Value::Object(members) }
}
