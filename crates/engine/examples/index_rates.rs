//! How fast the audience index answers: `cargo run --release -p engine --example index_rates -- 1000000`.

use std::collections::BTreeMap;
use std::time::Instant;

use domain::channels::ChannelType;
use domain::endpoints::{Demographic, Endpoint, EndpointStatus, Location, OptOut, Text, Values};
use domain::segments::{Candidate, Combine, Criteria, Field, Group, Predicate, ValueTest};
use domain::time::Timestamp;
use engine::index::Index;

const NOW: Timestamp = Timestamp(1_790_000_000_000);

fn endpoint(number: u32) -> Endpoint {
    let one = |text: &str| Values::from_iter([Text::from(text)]);
    let country = ["DE", "FR", "US", "JP", "BR", "IN", "GB", "ES"][(number % 8) as usize];
    Endpoint {
        id: format!("device-{number:012x}").into(),
        ordinal: number,
        cohort: (number % 100) as u8,
        created: NOW,
        effective_date: NOW,
        request_id: "r".into(),
        status: EndpointStatus::Active,
        opt_out: OptOut::None,
        channel_type: Some(ChannelType::Email),
        address: Some(format!("person{number}@example.com").into()),
        user_id: None,
        attributes: BTreeMap::from([
            ("plan".into(), one(["free", "free", "free", "pro", "team"][(number % 5) as usize])),
            ("interest".into(), one(&format!("topic-{}", number % 40))),
            ("tier".into(), one(&format!("t{}", number % 3))),
            ("store".into(), one(&format!("store-{}", number % 700))),
            ("newsletter".into(), one(if number.is_multiple_of(3) { "weekly" } else { "daily" })),
        ]),
        metrics: BTreeMap::from([("orders".into(), f64::from(number % 50)), ("value".into(), 7.5)]),
        demographic: Demographic {
            app_version: Some(format!("4.{}", number % 30).into()),
            model: Some(format!("M{}", number % 90).into()),
            platform: Some(if number.is_multiple_of(2) { "android" } else { "ios" }.into()),
            ..Demographic::default()
        },
        location: Location { country: Some(country.into()), ..Location::default() },
        loose_user_attributes: BTreeMap::new(),
        last_effective_date: None,
    }
}

fn criteria() -> Criteria {
    let values = |field: Field, values: &[&str]| Predicate::Values {
        field,
        test: ValueTest::Inclusive(values.iter().map(|&value| Text::from(value)).collect()),
    };
    let dimension = vec![
        values(Field::Attribute("plan".into()), &["pro", "team"]),
        values(Field::Attribute("newsletter".into()), &["weekly"]),
        values(Field::Attribute("tier".into()), &["t0", "t1"]),
        values(Field::Country, &["DE", "FR"]),
    ];
    Criteria {
        groups: vec![Group { dimensions: vec![dimension], ..Group::default() }],
        include: Combine::All,
    }
}

#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
fn main() {
    let count: u32 = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1_000_000);
    let mut index = Index::new();
    let mut building = 0.0;
    for first in (0..count).step_by(10_000) {
        let endpoints: Vec<Endpoint> = (first..(first + 10_000).min(count)).map(endpoint).collect();
        let start = Instant::now();
        for endpoint in &endpoints {
            index.upsert_endpoint(endpoint, None);
        }
        building += start.elapsed().as_secs_f64();
    }
    println!(
        "built {count} endpoints in {building:.2} s, {:.0} bytes each",
        index.bytes() as f64 / f64::from(count)
    );
    let criteria = criteria();
    let mut best = f64::MAX;
    let mut members = 0;
    for _ in 0..30 {
        let start = Instant::now();
        members = index.select(&criteria, NOW, &|_| None).map_or(0, |selection| selection.count());
        best = best.min(start.elapsed().as_secs_f64());
    }
    let sample: Vec<Endpoint> = (0..count.min(100_000)).map(endpoint).collect();
    let start = Instant::now();
    let matching = sample.iter().filter(|endpoint| {
        let candidate = Candidate { endpoint, user: None, last_active: NOW };
        criteria.matches(&candidate, NOW, &|_| false)
    });
    let matching = matching.count();
    let naive = start.elapsed().as_secs_f64() / sample.len() as f64 * f64::from(count);
    println!(
        "{members} members ({matching} in the sample) in {:.2} ms; one by one {:.1} ms: {:.4}",
        best * 1e3,
        naive * 1e3,
        best / naive
    );
}
