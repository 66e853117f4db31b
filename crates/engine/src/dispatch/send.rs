//! A claim carried out: every mail rendered and handed over, the outcome appended to the log.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deliver::{Email, Outcome};
use domain::ids::DeliveryId;
use domain::records::{self, Body, CampaignRef, Outcomes, Record, SendStatus};
use domain::rendering::{Missing, RenderContext};
use domain::time::Timestamp;
use store::LogError;
use store::tables::outbox::{Delivery, Intent, Source};
use tokio::task::JoinSet;

use super::claim::Known;
use super::waiters::DeliveryOutcome;
use super::{Claim, DispatchError, MissingValues, Sender};

/// Bytes of the words that are kept with an outcome.
const DETAIL_BYTES_MAX: usize = 500;

/// What became of one recipient, before it is recorded.
#[derive(Debug, Clone)]
pub(super) struct Fate {
    pub(super) status: SendStatus,
    /// Attempts that the recipient has used up.
    pub(super) attempt: u16,
    pub(super) code: Option<u16>,
    pub(super) detail: String,
    pub(super) retry_at: Option<Timestamp>,
}

/// Carries out a claim: hands every message over at once (the transport bounds its connections), then appends one record
/// of all outcomes. Durable on return.
pub async fn send(sender: &Sender, claim: Claim) -> Result<(), DispatchError> {
    let claim = Arc::new(claim);
    let fates = hand_over_all(sender, &claim).await?;
    let intent = &claim.intent;
    record(sender, intent, &fates).await?;
    let decided = intent.deliveries.iter().zip(&fates).filter(|(_, fate)| fate.status.is_final());
    let outcomes = decided.map(|(delivery, fate)| DeliveryOutcome {
        delivery_id: delivery.id.clone(),
        recipient: delivery.recipient.clone(),
        endpoint: delivery.endpoint.clone(),
        address: delivery.address.clone(),
        status: fate.status,
        code: fate.code,
        detail: fate.detail.clone(),
    });
    sender.engine.deliveries.tell(first_page(&intent.page), outcomes);
    Ok(())
}

/// A hand-off that was not made: costs no attempt, so the retry is made with the number of this one. Ends at the message's
/// expiry.
fn put_off(intent: &Intent, retry_at: Timestamp, detail: &str) -> Fate {
    let fate =
        |status, attempt, retry_at| Fate { status, attempt, code: None, detail: detail.to_owned(), retry_at };
    if retry_at > intent.expires {
        return fate(SendStatus::Throttled, intent.attempt, None);
    }
    fate(SendStatus::Deferred, intent.attempt.saturating_sub(1), Some(retry_at))
}

/// The page whose retry a page is, or the page itself: by it waiters and deliveries are named.
pub(super) fn first_page(page: &str) -> &str {
    page.split('.').next().unwrap_or_default()
}

/// A text of a provider or a template, cut to what an outcome keeps: a record of a hundred must stay small.
fn shortened(detail: &str) -> &str {
    let end = (0..=detail.len().min(DETAIL_BYTES_MAX)).rev().find(|at| detail.is_char_boundary(*at));
    detail.get(..end.unwrap_or(0)).unwrap_or_default()
}

/// Hands over and records nothing: how a crash looks to the provider. For the simulated world.
pub(crate) async fn send_unrecorded(sender: &Sender, claim: Claim) -> Result<(), DispatchError> {
    hand_over_all(sender, &Arc::new(claim)).await.map(drop)
}

/// Several hands carry out a claim, each one message after the other. One task that waits for all messages at once would have
/// the runtime do their work on one thread, and take and give back a slot for each of them.
async fn hand_over_all(sender: &Sender, claim: &Arc<Claim>) -> Result<Vec<Fate>, DispatchError> {
    let deliveries = claim.readers.len();
    let next = Arc::new(AtomicUsize::new(0));
    let mut hands = JoinSet::new();
    for _ in 0..deliveries.min(sender.slots_max) {
        hands.spawn(carry_out(sender.clone(), Arc::clone(claim), Arc::clone(&next)));
    }
    let mut fates = Vec::with_capacity(deliveries);
    while let Some(hand) = hands.join_next().await {
        fates.extend(hand?);
    }
    fates.sort_unstable_by_key(|(at, _)| *at);
    Ok(fates.into_iter().map(|(_, fate)| fate).collect())
}

