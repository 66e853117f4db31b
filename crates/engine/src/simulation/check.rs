//! The invariants, held against what happened.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use domain::audience::{AppKey, Summary};
use domain::campaigns::{DAILY_PERIOD, Limits, Plan};
use domain::endpoints::{Endpoint, EndpointStatus, OptOut};
use domain::records::{Body, Record, SendStatus};
use domain::time::Timestamp;
use store::kv::memory::MemoryKv;
use store::log::memory::MemoryLog;
use store::tables::audiences::{endpoint_key, summary_key};
use store::tables::campaigns::{CampaignState, Progress, Status, runs, state_key, states};
use store::tables::definitions;
use store::tables::outbox::{Intent, Lane, Recipient, Source, intents, is_retry, pages};
use store::value::decode;
use store::{Key, Kv, KvError, Log, Position, Table};

use super::{ROWS_MAX, World};
use crate::SHARD;
use crate::project::{Projector, Step};

/// An invariant that does not hold.
#[derive(Debug, thiserror::Error)]
pub enum Violation {
    #[error("the world failed: {0}")]
    Failed(String),
    #[error("{0}")]
    Broken(String),
}

impl From<KvError> for Violation {
    fn from(error: KvError) -> Self {
        Self::Failed(error.to_string())
    }
}

/// A hand-over that was right when it was claimed.
#[derive(Debug, Clone)]
pub(super) struct Allowed {
    /// Empty for a direct message.
    campaign: String,
    /// `None`: a bare address.
    ordinal: Option<u32>,
    at: Timestamp,
}

/// The application that a row of an audience belongs to.
fn app_of(key: &Key) -> Option<AppKey> {
    let mut components = key.components();
    Some(AppKey { account: components.text()?.into(), app: components.text()?.into() })
}

fn broken<T>(text: String) -> Result<T, Violation> {
    Err(Violation::Broken(text))
}

impl World {
    /// Every recipient that a claim hands over may be messaged now.
    pub(super) async fn check_claim(&mut self, intent: &Intent) -> Result<(), Violation> {
        let Source::Campaign { campaign, version, .. } = &intent.source else {
            return self.check_direct_claim(intent).await;
        };
        let app = &intent.app;
        let definitions = definitions::campaigns(app.account.as_str(), app.app.as_str());
        let body = definitions.body(&*self.kv, campaign, *version).await?;
        for delivery in intent.deliveries.iter().filter(|delivery| delivery.skipped.is_none()) {
            let Some(body) = &body else { return broken(format!("{campaign} is deleted and still sends")) };
            let state = self.kv.get(&state_key(app, campaign)).await?;
            let state: Option<CampaignState> =
                state.map(|row| decode(&row.value)).transpose().map_err(KvError::from)?;
            if state.is_none_or(|state| state.status == Status::Deleted) {
                return broken(format!("the segment of {campaign} is deleted and it still sends"));
            }
            let mut plan =
                Plan::parse_document(&body.document).map_err(|error| Violation::Failed(error.to_string()))?;
            plan.limits = plan.limits.or_defaults(&Limits::default());
            let Recipient::Ordinal(ordinal) = delivery.recipient else { continue };
            let endpoint = self.endpoint(app, ordinal).await?;
            self.check_recipient(&plan, campaign, &endpoint, intent.at)?;
            if !is_retry(&intent.page) {
                let allowed = Allowed { campaign: campaign.clone(), ordinal: Some(ordinal), at: intent.at };
                self.allow(&delivery.id, allowed)?;
            }
        }
        Ok(())
    }

