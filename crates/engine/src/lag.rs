//! How long records wait for the projection.
//!
//! When the oldest record came that is not folded yet is not known without reading it, and the end of the log moves all the
//! time. So whoever looks leaves a mark: at this moment the log ended there. The oldest mark beyond the projection is then
//! about as old as that record. Rejected: the time since the projection was last seen at the end of the log. Under steady
//! ingest it is hardly ever seen there, and after a quiet hour the first two calls would see a lag of an hour.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use store::Position;

/// The distance between two marks: what the answer may be too small by.
const MARK_EVERY_MS: u64 = 50;
/// Beyond this many marks none is added until the projection has passed some.
const MARKS_MAX: usize = 4_096;

/// Where the log ended, and when.
#[derive(Debug, Clone, Copy)]
struct Mark {
    end: Position,
    at_ms: u64,
}

/// Marks beyond the projection, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Lag(Mutex<VecDeque<Mark>>);

impl Lag {
    /// For how long the oldest record that is not folded has been waiting, in milliseconds. `next`: the next record to be
    /// folded; `end`: of the log; `now_ms`: monotonic.
    pub(crate) fn look(&self, next: Position, end: Position, now_ms: u64) -> u64 {
        let mut marks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while marks.front().is_some_and(|mark| mark.end <= next) {
            marks.pop_front();
        }
        let is_worth_a_mark =
            marks.back().is_none_or(|last| last.end < end && last.at_ms + MARK_EVERY_MS <= now_ms);
        if next < end && is_worth_a_mark && marks.len() < MARKS_MAX {
            marks.push_back(Mark { end, at_ms: now_ms });
        }
        marks.front().map_or(0, |oldest| now_ms.saturating_sub(oldest.at_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quiet_hour_is_no_lag() {
        let lag = Lag::default();
        assert_eq!(lag.look(Position(5), Position(5), 0), 0);
        // Two calls arrive together after an hour: the second finds the record of the first.
        assert_eq!(lag.look(Position(5), Position(6), 3_600_000), 0);
        assert_eq!(lag.look(Position(5), Position(7), 3_600_003), 3);
        assert_eq!(lag.look(Position(7), Position(7), 3_600_004), 0);
    }

    #[test]
    fn under_steady_ingest_the_lag_is_the_age_of_the_oldest_record() {
        // A record a millisecond, each folded `behind` milliseconds after it came: the projection is never at the end.
        for behind in [3, 700, 10_000] {
            let lag = Lag::default();
            for now in 0..60_000u64 {
                let next = now.saturating_sub(behind);
                let told = lag.look(Position(next), Position(now), now);
                let is = now - next;
                assert!(told <= is && told + MARK_EVERY_MS >= is, "{told} for {is} at {now}");
            }
        }
    }

    #[test]
    fn a_projection_that_stands_still_is_told_however_long_it_takes() {
        let lag = Lag::default();
        for now in 0..1_000_000u64 {
            assert_eq!(lag.look(Position(0), Position(now + 1), now), now);
        }
        assert!(lag.0.lock().unwrap().len() <= MARKS_MAX);
        assert_eq!(lag.look(Position(1_000_000), Position(1_000_000), 1_000_000), 0);
    }
}
