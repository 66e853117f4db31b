//! Import and export jobs while they run, and the members of imported segments.

use domain::audience::AppKey;
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::key::{Key, Table};
use crate::value::Stored;

/// Failures that a job shows, at most (spec/30-segments.md §6).
pub const FAILURES_MAX: usize = 100;

/// Ordinals in one chunk of a segment's members: small, because each piece of an import rewrites the last one.
pub const MEMBER_CHUNK_ORDINALS: u32 = 1 << 16;

/// Stored by position: append only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobStatus {
    Created,
    Processing,
    Completed,
    Failed,
}

/// What a job has done so far. An import's is kept by the projection, from the pieces it folds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobState {
    pub status: JobStatus,
    pub created: Timestamp,
    pub completed: Option<Timestamp>,
    /// Pieces of an import that are folded, or parts of an export that are written.
    pub pieces: u64,
    /// Rows that were taken.
    pub processed: u64,
    /// Rows that were refused.
    pub failed: u64,
    /// The first [`FAILURES_MAX`] of them.
    pub failures: Vec<String>,
    /// By channel, for the segment's `ChannelCounts`.
    pub channels: Vec<(String, u64)>,
}

impl Stored for JobState {
    const FORMAT: u8 = 1;
}

/// Members of an imported segment, one chunk of [`MEMBER_CHUNK_ORDINALS`]: a serialised roaring bitmap.
pub use super::campaigns::Chunk as Members;

fn scope(table: Table, app: &AppKey) -> Key {
    Key::new(table).text(app.account.as_str()).text(app.app.as_str())
}

pub fn state_key(app: &AppKey, kind: &str, job: &str) -> Key {
    scope(Table::Runs, app).text("job").text(kind).text(job)
}

/// Chunks of ordinals of an imported segment's version.
pub fn members(app: &AppKey, segment: &str, version: u32) -> Key {
    scope(Table::Members, app).text(segment).ordinal(version).text("ordinals")
}

pub fn member_key(app: &AppKey, segment: &str, version: u32, chunk: u32) -> Key {
    members(app, segment, version).ordinal(chunk)
}

/// Users of an imported segment's version: each stands for all endpoints that the user has when the segment is used.
pub fn member_users(app: &AppKey, segment: &str, version: u32) -> Key {
    scope(Table::Members, app).text(segment).ordinal(version).text("users")
}

pub fn member_user_key(app: &AppKey, segment: &str, version: u32, user: &str) -> Key {
    member_users(app, segment, version).text(user)
}
