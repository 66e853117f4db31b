//! The sample data is what its description promises.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::names::Name;
use super::*;

const BYTES_MAX: usize = 6_000_000;

#[test]
fn the_files_are_the_same_every_time_and_not_too_large() {
    let files = files().unwrap();
    assert_eq!(files, super::files().unwrap());
    let [(_, csv), (_, ndjson)] = files;
    assert_eq!(csv.lines().count(), CSV_PEOPLE + 1);
    assert_eq!(ndjson.lines().count(), NDJSON_PEOPLE);
    assert!(csv.len() + ndjson.len() < BYTES_MAX);
}

#[test]
fn people_fit_together() {
    let people: Vec<_> = People::new(SEED).take(CSV_PEOPLE + NDJSON_PEOPLE).collect();
    let mut addresses = HashSet::new();
    let mut countries = BTreeMap::<&str, usize>::new();
    let mut timezones = BTreeSet::new();
    for person in &people {
        let (local, domain) = person.address.split_once('@').unwrap();
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
        assert!(local.len() > 2 && local.bytes().all(is_plain), "{}", person.address);
        assert!(["example.com", "example.net", "example.org"].contains(&domain));
        assert!(addresses.insert(&person.address), "{}", person.address);
        assert!(!person.first_name.is_empty() && !person.first_name.contains(['=', '/', '|', '\t', '\n']));
        assert!(!person.last_name.is_empty() && !person.last_name.contains(['=', '/', '|', '\t', '\n']));
        assert!(person.country.cities.iter().any(|city| city.name == person.city.name));
        assert_eq!(person.orders == 0, person.lifetime_cents == 0);
        *countries.entry(person.country.code).or_default() += 1;
        timezones.insert(person.city.timezone);
    }
    assert!(countries.len() >= 25 && countries.values().all(|count| *count >= 50), "{countries:?}");
    assert!(timezones.len() >= 40);
    let opted_out = people.iter().filter(|person| person.is_opted_out).count();
    assert!((200..400).contains(&opted_out), "{opted_out}");
    let with_app = people.iter().filter(|person| person.app.is_some()).count();
    assert!((7_000..8_500).contains(&with_app), "{with_app}");
}

#[test]
fn every_name_has_a_reading_in_ascii() {
    for country in &countries::COUNTRIES {
        for (language, names) in country.languages {
            for entry in [names.women, names.men, names.families].into_iter().flat_map(|list| list.split('|'))
            {
                for is_woman in [false, true] {
                    let name = Name::read(entry, is_woman);
                    let letters = name.ascii.chars().filter(char::is_ascii_lowercase).count();
                    assert!(letters >= 2, "{language}: {entry}");
                    // Every letter of a name without a reading has become one.
                    if !entry.contains('=') {
                        let wanted = name.written.chars().filter(|letter| letter.is_alphabetic()).count();
                        assert!(letters >= wanted, "{language}: {entry} is {}", name.ascii);
                    }
                }
            }
        }
    }
    let read = |entry, is_woman| {
        let name = Name::read(entry, is_woman);
        (name.written, name.ascii)
    };
    assert_eq!(read("Čern\u{fd}/Čern\u{e1}", true), ("Černá".to_owned(), "cerna".to_owned()));
    assert_eq!(read("Weiß-O'Neil", false), ("Weiß-O'Neil".to_owned(), "weiss-oneil".to_owned()));
    assert_eq!(read("Χατζής=chatzis/Χατζή=chatzi", true), ("Χατζή".to_owned(), "chatzi".to_owned()));
}

/// The values of a row, read by the rules of RFC 4180.
fn values(row: &str) -> Vec<String> {
    let mut values = vec![String::new()];
    let mut is_quoted = false;
    let mut characters = row.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                values.last_mut().unwrap().push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => values.push(String::new()),
            _ => values.last_mut().unwrap().push(character),
        }
    }
    assert!(!is_quoted, "{row}");
    values
}

#[test]
fn csv_quotes_what_needs_it() {
    let [(_, csv), _] = files().unwrap();
    let mut rows = csv.lines().map(values);
    let header = rows.next().unwrap();
    assert_eq!(header.iter().filter(|name| *name == "Attributes.interests").count(), 4);
    let column = |wanted: &str| header.iter().position(|name| name == wanted).unwrap();
    let rows: Vec<Vec<String>> = rows.collect();
    assert!(rows.iter().all(|row| row.len() == header.len()));
    for (name, wanted) in [
        ("Location.City", "Washington, D.C."),
        ("Location.City", "東京"),
        ("User.UserAttributes.FirstName", "Robert \"Bob\""),
        ("User.UserAttributes.LastName", "Smith, Jr."),
        ("Demographic.Model", "Galaxy Tab S9, 11\""),
        ("Demographic.Model", ""),
        ("OptOut", "ALL"),
    ] {
        assert!(rows.iter().any(|row| row[column(name)] == wanted), "{wanted}");
    }
    assert!(csv.contains(",\"Robert \"\"Bob\"\"\","));
}

#[test]
fn ndjson_has_the_shape_of_a_batch_item() {
    let [_, (_, ndjson)] = files().unwrap();
    let first: serde_json::Value = serde_json::from_str(ndjson.lines().next().unwrap()).unwrap();
    assert_eq!(first["Id"], "sample-06001");
    assert_eq!(first["ChannelType"], "EMAIL");
    assert_eq!(first["User"]["UserId"], "user-06001");
    for line in ndjson.lines() {
        let item: serde_json::Value = serde_json::from_str(line).unwrap();
        for list in ["plan", "newsletter", "interests"] {
            assert!(!item["Attributes"][list].as_array().unwrap().is_empty(), "{line}");
        }
        for list in ["FirstName", "LastName", "Language"] {
            assert_eq!(item["User"]["UserAttributes"][list].as_array().unwrap().len(), 1, "{line}");
        }
        assert!(item["Metrics"]["orders"].is_u64() && item["Metrics"]["lifetime_value"].is_f64(), "{line}");
        assert!(item["Location"]["Latitude"].is_f64() && item["Location"]["City"].is_string(), "{line}");
        let demographic = &item["Demographic"];
        assert!(demographic["Timezone"].is_string() && demographic["Locale"].is_string(), "{line}");
        assert_eq!(demographic["Platform"].is_string(), demographic["AppVersion"].is_string(), "{line}");
    }
}
