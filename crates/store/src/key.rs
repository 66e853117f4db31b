//! Keys of rows: a table's tag, then components that keep their order as bytes.

use std::fmt;
use std::ops::{Bound, RangeBounds};

/// Every table, one tag each. A tag is never reused: it is the first byte of each key on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Table {
    /// Format level, cursors, counters of the directory.
    Meta = 1,
    Accounts = 2,
    AccessKeys = 3,
    /// Answers given to mutating calls, by invocation id (SDK retries).
    Invocations = 4,
    Apps = 5,
    Settings = 6,
    Tags = 7,
    Channels = 8,
    Templates = 9,
    Segments = 10,
    Campaigns = 11,
    Jobs = 12,
    /// (account, app, folded endpoint id) → endpoint.
    Endpoints = 20,
    /// (account, app, ordinal / 64) → folded endpoint ids.
    Ordinals = 21,
    /// (account, app, user id) → user attributes and endpoint ids.
    Users = 22,
    /// (account, app, channel, address) → folded id of the active endpoint with that address.
    Addresses = 23,
    /// (account, app) → next ordinal, attribute names, counters.
    Audiences = 24,
    /// (account, app, ordinal) → instant of the last activity.
    Activity = 25,
    /// (account, app, day, event type) → number of events.
    EventCounts = 26,
    /// Members of imported segments.
    Members = 27,
    /// (account, app) → names that events have had.
    EventNames = 28,
    /// What is to be done later, by due time.
    Due = 40,
    Runs = 41,
    /// Chunks of a run's audience.
    RunAudiences = 42,
    /// Pages waiting to be sent, by lane.
    Outbox = 43,
    /// Hand-offs that have begun and whose outcome is not projected yet.
    Intents = 44,
    /// How far each page of the outbox is claimed.
    Claims = 45,
    /// (account, app, row of ordinals) → messages sent lately, for caps.
    Caps = 46,
    /// Counters of a run and treatment.
    Activities = 47,
    /// Deliveries whose outcome nobody knows.
    Unknown = 48,
    /// Outcome of each delivery, for "why was this (not) sent?".
    Deliveries = 49,
    /// Requests of direct messages, while their pages may be sent.
    Requests = 50,
}

/// What the keys of a table begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Nothing that all tables have in common.
    Directory,
    Account,
    /// The account, then the application.
    App,
    /// The shard that does the work.
    Shard,
}

impl Table {
    pub const ALL: [Self; 32] = [
        Self::Meta,
        Self::Accounts,
        Self::AccessKeys,
        Self::Invocations,
        Self::Apps,
        Self::Settings,
        Self::Tags,
        Self::Channels,
        Self::Templates,
        Self::Segments,
        Self::Campaigns,
        Self::Jobs,
        Self::Endpoints,
        Self::Ordinals,
        Self::Users,
        Self::Addresses,
        Self::Audiences,
        Self::Activity,
        Self::EventCounts,
        Self::Members,
        Self::EventNames,
        Self::Due,
        Self::Runs,
        Self::RunAudiences,
        Self::Outbox,
        Self::Intents,
        Self::Claims,
        Self::Caps,
        Self::Activities,
        Self::Unknown,
        Self::Deliveries,
        Self::Requests,
    ];

    /// What its keys begin with. What begins with an application goes when that is deleted ([`crate::tables::apps`]); a new
    /// table is to be added to [`Table::ALL`] as well.
    pub const fn scope(self) -> Scope {
        match self {
            Self::Meta | Self::AccessKeys | Self::Invocations => Scope::Directory,
            Self::Accounts | Self::Apps | Self::Settings | Self::Tags | Self::Templates => Scope::Account,
            Self::Channels
            | Self::Segments
            | Self::Campaigns
            | Self::Jobs
            | Self::Endpoints
            | Self::Ordinals
            | Self::Users
            | Self::Addresses
            | Self::Audiences
            | Self::Activity
            | Self::EventCounts
            | Self::Members
            | Self::EventNames
            | Self::Runs
            | Self::RunAudiences
            | Self::Caps
            | Self::Activities
            | Self::Unknown
            | Self::Deliveries => Scope::App,
            Self::Due | Self::Outbox | Self::Intents | Self::Claims | Self::Requests => Scope::Shard,
        }
    }
}

/// Most keys fit into so many bytes.
const CAPACITY_BYTES: usize = 96;

/// The key of a row. Ordered as bytes: by table, then component by component.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Vec<u8>);

impl Key {
    pub fn new(table: Table) -> Self {
        let mut bytes = Vec::with_capacity(CAPACITY_BYTES);
        bytes.push(table as u8);
        Self(bytes)
    }

    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// Appends a text component. Order-preserving and self-delimiting: NUL and 0x01 are escaped, NUL ends it.
    #[must_use]
    pub fn text(mut self, text: &str) -> Self {
        // Hardly any text holds what must be escaped.
        if text.bytes().all(|byte| byte > 1) {
            self.0.extend_from_slice(text.as_bytes());
        } else {
            for &byte in text.as_bytes() {
                match byte {
                    0 => self.0.extend_from_slice(&[1, 1]),
                    1 => self.0.extend_from_slice(&[1, 2]),
                    _ => self.0.push(byte),
                }
            }
        }
        self.0.push(0);
        self
    }

