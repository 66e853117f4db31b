//! Outcomes: an intent cleared, counters moved, a retry made due.
//!
//! A claim leaves one intent, and its outcome is one record: the record that finds the intent counts, a repeat of it finds
//! none and is ignored. So every recipient is counted once, however often a crash made somebody append.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::records::{CampaignRef, Outcome, Outcomes, SendStatus};
use domain::time::Timestamp;
use store::tables::campaigns::{CampaignState, Progress, Status, progress_key, state_key};
use store::tables::outbox::{self, Intent, Page, Recipient, intent_key, outcome_key, page_key, unknown_key};
use store::{Key, KvError};

use super::events::folded;
use super::fold::Folder;
use crate::handle::SHARD;

/// For how long a message is tried again after its first attempt, at most.
const RETRY_LIFE: Duration = Duration::from_hours(72);

impl Folder<'_> {
    pub(super) async fn outcomes(&mut self, record: &Outcomes<'_>) -> Result<(), KvError> {
        let key = intent_key(SHARD, record.page, record.from);
        self.load(std::slice::from_ref(&key), false).await?;
        let Some(intent) = self.working.get::<Intent>(&key)? else { return Ok(()) };
        self.working.delete(key);
        // Nothing is written for an application that is gone: its rows may be removed already.
        if self.working.audience(&self.app).summary.deleted {
            return Ok(());
        }
        for item in &record.items {
            self.keep_outcome(record, item);
        }
        self.make_retry(&intent, &record.items);
        if let Some(campaign) = &record.campaign {
            self.count(campaign, &record.items).await?;
        }
        Ok(())
    }

    async fn load(&mut self, keys: &[Key], guarded: bool) -> Result<(), KvError> {
        self.working.load_raw(self.engine, keys, guarded).await
    }

    /// Remembers why each message was, or was not, sent.
    fn keep_outcome(&mut self, record: &Outcomes<'_>, item: &Outcome<'_>) {
        let kept = outbox::Outcome {
            endpoint: item.endpoint.to_owned(),
            address: item.address.to_owned(),
            campaign: record.campaign.as_ref().map(|campaign| campaign.campaign.to_owned()),
            run: record.campaign.as_ref().map(|campaign| campaign.run.to_owned()),
            treatment: item.treatment,
            status: item.status,
            attempt: item.attempt,
            code: item.code,
            detail: item.detail.to_owned(),
            sent: item.sent,
        };
        let named = if item.endpoint.is_empty() { item.address.into() } else { folded(item.endpoint) };
        self.working.put(outcome_key(&self.app, &named, item.delivery_id), &kept);
        if item.status == SendStatus::Unknown {
            self.working.put(unknown_key(&self.app, item.delivery_id), &kept);
        }
    }

    /// Recipients that may be tried again become pages of their own, one for each number of attempts used up.
    fn make_retry(&mut self, intent: &Intent, items: &[Outcome<'_>]) {
        let mut retries: BTreeMap<u16, (Timestamp, Vec<Recipient>)> = BTreeMap::new();
        for (delivery, item) in intent.deliveries.iter().zip(items) {
            let (SendStatus::Deferred, Some(retry_at)) = (item.status, item.retry_at) else { continue };
            let (due, recipients) = retries.entry(item.attempt).or_insert((retry_at, Vec::new()));
            *due = (*due).max(retry_at);
            recipients.push(delivery.recipient.clone());
        }
        for (attempts, (due, recipients)) in retries {
            let page = Page {
                id: retry_id(intent, attempts),
                app: intent.app.clone(),
                lane: intent.lane,
                source: intent.source.clone(),
                attempt: attempts + 1,
                created: self.arrival.at,
                expires: expires(intent),
                recipients,
            };
            self.working.put(page_key(SHARD, &page, due), &page);
            self.working.pages_written.push((page.lane, page.queue(), due));
        }
    }

    async fn count(&mut self, campaign: &CampaignRef<'_>, items: &[Outcome<'_>]) -> Result<(), KvError> {
        let key = progress_key(&self.app, campaign.campaign, campaign.run);
        // A run that is cut short, or a campaign that is deleted, changes the row too.
        self.load(std::slice::from_ref(&key), true).await?;
        let Some(mut progress) = self.working.get::<Progress>(&key)? else { return Ok(()) };
        for item in items.iter().filter(|item| item.status.is_final()) {
            let treatment = usize::from(item.treatment);
            if progress.treatments.len() <= treatment {
                progress.treatments.resize_with(treatment + 1, BTreeMap::new);
            }
            *progress.treatments[treatment].entry(item.status).or_default() += 1;
            progress.done += 1;
        }
        if progress.done >= progress.audience && progress.ended.is_none() {
            progress.ended = Some(self.arrival.at);
            self.complete(campaign).await?;
        }
        self.working.put(key, &progress);
        Ok(())
    }

    /// Everybody in the run's audience has a final outcome.
    async fn complete(&mut self, campaign: &CampaignRef<'_>) -> Result<(), KvError> {
        let key = state_key(&self.app, campaign.campaign);
        self.load(std::slice::from_ref(&key), true).await?;
        let Some(mut state) = self.working.get::<CampaignState>(&key)? else { return Ok(()) };
        if state.run.as_deref() == Some(campaign.run) && state.status == Status::Executing {
            state.status = Status::Completed;
            self.working.put(key, &state);
        }
        Ok(())
    }
}

/// A message that was tried once is not tried forever, even where the run itself never expires.
fn expires(intent: &Intent) -> Timestamp {
    if outbox::is_retry(&intent.page) {
        intent.expires
    } else {
        intent.expires.min(intent.at.plus(RETRY_LIFE))
    }
}

/// The page of a retry is named after the first page of its recipients, whose deliveries it goes on with, and what it
/// retries. Of the same length for every retry: a provider may push back for hours.
fn retry_id(intent: &Intent, attempts: u16) -> String {
    let first_page = intent.page.split('.').next().unwrap_or_default();
    let retried = crate::ids::derived(&[&intent.page, &intent.from.to_string(), &attempts.to_string()]);
    format!("{first_page}.{retried}")
}
