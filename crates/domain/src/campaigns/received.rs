//! Which messages endpoints got lately: what caps count (spec/50-campaigns.md §7).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{DAILY_PERIOD, Limits};
use crate::records::SendStatus;
use crate::time::Timestamp;

/// Endpoints of one row. A campaign to everybody writes a sixteenth of the rows; one to a few endpoints here and there writes
/// those of their neighbours again, which are some ten bytes a message.
const ENDPOINTS_PER_ROW: u32 = 16;

/// Messages that an endpoint got lately.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Received {
    /// Within [`DAILY_PERIOD`]: when, and of which campaign.
    pub recent: Vec<(Timestamp, String)>,
    /// Over all time, by campaign: of those that have a total limit and are not over.
    pub totals: Vec<(String, u32)>,
}

/// What the endpoints with neighbouring ordinals got lately.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceivedRow {
    /// Each once; the entries name them by their place.
    campaigns: Vec<String>,
    entries: Vec<Entry>,
}

/// What one endpoint got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    place: u32,
    recent: Vec<(Timestamp, u32)>,
    totals: Vec<(u32, u32)>,
}

impl Received {
    /// Counts a message of `campaign` for what a limit can ask of it. Which of the totals cannot matter any more is not known
    /// here: see [`Received::forget`].
    pub fn count(&mut self, campaign: &str, limits: &Limits, now: Timestamp) {
        self.forget_old(now);
        self.recent.push((now, campaign.to_owned()));
        if limits.total.is_none() {
            return;
        }
        match self.totals.iter_mut().find(|(of, _)| of == campaign) {
            Some((_, total)) => *total += 1,
            None => self.totals.push((campaign.to_owned(), 1)),
        }
    }

    /// Forgets the totals of campaigns that are over: nothing is sent by them any more.
    pub fn forget(&mut self, is_over: impl Fn(&str) -> bool) {
        self.totals.retain(|(campaign, _)| !is_over(campaign));
    }

    fn forget_old(&mut self, now: Timestamp) {
        self.recent.retain(|(at, _)| *at > now.minus(DAILY_PERIOD));
    }

    pub(super) fn exceeds(&self, limits: &Limits, campaign: &str, now: Timestamp) -> Option<SendStatus> {
        let total = self.totals.iter().find(|(of, _)| of == campaign).map_or(0, |(_, total)| *total);
        if limits.total.is_some_and(|limit| total >= limit) {
            return Some(SendStatus::CampaignCap);
        }
        let since = now.minus(DAILY_PERIOD);
        let counts =
            |(at, of): &&(Timestamp, String)| *at > since && (limits.daily_is_shared || of == campaign);
        let daily = self.recent.iter().filter(counts).count();
        limits.daily.is_some_and(|limit| daily >= limit as usize).then_some(SendStatus::DailyCap)
    }
}

impl ReceivedRow {
    /// The row in which an endpoint stands, by its ordinal.
    pub fn row_of(ordinal: u32) -> u32 {
        ordinal / ENDPOINTS_PER_ROW
    }

    /// What the endpoint of an ordinal of this row got.
    pub fn get(&self, ordinal: u32) -> Received {
        let place = ordinal % ENDPOINTS_PER_ROW;
        let Some(entry) = self.entries.iter().find(|entry| entry.place == place) else {
            return Received::default();
        };
        let name = |at: u32| self.campaigns.get(at as usize).cloned().unwrap_or_default();
        Received {
            recent: entry.recent.iter().map(|(at, campaign)| (*at, name(*campaign))).collect(),
            totals: entry.totals.iter().map(|(campaign, total)| (name(*campaign), *total)).collect(),
        }
    }

    /// The row after some of its endpoints, by ordinal, got something. What is too old to matter is left out of all.
    #[must_use]
    pub fn with(&self, mut changes: BTreeMap<u32, Received>, now: Timestamp) -> Self {
        let Some(number) = changes.keys().next().map(|ordinal| Self::row_of(*ordinal)) else {
            return self.clone();
        };
        let mut row = Self::default();
        for place in 0..ENDPOINTS_PER_ROW {
            let ordinal = number * ENDPOINTS_PER_ROW + place;
            let mut received = changes.remove(&ordinal).unwrap_or_else(|| self.get(ordinal));
            received.forget_old(now);
            let recent: Vec<_> =
                received.recent.iter().map(|(at, campaign)| (*at, row.place_of(campaign))).collect();
            let totals: Vec<_> =
                received.totals.iter().map(|(campaign, total)| (row.place_of(campaign), *total)).collect();
            if !recent.is_empty() || !totals.is_empty() {
                row.entries.push(Entry { place, recent, totals });
            }
        }
        row
    }

    fn place_of(&mut self, campaign: &str) -> u32 {
        let known = self.campaigns.iter().position(|known| known == campaign);
        known.unwrap_or_else(|| {
            self.campaigns.push(campaign.to_owned());
            self.campaigns.len() - 1
        }) as u32
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    #[test]
    fn a_row_keeps_what_its_endpoints_got() {
        let limits = Limits { total: Some(9), ..Limits::default() };
        let got = |campaign: &str, at: Timestamp| {
            let mut received = Received::default();
            received.count(campaign, &limits, at);
            received
        };
        let yesterday = NOW.minus(Duration::from_hours(25));
        let changes = BTreeMap::from([(32, got("a", NOW)), (34, got("b", yesterday)), (47, got("a", NOW))]);
        let row = ReceivedRow::default().with(changes.clone(), yesterday);
        assert_eq!(row.campaigns, ["a", "b"]);
        for ordinal in 32..48 {
            let expected = changes.get(&ordinal).cloned().unwrap_or_default();
            assert_eq!(row.get(ordinal), expected, "{ordinal}");
        }
        // Only what can still matter is left of those that got nothing, and nothing of those for whom nothing is.
        let mut forgotten = row.get(47);
        forgotten.forget(|_| true);
        forgotten.recent.clear();
        let row = row.with(BTreeMap::from([(33, got("c", NOW)), (47, forgotten)]), NOW);
        assert_eq!(row.get(32), got("a", NOW));
        assert_eq!(row.get(33), got("c", NOW));
        assert_eq!(row.get(34), Received { recent: Vec::new(), totals: vec![("b".to_owned(), 1)] });
        assert_eq!((row.entries.len(), row.get(47)), (3, Received::default()));
        assert_eq!(row.with(BTreeMap::new(), NOW), row);
        assert_eq!((ReceivedRow::row_of(31), ReceivedRow::row_of(32)), (1, 2));
    }
}
