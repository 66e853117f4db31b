//! The audience of an application: what an update, a deletion or an event does to its endpoints and users.
//!
//! Folding is pure and deterministic: state, record and arrival time go in. A function that needs a row which is not loaded
//! changes nothing and says so with [`NotLoaded`]; the caller loads it and calls again. So the rules read straight through
//! and the engine decides how to read.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::channels::ChannelType;
use crate::endpoints::{Endpoint, User};
use crate::ids::{AccountId, AppId};
use crate::time::Timestamp;

mod changes;
mod loaded;
mod merge;
mod names;
mod ordinals;
mod removal;
mod rows;
#[cfg(test)]
mod tests;

pub use changes::Changes;
pub use loaded::{Loaded, Recent};
pub use merge::{Arrival, rows_named, touch, update};
pub use names::CapturedNames;
pub use ordinals::{ORDINALS_PER_ROW, Ordinals};
pub use removal::{block_attributes, delete_endpoint, delete_user};
pub use rows::UPDATE_BYTES_MAX;

/// Names over attributes, metrics and user attributes of an application (spec/95-limits.md §2).
pub const ATTRIBUTE_NAMES_MAX: usize = 250;

/// Bytes of all globs given to `RemoveAttributes`, of an application.
pub const BLOCKED_BYTES_MAX: usize = 16 << 10;

/// Why an endpoint is not made that does not exist yet.
pub const TOO_MANY_ENDPOINTS: &str = "Too many endpoints: the account has as many as its quota allows";

/// An application of an account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AppKey {
    pub account: AccountId,
    pub app: AppId,
}

/// What one endpoint of an application holds at a time: two endpoints with one address are one recipient, however they spell
/// it (spec/10 §3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    pub channel: ChannelType,
    pub folded: Arc<str>,
}

impl Address {
    pub fn new(channel: ChannelType, address: &str) -> Self {
        Self { channel, folded: channel.folded_address(address).into() }
    }
}

/// A row of an application's audience.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Row {
    /// By folded endpoint id.
    Endpoint(Arc<str>),
    User(Arc<str>),
    /// Which endpoint holds an address.
    Address(Address),
    /// By [`Ordinals::row_of`].
    Ordinals(u32),
}

/// A row of an application's audience as the store has it, by what [`Row`] has; `None`: there is none.
#[derive(Debug, Clone)]
pub enum Found {
    Endpoint(Arc<str>, Option<Arc<Endpoint>>),
    User(Arc<str>, Option<Arc<User>>),
    /// With the folded id of the endpoint that holds the address.
    Address(Address, Option<Arc<str>>),
    Ordinals(u32, Option<Arc<Ordinals>>),
}

impl Row {
    /// What is found where there is no such row.
    pub fn absent(self) -> Found {
        match self {
            Self::Endpoint(id) => Found::Endpoint(id, None),
            Self::User(id) => Found::User(id, None),
            Self::Address(address) => Found::Address(address, None),
            Self::Ordinals(row) => Found::Ordinals(row, None),
        }
    }
}

/// These rows must be loaded before the decision can be made. Nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotLoaded(pub Vec<Row>);

/// Which of the three kinds of attributes a name belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AttributeKind {
    Endpoint,
    Metric,
    User,
}

/// What is kept once for an application's audience.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Ordinals are given out in order and never again.
    pub next_ordinal: u32,
    pub endpoints: u64,
    /// Every name that was captured and is not blocked since: the quota counts them (spec/10 §9).
    pub names: CapturedNames,
    /// Globs given to `RemoveAttributes`: names that match are no longer captured (spec/97 C10).
    pub blocked: Blocked,
    /// The application was deleted: nothing is taken any more.
    pub deleted: bool,
}

/// Globs of names by kind.
pub type Blocked = BTreeMap<AttributeKind, BTreeSet<String>>;

/// Whether a name is not captured any more.
pub fn is_blocked(blocked: &Blocked, kind: AttributeKind, name: &str) -> bool {
    blocked.get(&kind).is_some_and(|patterns| patterns.iter().any(|pattern| glob_matches(pattern, name)))
}

/// The loaded part of an application's audience.
#[derive(Debug, Default)]
pub struct Audience {
    pub summary: Arc<Summary>,
    pub summary_dirty: bool,
    /// Names were captured or blocked.
    pub names_changed: bool,
    /// By folded endpoint id.
    pub endpoints: Loaded<Arc<str>, Arc<Endpoint>>,
    pub users: Loaded<Arc<str>, Arc<User>>,
    /// The folded id of the endpoint that holds an address.
    pub addresses: Loaded<Address, Arc<str>>,
    /// By [`Ordinals::row_of`]; what a step changes in them stands below until it ends.
    pub ordinals: Loaded<u32, Arc<Ordinals>>,
    /// Ordinal → instant of the latest activity, of the endpoints that were only touched: an update leaves its date in the
    /// endpoint itself.
    pub activity: HashMap<u32, Timestamp>,
    /// Ordinals given out by this step, and to which folded ids.
    pub new_ordinals: BTreeMap<u32, Arc<str>>,
    /// Ordinals whose endpoints were deleted by this step.
    pub deleted_ordinals: BTreeSet<u32>,
    /// Rows of ordinals that this step changes, and about as many bytes as they have.
    changed_rows: BTreeSet<u32>,
    changed_rows_bytes: usize,
    /// The position in the log whose state had the summary changed first.
    summary_changed_at: u64,
}

