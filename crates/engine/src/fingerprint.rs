//! Things of the log and the audience, known again by 96 bits.

use std::hash::{DefaultHasher, Hash, Hasher};

/// 96 bits of a keyless `SipHash`: among 4 M entries one in 10^22 is taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    /// For a [`domain::hashes::HashedMap`].
    pub key: u64,
    /// Kept beside the key, and compared.
    pub check: u32,
}

impl Fingerprint {
    pub fn of(value: &impl Hash) -> Self {
        let mut hasher = DefaultHasher::new();
        value.hash(&mut hasher);
        let key = hasher.finish();
        hasher.write_u8(1);
        Self { key, check: hasher.finish() as u32 }
    }
}
