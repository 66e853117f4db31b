//! Which endpoint has which ordinal, many to a row: ordinals are given out one after the other and mostly read so.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Ordinals of one row.
pub const ORDINALS_PER_ROW: u32 = 64;

/// Bytes that an id takes beside its text, at most.
const PLACE_BYTES: usize = 5;

/// The folded ids of endpoints with neighbouring ordinals.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ordinals {
    /// One behind the other.
    ids: String,
    /// Where each ends; an empty one is no endpoint.
    ends: Vec<u32>,
}

impl Ordinals {
    /// The row in which an ordinal stands.
    pub fn row_of(ordinal: u32) -> u32 {
        ordinal / ORDINALS_PER_ROW
    }

    /// The first ordinal of the row of this one.
    pub(super) fn first_of(ordinal: u32) -> u32 {
        ordinal - ordinal % ORDINALS_PER_ROW
    }

    /// The endpoint of an ordinal of this row.
    pub fn get(&self, ordinal: u32) -> Option<&str> {
        let place = (ordinal % ORDINALS_PER_ROW) as usize;
        let start = if place == 0 { 0 } else { *self.ends.get(place - 1)? };
        let id = self.ids.get(start as usize..*self.ends.get(place)? as usize)?;
        (!id.is_empty()).then_some(id)
    }

    /// Nobody is left.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// About as many bytes has the row.
    pub(super) fn bytes(&self) -> usize {
        self.ids.len() + self.ends.len() * PLACE_BYTES
    }

    /// The row with other endpoints, or none, for some of its ordinals.
    pub(super) fn with(&self, changes: &BTreeMap<u32, Option<Arc<str>>>) -> Self {
        let mut row = Self::default();
        for ordinal in 0..ORDINALS_PER_ROW {
            match changes.get(&ordinal) {
                Some(changed) => row.ids.push_str(changed.as_deref().unwrap_or_default()),
                None => row.ids.push_str(self.get(ordinal).unwrap_or_default()),
            }
            row.ends.push(row.ids.len() as u32);
        }
        let end = row.ids.len() as u32;
        while row.ends.len() > 1 && row.ends[row.ends.len() - 2] == end {
            row.ends.pop();
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_holds_the_endpoints_of_its_ordinals() {
        let change = |ordinal: u32, id: &str| (ordinal, (!id.is_empty()).then(|| Arc::from(id)));
        let row =
            Ordinals::default().with(&BTreeMap::from([change(0, "a"), change(2, "ccc"), change(63, "z")]));
        let shown = |row: &Ordinals| {
            let ids = (64..128).filter_map(|ordinal| Some((ordinal, row.get(ordinal)?.to_owned())));
            ids.collect::<Vec<_>>()
        };
        assert_eq!(shown(&row), [(64, "a".to_owned()), (66, "ccc".to_owned()), (127, "z".to_owned())]);
        let row = row.with(&BTreeMap::from([change(1, "bb"), change(63, ""), change(0, "")]));
        assert_eq!(shown(&row), [(65, "bb".to_owned()), (66, "ccc".to_owned())]);
        assert_eq!(row.ends, [0, 2, 5]);
        assert!(!row.is_empty());
        assert!(row.with(&BTreeMap::from([change(1, ""), change(2, "")])).is_empty());
    }
}
