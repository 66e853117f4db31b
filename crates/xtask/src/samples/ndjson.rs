//! Writes people as one `EndpointBatchItem` a line.

use serde::Serialize;

use super::person::Person;

pub(super) fn write(people: &[Person]) -> serde_json::Result<String> {
    let mut text = String::new();
    for person in people {
        text.push_str(&serde_json::to_string(&Item::of(person))?);
        text.push('\n');
    }
    Ok(text)
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Item<'p> {
    id: &'p str,
    channel_type: &'static str,
    address: &'p str,
    opt_out: &'static str,
    user: User<'p>,
    location: Location,
    demographic: Demographic,
    metrics: Metrics,
    attributes: Attributes<'p>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct User<'p> {
    user_id: &'p str,
    user_attributes: UserAttributes<'p>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct UserAttributes<'p> {
    first_name: [&'p str; 1],
    last_name: [&'p str; 1],
    language: [&'static str; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Location {
    city: &'static str,
    region: &'static str,
    country: &'static str,
    latitude: f64,
    longitude: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Demographic {
    locale: String,
    timezone: &'static str,
    #[serde(flatten)]
    app: Option<Installed>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Installed {
    platform: &'static str,
    make: &'static str,
    model: &'static str,
    app_version: &'static str,
}

#[derive(Serialize)]
struct Metrics {
    orders: u32,
    lifetime_value: f64,
}

#[derive(Serialize)]
struct Attributes<'p> {
    plan: [&'static str; 1],
    newsletter: [&'static str; 1],
    interests: &'p [&'static str],
}

impl<'p> Item<'p> {
    fn of(person: &'p Person) -> Self {
        let app = person.app.as_ref().map(|app| Installed {
            platform: app.platform,
            make: app.make,
            model: app.model,
            app_version: app.version,
        });
        Self {
            id: &person.id,
            channel_type: "EMAIL",
            address: &person.address,
            opt_out: person.opt_out(),
            user: User {
                user_id: &person.user_id,
                user_attributes: UserAttributes {
                    first_name: [&person.first_name],
                    last_name: [&person.last_name],
                    language: [person.language],
                },
            },
            location: Location {
                city: person.city.name,
                region: person.city.region,
                country: person.country.code,
                latitude: person.city.latitude,
                longitude: person.city.longitude,
            },
            demographic: Demographic { locale: person.locale(), timezone: person.city.timezone, app },
            metrics: Metrics { orders: person.orders, lifetime_value: person.lifetime_value() },
            attributes: Attributes {
                plan: [person.plan],
                newsletter: [person.newsletter],
                interests: &person.interests,
            },
        }
    }
}
