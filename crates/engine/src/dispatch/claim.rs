//! A claim: the next recipients of a page, decided on their state now, with a durable intent.

use std::collections::BTreeSet;
use std::sync::Arc;

use domain::audience::AppKey;
use domain::campaigns::{Decision, Received, decide};
use domain::channels::ChannelType;
use domain::endpoints::{self, Endpoint, User};
use domain::ids::AppId;
use domain::messages::{check_channel, decide_direct};
use domain::records::SendStatus;
use domain::rendering::Reads;
use domain::time::Timestamp;
use serde_json::Value;
use store::tables::audiences::{endpoint_key, user_key};
use store::tables::campaigns::{CampaignState, state_key};
use store::tables::outbox::{CLAIM_RECIPIENTS_MAX, Claimed, Delivery, Intent, Page, Recipient, intent_key};
use store::value::{decode, encode};
use store::{Batch, Durability, Key, KvError, Version};

use super::content::{Content, Kind};
use super::received::ReceivedRows;
use super::send::first_page;
use super::{Claim, Dispatcher};
use crate::handle::SHARD;
use crate::reads;

/// A recipient with what is known of it.
#[derive(Debug)]
pub(super) struct Known {
    recipient: Recipient,
    endpoint: Option<Endpoint>,
    user: Option<User>,
    received: Received,
}

