//! Who waits for the outcome of a page: the handlers of direct messages.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use domain::records::SendStatus;
use store::tables::outbox::Recipient;
use tokio::sync::mpsc;

/// What became of one recipient at the first hand-off.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryOutcome {
    pub delivery_id: String,
    pub recipient: Recipient,
    /// The endpoint's id as its owner spelled it; empty for a bare address.
    pub endpoint: String,
    pub address: String,
    pub status: SendStatus,
    pub code: Option<u16>,
    pub detail: String,
}

/// Pages that somebody waits for.
#[derive(Debug, Default)]
pub struct Deliveries {
    waiting: Mutex<HashMap<String, Vec<mpsc::UnboundedSender<DeliveryOutcome>>>>,
}

impl Deliveries {
    /// Begins to wait for a page: before the page is written, or its outcome may be missed. Each recipient's first outcome
    /// arrives once.
    pub fn wait_for(&self, page: &str) -> mpsc::UnboundedReceiver<DeliveryOutcome> {
        // Bounded by the page's recipients: each has one outcome at most.
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.entry(page.to_owned()).or_default().push(sender);
        receiver
    }

    /// Ends waiting: to be called once the receiver is dropped.
    pub fn forget(&self, page: &str) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(senders) = waiting.get_mut(page) {
            senders.retain(|sender| !sender.is_closed());
            if senders.is_empty() {
                waiting.remove(page);
            }
        }
    }

    pub(super) fn tell(&self, page: &str, outcomes: impl Iterator<Item = DeliveryOutcome>) {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(senders) = waiting.get(page) else { return };
        for outcome in outcomes {
            for sender in senders {
                // The waiter may have given up: nobody is told then.
                let _ = sender.send(outcome.clone());
            }
        }
    }
}