impl Audience {
    pub fn new(summary: Summary) -> Self {
        Self { summary: Arc::new(summary), ..Self::default() }
    }

    /// The summary, to be changed.
    pub fn summary_mut(&mut self) -> &mut Summary {
        self.summary_dirty = true;
        Arc::make_mut(&mut self.summary)
    }

    /// Rows in memory.
    pub fn rows(&self) -> usize {
        self.endpoints.len() + self.users.len() + self.addresses.len() + self.ordinals.len()
    }

    /// About as many bytes has everything that is to be written.
    pub fn dirty_bytes(&self) -> usize {
        let rows = self.endpoints.dirty_bytes() + self.users.dirty_bytes() + self.addresses.dirty_bytes();
        let summary = if self.summary_dirty { rows::summary(&self.summary) } else { 0 };
        rows + self.changed_rows_bytes + summary
    }

    /// Takes in a row that the store has, unless it is in memory: there it may be newer.
    pub fn load(&mut self, found: Found) {
        match found {
            Found::Endpoint(id, endpoint) => self.endpoints.load(id, endpoint),
            Found::User(id, user) => self.users.load(id, user),
            Found::Address(address, holder) => self.addresses.load(address, holder),
            Found::Ordinals(row, ordinals) => self.ordinals.load(row, ordinals),
        }
    }

    /// Hands over what a step changed, to be committed as the state of `position`; what it only told is forgotten here.
    pub fn settle(&mut self, position: u64) -> Changes {
        let is_summary_changed = std::mem::take(&mut self.summary_dirty);
        if is_summary_changed {
            self.summary_changed_at = position;
        }
        self.settle_ordinals();
        let changes = Changes::of(self, position, is_summary_changed);
        if self.summary.deleted {
            // Nothing is taken any more, and the rows go without the projection.
            self.endpoints = Loaded::default();
            self.users = Loaded::default();
            self.addresses = Loaded::default();
            self.ordinals = Loaded::default();
        }
        changes
    }

    /// The row is in memory.
    pub fn is_loaded(&self, row: &Row) -> bool {
        match row {
            Row::Endpoint(id) => self.endpoints.is_loaded(id),
            Row::User(id) => self.users.is_loaded(id),
            Row::Address(address) => self.addresses.is_loaded(address),
            Row::Ordinals(row) => self.ordinals.is_loaded(row),
        }
    }

    /// Forgets the rows that were not changed after the state of `position`; none may be waiting to be written.
    pub fn forget(&mut self, position: u64) {
        self.endpoints.forget(position);
        self.users.forget(position);
        self.addresses.forget(position);
        self.ordinals.forget(position);
    }

    /// Whether nothing of it was changed after the state of `position`, of what has not been forgotten.
    pub fn is_forgotten(&self, position: u64) -> bool {
        self.rows() == 0 && self.summary_changed_at <= position
    }

    pub(crate) fn endpoint(&self, folded: &str) -> Result<Option<&Endpoint>, NotLoaded> {
        Ok(self.endpoints.find(folded, || Row::Endpoint(folded.into()))?.map(|endpoint| &**endpoint))
    }

    pub(crate) fn user(&self, id: &str) -> Result<Option<&User>, NotLoaded> {
        Ok(self.users.find(id, || Row::User(id.into()))?.map(|user| &**user))
    }

    pub(crate) fn holder(&self, address: &Address) -> Result<Option<&Arc<str>>, NotLoaded> {
        self.addresses.find(address, || Row::Address(address.clone()))
    }

    pub(crate) fn put_endpoint(&mut self, folded: &Arc<str>, value: Option<Endpoint>) {
        let bytes = rows::endpoint(folded, value.as_ref());
        self.endpoints.put(folded, value.map(Arc::new), bytes);
    }

    pub(crate) fn put_holder(&mut self, address: &Address, holder: Option<Arc<str>>) {
        let bytes = rows::address(holder.as_deref());
        self.addresses.put(address, holder, bytes);
    }

    /// Writes a user; one without endpoints is not kept.
    pub(crate) fn put_user(&mut self, id: &str, user: User) {
        let value = (!user.endpoints.is_empty()).then_some(user);
        let bytes = rows::user(id, value.as_ref());
        self.users.put(&id.into(), value.map(Arc::new), bytes);
    }

