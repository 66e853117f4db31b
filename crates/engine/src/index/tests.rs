//! The index against the evaluator of one endpoint, on random audiences and random criteria.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::channels::ChannelType;
use domain::endpoints::{Demographic, EndpointStatus, Location, OptOut};
use domain::ids::{EndpointId, RequestId, UserId};
use domain::segments::{Candidate, MetricOperator};
use smallvec::smallvec;
use store::dice::Dice;

use super::*;

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const TEXTS: [&str; 6] = ["a", "b", "ab", "c", "2026-01-01T00:00:00Z", "2026-06-01T12:00:00Z"];

/// What the index should hold, in the form that the domain judges.
#[derive(Default)]
struct Truth {
    endpoints: BTreeMap<u32, (Endpoint, Timestamp)>,
    users: BTreeMap<String, User>,
}

fn texts(dice: &mut Dice) -> Values {
    (0..=dice.below(2)).map(|_| Text::from(TEXTS[dice.below(6) as usize])).collect()
}

fn attributes(dice: &mut Dice) -> BTreeMap<Text, Values> {
    (0..dice.below(3)).map(|_| (format!("k{}", dice.below(3)).into(), texts(dice))).collect()
}

fn maybe(dice: &mut Dice) -> Option<Text> {
    dice.once_in(2).then(|| Text::from(TEXTS[dice.below(6) as usize]))
}

fn endpoint(dice: &mut Dice, ordinal: u32) -> Endpoint {
    Endpoint {
        id: EndpointId::new(ordinal.to_string()),
        ordinal,
        cohort: 0,
        created: NOW,
        effective_date: NOW.minus(Duration::from_hours(dice.below(1_000))),
        request_id: RequestId::new("r"),
        status: EndpointStatus::Active,
        opt_out: OptOut::None,
        channel_type: dice.once_in(2).then(|| ChannelType::ALL[dice.below(13) as usize]),
        address: None,
        user_id: dice.once_in(2).then(|| UserId::new(format!("u{}", dice.below(6)))),
        attributes: attributes(dice),
        metrics: (0..dice.below(3))
            .map(|_| (format!("m{}", dice.below(2)).into(), dice.below(5) as f64))
            .collect(),
        demographic: Demographic {
            app_version: maybe(dice),
            make: maybe(dice),
            model: maybe(dice),
            platform: maybe(dice),
            ..Demographic::default()
        },
        location: Location {
            country: maybe(dice),
            latitude: dice.once_in(2).then(|| dice.below(90) as f64),
            longitude: dice.once_in(2).then(|| dice.below(90) as f64),
            ..Location::default()
        },
        loose_user_attributes: if dice.once_in(3) { attributes(dice) } else { BTreeMap::new() },
        last_effective_date: None,
    }
}

fn change(dice: &mut Dice, index: &mut Index, truth: &mut Truth) {
    let ordinal = dice.below(150) as u32;
    match dice.below(10) {
        0..=5 => {
            let endpoint = endpoint(dice, ordinal);
            let before = truth.endpoints.get(&ordinal).map(|(_, at)| *at);
            let at = before.map_or(endpoint.effective_date, |before| before.max(endpoint.effective_date));
            index.upsert_endpoint(&endpoint, Some(endpoint.effective_date));
            truth.endpoints.insert(ordinal, (endpoint, at));
        }
        6 => {
            index.remove_endpoint(ordinal);
            truth.endpoints.remove(&ordinal);
        }
        7 => {
            let at = NOW.minus(Duration::from_hours(dice.below(1_000)));
            index.touch(ordinal, at);
            if let Some((_, last)) = truth.endpoints.get_mut(&ordinal) {
                *last = (*last).max(at);
            }
        }
        8 => {
            let id = format!("u{}", dice.below(6));
            index.remove_user(&id);
            truth.users.remove(&id);
        }
        _ => {
            let id = format!("u{}", dice.below(6));
            let user = User { attributes: attributes(dice), ..User::default() };
            index.upsert_user(&id, &user);
            truth.users.insert(id, user);
        }
    }
}

