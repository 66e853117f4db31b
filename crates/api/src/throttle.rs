//! How often an account may call an operation: a token bucket each (spec/95 §1).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use domain::ids::AccountId;
use model::{OperationSpec, Service};

/// Calls a second, and the size of the bucket, of Pinpoint operations that are not listed below.
pub const DEFAULT_PER_SECOND: f64 = 300.0;
/// The same for SMS and Voice v2.
pub const SMS_VOICE_V2_DEFAULT_PER_SECOND: f64 = 1.0;

/// Pinpoint operations with a rate of their own.
const PER_SECOND: [(&str, f64); 15] = [
    ("CreateCampaign", 25.0),
    ("UpdateCampaign", 25.0),
    ("DeleteCampaign", 25.0),
    ("CreateSegment", 25.0),
    ("UpdateSegment", 25.0),
    ("DeleteSegment", 25.0),
    ("PhoneNumberValidate", 20.0),
    ("DeleteEndpoint", 1_000.0),
    ("GetEndpoint", 7_000.0),
    ("PutEvents", 7_000.0),
    ("SendMessages", 4_000.0),
    ("SendUsersMessages", 6_000.0),
    ("UpdateEndpoint", 5_000.0),
    ("UpdateEndpointsBatch", 5_000.0),
    ("GetInAppMessages", 5_000.0),
];

/// SMS and Voice v2 operations with a rate of their own.
const SMS_VOICE_V2_PER_SECOND: [(&str, f64); 2] =
    [("PutOptedOutNumber", 10.0), ("DeleteOptedOutNumber", 10.0)];

/// Buckets remembered, at most: one for each account and operation that was called lately. Beyond it, full ones go, and
/// all where none is full: everybody gets a new burst.
pub const BUCKETS_MAX: usize = 100_000;

/// Calls a second of an operation.
pub fn per_second(operation: &OperationSpec) -> f64 {
    let (listed, default): (&[_], _) = match operation.service {
        Service::Pinpoint => (&PER_SECOND, DEFAULT_PER_SECOND),
        Service::SmsVoiceV2 => (&SMS_VOICE_V2_PER_SECOND, SMS_VOICE_V2_DEFAULT_PER_SECOND),
    };
    listed.iter().find(|(name, _)| *name == operation.name).map_or(default, |(_, rate)| *rate)
}

/// The buckets of a server.
#[derive(Debug, Default)]
pub(crate) struct Throttles(Mutex<HashMap<(AccountId, Service, &'static str), Bucket>>);

#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled_ms: u64,
    per_second: f64,
}

impl Throttles {
    /// Takes a token for a call at a monotonic time, or says how long to wait. `scale` multiplies every rate.
    pub(crate) fn take(
        &self,
        account: &AccountId,
        operation: &'static OperationSpec,
        scale: f64,
        monotonic_ms: u64,
    ) -> Result<(), Duration> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS_MAX {
            buckets.retain(|_, bucket| !bucket.is_full(monotonic_ms));
            if buckets.len() >= BUCKETS_MAX {
                buckets.clear();
            }
        }
        let per_second = per_second(operation) * scale;
        let bucket = buckets
            .entry((account.clone(), operation.service, operation.name))
            .or_insert_with(|| Bucket { tokens: size(per_second), filled_ms: monotonic_ms, per_second });
        bucket.take(monotonic_ms)
    }
}

/// A bucket holds a second's tokens, and at least one: else a small rate could never be used.
fn size(per_second: f64) -> f64 {
    per_second.max(1.0)
}

impl Bucket {
    fn fill(&mut self, now_ms: u64) {
        let passed_ms = now_ms.saturating_sub(self.filled_ms);
        self.filled_ms = self.filled_ms.max(now_ms);
        self.tokens = (self.tokens + passed_ms as f64 * self.per_second / 1_000.0).min(size(self.per_second));
    }

    fn take(&mut self, now_ms: u64) -> Result<(), Duration> {
        self.fill(now_ms);
        if self.tokens >= 1.0 {
            self.tokens -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - self.tokens) / self.per_second))
    }

    fn is_full(&mut self, now_ms: u64) -> bool {
        self.fill(now_ms);
        self.tokens >= size(self.per_second)
    }
}

#[cfg(test)]
mod tests;
