//! The window of recent event ids, by which repeats are recognised (design §5).
//!
//! An event is a repeat iff the same (application, endpoint, event id) stands at a lower position within the window: the
//! last [`EVENTS_MAX`] events of at most [`AGE_MAX`] of arrival time. Every occurrence counts, a repeat too, so the window
//! depends on nothing but the records that it spans and is rebuilt from them.

use std::collections::VecDeque;
use std::time::Duration;

use domain::hashes::HashedMap;
use domain::time::Timestamp;
use store::Position;

use crate::fingerprint::Fingerprint;

/// Events that the window holds, at most.
pub(super) const EVENTS_MAX: usize = 4_000_000;
/// How long an event stays in the window.
pub(super) const AGE_MAX: Duration = Duration::from_mins(10);
/// Room for so many events is not given back.
const KEPT_CAPACITY: usize = 16_384;

/// The events of one record that are kept.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    position: Position,
    arrival: Timestamp,
    /// The number of its first event.
    first: u64,
}

/// A place between two events of a window: the number of the second.
#[derive(Debug, Clone, Copy)]
pub struct Mark(u64);

/// An entry of a window that an event has replaced.
#[derive(Debug, Clone, Copy)]
struct Replaced {
    by: u64,
    key: u64,
    before: u64,
}

/// The recent events of a shard. Events are numbered in the order in which they are added.
///
/// What is within the window depends on the number and the arrival of an event alone, not on what is kept: events are
/// forgotten only when a step is settled, so that an unsettled one can be taken back.
#[derive(Debug)]
pub struct Window {
    /// Key → number of the latest occurrence that is kept.
    latest: HashedMap<u64>,
    fingerprints: VecDeque<Fingerprint>,
    /// The records that the fingerprints come from, in order.
    stretches: VecDeque<Stretch>,
    /// Number of the first fingerprint.
    first: u64,
    /// Number of the first event that is not settled.
    settled: u64,
    /// Entries of `latest` that unsettled events replaced, in order.
    replaced: Vec<Replaced>,
    events_max: usize,
}

impl Default for Window {
    fn default() -> Self {
        Self::with_events_max(EVENTS_MAX)
    }
}

impl Window {
    fn with_events_max(events_max: usize) -> Self {
        Self {
            latest: HashedMap::default(),
            fingerprints: VecDeque::new(),
            stretches: VecDeque::new(),
            first: 0,
            settled: 0,
            replaced: Vec::new(),
            events_max,
        }
    }

    /// Adds an event: the fingerprint of its application, endpoint and id. Answers whether it is a repeat.
    pub fn add(&mut self, fingerprint: Fingerprint, position: Position, arrival: Timestamp) -> bool {
        let number = self.next();
        self.fingerprints.push_back(fingerprint);
        if self.stretches.back().is_none_or(|stretch| stretch.position != position) {
            self.stretches.push_back(Stretch { position, arrival, first: number });
        }
        let Some(before) = self.latest.insert(fingerprint.key, number) else { return false };
        self.replaced.push(Replaced { by: number, key: fingerprint.key, before });
        number - before < self.events_max as u64
            && self.arrival_of(before) >= arrival.minus(AGE_MAX)
            && self.fingerprints[(before - self.first) as usize].check == fingerprint.check
    }

    /// A record from which on the window can be rebuilt; `None` when it is empty.
    pub fn start(&self) -> Option<Position> {
        self.stretches.front().map(|stretch| stretch.position)
    }

    /// What was added up to now.
    pub fn mark(&self) -> Mark {
        Mark(self.next())
    }

    /// Keeps what was added before the mark, and forgets what no later event can repeat. Marks are settled in their order.
    pub fn settle(&mut self, Mark(settled): Mark) {
        self.settled = settled;
        self.replaced.drain(..self.replaced.partition_point(|replaced| replaced.by < settled));
        if settled == self.first {
            return;
        }
        let now = self.arrival_of(settled - 1);
        while settled - self.first > self.events_max as u64
            || self.stretches.front().is_some_and(|front| front.arrival < now.minus(AGE_MAX))
        {
            self.forget_first();
        }
        // A quiet server should be small.
        if self.fingerprints.capacity() / 4 > self.fingerprints.len().max(KEPT_CAPACITY) {
            self.latest.shrink_to_fit();
            self.fingerprints.shrink_to_fit();
            self.stretches.shrink_to_fit();
        }
    }

    /// Forgets what was added behind the mark that was settled last, as if it had never been.
    pub fn take_back(&mut self) {
        while self.next() > self.settled
            && let Some(fingerprint) = self.fingerprints.pop_back()
        {
            self.latest.remove(&fingerprint.key);
        }
        // The earliest comes last: it is what stood there before.
        let kept = self.first..self.settled;
        for Replaced { key, before, .. } in self.replaced.drain(..).rev() {
            if kept.contains(&before) {
                self.latest.insert(key, before);
            }
        }
        while self.stretches.back().is_some_and(|stretch| stretch.first >= self.settled) {
            self.stretches.pop_back();
        }
    }

    #[cfg(test)]
    pub(super) fn events(&self) -> usize {
        self.fingerprints.len()
    }

    /// The number of the next event.
    fn next(&self) -> u64 {
        self.first + self.fingerprints.len() as u64
    }

