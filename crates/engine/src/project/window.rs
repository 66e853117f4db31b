//! The window of recent event ids, by which repeats are recognised (design §5).
//!
//! An event is a repeat iff the same (application, endpoint, event id) stands at a lower position within the window: the
//! last [`EVENTS_MAX`] events of at most [`AGE_MAX`] of arrival time. Every occurrence counts, a repeat too, so the window
//! depends on nothing but the records that it spans and is rebuilt from them.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::time::Duration;

use domain::audience::AppKey;
use domain::time::Timestamp;
use store::Position;

/// Events that the window holds, at most.
pub(super) const EVENTS_MAX: usize = 4_000_000;
/// How long an event stays in the window.
pub(super) const AGE_MAX: Duration = Duration::from_mins(10);

/// 96 bits of a keyless SipHash: with 4 M entries one event in 10^22 would be taken for a repeat of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fingerprint {
    key: u64,
    check: u32,
}

/// The events of one record that are in the window.
#[derive(Debug)]
struct Stretch {
    position: Position,
    arrival: Timestamp,
    events: usize,
}

/// The recent events of a shard.
#[derive(Debug, Default)]
pub struct Window {
    /// Key → number of the latest occurrence.
    latest: HashMap<u64, u64, BuildHasherDefault<Hashed>>,
    fingerprints: VecDeque<Fingerprint>,
    /// The records that the fingerprints come from, in order.
    stretches: VecDeque<Stretch>,
    /// Number of the first fingerprint.
    first: u64,
}

impl Window {
    /// Adds an event. Answers whether it is a repeat.
    pub fn add(&mut self, app: &AppKey, folded: &str, event: &str, position: Position, arrival: Timestamp) -> bool {
        self.forget(arrival);
        let fingerprint = fingerprint(app, folded, event);
        let number = self.first + self.fingerprints.len() as u64;
        self.fingerprints.push_back(fingerprint);
        match self.stretches.back_mut() {
            Some(stretch) if stretch.position == position => stretch.events += 1,
            _ => self.stretches.push_back(Stretch { position, arrival, events: 1 }),
        }
        let before = self.latest.insert(fingerprint.key, number);
        let before = before.and_then(|number| self.fingerprints.get((number - self.first) as usize));
        before.is_some_and(|before| before.check == fingerprint.check)
    }

    /// The first record that the window reaches back to; `None` when it is empty.
    pub fn start(&self) -> Option<Position> {
        self.stretches.front().map(|stretch| stretch.position)
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some(front) = self.stretches.front_mut() {
            if self.fingerprints.len() < EVENTS_MAX && front.arrival >= now.minus(AGE_MAX) {
                return;
            }
            front.events -= 1;
            if front.events == 0 {
                self.stretches.pop_front();
            }
            if let Some(oldest) = self.fingerprints.pop_front()
                && self.latest.get(&oldest.key) == Some(&self.first)
            {
                self.latest.remove(&oldest.key);
            }
            self.first += 1;
        }
        // Empty: give the memory back, a quiet server should be small.
        self.latest = HashMap::default();
        self.fingerprints = VecDeque::new();
    }
}

/// Keys are hashes already.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

fn fingerprint(app: &AppKey, folded: &str, event: &str) -> Fingerprint {
    let mut hasher = DefaultHasher::new();
    (app, folded, event).hash(&mut hasher);
    let key = hasher.finish();
    hasher.write_u8(1);
    Fingerprint { key, check: hasher.finish() as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app() -> AppKey {
        AppKey { account: "1".into(), app: "a".into() }
    }

    #[test]
    fn a_repeat_is_found_within_the_window_and_not_beyond() {
        let mut window = Window::default();
        let mut add = |event: &str, position: u64, at: i64| {
            window.add(&app(), "e", event, Position(position), Timestamp(at))
        };
        assert!(!add("1", 0, 0));
        assert!(add("1", 1, 1));
        assert!(!add("2", 2, 2));
        let later = AGE_MAX.as_millis() as i64;
        assert!(add("1", 3, later + 1), "the latest occurrence is still within the window");
        assert!(!add("1", 4, 2 * later + 2), "every occurrence is too old");
    }

    #[test]
    fn a_window_rebuilt_from_its_start_decides_alike() {
        let event = |number: u64| format!("{}", (number * 7919) % 613);
        let at = |number: u64| Timestamp(number as i64 * 1_000);
        let mut whole = Window::default();
        for number in 0..5_000 {
            whole.add(&app(), "e", &event(number), Position(number), at(number));
        }
        let mut rebuilt = Window::default();
        for number in whole.start().unwrap().0..5_000 {
            rebuilt.add(&app(), "e", &event(number), Position(number), at(number));
        }
        for number in 5_000..7_000 {
            let position = Position(number);
            assert_eq!(
                whole.add(&app(), "e", &event(number), position, at(number)),
                rebuilt.add(&app(), "e", &event(number), position, at(number)),
                "{number}"
            );
        }
    }
}
