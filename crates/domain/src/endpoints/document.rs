//! The endpoint as the wire shows it: `EndpointResponse`.

use serde_json::{Map, Value, json};

use super::{Demographic, Endpoint, EndpointStatus, Location, OptOut, User};
use crate::channels::ChannelType;
use crate::ids::AppId;

/// `EndpointResponse` as JSON (spec/10 §1): what `GetEndpoint` answers, an export writes and a template reads. `Attributes`,
/// `Metrics` and `User` are always there; `Demographic` and `Location` only once something was said of them.
pub fn document(app: &AppId, endpoint: &Endpoint, user: Option<&User>) -> Value {
    members(app, endpoint, user, |_| true)
}

/// Those members of [`document`] that are wanted: a template reads two or three of them.
pub fn members(
    app: &AppId,
    endpoint: &Endpoint,
    user: Option<&User>,
    is_wanted: impl Fn(&str) -> bool,
) -> Value {
    let mut document = Map::new();
    let mut put = |name: &str, value: &dyn Fn() -> Value| {
        if is_wanted(name) {
            let value = value();
            // Nobody needs a null, nor a group without members.
            if !value.is_null() {
                document.insert(name.to_owned(), value);
            }
        }
    };
    put("ApplicationId", &|| json!(app.as_str()));
    put("Id", &|| json!(endpoint.id.as_str()));
    put("Attributes", &|| json!(endpoint.attributes));
    put("Metrics", &|| json!(endpoint.metrics));
    put("CohortId", &|| json!(endpoint.cohort.to_string()));
    put("CreationDate", &|| json!(endpoint.created.to_string()));
    put("EffectiveDate", &|| json!(endpoint.effective_date.to_string()));
    put("RequestId", &|| json!(endpoint.request_id.as_str()));
    put("EndpointStatus", &|| match endpoint.status {
        EndpointStatus::Active => json!("ACTIVE"),
        EndpointStatus::Inactive => json!("INACTIVE"),
    });
    put("OptOut", &|| match endpoint.opt_out {
        OptOut::None => json!("NONE"),
        OptOut::All => json!("ALL"),
    });
    put("ChannelType", &|| json!(endpoint.channel_type.map(ChannelType::as_str)));
    put("Address", &|| json!(endpoint.address));
    put("Demographic", &|| demographic(&endpoint.demographic));
    put("Location", &|| location(&endpoint.location));
    put("User", &|| Value::Object(user_document(endpoint, user)));
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
