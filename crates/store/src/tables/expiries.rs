//! Rows by which others are found when their time is over: answers kept for repeats of SDKs, requests of direct messages.

use domain::time::Timestamp;

use crate::hex;
use crate::key::{Key, KeyRange, Table};

/// In a corner of the due rows that no shard has.
fn base() -> Key {
    Key::new(Table::Due).number(u64::MAX)
}

/// The row by which `row` is found again when it expires. Written in the same commit.
pub fn key(expires: Timestamp, row: &Key) -> Key {
    base().number(expires.0.max(0) as u64).text(&hex::encode(row.as_bytes()))
}

/// What expires at `from` or later and is expired at `now`.
pub fn expired(from: Timestamp, now: Timestamp) -> KeyRange {
    KeyRange { from: base().number(from.0.max(0) as u64), to: base().number(now.0.max(0) as u64 + 1) }
}

/// When, and which row.
pub fn read(expiry: &Key) -> Option<(Timestamp, Key)> {
    let mut components = expiry.components_behind(&base());
    let expires = Timestamp(components.number()? as i64);
    let row = hex::decode(&components.text()?)?;
    Some((expires, Key::from_bytes(&row)))
}

#[cfg(test)]
mod tests {
    use std::ops::RangeBounds;

    use super::*;

    #[test]
    fn an_expiry_names_its_row_and_its_time() {
        let row = Key::new(Table::Requests).number(0).text("r");
        let expiry = key(Timestamp(7), &row);
        assert_eq!(read(&expiry), Some((Timestamp(7), row)));
        let lies_in = |from, now| expired(Timestamp(from), Timestamp(now)).contains(&expiry);
        assert!(lies_in(0, 7) && lies_in(7, 7) && !lies_in(8, 9) && !lies_in(0, 6));
    }
}
