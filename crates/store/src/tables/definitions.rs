//! Definitions that clients wrote: applications, segments, campaigns, templates, jobs, channels.
//!
//! A definition is stored as the wire document in a versioned envelope, so that every member round-trips; behaviour parses
//! it into domain types. One row is the head (latest version, tags, dates), one row holds each version.

use std::collections::BTreeMap;

use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::key::{Key, KeyRange, Table};
use crate::kv::{Batch, Kv, KvError, Version};
use crate::value::{Stored, decode, encode};

/// Heads read for one list: a list is sorted in memory, newest first. The service's own limits on definitions (100
/// applications, 200 active campaigns, 20,000 templates) lie below it.
pub const HEADS_MAX: usize = 100_000;

/// Rows read per scan.
const SCAN_ROWS: usize = 1_000;

/// What all versions of a definition share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// As the client sees it.
    pub id: String,
    pub created: Timestamp,
    pub modified: Timestamp,
    /// The newest version; versions count from 1 and are never reused.
    pub latest: u32,
    /// The version in force (templates; elsewhere the newest).
    pub active: u32,
    pub tags: BTreeMap<String, String>,
}

/// One version of a definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Body {
    pub version: u32,
    pub created: Timestamp,
    pub modified: Timestamp,
    /// The wire document, JSON.
    pub document: String,
}

impl Stored for Head {
    const FORMAT: u8 = 1;
}

impl Stored for Body {
    const FORMAT: u8 = 1;
}

/// A kind of definition within a scope: an application's segments, an account's templates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definitions {
    table: Table,
    scope: Vec<String>,
}

impl Definitions {
    /// `scope`: the account, then what narrows it (the application; the kind of template).
    pub fn new(table: Table, scope: &[&str]) -> Self {
        Self { table, scope: scope.iter().map(|&part| part.to_owned()).collect() }
    }

    fn base(&self) -> Key {
        self.scope.iter().fold(Key::new(self.table), |key, part| key.text(part))
    }

    /// The row of the head.
    pub fn head_key(&self, id: &str) -> Key {
        self.base().text("head").text(id)
    }

    /// The row of a version.
    pub fn body_key(&self, id: &str, version: u32) -> Key {
        self.base().text("version").text(id).ordinal(version)
    }

    /// What the keys of all rows of a definition begin with: its head, its versions.
    pub fn rows_of(&self, id: &str) -> [Key; 2] {
        [self.head_key(id), self.base().text("version").text(id)]
    }

    fn bodies(&self, id: &str) -> KeyRange {
        self.base().text("version").text(id).prefix()
    }

    /// The head and the version of its row.
    pub async fn head(&self, kv: &dyn Kv, id: &str) -> Result<Option<(Head, Version)>, KvError> {
        let Some(row) = kv.get(&self.head_key(id)).await? else { return Ok(None) };
        Ok(Some((decode(&row.value)?, row.version)))
    }

    /// One version; `None` where it does not exist.
    pub async fn body(&self, kv: &dyn Kv, id: &str, version: u32) -> Result<Option<Body>, KvError> {
        let Some(row) = kv.get(&self.body_key(id, version)).await? else { return Ok(None) };
        Ok(Some(decode(&row.value)?))
    }

    /// The head with its newest version.
    pub async fn latest(&self, kv: &dyn Kv, id: &str) -> Result<Option<(Head, Version, Body)>, KvError> {
        let Some((head, row)) = self.head(kv, id).await? else { return Ok(None) };
        let body = self.body(kv, id, head.latest).await?;
        let body =
            body.ok_or_else(|| KvError::Corrupt(format!("version {} of {id} is missing", head.latest)))?;
        Ok(Some((head, row, body)))
    }

    /// All heads, newest first (by creation, then id).
    pub async fn heads(&self, kv: &dyn Kv) -> Result<Vec<Head>, KvError> {
        let prefix = self.base().text("head");
        let mut heads: Vec<Head> = Vec::new();
        let mut range = prefix.prefix();
        loop {
            let rows = kv.scan(range, SCAN_ROWS).await?;
            for (_, row) in &rows {
                heads.push(decode(&row.value)?);
            }
            match rows.last() {
                Some((last, _)) if rows.len() == SCAN_ROWS && heads.len() < HEADS_MAX => {
                    range = prefix.prefix_after(last);
                }
                _ => break,
            }
        }
        heads.sort_by(|one, other| other.created.cmp(&one.created).then_with(|| one.id.cmp(&other.id)));
        Ok(heads)
    }

