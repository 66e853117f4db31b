//! From an [`Email`] to the bytes that travel. Deterministic: the same mail gives the same bytes, whenever it is built
//! (RSA and Ed25519 signatures included).

use std::time::{Duration, SystemTime};

use domain::email::{HEADERS_MAX, HeaderFault, check_header};
use domain::time::Timestamp;
use lettre::message::header::{self, HeaderName, HeaderValue, Headers};
use lettre::message::{Mailboxes, MultiPart, SinglePart};

use crate::dkim::{DkimKey, sign};
use crate::email::{Email, ListUnsubscribe};

mod address;
pub(crate) mod fields;
mod raw;

#[cfg(test)]
mod tests;

pub use address::{AddressError, MailAddress};

/// Bytes of a whole message; Pinpoint takes 10 MB (spec/95-limits.md).
pub const MESSAGE_BYTES_MAX: usize = 10 * 1024 * 1024;
/// Bytes of a delivery id.
const DELIVERY_ID_BYTES_MAX: usize = 128;
/// As long as the ids that the engine gives: a longer one would not fit where an address may hold it.
const USUAL_DELIVERY_ID: &str = "00000000000000000000000000000000";
/// A word of the subject that cannot be folded: a line holds 998 bytes (RFC 5322 §2.1.1).
const HEADER_WORD_BYTES_MAX: usize = 900;
/// Bytes of a header's name that lettre takes.
const LETTRE_NAME_BYTES_MAX: usize = 76;
const SUBJECT_BYTES_MAX: usize = 8 * 1024;
const REPLY_TO_MAX: usize = 50;

/// A message on its way to one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub delivery_id: String,
    /// Envelope sender; empty is the null sender, who gets no bounces.
    pub from: String,
    /// Envelope recipient.
    pub to: String,
    /// An address, in the envelope or in a header, is not ASCII.
    pub utf8_address: bool,
    /// The message is not ASCII.
    pub eight_bit: bool,
    /// Headers and body; every line ends with CRLF and holds no other CR or LF.
    pub bytes: Vec<u8>,
}

