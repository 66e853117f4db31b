//! One mail to one recipient, as the engine hands it over.

use domain::ids::DeliveryId;
use domain::time::Timestamp;

/// A rendered mail. What is not an address, or could break out of its header, is refused as
/// [`Outcome::Permanent`](crate::Outcome::Permanent) when the mail is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Email {
    /// Becomes the Message-ID `<delivery id@domain of from>`, and the envelope id where the server takes one (RFC 3461).
    /// Letters, digits, `-`, `_` and `.` only.
    pub delivery_id: DeliveryId,
    /// `Name <user@host>` or `user@host`.
    pub from: String,
    /// `Name <user@host>` or `user@host`; exactly one.
    pub to: String,
    pub reply_to: Vec<String>,
    pub subject: String,
    pub html: Option<String>,
    pub text: Option<String>,
    /// Further headers in this order. Those that this crate writes (From, To, Date, Message-ID, …) are refused.
    pub headers: Vec<(String, String)>,
    pub list_unsubscribe: Option<ListUnsubscribe>,
    /// A whole message (headers and body), sent as it is in place of everything else but the envelope; it gets our
    /// Message-ID and Date when it has none.
    pub raw: Option<Vec<u8>>,
    /// Envelope sender, where bounces go; the address of `from` when absent.
    pub return_path: Option<String>,
    /// The Date header.
    pub date: Timestamp,
}

/// Stands for the id of the delivery in a [`ListUnsubscribe`] that is meant for many mails.
const DELIVERY_ID_PLACEHOLDER: &str = "{delivery_id}";

/// Where a recipient ends the mails: at least one of the two.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListUnsubscribe {
    /// An https URL that unsubscribes by a POST without questions (RFC 8058 one-click).
    pub url: Option<String>,
    /// An address that unsubscribes who writes to it; may carry `?subject=…`.
    pub mailto: Option<String>,
}

impl ListUnsubscribe {
    /// The same for one mail: `{delivery_id}` in either becomes the id.
    #[must_use]
    pub fn of_delivery(&self, id: &str) -> Self {
        let of_delivery = |text: &String| text.replace(DELIVERY_ID_PLACEHOLDER, id);
        Self { url: self.url.as_ref().map(of_delivery), mailto: self.mailto.as_ref().map(of_delivery) }
    }
}
