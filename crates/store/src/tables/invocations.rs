//! Answers to mutating calls, kept so that an SDK's retry gets the first answer (design §6).

use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::hex;
use crate::key::{Key, KeyRange, Table};
use crate::value::Stored;

/// The answer that a call was given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    /// After this instant a repeat is a new call.
    pub expires: Timestamp,
}

impl Stored for Answer {
    const FORMAT: u8 = 1;
}

/// The row of a call: by access key, operation, invocation id and a hash of the request.
pub fn key(access_key_id: &str, operation: &str, invocation_id: &str, request_hash: u64) -> Key {
    Key::new(Table::Invocations).text(access_key_id).text(operation).text(invocation_id).number(request_hash)
}

/// Rows by which answers are found when they expire, in a corner of the due rows that no shard has.
fn expiries() -> Key {
    Key::new(Table::Due).number(u64::MAX)
}

/// The row by which the answer is found again when it expires.
pub fn expiry_key(expires: Timestamp, answer: &Key) -> Key {
    expiries().number(expires.0.max(0) as u64).text(&hex::encode(answer.as_bytes()))
}

/// The expiry rows whose time is over.
pub fn expired(now: Timestamp) -> KeyRange {
    KeyRange { from: expiries(), to: expiries().number(now.0.max(0) as u64 + 1) }
}

/// The row of the answer that an expiry row names.
pub fn answer_of(expiry: &Key) -> Option<Key> {
    let mut components = expiry.components();
    let (_, _) = (components.number()?, components.number()?);
    hex::decode(&components.text()?).map(|bytes| Key::from_bytes(&bytes))
}
