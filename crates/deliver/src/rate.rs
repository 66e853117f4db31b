//! How fast a lane may send.

use std::time::Duration;

/// Permits that refill evenly: `permits` each `period`, saved up to `burst`. Pure: the caller brings the time, in
/// milliseconds of any clock that does not run backwards. The arithmetic is exact, so no rate drifts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenBucket {
    /// Units that come in each millisecond: the permits of a period.
    permits: u64,
    /// Units that a permit costs: the milliseconds of a period.
    period_ms: u64,
    burst: u64,
    /// Units saved up, at most `burst * period_ms`.
    level: u64,
    seen_ms: u64,
}

impl TokenBucket {
    /// A full bucket at `now_ms`. A period under a millisecond counts as one; without permits or burst nothing ever passes.
    pub fn new(permits: u32, period: Duration, burst: u32, now_ms: u64) -> Self {
        let period_ms = u64::try_from(period.as_millis()).unwrap_or(u64::MAX).clamp(1, u64::from(u32::MAX));
        let burst = u64::from(burst);
        Self { permits: u64::from(permits), period_ms, burst, level: burst * period_ms, seen_ms: now_ms }
    }

    /// Takes up to `wanted` permits and says how many there were.
    pub fn take(&mut self, now_ms: u64, wanted: u32) -> u32 {
        self.refill(now_ms);
        let granted = u64::from(wanted).min(self.level / self.period_ms);
        self.level -= granted * self.period_ms;
        granted as u32
    }

    /// Gives back permits that were taken and not used; never more than the bucket holds.
    pub fn give_back(&mut self, permits: u32) {
        self.level = self.level.saturating_add(u64::from(permits) * self.period_ms).min(self.burst * self.period_ms);
    }

    /// Milliseconds until one permit is there; zero when one is, `None` when none ever comes.
    pub fn wait_ms(&mut self, now_ms: u64) -> Option<u64> {
        self.refill(now_ms);
        if self.level >= self.period_ms {
            return Some(0);
        }
        if self.permits == 0 || self.burst == 0 {
            return None;
        }
        Some((self.period_ms - self.level).div_ceil(self.permits))
    }

    /// Changes the rate from now on; what was saved up stays, within the new burst.
    pub fn set_rate(&mut self, permits: u32, period: Duration, burst: u32, now_ms: u64) {
        self.refill(now_ms);
        let saved = self.level / self.period_ms;
        *self = Self::new(permits, period, burst, now_ms);
        self.level = self.level.min(saved * self.period_ms);
    }

    fn refill(&mut self, now_ms: u64) {
        let elapsed_ms = now_ms.saturating_sub(self.seen_ms);
        self.seen_ms = self.seen_ms.max(now_ms);
        let gained = elapsed_ms.saturating_mul(self.permits);
        self.level = self.level.saturating_add(gained).min(self.burst * self.period_ms);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_full_bucket_gives_its_burst_and_then_the_rate() {
        let mut bucket = TokenBucket::new(10, Duration::from_secs(1), 5, 1_000);
        assert_eq!(bucket.take(1_000, 100), 5);
        assert_eq!(bucket.wait_ms(1_000), Some(100));
        assert_eq!(bucket.take(1_099, 1), 0);
        assert_eq!(bucket.take(1_100, 1), 1);
        bucket.give_back(1);
        assert_eq!(bucket.take(1_100, 9), 1);
        assert_eq!(bucket.take(500, 9), 0, "a clock that steps back gives nothing");
        assert_eq!(bucket.take(1_000_000, 100), 5);
        bucket.set_rate(1, Duration::from_mins(1), 1, 1_000_000);
        assert_eq!(bucket.wait_ms(1_000_000), Some(60_000));
        assert_eq!(TokenBucket::new(0, Duration::from_secs(1), 0, 0).wait_ms(9), None);
    }

    proptest! {
        /// Over any history: never more than burst plus rate allow, and never less than the rate when always asked for.
        #[test]
        fn the_rate_is_kept_exactly(
            permits in 1_u32..2_000, period_ms in 1_u64..100_000, burst in 1_u32..500,
            steps in proptest::collection::vec((0_u64..5_000, 0_u32..600), 1..200),
        ) {
            let mut bucket = TokenBucket::new(permits, Duration::from_millis(period_ms), burst, 0);
            let (mut now_ms, mut granted) = (0, 0_u64);
            for (pause_ms, wanted) in steps {
                now_ms += pause_ms;
                let got = bucket.take(now_ms, wanted);
                prop_assert!(got <= wanted && got <= burst);
                granted += u64::from(got);
                prop_assert!(granted * period_ms <= u64::from(burst) * period_ms + now_ms * u64::from(permits));
                if got < wanted {
                    let wait_ms = bucket.wait_ms(now_ms).unwrap();
                    prop_assert!(wait_ms > 0);
                    prop_assert_eq!(bucket.clone().take(now_ms + wait_ms - 1, 1), 0);
                    prop_assert_eq!(bucket.clone().take(now_ms + wait_ms, 1), 1);
                }
            }
        }

        #[test]
        fn a_bucket_that_is_asked_every_millisecond_loses_nothing(permits in 1_u32..900, period_ms in 1_u64..5_000) {
            let burst = permits; // at least what one millisecond brings
            let mut bucket = TokenBucket::new(permits, Duration::from_millis(period_ms), burst, 0);
            let first = u64::from(bucket.take(0, burst));
            let granted: u64 = (1..=period_ms).map(|now_ms| u64::from(bucket.take(now_ms, u32::MAX))).sum();
            prop_assert_eq!((first, granted), (u64::from(burst), u64::from(permits)));
        }
    }
}
