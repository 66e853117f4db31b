//! The context of a real process: the machine's clock and the operating system's randomness.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use domain::time::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};
use store::{Clock, Context, Ids};

/// Time, ids and randomness of this machine.
pub(crate) fn context() -> Context {
    Context {
        clock: Arc::new(SystemClock { start: Instant::now() }),
        ids: Arc::new(SystemIds(SystemRandom::new())),
    }
}

struct SystemClock {
    start: Instant,
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where the context takes its time from")]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(since_epoch.as_millis() as i64)
    }

    fn monotonic_ms(&self) -> u64 {
        self.start.elapsed().as_millis() as u64
    }
}

struct SystemIds(SystemRandom);

impl Ids for SystemIds {
    fn random(&self) -> u128 {
        let mut bytes = [0; 16];
        self.0.fill(&mut bytes).expect("the operating system has random bytes once it has started");
        u128::from_le_bytes(bytes)
    }
}