    /// Asks for the row of an ordinal, unless it is in memory or begins with this step.
    pub(crate) fn require_ordinal(&self, ordinal: u32) -> Result<(), NotLoaded> {
        let (row, first) = (Ordinals::row_of(ordinal), Ordinals::first_of(ordinal));
        let is_new = first == self.summary.next_ordinal || self.new_ordinals.contains_key(&first);
        if is_new || self.ordinals.is_loaded(&row) {
            Ok(())
        } else {
            Err(NotLoaded(vec![Row::Ordinals(row)]))
        }
    }

    /// Gives an ordinal, whose row was asked for, to an endpoint.
    pub(crate) fn give_ordinal(&mut self, ordinal: u32, folded: &Arc<str>) {
        self.count_ordinal(ordinal, folded.len());
        self.new_ordinals.insert(ordinal, Arc::clone(folded));
    }

    /// Takes an ordinal, whose row was asked for, from an endpoint that is deleted.
    pub(crate) fn take_ordinal(&mut self, ordinal: u32) {
        self.count_ordinal(ordinal, 0);
        self.activity.remove(&ordinal);
        self.deleted_ordinals.insert(ordinal);
    }

    fn count_ordinal(&mut self, ordinal: u32, bytes: usize) {
        let row = Ordinals::row_of(ordinal);
        if self.changed_rows.insert(row) {
            self.changed_rows_bytes += rows::ordinals(self.ordinals.get(&row).map(|row| &**row));
        }
        self.changed_rows_bytes += bytes;
    }

    /// Writes the rows of the ordinals that were given and taken. An endpoint may be made and deleted in one step: what was
    /// taken comes last.
    fn settle_ordinals(&mut self) {
        let mut rows: BTreeMap<u32, BTreeMap<u32, Option<Arc<str>>>> = BTreeMap::new();
        let given = self.new_ordinals.iter().map(|(ordinal, id)| (*ordinal, Some(Arc::clone(id))));
        for (ordinal, id) in given.chain(self.deleted_ordinals.iter().map(|ordinal| (*ordinal, None))) {
            rows.entry(Ordinals::row_of(ordinal)).or_default().insert(ordinal % ORDINALS_PER_ROW, id);
        }
        for (row, changes) in rows {
            let ordinals = self.ordinals.get(&row).cloned().unwrap_or_default().with(&changes);
            let value = (!ordinals.is_empty()).then(|| Arc::new(ordinals));
            self.ordinals.put(&row, value, 0);
        }
        self.new_ordinals.clear();
        self.changed_rows.clear();
        self.changed_rows_bytes = 0;
    }

    /// Ends the link between an endpoint and its user.
    pub(crate) fn unlink(&mut self, folded: &str, user_id: &str) -> Result<(), NotLoaded> {
        if let Some(mut user) = self.user(user_id)?.cloned() {
            user.endpoints.remove(folded);
            self.put_user(user_id, user);
        }
        Ok(())
    }

    /// Remembers that an endpoint was active; earlier activity never overwrites later.
    pub fn touch(&mut self, ordinal: u32, at: Timestamp) {
        let latest = self.activity.entry(ordinal).or_insert(at);
        *latest = (*latest).max(at);
    }
}

/// Under which key an endpoint's address is held.
fn folded_address(endpoint: &Endpoint) -> Option<Address> {
    Some(Address::new(endpoint.channel_type?, endpoint.address.as_deref()?))
}

/// The holdout and treatment cohort of an endpoint, 0..99: fixed by application, endpoint id and creation time, so that a
/// replay of the log gives the same one (spec/10 §2).
pub fn cohort(key: &AppKey, folded: &str, created: Timestamp) -> u8 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    let parts = [key.account.as_str().as_bytes(), key.app.as_str().as_bytes(), folded.as_bytes()];
    for byte in parts.into_iter().flatten().chain(&created.0.to_be_bytes()) {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    // FNV's high bits are weak for short texts: mix once more before the remainder is taken.
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^= hash >> 33;
    (hash % 100) as u8
}

/// Whether `name` matches a glob of `*` and `?`, in time linear in the product of both lengths.
pub fn glob_matches(pattern: &str, name: &str) -> bool {
    let pattern: Vec<char> = pattern.chars().collect();
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut place, mut star) = (0, 0, None);
    while place < name.len() {
        if at < pattern.len() && (pattern[at] == '?' || (pattern[at] == name[place] && pattern[at] != '*')) {
            at += 1;
            place += 1;
        } else if at < pattern.len() && pattern[at] == '*' {
            star = Some((at, place));
            at += 1;
        } else if let Some((star_at, star_place)) = star {
            at = star_at + 1;
            place = star_place + 1;
            star = Some((star_at, star_place + 1));
        } else {
            return false;
        }
    }
    pattern[at..].iter().all(|&character| character == '*')
}
