//! The messages that arrived, newest first.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::channels::ChannelType;
use domain::time::Timestamp;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::spool::{Spool, SpoolError};

/// Messages of one page.
const PAGE_MESSAGES_MAX: usize = 1_000;

/// A message that arrived, as `GET /counterpoint/v1/sandbox/messages` shows it. What the channel does not have is absent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SandboxMessage {
    /// In order of arrival, from 1; not used twice.
    pub id: u64,
    #[serde(serialize_with = "as_text", deserialize_with = "channel")]
    pub channel: ChannelType,
    #[serde(serialize_with = "as_text", deserialize_with = "instant")]
    pub received: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery_id: Option<String>,
    /// As the message shows it; the envelope sender when it shows none.
    pub from: String,
    /// The recipient that it was delivered to.
    pub to: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// Name and value of every header in order, unfolded, not decoded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// Bytes of the whole message as it travelled.
    pub size: usize,
}

/// How much a mailbox keeps. The oldest messages go first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MailboxLimits {
    /// Messages in memory.
    pub messages: usize,
    /// Bytes of messages in memory.
    pub bytes: usize,
    /// Bytes of the file that messages are appended to; it is then put aside, and the one put aside before is deleted.
    pub file_bytes: u64,
}

impl Default for MailboxLimits {
    fn default() -> Self {
        Self { messages: 100_000, bytes: 128 * 1024 * 1024, file_bytes: 128 * 1024 * 1024 }
    }
}

/// Which messages are asked for; all that are given must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    pub channel: Option<ChannelType>,
    /// The whole recipient, without regard to case.
    pub recipient: Option<String>,
    /// A part of the subject, without regard to case.
    pub subject: Option<String>,
    /// Received at this instant or later.
    pub since: Option<Timestamp>,
    pub delivery_id: Option<String>,
}

/// Messages, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Page {
    pub messages: Vec<Arc<SandboxMessage>>,
    /// Ask for messages before this id to go on; absent at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_before: Option<u64>,
    /// Messages that ever arrived, those no longer kept included.
    pub total: u64,
}

/// A bounded store of messages, shared by sinks and readers.
#[derive(Debug)]
pub struct Mailbox {
    limits: MailboxLimits,
    /// Locked for the moment of an append or of a page.
    kept: Mutex<Kept>,
}

#[derive(Debug)]
struct Kept {
    /// Oldest first, ids ascending.
    messages: VecDeque<Arc<SandboxMessage>>,
    bytes: usize,
    next_id: u64,
    spool: Option<Spool>,
}

impl Mailbox {
    /// A mailbox in memory only.
    pub fn in_memory(limits: MailboxLimits) -> Self {
        let kept = Kept { messages: VecDeque::new(), bytes: 0, next_id: 1, spool: None };
        Self { limits, kept: Mutex::new(kept) }
    }

    /// A mailbox that also writes to files in `directory` (made when it does not exist) and begins with what they hold. What
    /// is written survives the end of the process, not the end of power.
    pub fn open(directory: &Path, limits: MailboxLimits) -> Result<Self, SpoolError> {
        let mailbox = Self::in_memory(limits);
        {
            let mut kept = mailbox.kept();
            let spool = Spool::open(directory, limits.file_bytes, |message| kept.push(message, limits))?;
            kept.spool = Some(spool);
        }
        Ok(mailbox)
    }

    /// Keeps a message; its id is given here. After an error the message is not kept.
    pub fn store(&self, mut message: SandboxMessage) -> Result<u64, SpoolError> {
        let mut kept = self.kept();
        message.id = kept.next_id;
        if let Some(spool) = &mut kept.spool {
            spool.append(&message)?;
        }
        let id = message.id;
        kept.push(message, self.limits);
        Ok(id)
    }

    /// Messages that match, newest first, from before the id `before`; at most `limit` and never more than 1,000.
    pub fn messages(&self, filter: &Filter, before: Option<u64>, limit: usize) -> Page {
        let limit = limit.clamp(1, PAGE_MESSAGES_MAX);
        let subject = filter.subject.as_ref().map(|part| part.to_lowercase());
        let kept = self.kept();
        let end = match before {
            Some(before) => kept.messages.partition_point(|message| message.id < before),
            None => kept.messages.len(),
        };
        let mut matching =
            kept.messages.range(..end).rev().filter(|message| filter.matches(message, subject.as_deref()));
        let messages: Vec<_> = matching.by_ref().take(limit).cloned().collect();
        let more = matching.next().is_some();
        let next_before = messages.last().filter(|_| more).map(|message| message.id);
        Page { messages, next_before, total: kept.next_id - 1 }
    }

    /// The message with this id, if it is still kept.
    pub fn message(&self, id: u64) -> Option<Arc<SandboxMessage>> {
        let kept = self.kept();
        let at = kept.messages.binary_search_by_key(&id, |message| message.id).ok()?;
        kept.messages.get(at).cloned()
    }

    /// Messages that ever arrived, those no longer kept included.
    pub fn total(&self) -> u64 {
        self.kept().next_id - 1
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // A panic cannot leave the list half changed.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn push(&mut self, message: SandboxMessage, limits: MailboxLimits) {
        self.next_id = self.next_id.max(message.id + 1);
        self.bytes += message.memory_bytes();
        self.messages.push_back(Arc::new(message));
        while self.messages.len() > limits.messages || self.bytes > limits.bytes {
            let Some(oldest) = self.messages.pop_front() else { return };
            self.bytes -= oldest.memory_bytes();
        }
    }
}

impl SandboxMessage {
    /// Near enough to what it takes in memory.
    fn memory_bytes(&self) -> usize {
        let optional = [&self.delivery_id, &self.subject, &self.text, &self.html];
        let texts: usize = optional.into_iter().flatten().map(String::len).sum();
        let headers: usize = self.headers.iter().map(|(name, value)| name.len() + value.len() + 48).sum();
        size_of::<Self>() + self.from.len() + self.to.len() + texts + headers
    }
}

impl Filter {
    /// `subject` is the filter's own in lower case.
    fn matches(&self, message: &SandboxMessage, subject: Option<&str>) -> bool {
        let Self { channel, recipient, subject: _, since, delivery_id } = self;
        channel.is_none_or(|channel| channel == message.channel)
            && recipient.as_ref().is_none_or(|recipient| recipient.eq_ignore_ascii_case(&message.to))
            && since.is_none_or(|since| message.received >= since)
            && delivery_id.as_ref().is_none_or(|id| message.delivery_id.as_ref() == Some(id))
            && subject.is_none_or(|part| {
                message.subject.as_ref().is_some_and(|subject| subject.to_lowercase().contains(part))
            })
    }
}

/// As the wire shows it, not as the store keeps it.
fn as_text<S: Serializer>(value: &impl ToString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&value.to_string())
}

fn channel<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ChannelType, D::Error> {
    let name = String::deserialize(deserializer)?;
    ChannelType::parse(&name).ok_or_else(|| D::Error::custom(format!("unknown channel {name}")))
}

fn instant<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    Timestamp::parse(&text).ok_or_else(|| D::Error::custom(format!("not an instant: {text}")))
}
