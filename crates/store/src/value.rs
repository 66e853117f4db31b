//! Values as they are stored: a format number, then `postcard`.
//!
//! Every stored type has a format number, knows how to read the formats before it, and has a golden file for each
//! ([`golden`]), so that a change of its layout cannot pass unseen. `postcard` writes fields in order, without names:
//! `skip_serializing_if`, `flatten`, `untagged` and the like do not work, and a field added at the end is a new format.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::kv::KvError;

pub mod golden;

/// Most values fit into so many bytes.
const CAPACITY_BYTES: usize = 1_024;

/// A type of which values are stored.
pub trait Stored: Serialize + DeserializeOwned {
    /// The format that [`encode`] writes: 1 at first, one more with each change of the layout.
    const FORMAT: u8;

    /// Reads a value of an older format; `bytes` come without the format number.
    fn migrate(format: u8, bytes: &[u8]) -> Result<Self, ValueError> {
        let _ = bytes;
        Err(ValueError::UnknownFormat { format, newest: Self::FORMAT })
    }
}

/// Stored bytes that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ValueError {
    /// A newer release wrote it, or one so old that nothing reads it any more.
    #[error("format {format} is unknown, the newest known one is {newest}")]
    UnknownFormat { format: u8, newest: u8 },
    #[error("there are no bytes")]
    Empty,
    #[error("{0} bytes are left over")]
    LeftOver(usize),
    #[error("the bytes do not decode")]
    Undecodable(#[source] postcard::Error),
}

impl From<ValueError> for KvError {
    fn from(error: ValueError) -> Self {
        match &error {
            ValueError::Undecodable(cause) => Self::Corrupt(format!("a stored value: {error}: {cause}")),
            _ => Self::Corrupt(format!("a stored value: {error}")),
        }
    }
}

/// The bytes to store.
pub fn encode<T: Stored>(value: &T) -> Arc<[u8]> {
    let mut bytes = Vec::with_capacity(CAPACITY_BYTES);
    bytes.push(T::FORMAT);
    let bytes = postcard::to_extend(value, bytes);
    // what could fail are sequences of unknown length and a type's own errors, which stored types do not have
    Arc::from(bytes.expect("plain data always encodes into memory"))
}

/// Reads what [`encode`] of this or an earlier release wrote.
pub fn decode<T: Stored>(stored: &[u8]) -> Result<T, ValueError> {
    let (&format, bytes) = stored.split_first().ok_or(ValueError::Empty)?;
    if format == T::FORMAT { decode_exactly(bytes) } else { T::migrate(format, bytes) }
}

/// Decodes all of `bytes`, which come without a format number: for [`Stored::migrate`].
pub fn decode_exactly<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, ValueError> {
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(ValueError::Undecodable)?;
    if rest.is_empty() { Ok(value) } else { Err(ValueError::LeftOver(rest.len())) }
}

#[cfg(test)]
mod tests;
