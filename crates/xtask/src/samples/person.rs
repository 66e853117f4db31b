//! Makes up people whose parts fit together: the name to the language, the city to the country, the orders to the plan.

use std::collections::HashSet;

use super::countries::{COUNTRIES, City, Country};
use super::names::Name;
use super::random::Random;

/// A person with one e-mail address, and perhaps the app.
pub(super) struct Person {
    pub(super) id: String,
    pub(super) user_id: String,
    pub(super) address: String,
    pub(super) is_opted_out: bool,
    pub(super) country: &'static Country,
    pub(super) city: &'static City,
    pub(super) language: &'static str,
    pub(super) first_name: String,
    pub(super) last_name: String,
    pub(super) plan: &'static str,
    pub(super) newsletter: &'static str,
    /// From one to [`INTERESTS_MAX`].
    pub(super) interests: Vec<&'static str>,
    pub(super) orders: u32,
    pub(super) lifetime_cents: u32,
    pub(super) app: Option<App>,
}

/// The app, and what it runs on.
pub(super) struct App {
    pub(super) platform: &'static str,
    pub(super) make: &'static str,
    pub(super) model: &'static str,
    pub(super) version: &'static str,
}

pub(super) const INTERESTS_MAX: usize = 4;
const INTERESTS: [&str; 14] = [
    "books",
    "cooking",
    "cycling",
    "fashion",
    "fitness",
    "gadgets",
    "gardening",
    "music",
    "outdoors",
    "pets",
    "photography",
    "sports",
    "toys & games",
    "travel",
];

/// A plan, how many of 1,000 have it, and the most orders that its people make.
const PLANS: [(&str, u32, u32); 4] =
    [("free", 560, 6), ("basic", 250, 18), ("pro", 150, 45), ("enterprise", 40, 120)];
const NEWSLETTERS: [(&str, u32); 3] = [("weekly", 420), ("monthly", 330), ("none", 250)];
const DOMAINS: [(&str, u32); 3] = [("example.com", 600), ("example.net", 220), ("example.org", 180)];
const DEVICES: [(&str, &str, &str); 14] = [
    ("iOS", "Apple", "iPhone 14"),
    ("iOS", "Apple", "iPhone 15"),
    ("iOS", "Apple", "iPhone 16 Pro"),
    ("iOS", "Apple", "iPhone SE (3rd generation)"),
    ("iOS", "Apple", "iPad Pro 11\""),
    ("Android", "Samsung", "Galaxy S24"),
    ("Android", "Samsung", "Galaxy A55"),
    ("Android", "Samsung", "Galaxy Tab S9, 11\""),
    ("Android", "Google", "Pixel 8a"),
    ("Android", "Google", "Pixel 9"),
    ("Android", "Xiaomi", "Redmi Note 13"),
    ("Android", "OPPO", "Reno 12"),
    ("Android", "Motorola", "moto g84"),
    ("Android", "OnePlus", "Nord 4"),
];
const APP_VERSIONS: [&str; 6] = ["3.9.2", "4.0.0", "4.0.1", "4.1.0", "4.1.3", "4.2.0"];
const APP_USERS_PER_MILLE: u32 = 780;
const OPTED_OUT_PER_MILLE: u32 = 30;
/// Of men in the United States: "Brown, Jr.".
const JUNIORS_PER_MILLE: u32 = 40;

/// People without end, each with an address of their own.
pub(super) struct People {
    random: Random,
    count: u32,
    addresses: HashSet<String>,
}

impl People {
    pub(super) fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), count: 0, addresses: HashSet::new() }
    }

    fn names(&mut self, country: &Country, language: (&str, &super::names::Names)) -> (Name, Name) {
        let is_woman = self.random.chance(500);
        let names = language.1;
        let first = self.name(if is_woman { names.women } else { names.men }, is_woman);
        let mut last = self.name(names.families, is_woman);
        if country.code == "US" && !is_woman && self.random.chance(JUNIORS_PER_MILLE) {
            last.written.push_str(", Jr.");
        }
        (first, last)
    }

    fn name(&mut self, list: &str, is_woman: bool) -> Name {
        let entries: Vec<&str> = list.split('|').collect();
        let entry = *self.random.pick(&entries);
        Name::read(entry, is_woman)
    }

    fn address(&mut self, first: &Name, last: &Name) -> String {
        let (first, last) = (&first.ascii, &last.ascii);
        let mut local = match self.random.below(6) {
            0 => format!("{}.{last}", &first[..1]),
            1 => format!("{first}_{last}"),
            2 => format!("{first}.{last}{}", 60 + self.random.below(40)),
            _ => format!("{first}.{last}"),
        };
        let domain = self.random.pick_weighted(&DOMAINS, |(_, weight)| *weight).0;
        let mut number = 1;
        let base = local.clone();
        while !self.addresses.insert(format!("{local}@{domain}")) {
            number += 1;
            local = format!("{base}-{number}");
        }
        format!("{local}@{domain}")
    }

    fn interests(&mut self) -> Vec<&'static str> {
        let count = 1 + self.random.below(INTERESTS_MAX as u32) as usize;
        let mut interests = Vec::new();
        while interests.len() < count {
            let interest = *self.random.pick(&INTERESTS);
            if !interests.contains(&interest) {
                interests.push(interest);
            }
        }
        interests.sort_unstable();
        interests
    }

    fn app(&mut self) -> Option<App> {
        if !self.random.chance(APP_USERS_PER_MILLE) {
            return None;
        }
        let &(platform, make, model) = self.random.pick(&DEVICES);
        let version = *self.random.pick(&APP_VERSIONS);
        Some(App { platform, make, model, version })
    }
}

impl Iterator for People {
    type Item = Person;

    fn next(&mut self) -> Option<Person> {
        self.count += 1;
        let country = self.random.pick_weighted(&COUNTRIES, |country| country.weight);
        let city = self.random.pick(country.cities);
        let language = *self.random.pick(country.languages);
        let (first, last) = self.names(country, language);
        let &(plan, _, orders_max) = self.random.pick_weighted(&PLANS, |(_, weight, _)| *weight);
        let orders = self.random.below(orders_max + 1);
        Some(Person {
            id: format!("sample-{:05}", self.count),
            user_id: format!("user-{:05}", self.count),
            address: self.address(&first, &last),
            is_opted_out: self.random.chance(OPTED_OUT_PER_MILLE),
            country,
            city,
            language: language.0,
            first_name: first.written,
            last_name: last.written,
            plan,
            newsletter: self.random.pick_weighted(&NEWSLETTERS, |(_, weight)| *weight).0,
            interests: self.interests(),
            orders,
            lifetime_cents: (0..orders).map(|_| 499 + self.random.below(12_000)).sum(),
            app: self.app(),
        })
    }
}

impl Person {
    pub(super) fn locale(&self) -> String {
        format!("{}_{}", self.language, self.country.code)
    }

    pub(super) fn opt_out(&self) -> &'static str {
        if self.is_opted_out { "ALL" } else { "NONE" }
    }

    pub(super) fn lifetime_value(&self) -> f64 {
        f64::from(self.lifetime_cents) / 100.0
    }
}