    /// A direct message goes out before its caller is answered, and to nobody who opted out.
    async fn check_direct_claim(&mut self, intent: &Intent) -> Result<(), Violation> {
        for delivery in intent.deliveries.iter().filter(|delivery| delivery.skipped.is_none()) {
            if intent.at > intent.expires {
                return broken(format!("{} is handed over after its caller was answered", delivery.id));
            }
            if let Some(ordinal) = delivery.ordinal {
                let endpoint = self.endpoint(&intent.app, ordinal).await?;
                if endpoint.opt_out == OptOut::All || endpoint.status == EndpointStatus::Inactive {
                    return broken(format!("{} is opted out or inactive and is messaged", endpoint.id));
                }
            }
            if !is_retry(&intent.page) {
                let allowed = Allowed { campaign: String::new(), ordinal: delivery.ordinal, at: intent.at };
                self.allow(&delivery.id, allowed)?;
            }
        }
        Ok(())
    }

    fn allow(&mut self, delivery: &str, allowed: Allowed) -> Result<(), Violation> {
        match self.allowed.insert(delivery.to_owned(), allowed) {
            Some(_) => broken(format!("delivery {delivery} was claimed twice")),
            None => Ok(()),
        }
    }

    fn check_recipient(
        &self,
        plan: &Plan,
        campaign: &str,
        endpoint: &Endpoint,
        now: Timestamp,
    ) -> Result<(), Violation> {
        let id = &endpoint.id;
        if endpoint.opt_out == OptOut::All || endpoint.status == EndpointStatus::Inactive {
            return broken(format!("{id} is opted out or inactive and is messaged"));
        }
        if plan.holdout.contains(&endpoint.cohort) {
            return broken(format!("{id} is held out and is messaged"));
        }
        let zone = endpoint.demographic.timezone.as_deref();
        if plan.quiet_time.is_some_and(|quiet_time| quiet_time.holds(zone, now)) {
            return broken(format!("{id} is messaged in its quiet time"));
        }
        let to_endpoint =
            || self.allowed.values().filter(|allowed| allowed.ordinal == Some(endpoint.ordinal));
        let of_campaign = to_endpoint().filter(|allowed| allowed.campaign == campaign).count();
        if plan.limits.total.is_some_and(|total| of_campaign > total as usize) {
            return broken(format!("{id} got more of {campaign} than its total"));
        }
        let today = to_endpoint()
            .filter(|allowed| allowed.campaign == campaign && allowed.at > now.minus(DAILY_PERIOD))
            .count();
        if plan.limits.daily.is_some_and(|daily| today > daily as usize) {
            return broken(format!("{id} got more of {campaign} in a day than its limit"));
        }
        Ok(())
    }

    async fn endpoint(&self, app: &AppKey, ordinal: u32) -> Result<Endpoint, Violation> {
        let missing = || Violation::Broken(format!("ordinal {ordinal} is messaged and does not exist"));
        let ids = crate::reads::ids_of_ordinals(&*self.kv, app, &[ordinal]).await?;
        let folded = ids.into_iter().next().flatten().ok_or_else(missing)?;
        let row = self.kv.get(&endpoint_key(app, &folded)).await?.ok_or_else(missing)?;
        Ok(decode(&row.value).map_err(KvError::from)?)
    }

    /// The invariants of a world at rest.
    pub(super) async fn check(&mut self) -> Result<(), Violation> {
        for lane in Lane::ALL {
            self.check_empty(pages(SHARD, lane).prefix(), "pages of the outbox").await?;
        }
        self.check_empty(intents(SHARD).prefix(), "intents").await?;
        self.check_empty(Key::new(Table::Claims).prefix(), "claims").await?;
        self.check_empty(Key::new(Table::Requests).prefix(), "requests of direct messages").await?;
        for app in &self.apps {
            self.check_empty(runs(app).prefix(), "runs").await?;
        }
        let deleted = self.deleted_apps().await?;
        self.check_erased(&deleted)?;
        self.check_empty(Key::new(Table::RunAudiences).prefix(), "chunks of audiences").await?;
        let outcomes = self.outcomes().await?;
        self.check_deliveries(&outcomes)?;
        self.check_counters(&outcomes).await?;
        self.check_replay(&deleted).await
    }

