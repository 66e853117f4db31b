//! Reading a message that arrived.

use domain::channels::ChannelType;
use domain::time::Timestamp;
use mail_parser::{Addr, MessageParser};

use super::mailbox::SandboxMessage;

/// The envelope that the message came in.
#[derive(Debug, Clone, Default)]
pub(super) struct Envelope {
    pub(super) from: String,
    pub(super) recipients: Vec<String>,
    /// Our delivery id, where the client gave one (RFC 3461).
    pub(super) id: Option<String>,
}

/// The message as `recipient` sees it. Its id is given when it is stored.
pub(super) fn read(
    message: &[u8],
    envelope: &Envelope,
    recipient: &str,
    received: Timestamp,
) -> SandboxMessage {
    let mut read = SandboxMessage {
        id: 0,
        channel: ChannelType::Email,
        received,
        delivery_id: envelope.id.clone(),
        from: envelope.from.clone(),
        to: recipient.to_owned(),
        subject: None,
        text: None,
        html: None,
        headers: Vec::new(),
        size: message.len(),
    };
    let Some(parsed) = MessageParser::new().parse(message) else {
        return read;
    };
    if let Some(from) = parsed.from().and_then(|from| from.first()) {
        read.from = shown(from);
    }
    read.subject = parsed.subject().map(str::to_owned);
    // The reader would make text of HTML and HTML of text; what is not there is not there.
    let text = parsed.text_part(0).filter(|part| part.is_text() && !part.is_text_html());
    read.text = text.and_then(|part| part.text_contents()).map(str::to_owned);
    let html = parsed.html_part(0).filter(|part| part.is_text_html());
    read.html = html.and_then(|part| part.text_contents()).map(str::to_owned);
    if read.delivery_id.is_none() {
        let left = parsed.message_id().and_then(|id| id.split('@').next());
        read.delivery_id = left.filter(|id| !id.is_empty()).map(str::to_owned);
    }
    read.headers = parsed.headers_raw().map(|(name, value)| (name.to_owned(), unfolded(value))).collect();
    read
}

fn shown(address: &Addr<'_>) -> String {
    let mail = address.address().unwrap_or_default();
    match address.name() {
        Some(name) => format!("{name} <{mail}>"),
        None => mail.to_owned(),
    }
}

fn unfolded(value: &str) -> String {
    value.trim().replace("\r\n", "")
}
