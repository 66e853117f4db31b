//! How fast a lane, and each campaign in it, may send.

use std::collections::HashMap;
use std::time::Duration;

use deliver::rate::TokenBucket;

/// Campaigns whose rate is remembered; beyond it all are forgotten, which gives each a new tenth of a second's worth.
const CAMPAIGNS_MAX: usize = 10_000;

/// A rate and its bucket.
#[derive(Debug)]
struct Rate {
    per_second: u32,
    bucket: TokenBucket,
}

/// The buckets of a dispatcher.
#[derive(Debug, Default)]
pub(super) struct Rates {
    lane: Option<Rate>,
    campaigns: HashMap<String, Rate>,
}

impl Rates {
    /// Takes up to `wanted` permits of both the campaign and the lane, of those that have a rate. The error is the wait in
    /// milliseconds until there will be some.
    pub(super) fn take(
        &mut self,
        lane_per_second: Option<u32>,
        campaign: Option<(&str, u32)>,
        wanted: u32,
        now_ms: u64,
    ) -> Result<u32, u64> {
        if self.campaigns.len() >= CAMPAIGNS_MAX {
            self.campaigns = HashMap::new();
        }
        let mut of_campaign = campaign.map(|(campaign, per_second)| {
            let rate =
                self.campaigns.entry(campaign.to_owned()).or_insert_with(|| Rate::new(per_second, now_ms));
            rate.change(per_second, now_ms);
            &mut rate.bucket
        });
        let granted = match &mut of_campaign {
            Some(bucket) => take(bucket, wanted, now_ms)?,
            None => wanted,
        };
        let Some(per_second) = lane_per_second else { return Ok(granted) };
        let lane = self.lane.get_or_insert_with(|| Rate::new(per_second, now_ms));
        let permits = take(&mut lane.bucket, granted, now_ms);
        if let Some(bucket) = of_campaign {
            bucket.give_back(granted - permits.unwrap_or(0));
        }
        permits
    }

    /// Gives back what was granted and not used.
    pub(super) fn give_back(&mut self, campaign: &str, permits: u32) {
        if let Some(rate) = self.campaigns.get_mut(campaign) {
            rate.bucket.give_back(permits);
        }
        if let Some(rate) = &mut self.lane {
            rate.bucket.give_back(permits);
        }
    }
}

impl Rate {
    fn new(per_second: u32, now_ms: u64) -> Self {
        Self {
            per_second,
            bucket: TokenBucket::new(per_second, Duration::from_secs(1), burst(per_second), now_ms),
        }
    }

    fn change(&mut self, per_second: u32, now_ms: u64) {
        if self.per_second != per_second {
            self.per_second = per_second;
            self.bucket.set_rate(per_second, Duration::from_secs(1), burst(per_second), now_ms);
        }
    }
}

/// A tenth of a second's worth may be saved up: no second sees much more than the rate.
fn burst(per_second: u32) -> u32 {
    (per_second / 10).max(1)
}

fn take(bucket: &mut TokenBucket, wanted: u32, now_ms: u64) -> Result<u32, u64> {
    match bucket.take(now_ms, wanted) {
        0 => Err(bucket.wait_ms(now_ms).unwrap_or(1_000)),
        granted => Ok(granted),
    }
}

#[cfg(test)]
mod tests {
    use super::Rates;

    #[test]
    fn a_campaign_and_its_lane_both_bound_a_claim() {
        let mut rates = Rates::default();
        // Without rates everything is granted.
        assert_eq!(rates.take(None, None, 100, 0), Ok(100));
        // 200 a second: 20 at once, then 10 milliseconds for 2.
        assert_eq!(rates.take(None, Some(("slow", 200)), 100, 0), Ok(20));
        assert_eq!(rates.take(None, Some(("slow", 200)), 100, 0), Err(5));
        assert_eq!(rates.take(None, Some(("slow", 200)), 100, 10), Ok(2));
        // What the lane does not grant is not taken from the campaign.
        assert_eq!(rates.take(Some(50), Some(("fast", 1_000)), 100, 10), Ok(5));
        assert_eq!(rates.take(Some(50), Some(("fast", 1_000)), 100, 10), Err(20));
        assert_eq!(rates.take(None, Some(("fast", 1_000)), 100, 10), Ok(95));
        rates.give_back("fast", 3);
        assert_eq!(rates.take(Some(50), Some(("fast", 1_000)), 2, 10), Ok(2));
        // A new rate holds from now on.
        assert_eq!(rates.take(None, Some(("slow", 10)), 100, 110), Ok(1));
    }
}