    /// All versions, newest first.
    pub async fn versions(&self, kv: &dyn Kv, id: &str) -> Result<Vec<Body>, KvError> {
        let mut bodies: Vec<Body> = Vec::new();
        let prefix = self.base().text("version").text(id);
        let mut range = self.bodies(id);
        loop {
            let rows = kv.scan(range, SCAN_ROWS).await?;
            for (_, row) in &rows {
                bodies.push(decode(&row.value)?);
            }
            match rows.last() {
                Some((last, _)) if rows.len() == SCAN_ROWS => range = prefix.prefix_after(last),
                _ => break,
            }
        }
        bodies.reverse();
        Ok(bodies)
    }

    /// Makes a definition: version 1, checked not to exist yet.
    pub fn create(
        &self,
        batch: &mut Batch,
        id: &str,
        document: String,
        tags: BTreeMap<String, String>,
        now: Timestamp,
    ) -> (Head, Body) {
        let head = Head { id: id.to_owned(), created: now, modified: now, latest: 1, active: 1, tags };
        let body = Body { version: 1, created: now, modified: now, document };
        batch.check(self.head_key(id), Version::ABSENT);
        self.put_head(batch, &head);
        self.put_body(batch, id, &body);
        (head, body)
    }

    /// Adds a version to a definition that was read at `row`.
    pub fn add_version(
        &self,
        batch: &mut Batch,
        head: &Head,
        row: Version,
        document: String,
        now: Timestamp,
    ) -> (Head, Body) {
        let head = Head { latest: head.latest + 1, modified: now, ..head.clone() };
        let body = Body { version: head.latest, created: now, modified: now, document };
        batch.check(self.head_key(&head.id), row);
        self.put_head(batch, &head);
        self.put_body(batch, &head.id, &body);
        (head, body)
    }

    /// Writes a head as it is; the caller adds the check.
    pub fn put_head(&self, batch: &mut Batch, head: &Head) {
        batch.put(self.head_key(&head.id), encode(head));
    }

    /// Writes a version as it is; the caller adds the check.
    pub fn put_body(&self, batch: &mut Batch, id: &str, body: &Body) {
        batch.put(self.body_key(id, body.version), encode(body));
    }

    /// Removes a definition that was read at `row`, with all its versions.
    pub fn delete(&self, batch: &mut Batch, head: &Head, row: Version) {
        batch.check(self.head_key(&head.id), row);
        batch.delete(self.head_key(&head.id));
        for version in 1..=head.latest {
            batch.delete(self.body_key(&head.id, version));
        }
    }
}

/// An account's applications.
pub fn apps(account: &str) -> Definitions {
    Definitions::new(Table::Apps, &[account])
}

/// An application's settings: one definition with the application's id.
pub fn settings(account: &str) -> Definitions {
    Definitions::new(Table::Settings, &[account])
}

/// An application's channels, by lower-case name.
pub fn channels(account: &str, app: &str) -> Definitions {
    Definitions::new(Table::Channels, &[account, app])
}

/// An account's templates of one kind (`EMAIL`, `SMS`, `PUSH`, `VOICE`, `INAPP`).
pub fn templates(account: &str, kind: &str) -> Definitions {
    Definitions::new(Table::Templates, &[account, kind])
}

/// An application's segments.
pub fn segments(account: &str, app: &str) -> Definitions {
    Definitions::new(Table::Segments, &[account, app])
}

/// An application's campaigns.
pub fn campaigns(account: &str, app: &str) -> Definitions {
    Definitions::new(Table::Campaigns, &[account, app])
}

/// An application's jobs of one kind (`import`, `export`).
pub fn jobs(account: &str, app: &str, kind: &str) -> Definitions {
    Definitions::new(Table::Jobs, &[account, app, kind])
}
