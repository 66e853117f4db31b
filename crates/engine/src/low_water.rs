//! From where on a queue that is ordered by time is worth scanning.
//!
//! Rows of a queue are written towards its end and deleted at its beginning, and the store keeps a deletion until it compacts:
//! a scan from the beginning would pass over all of them each time. The mark is kept in memory only, and is never needed to
//! be right: it is lowered when somebody says that a row was written, and now and then a scan begins at the beginning again
//! (a clock that was set back may have put a row before it).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::time::Timestamp;

/// No row of the queue is earlier, as far as is known.
#[derive(Debug)]
pub(crate) struct LowWater {
    state: Mutex<State>,
    rescan_every: Duration,
}

#[derive(Debug)]
struct State {
    from: Timestamp,
    /// How often the mark was lowered: what a scan learned that began before counts no more.
    lowered: u64,
    /// When a scan began at the beginning last; monotonic.
    rescanned_ms: u64,
}

/// A scan under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scan {
    pub(crate) from: Timestamp,
    lowered: u64,
}

impl LowWater {
    pub(crate) fn new(rescan_every: Duration) -> Self {
        let state = State { from: Timestamp(0), lowered: 0, rescanned_ms: 0 };
        Self { state: Mutex::new(state), rescan_every }
    }

    /// Begins a scan.
    pub(crate) fn scan(&self, monotonic_ms: u64) -> Scan {
        let mut state = self.state();
        if monotonic_ms.saturating_sub(state.rescanned_ms) >= self.rescan_every.as_millis() as u64 {
            state.from = Timestamp(0);
            state.rescanned_ms = monotonic_ms;
        }
        Scan { from: state.from, lowered: state.lowered }
    }

    /// The scan found no row that is earlier than `first`.
    pub(crate) fn raise(&self, scan: Scan, first: Timestamp) {
        let mut state = self.state();
        if state.lowered == scan.lowered {
            state.from = state.from.max(first);
        }
    }

    /// A row was written, at any time.
    pub(crate) fn lower(&self) {
        let mut state = self.state();
        state.from = Timestamp(0);
        state.lowered += 1;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic cannot leave it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_that_began_before_a_row_was_written_raises_nothing() {
        let mark = LowWater::new(Duration::from_mins(1));
        let scan = mark.scan(0);
        mark.raise(scan, Timestamp(50));
        assert_eq!(mark.scan(1).from, Timestamp(50));
        let scan = mark.scan(1);
        mark.lower();
        mark.raise(scan, Timestamp(90));
        assert_eq!(mark.scan(2).from, Timestamp(0));
        mark.raise(mark.scan(2), Timestamp(90));
        mark.raise(mark.scan(2), Timestamp(40));
        assert_eq!(mark.scan(59_999).from, Timestamp(90));
        assert_eq!(mark.scan(60_000).from, Timestamp(0), "now and then everything is looked at");
        mark.raise(mark.scan(60_001), Timestamp(90));
        assert_eq!(mark.scan(119_999).from, Timestamp(90));
    }
}