    /// Of a deleted application nothing is left but the word that it is deleted.
    fn check_erased(&self, deleted: &BTreeSet<AppKey>) -> Result<(), Violation> {
        let rows = self.kv.snapshot();
        for app in deleted {
            let id = app.app.as_str().as_bytes();
            let names_it = |key: &&Key| key.as_bytes().windows(id.len()).any(|part| part == id);
            let left: Vec<&Key> = rows.keys().filter(names_it).collect();
            if left != [&summary_key(app)] {
                return broken(format!("rows of a deleted application are left: {left:?}"));
            }
        }
        Ok(())
    }

    async fn deleted_apps(&self) -> Result<BTreeSet<AppKey>, Violation> {
        let mut deleted = BTreeSet::new();
        for app in &self.apps {
            let Some(row) = self.kv.get(&summary_key(app)).await? else { continue };
            let summary: Summary = decode(&row.value).map_err(KvError::from)?;
            deleted.extend(summary.deleted.then(|| app.clone()));
        }
        Ok(deleted)
    }

    async fn check_empty(&self, range: store::key::KeyRange, what: &str) -> Result<(), Violation> {
        let left = self.kv.scan(range, ROWS_MAX).await?.len();
        if left > 0 { broken(format!("{left} {what} are left")) } else { Ok(()) }
    }

    /// The final outcome of every delivery by run, as the log tells it: the first record of a claim counts.
    async fn outcomes(&self) -> Result<BTreeMap<(String, String), SendStatus>, Violation> {
        let mut seen_claims = BTreeSet::new();
        let mut outcomes = BTreeMap::new();
        let mut position = Position(0);
        while position < self.log.end(SHARD) {
            let records = self.log.read(SHARD, position, 1 << 20).await;
            for record in records.map_err(|error| Violation::Failed(error.to_string()))? {
                position = record.position.next();
                let parsed =
                    Record::decode(&record.bytes).map_err(|error| Violation::Failed(error.to_string()))?;
                let Body::Outcomes { outcomes: claim } = parsed.body else { continue };
                if !seen_claims.insert((claim.page.to_owned(), claim.from)) {
                    continue;
                }
                let run = claim.campaign.map(|campaign| campaign.run.to_owned()).unwrap_or_default();
                for item in claim.items.iter().filter(|item| item.status.is_final()) {
                    let key = (run.clone(), item.delivery_id.to_owned());
                    if let Some(before) = outcomes.insert(key, item.status) {
                        return broken(format!(
                            "{} ended twice: {before:?}, {:?}",
                            item.delivery_id, item.status
                        ));
                    }
                }
            }
        }
        Ok(outcomes)
    }

    /// What the provider took is known as sent or as unknown, once; what is known as sent was taken.
    fn check_deliveries(
        &mut self,
        outcomes: &BTreeMap<(String, String), SendStatus>,
    ) -> Result<(), Violation> {
        let statuses: BTreeMap<&str, SendStatus> =
            outcomes.iter().map(|((_, delivery), status)| (delivery.as_str(), *status)).collect();
        let hand_overs = self.hand_overs.lock().unwrap_or_else(PoisonError::into_inner);
        let mut accepted: BTreeMap<&str, u32> = BTreeMap::new();
        for hand_over in hand_overs.iter().filter(|hand_over| hand_over.was_accepted) {
            *accepted.entry(&hand_over.delivery_id).or_default() += 1;
        }
        for (delivery, times) in &accepted {
            if *times > 1 {
                return broken(format!("{delivery} was taken {times} times"));
            }
            match statuses.get(delivery) {
                Some(SendStatus::Success | SendStatus::Unknown) => {}
                other => return broken(format!("{delivery} was taken and is known as {other:?}")),
            }
        }
        for (delivery, status) in &statuses {
            if *status == SendStatus::Success && !accepted.contains_key(delivery) {
                return broken(format!("{delivery} is known as sent and was not taken"));
            }
        }
        self.told.accepted = accepted.len() as u64;
        self.told.unknown = statuses.values().filter(|status| **status == SendStatus::Unknown).count() as u64;
        let sent = |status: &&SendStatus| matches!(status, SendStatus::Success | SendStatus::Unknown);
        self.told.withheld = statuses.values().filter(|status| !sent(status)).count() as u64;
        Ok(())
    }

