//! The endpoint as the wire shows it: `EndpointResponse`.

use serde_json::{Map, Value, json};

use super::{Endpoint, EndpointStatus, OptOut, User};
use crate::ids::AppId;

/// `EndpointResponse` as JSON (spec/10 §1): what `GetEndpoint` answers, an export writes and a template reads. `Attributes`,
/// `Metrics` and `User` are always there; `Demographic` and `Location` only once something was said of them.
pub fn document(app: &AppId, endpoint: &Endpoint, user: Option<&User>) -> Value {
    let mut document = Map::new();
    let mut put = |name: &str, value: Value| {
        document.insert(name.to_owned(), value);
    };
    put("ApplicationId", json!(app.as_str()));
    put("Id", json!(endpoint.id.as_str()));
    put("Attributes", json!(endpoint.attributes));
    put("Metrics", json!(endpoint.metrics));
    put("CohortId", json!(endpoint.cohort.to_string()));
    put("CreationDate", json!(endpoint.created.to_string()));
    put("EffectiveDate", json!(endpoint.effective_date.to_string()));
    put("RequestId", json!(endpoint.request_id.as_str()));
    put(
        "EndpointStatus",
        json!(match endpoint.status {
            EndpointStatus::Active => "ACTIVE",
            EndpointStatus::Inactive => "INACTIVE",
        }),
    );
    put(
        "OptOut",
        json!(match endpoint.opt_out {
            OptOut::None => "NONE",
            OptOut::All => "ALL",
        }),
    );
    if let Some(channel) = endpoint.channel_type {
        put("ChannelType", json!(channel.as_str()));
    }
    if let Some(address) = &endpoint.address {
        put("Address", json!(address));
    }
    let demographic = &endpoint.demographic;
    let demographic = members([
        ("AppVersion", json!(demographic.app_version)),
        ("Locale", json!(demographic.locale)),
        ("Make", json!(demographic.make)),
        ("Model", json!(demographic.model)),
        ("ModelVersion", json!(demographic.model_version)),
        ("Platform", json!(demographic.platform)),
        ("PlatformVersion", json!(demographic.platform_version)),
        ("Timezone", json!(demographic.timezone)),
    ]);
    if !demographic.is_empty() {
        put("Demographic", Value::Object(demographic));
    }
    let location = &endpoint.location;
    let location = members([
        ("City", json!(location.city)),
        ("Country", json!(location.country)),
        ("Latitude", json!(location.latitude)),
        ("Longitude", json!(location.longitude)),
        ("PostalCode", json!(location.postal_code)),
        ("Region", json!(location.region)),
    ]);
    if !location.is_empty() {
        put("Location", Value::Object(location));
    }
    put("User", Value::Object(user_document(endpoint, user)));
    Value::Object(document)
}

fn user_document(endpoint: &Endpoint, user: Option<&User>) -> Map<String, Value> {
    let mut document = Map::new();
    if let Some(id) = &endpoint.user_id {
        document.insert("UserId".to_owned(), json!(id.as_str()));
    }
    let attributes = endpoint.user_attributes(user);
    if !attributes.is_empty() {
        document.insert("UserAttributes".to_owned(), json!(attributes));
    }
    document
}

/// The members that have a value.
fn members<const COUNT: usize>(all: [(&str, Value); COUNT]) -> Map<String, Value> {
    all.into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