    fn arrival_of(&self, number: u64) -> Timestamp {
        let behind = self.stretches.partition_point(|stretch| stretch.first <= number);
        self.stretches[behind - 1].arrival
    }

    fn forget_first(&mut self) {
        if let Some(oldest) = self.fingerprints.pop_front()
            && self.latest.get(&oldest.key) == Some(&self.first)
        {
            self.latest.remove(&oldest.key);
        }
        self.first += 1;
        // The stretch ends where the next one begins.
        let end = self.stretches.get(1).map_or_else(|| self.next(), |second| second.first);
        if end <= self.first {
            self.stretches.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use store::dice::Dice;

    use super::*;

    /// An event: its id, the record it stands in, when that arrived.
    type Event = (String, u64, i64);

    fn add(window: &mut Window, (id, position, at): &Event) -> bool {
        window.add(Fingerprint::of(id), Position(*position), Timestamp(*at))
    }

    /// Records of some events each, of few ids, with quiet times in between.
    fn events(dice: &mut Dice, records: u64) -> Vec<Event> {
        let mut at = 0;
        let mut events = Vec::new();
        for position in 0..records {
            at += dice.below(2_000) as i64 + if dice.once_in(40) { dice.below(1_300_000) as i64 } else { 0 };
            events.extend((0..dice.below(4)).map(|_| (dice.below(150).to_string(), position, at)));
        }
        events
    }

    /// Whether an event is a repeat, by the definition.
    fn is_repeat(events: &[Event], number: usize, events_max: usize) -> bool {
        let (id, _, at) = &events[number];
        let before = &events[number.saturating_sub(events_max - 1)..number];
        before.iter().any(|(other, _, then)| other == id && *then >= at - AGE_MAX.as_millis() as i64)
    }

    #[test]
    fn a_repeat_is_found_within_the_window_and_not_beyond() {
        for seed in 0..20 {
            let mut dice = Dice::new(seed);
            let events = events(&mut dice, 1_000);
            let events_max = 1 + dice.below(200) as usize;
            let mut window = Window::with_events_max(events_max);
            for number in 0..events.len() {
                if dice.once_in(10) {
                    window.settle(window.mark());
                }
                let expected = is_repeat(&events, number, events_max);
                assert_eq!(add(&mut window, &events[number]), expected, "seed {seed}: {number}");
            }
        }
    }

    #[test]
    fn a_window_rebuilt_from_its_start_decides_alike() {
        for seed in 0..20 {
            let mut dice = Dice::new(seed);
            let events = events(&mut dice, 2_000);
            let mut whole = Window::with_events_max(150);
            let half = events.len() / 2;
            for event in &events[..half] {
                add(&mut whole, event);
                if dice.once_in(50) {
                    whole.settle(whole.mark());
                }
            }
            let mut rebuilt = Window::with_events_max(150);
            let start = whole.start().unwrap();
            for event in events[..half].iter().filter(|event| event.1 >= start.0) {
                add(&mut rebuilt, event);
            }
            rebuilt.settle(rebuilt.mark());
            for event in &events[half..] {
                assert_eq!(add(&mut whole, event), add(&mut rebuilt, event), "seed {seed}: {event:?}");
            }
        }
    }

    #[test]
    fn what_is_taken_back_has_never_been() {
        for seed in 0..50 {
            let mut dice = Dice::new(seed);
            let events = events(&mut dice, 1_000);
            let steps: Vec<&[Event]> = events.chunk_by(|one, other| one.1 / 20 == other.1 / 20).collect();
            let mut window = Window::with_events_max(150);
            let mut straight = Window::with_events_max(150);
            // The step before, while it is being committed.
            let mut in_flight: Option<(&[Event], Mark)> = None;
            for step in steps {
                while dice.once_in(2) {
                    // A part of the step, and then again from its beginning.
                    let records = step[0].1 + dice.below(21);
                    for event in step.iter().filter(|event| event.1 < records) {
                        add(&mut window, event);
                    }
                    if let Some((before, mark)) = in_flight {
                        if dice.once_in(2) {
                            window.settle(mark);
                            straight.settle(mark);
                            in_flight = None;
                        } else {
                            window.take_back();
                            for event in before {
                                add(&mut window, event);
                            }
                            in_flight = Some((before, window.mark()));
                            continue;
                        }
                    }
                    window.take_back();
                    assert_eq!(window.start(), straight.start());
                    assert_eq!(window.latest, straight.latest);
                }
                for event in step {
                    assert_eq!(add(&mut window, event), add(&mut straight, event), "seed {seed}: {event:?}");
                }
                if let Some((_, mark)) = in_flight {
                    window.settle(mark);
                    straight.settle(mark);
                }
                in_flight = Some((step, window.mark()));
            }
        }
    }

    #[test]
    fn memory_is_given_back_after_a_quiet_time() {
        let mut window = Window::default();
        for number in 0..300_000u64 {
            add(&mut window, &(number.to_string(), number, 0));
        }
        window.settle(window.mark());
        assert_eq!(window.fingerprints.len(), 300_000);
        add(&mut window, &("late".to_owned(), 300_000, AGE_MAX.as_millis() as i64 + 1));
        window.settle(window.mark());
        assert_eq!((window.fingerprints.len(), window.latest.len(), window.stretches.len()), (1, 1, 1));
        assert!(
            window.fingerprints.capacity() + window.latest.capacity() + window.stretches.capacity() < 1_000
        );
    }
}
