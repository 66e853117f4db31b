//! How fast events are checked, templates render and import files are read. `cargo run --release -p domain --example rates`

#![expect(clippy::print_stdout, reason = "a measurement is for reading")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Instant;

use domain::events::{EventBatch, EventNames};
use domain::import::{Format, Reader};
use domain::names::NameHashes;
use domain::rendering::{Escape, Missing, RenderContext, Template, Values};
use domain::time::Timestamp;
use serde_json::{Value, json};

const BATCHES: u32 = 20_000;
const RENDERS: u32 = 200_000;
const ROWS: usize = 500_000;
/// As a reader of objects would hand them over.
const CHUNK_BYTES: usize = 64 * 1024;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    events()?;
    renders("text", "Hello {{User.UserAttributes.FirstName.[0]}}, your code is {{otp}}.", Escape::None)?;
    let email = format!(
        "<html><style>{}</style><h1>Hi {{{{capitalizeFirst User.UserAttributes.FirstName}}}}</h1>\
         {{{{#if (gt User.UserAttributes.Visits 3)}}}}<p>Welcome back</p>{{{{else}}}}<p>Hi</p>{{{{/if}}}}\
         <ul>{{{{#each Attributes.Interests}}}}<li>{{{{@index}}}} {{{{this}}}}</li>{{{{/each}}}}</ul>\
         <p>{{{{dateFormat EffectiveDate outputFormat=\"full\" tz=Demographic.Timezone}}}} {{{{Location.City}}}}</p></html>",
        "p { color: red } ".repeat(500)
    );
    renders("email", &email, Escape::Html)?;
    let started = Instant::now();
    Template::compile(&"<td>{{Attributes.Name.[0]}}</td>".repeat(18_000), Escape::Html)?;
    println!("compile of 576 KB with 18,000 tags: {:?}", started.elapsed());

    let mut csv = "ChannelType,Address,Id,OptOut,Location.Country,Metrics.Age,Attributes.Interests,Attributes.Interests,\
                   Attributes.Plan,User.UserId,User.UserAttributes.FirstName,User.UserAttributes.City\n"
        .to_owned();
    let mut lines = String::new();
    for row in 0..ROWS {
        writeln!(
            csv,
            "EMAIL,user{row}@example.com,e{row},NONE,US,{row},Music,Travel,pro,u{row},Jane,\"Rome, IT\""
        )?;
        lines += &json!({"Id": format!("e{row}"), "ChannelType": "EMAIL", "Address": format!("user{row}@example.com"),
            "OptOut": "NONE", "Location": {"Country": "US"}, "Metrics": {"Age": row},
            "Attributes": {"Interests": ["Music", "Travel"], "Plan": ["pro"]},
            "User": {"UserId": format!("u{row}"), "UserAttributes": {"FirstName": ["Jane"], "City": ["Rome, IT"]}}})
        .to_string();
        lines.push('\n');
    }
    imports("CSV", Format::Csv, &csv)?;
    imports("CSV without Id", Format::Csv, &csv.replace(",Id,", ",RequestId,"))?;
    imports("JSON", Format::Json, &lines)?;
    imports("JSON without Id", Format::Json, &lines.replace("\"Id\"", "\"RequestId\""))?;
    Ok(())
}

fn events() -> Result<(), Box<dyn std::error::Error>> {
    let event = |number: usize| {
        let attributes: BTreeMap<String, String> = (0..8)
            .map(|key| (format!("attribute_{key}"), format!("a value of some length {number}")))
            .collect();
        json!({"EventType": format!("type_{}", number % 20), "Timestamp": "2026-11-23T10:00:00.123Z",
            "AppPackageName": "com.example.shop", "AppTitle": "Shop", "AppVersionCode": "1.2.3", "SdkName": "amplify",
            "Attributes": attributes, "Metrics": {"price": 9.99, "quantity": 2},
            "Session": {"Id": "0123456789abcdef", "StartTimestamp": "2026-11-23T10:00:00.000Z"}})
    };
    let list: BTreeMap<String, Value> =
        (0..100).map(|number| (format!("event-{number}"), event(number))).collect();
    let body = json!({"BatchItem": {"endpoint": {"Endpoint": {}, "Events": list}}}).to_string();
    let mut names = EventNames::default();
    for item in EventBatch::parse_known(&body, &NameHashes::default())?.items {
        for event in item.events {
            names.take(&event.new_names)?;
        }
    }
    let known = names.hashes();
    for (name, known) in [("without names", None), ("names known", Some(&known))] {
        let started = Instant::now();
        for _ in 0..BATCHES {
            let batch = match known {
                None => EventBatch::parse(&body)?,
                Some(known) => EventBatch::parse_known(&body, known)?,
            };
            assert!(
                batch.items[0].events.iter().all(|event| event.fault.is_none() && event.new_names.is_empty())
            );
        }
        let micros = started.elapsed().as_secs_f64() * 1e6 / f64::from(BATCHES);
        println!("batch of 100 events, {} bytes, {name}: {micros:.1} us", body.len());
    }
    Ok(())
}

fn renders(name: &str, source: &str, escape: Escape) -> Result<(), Box<dyn std::error::Error>> {
    let template = Template::compile(source, escape)?;
    let endpoint = json!({
        "Id": "e1", "Address": "jane@example.com", "ChannelType": "EMAIL", "EffectiveDate": "2026-01-02T03:04:05.000Z",
        "Attributes": {"Interests": ["Music", "Travel", "Tea"], "Plan": ["pro"]},
        "Demographic": {"Timezone": "America/New_York"}, "Location": {"City": "Seattle"},
        "User": {"UserId": "u1", "UserAttributes": {"FirstName": ["jane"], "Visits": ["17"]}}
    });
    let defaults = json!({"otp": "123456"});
    let values = Values::new(&endpoint).with_defaults(&defaults);
    let context = RenderContext { now: Timestamp(1_760_000_000_000), random: 7 };
    let started = Instant::now();
    let mut bytes = 0;
    for _ in 0..RENDERS {
        bytes += template.render(&values, Missing::Refuse, &context)?.len();
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{name}: {:.0} renders/s, {} bytes each",
        f64::from(RENDERS) / seconds,
        bytes / RENDERS as usize
    );
    Ok(())
}

fn imports(name: &str, format: Format, file: &str) -> Result<(), Box<dyn std::error::Error>> {
    let started = Instant::now();
    let (mut good, mut bad) = (0, 0);
    let mut sink = |row: domain::import::ImportRow<'_>| match row.result {
        Ok(_) => good += 1,
        Err(_) => bad += 1,
    };
    let mut reader = Reader::new(format);
    for chunk in file.as_bytes().chunks(CHUNK_BYTES) {
        reader.feed(chunk, &mut sink)?;
    }
    reader.finish(&mut sink)?;
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{name}: {:.0} rows/s, {:.0} MB/s, {good} good, {bad} bad",
        ROWS as f64 / seconds,
        file.len() as f64 / seconds / 1e6
    );
    Ok(())
}