fn predicate(dice: &mut Dice) -> Predicate {
    let instant = |dice: &mut Dice| Timestamp::parse(TEXTS[4 + dice.below(2) as usize]).unwrap();
    let test = match dice.below(7) {
        0 => ValueTest::Inclusive(texts(dice).into_vec()),
        1 => ValueTest::Exclusive(texts(dice).into_vec()),
        2 => ValueTest::Contains(texts(dice).into_vec()),
        3 => ValueTest::Before(vec![instant(dice)]),
        4 => ValueTest::After(vec![instant(dice)]),
        5 => ValueTest::On(vec![instant(dice)]),
        _ => ValueTest::Between(instant(dice), instant(dice)),
    };
    let operators = [
        MetricOperator::GreaterThan,
        MetricOperator::LessThan,
        MetricOperator::GreaterThanOrEqual,
        MetricOperator::LessThanOrEqual,
        MetricOperator::Equal,
    ];
    match dice.below(12) {
        0..=2 => Predicate::Values { field: Field::Attribute(format!("k{}", dice.below(4)).into()), test },
        3 | 4 => {
            Predicate::Values { field: Field::UserAttribute(format!("k{}", dice.below(4)).into()), test }
        }
        5 => Predicate::Values { field: Field::Country, test },
        6 => Predicate::Values { field: Field::Platform, test },
        7 => {
            let name = ["PUSH", "EMAIL", "GCM", "IN_APP"][dice.below(4) as usize].into();
            Predicate::Values { field: Field::Channel, test: ValueTest::Inclusive(vec![name]) }
        }
        8 | 9 => Predicate::Metric {
            name: format!("m{}", dice.below(3)).into(),
            operator: operators[dice.below(5) as usize],
            value: dice.below(5) as f64,
        },
        10 => {
            Predicate::Recency { within: Duration::from_hours(24 * dice.below(40)), active: dice.once_in(2) }
        }
        _ => Predicate::Gps {
            latitude: dice.below(90) as f64,
            longitude: dice.below(90) as f64,
            range_kilometers: dice.below(5_000) as f64,
        },
    }
}

fn combine(dice: &mut Dice) -> Combine {
    [Combine::All, Combine::Any, Combine::None][dice.below(3) as usize]
}

fn criteria(dice: &mut Dice) -> Criteria {
    let group = |dice: &mut Dice| Group {
        sources: (0..dice.below(3))
            .map(|_| Source { segment: format!("s{}", dice.below(3)).into(), version: None })
            .collect(),
        source_type: combine(dice),
        dimensions: (0..dice.below(3))
            .map(|_| (0..=dice.below(2)).map(|_| predicate(dice)).collect())
            .collect(),
        dimensions_type: combine(dice),
    };
    Criteria { groups: (0..dice.below(3)).map(|_| group(dice)).collect(), include: combine(dice) }
}

#[test]
fn the_index_selects_whom_the_evaluator_selects() {
    for seed in 0..300 {
        let mut dice = Dice::new(seed);
        let mut index = Index::new();
        let mut truth = Truth::default();
        for _ in 0..200 {
            change(&mut dice, &mut index, &mut truth);
        }
        let sources: BTreeMap<String, RoaringBitmap> = (0..3)
            .map(|number| (format!("s{number}"), (0..40).map(|_| dice.below(200) as u32).collect()))
            .collect();
        for _ in 0..20 {
            let criteria = criteria(&mut dice);
            let selected =
                index.select(&criteria, NOW, &|source| sources.get(source.segment.as_str())).unwrap();
            let expected: RoaringBitmap = truth
                .endpoints
                .iter()
                .filter(|(ordinal, (endpoint, last_active))| {
                    let user = endpoint.user_id.as_ref();
                    let user = user.map(|id| truth.users.get(id.as_str()).cloned().unwrap_or_default());
                    let candidate = Candidate { endpoint, user: user.as_ref(), last_active: *last_active };
                    let in_source = |source: &Source| sources[source.segment.as_str()].contains(**ordinal);
                    criteria.matches(&candidate, NOW, &in_source)
                })
                .map(|(ordinal, _)| *ordinal)
                .collect();
            assert_eq!(selected.count(), expected.len(), "seed {seed}: {criteria:?}");
            assert_eq!(selected.into_bitmap(), expected, "seed {seed}: {criteria:?}");
        }
    }
}

