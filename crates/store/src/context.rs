//! Where time, ids and randomness come from: never from the operating system directly, so that a simulated world can
//! provide all three.

use std::fmt;
use std::sync::Arc;

use domain::time::Timestamp;

/// Time of day, and time that only moves forward.
pub trait Clock: Send + Sync {
    /// Now, in UTC. May step backwards when the machine's clock is corrected; the log evens that out for records.
    fn now(&self) -> Timestamp;

    /// Milliseconds since an arbitrary start; never runs backwards. For deadlines and rates.
    fn monotonic_ms(&self) -> u64;
}

/// Unpredictable values.
pub trait Ids: Send + Sync {
    /// 128 random bits.
    fn random(&self) -> u128;

    /// 32 lower-case hexadecimal characters: applications, segments, campaigns, jobs.
    fn hex(&self) -> String {
        format!("{:032x}", self.random())
    }

    /// A dashed UUID (version 4): request ids.
    fn uuid(&self) -> String {
        let bits = (self.random() & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
        let hex = format!("{bits:032x}");
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }
}

/// Passed first to whatever needs to know the time or make an id.
#[derive(Clone)]
pub struct Context {
    pub clock: Arc<dyn Clock>,
    pub ids: Arc<dyn Ids>,
}

impl Context {
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Context").finish_non_exhaustive()
    }
}
