//! Names that an application has used, as hashes: asked for every name of every event, where sets of texts cost too much.
//!
//! Two names with one hash pass for each other, so these sets only tell what need not be looked at again; what decides is
//! kept as texts.

use crate::hashes::HashedSet;

/// A set of names of several kinds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameHashes(HashedSet);

impl NameHashes {
    pub fn contains(&self, kind: u8, name: &str) -> bool {
        self.0.contains(&hash(kind, name))
    }
}

impl<'a> FromIterator<(u8, &'a str)> for NameHashes {
    fn from_iter<I: IntoIterator<Item = (u8, &'a str)>>(names: I) -> Self {
        Self(names.into_iter().map(|(kind, name)| hash(kind, name)).collect())
    }
}

/// FNV-1a, mixed once more because its high bits are weak for short texts.
fn hash(kind: u8, name: &str) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325 ^ u64::from(kind);
    for byte in name.as_bytes() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}