impl Dispatcher {
    /// Claims up to `permits` recipients of a page. `None`: nothing was left of it, or somebody changed it meanwhile.
    pub(super) async fn claim(
        &mut self,
        (page_key, page_version): (Key, Version),
        page: &Page,
        (from, claimed_key, claimed_version): (u32, Key, Version),
        content: Arc<Content>,
        permits: usize,
    ) -> Result<Option<Claim>, KvError> {
        let until = page.recipients.len().min(from as usize + permits.min(CLAIM_RECIPIENTS_MAX));
        let recipients = page.recipients.get(from as usize..until).unwrap_or_default();
        let now = self.engine.context.now();
        let mut known = self.known(&page.app, recipients).await?;
        let mut rows = ReceivedRows::default();
        if !page.is_retry() {
            rows = self.load_received(&page.app, &mut known).await?;
        }
        if let Kind::Campaign { campaign, plan, .. } = &content.kind
            && plan.limits.total.is_some()
        {
            self.forget_totals(&page.app, campaign, &mut known).await?;
        }
        let mut batch = Batch::default();
        batch.check(page_key.clone(), page_version);
        batch.check(claimed_key.clone(), claimed_version);
        batch.checks.extend(content.rows.iter().cloned());
        let mut deliveries = Vec::with_capacity(known.len());
        let mut readers = Vec::with_capacity(known.len());
        for mut known in known {
            let delivery = delivery(page, &content, &known, now);
            if delivery.skipped.is_none()
                && let Kind::Campaign { campaign, plan, .. } = &content.kind
                && let Some(ordinal) = delivery.ordinal
                && !page.is_retry()
            {
                let mut received = std::mem::take(&mut known.received);
                received.count(campaign, &plan.limits, now);
                rows.set(ordinal, received);
            }
            readers.push(delivery.skipped.is_none().then_some(known));
            deliveries.push(delivery);
        }
        rows.write(&page.app, &mut batch, now);
        let is_last = until == page.recipients.len();
        if is_last {
            batch.delete(page_key);
            batch.delete(claimed_key);
        } else {
            batch.put(claimed_key, encode(&Claimed(until as u32)));
        }
        let intent = Intent {
            app: page.app.clone(),
            page: page.id.clone(),
            from,
            lane: page.lane,
            source: page.source.clone(),
            attempt: page.attempt,
            expires: page.expires,
            at: now,
            deliveries,
        };
        batch.put(intent_key(SHARD, &intent.page, from), encode(&intent));
        match self.engine.kv.commit(batch, Durability::Durable).await {
            Ok(_) => {
                if is_last {
                    self.engine.queues.rows.removed(&intent.app.account, 1);
                }
                Ok(Some(Claim { intent, content, readers }))
            }
            Err(KvError::Conflict(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Loads the recipients' endpoints and their users.
    async fn known(&self, app: &AppKey, recipients: &[Recipient]) -> Result<Vec<Known>, KvError> {
        let kv = &*self.engine.kv;
        let ordinals: Vec<u32> = recipients
            .iter()
            .filter_map(|recipient| match recipient {
                Recipient::Ordinal(ordinal) => Some(*ordinal),
                Recipient::Endpoint { .. } | Recipient::Address(_) => None,
            })
            .collect();
        let mut ids = reads::ids_of_ordinals(kv, app, &ordinals).await?.into_iter();
        let mut folded: Vec<Option<Arc<str>>> = Vec::with_capacity(recipients.len());
        for recipient in recipients {
            folded.push(match recipient {
                Recipient::Ordinal(_) => ids.next().flatten(),
                Recipient::Endpoint { endpoint, .. } => Some(endpoint.as_str().into()),
                Recipient::Address(_) => None,
            });
        }
        let keys: Vec<Key> = folded.iter().flatten().map(|id| endpoint_key(app, id)).collect();
        let mut rows = kv.get_many(&keys).await?.into_iter();
        let mut known = Vec::with_capacity(recipients.len());
        for (recipient, id) in recipients.iter().zip(folded) {
            let row = if id.is_some() { rows.next().flatten() } else { None };
            let endpoint = row.map(|row| decode::<Endpoint>(&row.value)).transpose()?;
            known.push(Known {
                recipient: recipient.clone(),
                endpoint,
                user: None,
                received: Received::default(),
            });
        }
        self.load_users(app, &mut known).await?;
        Ok(known)
    }

    async fn load_users(&self, app: &AppKey, known: &mut [Known]) -> Result<(), KvError> {
        let user_of = |known: &Known| known.endpoint.as_ref().and_then(|endpoint| endpoint.user_id.clone());
        let keys: Vec<Key> = known.iter().filter_map(user_of).map(|id| user_key(app, id.as_str())).collect();
        let mut rows = self.engine.kv.get_many(&keys).await?.into_iter();
        for known in known.iter_mut().filter(|known| user_of(known).is_some()) {
            known.user = rows.next().flatten().map(|row| decode(&row.value)).transpose()?;
        }
        Ok(())
    }

    /// Loads what caps count. A retry is counted already: it is not held against itself.
    async fn load_received(&self, app: &AppKey, known: &mut [Known]) -> Result<ReceivedRows, KvError> {
        let ordinal_of = |known: &Known| match known.recipient {
            Recipient::Ordinal(_) => known.endpoint.as_ref().map(|endpoint| endpoint.ordinal),
            Recipient::Endpoint { .. } | Recipient::Address(_) => None,
        };
        let rows = ReceivedRows::load(&*self.engine.kv, app, known.iter().filter_map(ordinal_of)).await?;
        for known in known {
            if let Some(ordinal) = ordinal_of(known) {
                known.received = rows.get(ordinal);
            }
        }
        Ok(rows)
    }

    /// Forgets the totals of other campaigns that are over: else what is kept of an endpoint would grow with each of them.
    async fn forget_totals(&self, app: &AppKey, campaign: &str, known: &mut [Known]) -> Result<(), KvError> {
        let totals = known.iter().flat_map(|known| &known.received.totals);
        let others: BTreeSet<String> =
            totals.filter(|(of, _)| of != campaign).map(|(of, _)| of.clone()).collect();
        let keys: Vec<Key> = others.iter().map(|other| state_key(app, other)).collect();
        let mut over = BTreeSet::new();
        for (other, row) in others.into_iter().zip(self.engine.kv.get_many(&keys).await?) {
            let state: Option<CampaignState> = row.map(|row| decode(&row.value)).transpose()?;
            if state.is_none_or(|state| state.status.is_over()) {
                over.insert(other);
            }
        }
        for known in known {
            known.received.forget(|other| over.contains(other));
        }
        Ok(())
    }
}

impl Known {
    /// What a template may read of the recipient, as far as it does.
    pub(super) fn document(&self, app: &AppId, address: &str, reads: &Reads) -> Value {
        match &self.endpoint {
            Some(endpoint) => endpoints::document_read(app, endpoint, self.user.as_ref(), reads),
            None => serde_json::json!({ "Address": address, "ChannelType": ChannelType::Email.as_str() }),
        }
    }
}

fn delivery(page: &Page, content: &Content, known: &Known, now: Timestamp) -> Delivery {
    let verdict = if now > page.expires {
        Err((SendStatus::Expired, String::new()))
    } else {
        verdict(&page.app.app, content, known, now)
    };
    let endpoint = known.endpoint.as_ref();
    let (treatment, address, channel, skipped, detail) = match verdict {
        Ok((treatment, channel, address)) => (treatment, address, Some(channel), None, String::new()),
        Err((status, detail)) => {
            let address = match (&known.recipient, endpoint) {
                (Recipient::Address(address), _) => address.clone(),
                (_, Some(endpoint)) => endpoint.address.as_deref().unwrap_or_default().to_owned(),
                (_, None) => String::new(),
            };
            let channel = endpoint.and_then(|endpoint| endpoint.channel_type);
            (treatment_of(content, endpoint), address, channel, Some(status), detail)
        }
    };
    let shown = match (&known.recipient, endpoint) {
        (_, Some(endpoint)) => endpoint.id.as_str().to_owned(),
        (Recipient::Endpoint { endpoint, .. }, None) => endpoint.clone(),
        (Recipient::Address(_) | Recipient::Ordinal(_), None) => String::new(),
    };
    Delivery {
        id: delivery_id(&page.id, &known.recipient),
        recipient: known.recipient.clone(),
        endpoint: shown,
        ordinal: endpoint.map(|endpoint| endpoint.ordinal),
        address,
        channel,
        treatment,
        skipped,
        detail,
    }
}

fn treatment_of(content: &Content, endpoint: Option<&Endpoint>) -> u8 {
    match (&content.kind, endpoint) {
        (Kind::Campaign { plan, .. }, Some(endpoint)) => plan.treatment_of(endpoint.cohort).unwrap_or(0),
        _ => 0,
    }
}

/// The treatment, channel and address to send to, or why nothing is sent.
fn verdict(
    app: &AppId,
    content: &Content,
    known: &Known,
    now: Timestamp,
) -> Result<(u8, ChannelType, String), (SendStatus, String)> {
    let enabled = |channel: ChannelType| channel == ChannelType::Email && content.email_from.is_some();
    match (&content.kind, &known.recipient) {
        (Kind::Unreadable(reason), _) => Err((SendStatus::FailurePermanent, reason.clone())),
        (Kind::Gone, _) => Err((SendStatus::Cancelled, "the campaign or its segment was deleted".to_owned())),
        (Kind::Campaign { plan, campaign, .. }, _) => {
            match decide(plan, campaign, known.endpoint.as_ref(), &known.received, enabled, now) {
                Decision::Deliver { treatment, channel, address } => Ok((treatment, channel, address)),
                Decision::Skip { status, .. } => Err((status, String::new())),
            }
        }
        (Kind::Direct { request, email, .. }, Recipient::Address(address)) => {
            let configuration = request.addresses.get(address);
            let channel = configuration.and_then(|it| it.channel_type);
            let channel = channel
                .and_then(|channel| ChannelType::parse(channel.as_str()))
                .unwrap_or(ChannelType::Email);
            check_channel(channel, email.is_some(), app, enabled)?;
            Ok((0, channel, address.clone()))
        }
        (Kind::Direct { email, .. }, _) => {
            let decided = decide_direct(known.endpoint.as_ref(), email.is_some(), app, enabled);
            decided.map(|(channel, address)| (0, channel, address))
        }
    }
}

/// The delivery of a recipient: the same for every attempt, by the first page and the recipient.
pub fn delivery_id(page: &str, recipient: &Recipient) -> String {
    let first_page = first_page(page);
    let recipient = match recipient {
        Recipient::Ordinal(ordinal) => format!("o{ordinal}"),
        Recipient::Endpoint { endpoint, user } => {
            format!("e{endpoint}/{}", user.as_deref().unwrap_or_default())
        }
        Recipient::Address(address) => format!("a{address}"),
    };
    crate::ids::derived(&[first_page, &recipient])
}
