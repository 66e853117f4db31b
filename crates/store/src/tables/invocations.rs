//! Answers to mutating calls, kept so that an SDK's retry gets the first answer (design §6).

use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::key::{Key, Table};
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