/// Why a mail cannot be sent as it is. Trying again does not help.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("{field} is not a mail address: {error}")]
    Address { field: &'static str, error: AddressError },
    #[error("the delivery id cannot be part of a Message-ID")]
    DeliveryId,
    #[error(transparent)]
    Header(#[from] HeaderFault),
    #[error("the subject is too long")]
    Subject,
    #[error("{what} has more than {max} entries")]
    TooMany { what: &'static str, max: usize },
    #[error("the unsubscribe {0} cannot be used: it must be an https URL or a mail address, without spaces")]
    Unsubscribe(&'static str),
    #[error("the mail has neither text nor HTML")]
    NoContent,
    #[error("the raw message does not begin with headers")]
    RawHeaders,
    #[error("the message has more than {MESSAGE_BYTES_MAX} bytes")]
    TooLarge,
    #[error("the message cannot be signed: {0}")]
    Signature(&'static str),
}

/// Builds the message and signs it with the key of the sender's domain (or of the closest domain above), if there is one.
pub fn build(mail: &Email, keys: &[DkimKey]) -> Result<Message, Refused> {
    let address =
        |field, text: &str| MailAddress::parse(text).map_err(|error| Refused::Address { field, error });
    let from = address("the sender", &mail.from)?;
    let to = address("the recipient", &mail.to)?;
    let envelope_from = match mail.return_path.as_deref() {
        None => from.address(),
        Some("" | "<>") => String::new(),
        Some(path) => address("the return path", path)?.address(),
    };
    let delivery_id = mail.delivery_id.as_str();
    let usable = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if !(1..=DELIVERY_ID_BYTES_MAX).contains(&delivery_id.len()) || !delivery_id.bytes().all(usable) {
        return Err(Refused::DeliveryId);
    }
    let message_id = format!("<{delivery_id}@{}>", from.domain());
    let mut bytes = match &mail.raw {
        Some(raw) => raw::complete(raw, &message_id, mail.date)?,
        None => compose(mail, &from, &to, message_id)?,
    };
    if let Some(key) = DkimKey::of_domain(keys, from.domain()) {
        let mut signed = sign(&bytes, key, mail.date).map_err(Refused::Signature)?;
        signed.append(&mut bytes);
        bytes = signed;
    }
    if bytes.len() > MESSAGE_BYTES_MAX {
        return Err(Refused::TooLarge);
    }
    let to = to.address();
    let eight_bit = !bytes.is_ascii();
    Ok(Message {
        delivery_id: delivery_id.to_owned(),
        // All that we write is encoded to ASCII, but for addresses.
        utf8_address: !envelope_from.is_ascii() || !to.is_ascii() || (mail.raw.is_none() && eight_bit),
        eight_bit,
        from: envelope_from,
        to,
        bytes,
    })
}

fn compose(
    mail: &Email,
    from: &MailAddress,
    to: &MailAddress,
    message_id: String,
) -> Result<Vec<u8>, Refused> {
    let mut headers = Headers::new();
    headers.set(header::From::from(Mailboxes::from(from.mailbox())));
    headers.set(header::To::from(Mailboxes::from(to.mailbox())));
    if let Some(reply_to) = reply_to(&mail.reply_to)? {
        headers.set(reply_to);
    }
    headers.set(header::Subject::from(subject(&mail.subject)?));
    headers.set(date(mail.date));
    headers.insert_raw(as_written("Message-ID", message_id));
    let mut out = headers.to_string();
    write_custom_headers(mail, &mut out)?;
    if let Some(unsubscribe) = &mail.list_unsubscribe {
        write_list_unsubscribe(unsubscribe, &mail.headers, &mut out)?;
    }
    out.push_str("MIME-Version: 1.0\r\n");
    let mut bytes = out.into_bytes();
    // Content headers, the empty line and the body.
    bytes.extend(match (&mail.text, &mail.html) {
        (Some(text), Some(html)) => MultiPart::alternative()
            .boundary(boundary(mail.delivery_id.as_str()))
            .singlepart(SinglePart::plain(body(text)))
            .singlepart(SinglePart::html(body(html)))
            .formatted(),
        (Some(text), None) => SinglePart::plain(body(text)).formatted(),
        (None, Some(html)) => SinglePart::html(body(html)).formatted(),
        (None, None) => return Err(Refused::NoContent),
    });
    Ok(bytes)
}

fn reply_to(addresses: &[String]) -> Result<Option<header::ReplyTo>, Refused> {
    if addresses.len() > REPLY_TO_MAX {
        return Err(Refused::TooMany { what: "Reply-To", max: REPLY_TO_MAX });
    }
    let mut mailboxes = Mailboxes::new();
    for text in addresses {
        let address =
            MailAddress::parse(text).map_err(|error| Refused::Address { field: "Reply-To", error })?;
        mailboxes.push(address.mailbox());
    }
    Ok((!addresses.is_empty()).then(|| header::ReplyTo::from(mailboxes)))
}

/// A rendered template may well end with a line break: what cannot stand in a subject becomes a space.
fn subject(text: &str) -> Result<String, Refused> {
    let subject = text.replace(char::is_control, " ").trim().to_owned();
    if subject.len() > SUBJECT_BYTES_MAX || has_long_word(&subject) {
        return Err(Refused::Subject);
    }
    Ok(subject)
}

fn has_long_word(text: &str) -> bool {
    text.split(' ').any(|word| word.is_ascii() && word.len() > HEADER_WORD_BYTES_MAX)
}

/// The Date header. Instants that it cannot show become the nearest one it can.
fn date(at: Timestamp) -> header::Date {
    let millis = at.as_millis().clamp(0, Timestamp::MAX.as_millis()) as u64;
    header::Date::from(SystemTime::UNIX_EPOCH + Duration::from_millis(millis))
}

/// The line of the Date header.
fn date_line(at: Timestamp) -> String {
    let mut headers = Headers::new();
    headers.set(date(at));
    headers.to_string()
}

fn write_custom_headers(mail: &Email, out: &mut String) -> Result<(), Refused> {
    if mail.headers.len() > HEADERS_MAX {
        return Err(Refused::TooMany { what: "the list of headers", max: HEADERS_MAX });
    }
    for (name, value) in &mail.headers {
        check_header(name, value)?;
        // lettre takes no name as long as Pinpoint's may be. Where it folds a value depends on the length of the name alone.
        let (lettre_name, _) = name.split_at(name.len().min(LETTRE_NAME_BYTES_MAX));
        let lettre_name = HeaderName::new_from_ascii(lettre_name.to_owned())
            .map_err(|_| HeaderFault::Name(name.clone()))?;
        let mut header = Headers::new();
        header.insert_raw(HeaderValue::new(lettre_name.clone(), value.trim().to_owned()));
        let written = header.to_string();
        out.push_str(name);
        out.push_str(written.strip_prefix(&*lettre_name).unwrap_or(&written));
    }
    Ok(())
}

/// A header of the caller's own comes first.
fn write_list_unsubscribe(
    unsubscribe: &ListUnsubscribe,
    custom: &[(String, String)],
    out: &mut String,
) -> Result<(), Refused> {
    if custom.iter().any(|(name, _)| name.to_ascii_lowercase().starts_with("list-unsubscribe")) {
        return Ok(());
    }
    out.push_str(&unsubscribe.headers()?);
    Ok(())
}

impl ListUnsubscribe {
    /// Whether headers can be made of it, for deliveries with ids like those of the engine.
    pub fn check(&self) -> Result<(), Refused> {
        self.of_delivery(USUAL_DELIVERY_ID).headers().map(drop)
    }

    /// List-Unsubscribe and, for an URL, the promise of RFC 8058 that a POST to it unsubscribes without questions.
    fn headers(&self) -> Result<String, Refused> {
        let is_plain = |text: &str| {
            text.len() <= HEADER_WORD_BYTES_MAX
                && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b','))
        };
        let mut entries = Vec::new();
        if let Some(url) = &self.url {
            if !url.starts_with("https://") || !is_plain(url) {
                return Err(Refused::Unsubscribe("URL"));
            }
            entries.push(format!("<{url}>"));
        }
        if let Some(mailto) = &self.mailto {
            let mailto = mailto.strip_prefix("mailto:").unwrap_or(mailto);
            let address = mailto.split('?').next().unwrap_or_default();
            if !is_plain(mailto) || MailAddress::parse(address).is_err() {
                return Err(Refused::Unsubscribe("address"));
            }
            entries.push(format!("<mailto:{mailto}>"));
        }
        if entries.is_empty() {
            return Ok(String::new());
        }
        let post =
            if self.url.is_some() { "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n" } else { "" };
        Ok(format!("List-Unsubscribe: {}\r\n{post}", entries.join(",\r\n ")))
    }
}

/// A header whose value is ASCII and short, and must not be touched.
fn as_written(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::dangerous_new_pre_encoded(HeaderName::new_from_ascii_str(name), value.clone(), value)
}

/// The text of a part, with line feeds alone (the encoder makes CRLF of them) and without NUL, which no mail may hold.
fn body(text: &str) -> String {
    if !text.contains(['\r', '\0']) {
        return text.to_owned();
    }
    text.replace("\r\n", "\n").replace('\r', "\n").replace('\0', "\u{fffd}")
}

/// What separates the parts: the same for the same delivery, and nothing that a template can guess.
fn boundary(delivery_id: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, delivery_id.as_bytes());
    let bits = digest.as_ref().first_chunk().map_or(0, |bytes| u128::from_be_bytes(*bytes));
    format!("cp-{bits:032x}")
}
