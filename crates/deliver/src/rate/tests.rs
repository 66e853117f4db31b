//! Rates, against what they promise.

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
