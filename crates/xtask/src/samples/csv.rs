//! Writes people as CSV: dotted headers, and a column for each value that an attribute may have.

use super::person::{INTERESTS_MAX, Person};

pub(super) fn write(people: &[Person]) -> String {
    let mut text = String::new();
    write_row(&mut text, &header());
    for person in people {
        write_row(&mut text, &row(person));
    }
    text
}

fn header() -> Vec<String> {
    let mut columns = vec![
        "Id",
        "ChannelType",
        "Address",
        "OptOut",
        "User.UserId",
        "User.UserAttributes.FirstName",
        "User.UserAttributes.LastName",
        "User.UserAttributes.Language",
        "Location.City",
        "Location.Region",
        "Location.Country",
        "Location.Latitude",
        "Location.Longitude",
        "Demographic.Locale",
        "Demographic.Timezone",
        "Demographic.Platform",
        "Demographic.Make",
        "Demographic.Model",
        "Demographic.AppVersion",
        "Metrics.orders",
        "Metrics.lifetime_value",
        "Attributes.plan",
        "Attributes.newsletter",
    ];
    columns.extend(["Attributes.interests"; INTERESTS_MAX]);
    columns.into_iter().map(str::to_owned).collect()
}

fn row(person: &Person) -> Vec<String> {
    let app = person.app.as_ref();
    let mut row = vec![
        person.id.clone(),
        "EMAIL".to_owned(),
        person.address.clone(),
        person.opt_out().to_owned(),
        person.user_id.clone(),
        person.first_name.clone(),
        person.last_name.clone(),
        person.language.to_owned(),
        person.city.name.to_owned(),
        person.city.region.to_owned(),
        person.country.code.to_owned(),
        person.city.latitude.to_string(),
        person.city.longitude.to_string(),
        person.locale(),
        person.city.timezone.to_owned(),
        app.map_or("", |app| app.platform).to_owned(),
        app.map_or("", |app| app.make).to_owned(),
        app.map_or("", |app| app.model).to_owned(),
        app.map_or("", |app| app.version).to_owned(),
        person.orders.to_string(),
        person.lifetime_value().to_string(),
        person.plan.to_owned(),
        person.newsletter.to_owned(),
    ];
    for place in 0..INTERESTS_MAX {
        row.push(person.interests.get(place).map_or("", |interest| interest).to_owned());
    }
    row
}

fn write_row(text: &mut String, values: &[String]) {
    for (place, value) in values.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        if value.contains([',', '"']) {
            text.push('"');
            text.push_str(&value.replace('"', "\"\""));
            text.push('"');
        } else {
            text.push_str(value);
        }
    }
    text.push('\n');
}