#[test]
fn an_index_that_is_built_anew_selects_alike() {
    let mut dice = Dice::new(7);
    let (mut index, mut truth) = (Index::new(), Truth::default());
    for _ in 0..500 {
        change(&mut dice, &mut index, &mut truth);
    }
    let mut rebuilt = Index::new();
    truth.endpoints.values().for_each(|(endpoint, at)| rebuilt.upsert_endpoint(endpoint, Some(*at)));
    truth.users.iter().for_each(|(id, user)| rebuilt.upsert_user(id, user));
    let none = RoaringBitmap::new();
    for _ in 0..200 {
        let criteria = criteria(&mut dice);
        assert_eq!(
            index.select(&criteria, NOW, &|_| Some(&none)),
            rebuilt.select(&criteria, NOW, &|_| Some(&none)),
            "{criteria:?}"
        );
    }
}

#[test]
fn a_missing_source_is_told() {
    let source = Source { segment: "s".into(), version: None };
    let group = Group { sources: vec![source], ..Group::default() };
    let criteria = Criteria { groups: vec![group], include: Combine::All };
    assert_eq!(Index::new().select(&criteria, NOW, &|_| None), None);
}

#[test]
fn codes_grow_with_the_dictionary() {
    let mut index = Index::new();
    let mut dice = Dice::new(1);
    for ordinal in 0..70_000 {
        let mut endpoint = endpoint(&mut dice, ordinal);
        endpoint.attributes = BTreeMap::from([("k0".into(), smallvec![ordinal.to_string().into()])]);
        index.upsert_endpoint(&endpoint, None);
    }
    for wanted in [0u32, 254, 255, 256, 65_534, 65_535, 65_536, 69_999] {
        let test = ValueTest::Inclusive(vec![wanted.to_string().into()]);
        let predicate = Predicate::Values { field: Field::Attribute("k0".into()), test };
        let group = Group { dimensions: vec![vec![predicate]], ..Group::default() };
        let criteria = Criteria { groups: vec![group], include: Combine::All };
        let selected = index.select(&criteria, NOW, &|_| None).unwrap().into_bitmap();
        assert_eq!(selected.iter().collect::<Vec<_>>(), [wanted]);
    }
}

#[test]
fn values_and_users_that_never_come_again_take_no_room() {
    let mut index = Index::new();
    let mut dice = Dice::new(1);
    let mut endpoints: Vec<Endpoint> = (0..1_000).map(|ordinal| endpoint(&mut dice, ordinal)).collect();
    let mut sizes = Vec::new();
    for round in 0..50 {
        for endpoint in &mut endpoints {
            let user = format!("user-{round}-{}", endpoint.ordinal);
            let seen = Text::from(format!("2026-01-01T00:{round:02}:00.{:03}Z", endpoint.ordinal));
            let user_attributes = BTreeMap::from([("since".into(), smallvec![seen.clone(), "other".into()])]);
            endpoint.attributes.insert("last_seen".into(), smallvec![seen]);
            let before = endpoint.user_id.replace(UserId::new(&user));
            index.upsert_user(&user, &User { attributes: user_attributes, ..User::default() });
            // As the projection does it: the user that has no endpoint any more, then the endpoint.
            if let Some(before) = before {
                index.remove_user(before.as_str());
            }
            index.upsert_endpoint(endpoint, None);
        }
        sizes.push(index.bytes());
    }
    // A map that is refilled all the time doubles its room once, sooner or later.
    assert!(sizes[49] < 2 * sizes[1], "{sizes:?}");
    let test = ValueTest::Inclusive(vec!["2026-01-01T00:49:00.007Z".into()]);
    for field in [Field::Attribute("last_seen".into()), Field::UserAttribute("since".into())] {
        let predicate = Predicate::Values { field, test: test.clone() };
        let group = Group { dimensions: vec![vec![predicate]], ..Group::default() };
        let criteria = Criteria { groups: vec![group], include: Combine::All };
        assert_eq!(index.select(&criteria, NOW, &|_| None).unwrap().into_bitmap(), RoaringBitmap::from([7]));
    }
    for endpoint in &endpoints {
        index.remove_user(endpoint.user_id.as_ref().unwrap().as_str());
        index.remove_endpoint(endpoint.ordinal);
    }
    assert_eq!((index.users.rows.len(), index.users.id_bytes), (0, 0));
    assert_eq!(index.users.free_rows.len(), index.users.slots.len());
}
