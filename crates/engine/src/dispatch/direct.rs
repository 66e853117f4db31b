//! Pages of direct messages (spec/80-messaging.md §1, §2; design §6).

use std::time::Duration;

use domain::audience::AppKey;
use domain::time::Timestamp;
use store::Batch;
use store::tables::outbox::{Lane, PAGE_RECIPIENTS_MAX, Page, Recipient, Source, page_key, put_request};
use store::value::encode;

use crate::handle::SHARD;

/// Until when a message may be handed over: before its caller is answered, so that what is answered as a failure, which
/// clients send again, is not sent later all the same (spec/97 §1.2).
const LIFE: Duration = Duration::from_secs(8);

/// Writes a direct message, whose request is the JSON `document`, to the outbox. Whoever commits it tells
/// [`super::Queues::written`]. The pages' ids follow from the request's: one that is written twice is the same.
pub fn put_direct(
    batch: &mut Batch,
    app: &AppKey,
    request: &str,
    document: String,
    recipients: &[Recipient],
    now: Timestamp,
) -> Vec<Page> {
    let expires = now.plus(LIFE);
    put_request(batch, SHARD, request, document, expires);
    let page = |(number, recipients): (usize, &[Recipient])| Page {
        id: crate::ids::derived(&["direct", request, &number.to_string()]),
        app: app.clone(),
        lane: Lane::Transactional,
        source: Source::Direct { request: request.to_owned() },
        attempt: 1,
        created: now,
        expires,
        recipients: recipients.to_vec(),
    };
    let pages: Vec<Page> = recipients.chunks(PAGE_RECIPIENTS_MAX).enumerate().map(page).collect();
    for page in &pages {
        batch.put(page_key(SHARD, page, now), encode(page));
    }
    pages
}
