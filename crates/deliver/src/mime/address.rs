//! Mail addresses, with or without a name.

use std::borrow::Cow;

use lettre::Address;
use lettre::message::Mailbox;
use mail_parser::MessageParser;

const NAME_BYTES_MAX: usize = 512;

/// `Name <user@host>`: checked, the domain in ASCII.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailAddress {
    name: Option<String>,
    address: Address,
}

/// Why a text is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("it is empty")]
    Empty,
    #[error("it holds a control character")]
    ControlCharacter,
    #[error("it has no @")]
    NoAt,
    #[error("the part before the @ is not valid")]
    User,
    #[error("the domain is not valid")]
    Domain,
    #[error("the name is too long")]
    Name,
}

impl MailAddress {
    /// Reads `user@host`, `<user@host>`, `Name <user@host>` or `"Name" <user@host>`. The name may be anything without
    /// control characters, and may come as encoded words, as SES wants it.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if text.contains(char::is_control) {
            return Err(AddressError::ControlCharacter);
        }
        let (name, address) = match text.strip_suffix('>').and_then(|rest| rest.rsplit_once('<')) {
            Some((name, address)) => (name.trim(), address),
            None => ("", text),
        };
        let (user, domain) = address.rsplit_once('@').ok_or(AddressError::NoAt)?;
        let domain = if domain.is_ascii() {
            Cow::Borrowed(domain)
        } else {
            Cow::Owned(idna::domain_to_ascii(domain).map_err(|_| AddressError::Domain)?)
        };
        // lettre tells the two faults apart only by checking one at a time.
        Address::new(user, "example.com").map_err(|_| AddressError::User)?;
        let address = Address::new(user, domain).map_err(|_| AddressError::Domain)?;
        if name.len() > NAME_BYTES_MAX {
            return Err(AddressError::Name);
        }
        Ok(Self { name: clean_name(name), address })
    }

    /// `user@host`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// In ASCII.
    pub fn domain(&self) -> &str {
        self.address.domain()
    }

    pub(super) fn mailbox(&self) -> Mailbox {
        Mailbox::new(self.name.clone(), self.address.clone())
    }
}

/// The name without its quotes or encoded words; `None` when nothing is left.
fn clean_name(name: &str) -> Option<String> {
    let name = match name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => unescape(quoted),
        None if name.contains("=?") => decode_words(name),
        None => name.to_owned(),
    };
    let name = name.replace(char::is_control, " ").trim().to_owned();
    (!name.is_empty()).then_some(name)
}

fn unescape(quoted: &str) -> String {
    let mut text = String::with_capacity(quoted.len());
    let mut characters = quoted.chars();
    while let Some(character) = characters.next() {
        // A backslash at the end stands for itself.
        text.push(if character == '\\' { characters.next().unwrap_or(character) } else { character });
    }
    text
}

fn decode_words(name: &str) -> String {
    let header = format!("Subject: {name}\r\n\r\n");
    match MessageParser::new().parse(header.as_bytes()) {
        Some(message) => message.subject().unwrap_or(name).to_owned(),
        None => name.to_owned(),
    }
}