    /// Appends a number component, big-endian so that byte order is numeric order.
    #[must_use]
    pub fn number(mut self, number: u64) -> Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    /// Appends an ordinal, in four bytes.
    #[must_use]
    pub fn ordinal(mut self, ordinal: u32) -> Self {
        self.0.extend_from_slice(&ordinal.to_be_bytes());
        self
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The components behind the tag, to be read in the order in which they were written.
    pub fn components(&self) -> Components<'_> {
        Components(self.0.get(1..).unwrap_or_default())
    }

    /// The components behind those of `prefix`, with which this key begins.
    pub fn components_behind(&self, prefix: &Self) -> Components<'_> {
        Components(self.0.get(prefix.0.len()..).unwrap_or_default())
    }

    /// The first key behind every key that begins with this one.
    #[must_use]
    pub fn after_prefix(&self) -> Self {
        let mut end = self.0.clone();
        while let Some(last) = end.pop() {
            if last < u8::MAX {
                end.push(last + 1);
                break;
            }
        }
        Self(end)
    }

    /// The smallest key that is larger than this one.
    #[must_use]
    pub fn successor(&self) -> Self {
        let mut end = self.0.clone();
        end.push(0);
        Self(end)
    }

    /// The range of all keys that begin with this one.
    pub fn prefix(&self) -> KeyRange {
        KeyRange { from: self.clone(), to: self.after_prefix() }
    }

    /// The range of the whole table that this key belongs to.
    pub fn table_prefix(&self) -> KeyRange {
        Self(self.0.get(..1).unwrap_or_default().to_vec()).prefix()
    }

    /// As [`Key::prefix`], from the key behind `last` on: the next page of a scan.
    pub fn prefix_after(&self, last: &Self) -> KeyRange {
        KeyRange { from: last.successor(), to: self.after_prefix() }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Key({})", self.0.escape_ascii())
    }
}

/// Keys from `from` (included) to `to` (excluded). Within one table: `from` and `to` begin with the same tag, or `to` is
/// the first key behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    pub from: Key,
    pub to: Key,
}

impl RangeBounds<Key> for KeyRange {
    fn start_bound(&self) -> Bound<&Key> {
        Bound::Included(&self.from)
    }

    fn end_bound(&self) -> Bound<&Key> {
        Bound::Excluded(&self.to)
    }
}

/// Reads the components of a key back.
#[derive(Debug)]
pub struct Components<'a>(&'a [u8]);

impl Components<'_> {
    pub fn text(&mut self) -> Option<String> {
        let end = self.0.iter().position(|&byte| byte == 0)?;
        let (head, rest) = self.0.split_at(end);
        self.0 = rest.get(1..)?;
        let mut bytes = Vec::with_capacity(head.len());
        let mut escaped = false;
        for &byte in head {
            match (escaped, byte) {
                (false, 1) => escaped = true,
                (true, _) => {
                    bytes.push(byte - 1);
                    escaped = false;
                }
                (false, _) => bytes.push(byte),
            }
        }
        String::from_utf8(bytes).ok()
    }

    pub fn number(&mut self) -> Option<u64> {
        let (head, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*head))
    }

    pub fn ordinal(&mut self) -> Option<u32> {
        let (head, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*head))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_read_back_as_written() {
        let key = Key::new(Table::Endpoints).text("a\0b\u{1}c").number(7).text("").ordinal(9);
        let mut components = key.components();
        assert_eq!(components.text().as_deref(), Some("a\0b\u{1}c"));
        assert_eq!(components.number(), Some(7));
        assert_eq!(components.text().as_deref(), Some(""));
        assert_eq!(components.ordinal(), Some(9));
        assert_eq!(components.text(), None);
    }

    #[test]
    fn order_of_texts_is_order_of_keys() {
        let texts = ["", "\0", "\0a", "\u{1}", "a", "a\0", "a\u{1}", "aa", "b"];
        let keys: Vec<Key> = texts.iter().map(|text| Key::new(Table::Users).text(text).text("x")).collect();
        assert!(keys.is_sorted(), "{keys:?}");
    }

    #[test]
    fn a_prefix_holds_its_keys_and_no_neighbour() {
        let range = Key::new(Table::Users).text("app").prefix();
        assert!(range.contains(&Key::new(Table::Users).text("app").text("u")));
        assert!(!range.contains(&Key::new(Table::Users).text("app2").text("u")));
        assert!(!range.contains(&Key::new(Table::Addresses).text("app")));
    }
}