/// A hand: carries out what no other one has taken, until nothing is left. It waits for a slot first: what is not begun can
/// still be put off, and of a large message there are never more copies than are handed over.
async fn carry_out(sender: Sender, claim: Arc<Claim>, next: Arc<AtomicUsize>) -> Vec<(usize, Fate)> {
    let _slot = sender.slots.acquire().await;
    let Claim { intent, content, readers } = &*claim;
    let mut fates = Vec::new();
    loop {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let (Some(delivery), Some(reader)) = (intent.deliveries.get(at), readers.get(at)) else {
            return fates;
        };
        let fate = match (&delivery.skipped, reader) {
            (None, Some(reader)) => sender.hand_over(intent, content, delivery, reader).await,
            (status, _) => Fate {
                status: status.unwrap_or(SendStatus::Unknown),
                attempt: intent.attempt,
                code: None,
                detail: delivery.detail.clone(),
                retry_at: None,
            },
        };
        fates.push((at, fate));
    }
}

/// Appends the outcome of a claim; tries again while the log has no room, because what is lost here is listed as unknown.
async fn record(sender: &Sender, intent: &Intent, fates: &[Fate]) -> Result<(), DispatchError> {
    loop {
        match append(&sender.engine, intent, fates).await {
            Ok(()) => return Ok(()),
            Err(LogError::Full) if !sender.stop.is_cancelled() => {
                tracing::error!(page = intent.page, "no room for outcomes in the log: trying again");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Appends the outcome of an intent.
pub(super) async fn append(engine: &crate::Engine, intent: &Intent, fates: &[Fate]) -> Result<(), LogError> {
    let campaign = match &intent.source {
        Source::Campaign { campaign, version, run } => Some(CampaignRef { campaign, version: *version, run }),
        Source::Direct { .. } => None,
    };
    let items = intent.deliveries.iter().zip(fates).map(|(delivery, fate)| records::Outcome {
        delivery_id: &delivery.id,
        endpoint: &delivery.endpoint,
        ordinal: delivery.ordinal,
        address: &delivery.address,
        channel: delivery.channel,
        treatment: delivery.treatment,
        status: fate.status,
        attempt: fate.attempt,
        code: fate.code,
        detail: shortened(&fate.detail),
        sent: intent.at,
        retry_at: fate.retry_at,
    });
    let outcomes = Outcomes { page: &intent.page, from: intent.from, campaign, items: items.collect() };
    let record = Record {
        account: intent.app.account.as_str(),
        app: intent.app.app.as_str(),
        request_id: "",
        body: Body::Outcomes { outcomes },
    };
    engine.append_within_reserve(&intent.app, &record).await.map(drop)
}

impl Sender {
    async fn hand_over(
        &self,
        intent: &Intent,
        content: &super::content::Content,
        delivery: &Delivery,
        reader: &Known,
    ) -> Fate {
        let fate = |status: SendStatus, detail: String| Fate {
            status,
            attempt: intent.attempt,
            code: None,
            detail,
            retry_at: None,
        };
        let email = match self.email(intent, content, delivery, reader) {
            Ok(email) => email,
            Err(reason) => return fate(SendStatus::RenderingFailure, reason),
        };
        let now = self.engine.context.now();
        if now > intent.expires {
            return fate(SendStatus::Expired, String::new());
        }
        if let Some(until) = self.pause.until(now) {
            return put_off(intent, until, "the provider pushes back");
        }
        if self.stop.is_cancelled() {
            return put_off(intent, now, "the server stops");
        }
        self.fate(intent, delivery, self.transport.send(&email).await)
    }

    /// The mail of one recipient; the error says why it cannot be made.
    fn email(
        &self,
        intent: &Intent,
        content: &super::content::Content,
        delivery: &Delivery,
        reader: &Known,
    ) -> Result<Email, String> {
        let mail = content.mail(delivery.treatment).ok_or_else(|| "no email message".to_owned())?;
        let mail = mail.as_ref().map_err(Clone::clone)?;
        let direct = content.direct_email();
        // Whoever sends a message directly sees what is missing in it, and clients expect it to be sent (spec/40 §4).
        let missing = match self.options.missing_values {
            MissingValues::Refuse if direct.is_none() => Missing::Refuse,
            MissingValues::Refuse | MissingValues::Blank => Missing::Blank,
        };
        let random = u128::from_str_radix(&delivery.id, 16).unwrap_or_default();
        let context = RenderContext { now: intent.at, random };
        let none = domain::rendering::Substitutions::new();
        let message = direct.map_or(&none, |direct| &direct.substitutions);
        let particular = content.particular(&delivery.recipient)?;
        let document = reader.document(&intent.app.app, &delivery.address, &mail.reads(particular));
        let rendered = mail
            .render(&document, message, particular, missing, &context)
            .map_err(|error| error.to_string())?;
        let from = rendered.from.or_else(|| content.email_from.clone());
        Ok(Email {
            delivery_id: DeliveryId::new(&delivery.id),
            from: from.ok_or_else(|| "no FromAddress".to_owned())?,
            to: delivery.address.clone(),
            reply_to: direct.map(|direct| direct.reply_to.clone()).unwrap_or_default(),
            subject: rendered.subject,
            html: rendered.html,
            text: rendered.text,
            headers: rendered.headers,
            // Whoever is messaged for a reason of his own, such as a one-time code, is on no list.
            list_unsubscribe: match &self.options.list_unsubscribe {
                Some(unsubscribe) if direct.is_none() => Some(unsubscribe.of_delivery(&delivery.id)),
                _ => None,
            },
            raw: direct.and_then(|direct| direct.raw.clone()),
            return_path: direct.and_then(|direct| direct.return_path.clone()),
            date: intent.at,
        })
    }

    /// What an answer of the provider means for the recipient.
    fn fate(&self, intent: &Intent, delivery: &Delivery, outcome: Outcome) -> Fate {
        let now = self.engine.context.now();
        let attempt = intent.attempt;
        let final_fate = |status, code, detail| Fate { status, attempt, code, detail, retry_at: None };
        match outcome {
            Outcome::Accepted { detail } => {
                self.pause.end();
                final_fate(SendStatus::Success, Some(250), detail)
            }
            Outcome::Permanent { code, detail } => final_fate(SendStatus::FailurePermanent, code, detail),
            Outcome::Unknown { detail } => final_fate(SendStatus::Unknown, None, detail),
            Outcome::Transient { code, detail, retry_after } => {
                let wait = retry_after.unwrap_or_else(|| self.backoff(attempt, &delivery.id));
                let retry_at = now.plus(wait);
                if attempt >= self.options.attempts_max || retry_at > intent.expires {
                    return final_fate(SendStatus::TransientFailure, code, detail);
                }
                Fate { status: SendStatus::Deferred, attempt, code, detail, retry_at: Some(retry_at) }
            }
            Outcome::PushBack { code, detail, retry_after } => {
                let retry_at = self.pause.begin(now, retry_after);
                Fate { code, ..put_off(intent, retry_at, &detail) }
            }
        }
    }

    /// Doubles with each attempt, up to the limit; between half and the whole of it, by the delivery.
    fn backoff(&self, attempt: u16, delivery: &str) -> Duration {
        let doublings = u32::from(attempt.saturating_sub(1)).min(20);
        let whole = self.options.backoff.saturating_mul(1 << doublings).min(self.options.backoff_max);
        let share =
            delivery.bytes().fold(0u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
        whole / 2 + (whole / 2).mul_f64(f64::from(share % 1_000) / 1_000.0)
    }
}