    /// Counters of runs equal a recount, and every run has ended: with everybody in its audience, unless its campaign was
    /// stopped.
    async fn check_counters(
        &self,
        outcomes: &BTreeMap<(String, String), SendStatus>,
    ) -> Result<(), Violation> {
        let mut recount: BTreeMap<&str, BTreeMap<SendStatus, u64>> = BTreeMap::new();
        for ((run, _), status) in outcomes {
            *recount.entry(run).or_default().entry(*status).or_default() += 1;
        }
        let stopped = self.stopped_runs().await?;
        for (_, row) in self.kv.scan(Key::new(Table::Activities).prefix(), ROWS_MAX).await? {
            let progress: Progress = decode(&row.value).map_err(KvError::from)?;
            let mut counted: BTreeMap<SendStatus, u64> = BTreeMap::new();
            for (status, count) in progress.treatments.iter().flatten() {
                *counted.entry(*status).or_default() += count;
            }
            let recounted = recount.get(progress.run.as_str()).cloned().unwrap_or_default();
            if counted != recounted {
                return broken(format!("run {}: counted {counted:?}, recounted {recounted:?}", progress.run));
            }
            let is_whole = progress.done == progress.audience || stopped.contains(&progress.run);
            if !is_whole || progress.ended.is_none() {
                return broken(format!("run {} ended with {progress:?}", progress.run));
            }
        }
        Ok(())
    }

    /// Runs of campaigns whose segment was deleted.
    async fn stopped_runs(&self) -> Result<BTreeSet<String>, Violation> {
        let mut stopped = BTreeSet::new();
        for app in &self.apps {
            for (_, row) in self.kv.scan(states(app).prefix(), ROWS_MAX).await? {
                let state: CampaignState = decode(&row.value).map_err(KvError::from)?;
                stopped.extend(state.run.filter(|_| state.status == Status::Deleted));
            }
        }
        Ok(stopped)
    }

    /// The log alone gives the same audience, byte for byte; but it does not erase what is left of deleted applications.
    async fn check_replay(&self, deleted: &BTreeSet<AppKey>) -> Result<(), Violation> {
        let fresh = Arc::new(MemoryKv::new());
        let engine = crate::Engine::new(
            self.context.clone(),
            Arc::<MemoryKv>::clone(&fresh),
            Arc::<MemoryLog>::clone(&self.log),
        );
        let failed = |error: crate::project::ProjectError| Violation::Failed(error.to_string());
        let mut projector = Projector::open(engine).await.map_err(failed)?;
        while projector.step().await.map_err(failed)? == Step::Progress {}
        let audience = |kv: &MemoryKv| {
            let tables = [
                Table::Endpoints,
                Table::Ordinals,
                Table::Users,
                Table::Addresses,
                Table::Activity,
                Table::EventCounts,
            ];
            let mut rows = kv.snapshot();
            rows.retain(|key, _| {
                let tag = key.as_bytes()[0];
                tag == Table::Audiences as u8
                    || (tables.iter().any(|table| tag == *table as u8)
                        && !app_of(key).is_some_and(|app| deleted.contains(&app)))
            });
            rows
        };
        let (kept, replayed) = (audience(&self.kv), audience(&fresh));
        if kept == replayed {
            return Ok(());
        }
        let differs = kept.iter().find(|(key, value)| replayed.get(key) != Some(value));
        broken(format!(
            "a replay gives other rows, first {differs:?} of {} and {}",
            kept.len(),
            replayed.len()
        ))
    }
}
