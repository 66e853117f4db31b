//! How often an account may call an operation (spec/95 §1), and how many bytes it may send: a token bucket each.

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

/// The name of the bucket of bytes, beside those of operations.
const INGEST: &str = "ingest bytes";

/// Buckets remembered, at most: those of each account and operation that was called lately. Beyond it, full ones go, and
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
        let per_second = per_second(operation) * scale;
        self.take_of((account, operation.service, operation.name), per_second, 1.0, monotonic_ms)
    }

    /// Takes a token for each byte of a body that an account sends, or says how long to wait. A bucket that has any gives all
    /// that are asked for and is in debt then, so that a body of more than a second's bytes can be sent too.
    pub(crate) fn take_bytes(
        &self,
        account: &AccountId,
        bytes: usize,
        bytes_per_second: u64,
        monotonic_ms: u64,
    ) -> Result<(), Duration> {
        let bucket = (account, Service::Pinpoint, INGEST);
        self.take_of(bucket, bytes_per_second as f64, bytes as f64, monotonic_ms)
    }

    fn take_of(
        &self,
        (account, service, name): (&AccountId, Service, &'static str),
        per_second: f64,
        tokens: f64,
        monotonic_ms: u64,
    ) -> Result<(), Duration> {
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS_MAX {
            buckets.retain(|_, bucket| !bucket.is_full(monotonic_ms));
            if buckets.len() >= BUCKETS_MAX {
                buckets.clear();
            }
        }
        let bucket = buckets.entry((account.clone(), service, name)).or_insert_with(|| Bucket {
            tokens: size(per_second),
            filled_ms: monotonic_ms,
            per_second,
        });
        bucket.take(tokens, monotonic_ms)
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

    fn take(&mut self, tokens: f64, now_ms: u64) -> Result<(), Duration> {
        self.fill(now_ms);
        if self.tokens >= 1.0 {
            self.tokens -= tokens;
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
