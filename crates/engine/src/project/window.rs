//! The window of recent event ids, by which repeats are recognised (design §5).
//!
//! An event is a repeat iff the same (application, endpoint, event id) stands at a lower position within the window: the
//! last [`EVENTS_MAX`] events of at most [`AGE_MAX`] of arrival time. Every occurrence counts, a repeat too, so the window
//! depends on nothing but the records that it spans and is rebuilt from them.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
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

#[derive(Debug)]
struct Entry {
    fingerprint: Fingerprint,
    position: Position,
    arrival: Timestamp,
}

/// The recent events of a shard.
#[derive(Debug, Default)]
pub struct Window {
    /// Key → (check, number of the latest occurrence).
    latest: HashMap<u64, (u32, u64)>,
    entries: VecDeque<Entry>,
    /// Number of the first entry.
    first: u64,
}

impl Window {
    /// Adds an event. Answers whether it is a repeat.
    pub fn add(&mut self, app: &AppKey, folded: &str, event: &str, position: Position, arrival: Timestamp) -> bool {
        self.forget(arrival);
        let fingerprint = fingerprint(app, folded, event);
        let number = self.first + self.entries.len() as u64;
        self.entries.push_back(Entry { fingerprint, position, arrival });
        match self.latest.insert(fingerprint.key, (fingerprint.check, number)) {
            Some((check, _)) => check == fingerprint.check,
            None => false,
        }
    }

    /// The first record that the window reaches back to; `None` when it is empty.
    pub fn start(&self) -> Option<Position> {
        self.entries.front().map(|entry| entry.position)
    }

    fn forget(&mut self, now: Timestamp) {
        while let Some(front) = self.entries.front() {
            if self.entries.len() < EVENTS_MAX && front.arrival >= now.minus(AGE_MAX) {
                return;
            }
            let key = front.fingerprint.key;
            if self.latest.get(&key).is_some_and(|(_, number)| *number == self.first) {
                self.latest.remove(&key);
            }
            self.entries.pop_front();
            self.first += 1;
        }
        // Empty: give the memory back, a quiet server should be small.
        self.latest = HashMap::new();
        self.entries = VecDeque::new();
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
