//! How fast a lane may send.

use std::time::Duration;

#[cfg(test)]
mod tests;

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
        self.level =
            self.level.saturating_add(u64::from(permits) * self.period_ms).min(self.burst * self.period_ms);
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
