//! Cuts what a power cut has torn off the journal's end.
//!
//! The disk may write the pages of an unsynced tail in any order. fjall discards a last batch whose end is missing, but refuses
//! to open when a batch has its end and a hole before it. Such a batch, and all behind it, was never acknowledged as
//! durable, so it may go - if it really lies behind the last sync. That is what the row of the sequence number tells: each
//! batch writes there which commit was known to be synced. Where a batch behind the hole says that the batch with the hole had
//! been synced, the hole is damage and nothing is cut.
//!
//! ```text
//! batch: 1 u8 | items u32 | seqno u64 | item … | 3 u8 | XXH3 of the items u64 | "FJL\x03"
//! item:  2 u8 | kind u8 | compression u8 | tree u64 | key length u16 | value length u32 | stored length u32 | key | value
//! ```
//!
//! This is the journal of fjall 3.1 as its source has it; a test notices when another release writes another one.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::{SEQUENCE_KEY, SequenceRow};

const BATCH_TAG: u8 = 1;
const ITEM_TAG: u8 = 2;
const BATCH_HEADER_BYTES: usize = 13;
const END_TAG: u8 = 3;
const TRAILER: [u8; 4] = *b"FJL\x03";

/// Cuts the newest journal in `directory` before its first torn batch; older ones were synced before the next began. False
/// where there is nothing that may be cut.
pub(super) fn cut_torn_tail(directory: &Path) -> io::Result<bool> {
    let Some(path) = newest_journal(directory)? else { return Ok(false) };
    let journal = fs::read(&path)?;
    let mut rest = &journal[..];
    let mut first_torn = None;
    while let Some(batch) = take_batch(&mut rest) {
        first_torn = Some(batch.sequence + 1);
    }
    // a torn batch at the very beginning tells its number itself, in its first item
    let first_torn = first_torn.or_else(|| first_sequence(rest)).unwrap_or(0);
    let is_clean_end = rest.iter().all(|&byte| byte == 0);
    if is_clean_end || is_known_synced(rest, first_torn) {
        return Ok(false);
    }
    let kept_bytes = journal.len() - rest.len();
    tracing::warn!(path = %path.display(), kept_bytes, first_torn, "cut a torn tail, which was never synced, off the journal");
    let file = File::options().write(true).open(&path)?;
    file.set_len(kept_bytes as u64)?;
    file.sync_all()?;
    Ok(true)
}

fn newest_journal(directory: &Path) -> io::Result<Option<PathBuf>> {
    let mut newest: Option<(u64, PathBuf)> = None;
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        let Some(number) = number.filter(|_| path.extension().is_some_and(|extension| extension == "jnl"))
        else {
            continue;
        };
        if newest.as_ref().is_none_or(|(newest, _)| *newest < number) {
            newest = Some((number, path));
        }
    }
    Ok(newest.map(|(_, path)| path))
}

/// Whether any whole batch in `bytes`, at whatever offset it begins, knows that the commit `sequence` was synced.
fn is_known_synced(bytes: &[u8], sequence: u64) -> bool {
    (0..bytes.len()).any(|offset| {
        let mut rest = &bytes[offset..];
        rest.first() == Some(&BATCH_TAG)
            && take_batch(&mut rest).is_some_and(|batch| batch.synced >= sequence)
    })
}

/// The number of the batch at the beginning of `bytes`, whole or not.
fn first_sequence(mut bytes: &[u8]) -> Option<u64> {
    take::<BATCH_HEADER_BYTES>(&mut bytes)?;
    let (key, value) = take_item(&mut bytes)?;
    SequenceRow::decode(value).filter(|_| key == SEQUENCE_KEY).map(|row| row.sequence)
}

/// What a whole batch, with the right checksum, takes from `bytes`; else `None`, and nothing is taken.
fn take_batch(bytes: &mut &[u8]) -> Option<SequenceRow> {
    let mut rest = *bytes;
    let mut found = None;
    if take::<1>(&mut rest)? != [BATCH_TAG] {
        return None;
    }
    let item_count = u32::from_le_bytes(take(&mut rest)?);
    take::<8>(&mut rest)?;
    let items = rest;
    for _ in 0..item_count {
        let (key, value) = take_item(&mut rest)?;
        if key == SEQUENCE_KEY {
            found = SequenceRow::decode(value);
        }
    }
    let items = &items[..items.len() - rest.len()];
    let is_whole = take::<1>(&mut rest)? == [END_TAG]
        && take(&mut rest)? == xxh3_64(items).to_le_bytes()
        && take(&mut rest)? == TRAILER;
    if !is_whole {
        return None;
    }
    *bytes = rest;
    found
}

fn take_item<'a>(bytes: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    if take::<1>(bytes)? != [ITEM_TAG] {
        return None;
    }
    // kind, compression and tree; the row of the sequence number is too short to be compressed
    take::<10>(bytes)?;
    let key_length = u16::from_le_bytes(take(bytes)?);
    take::<4>(bytes)?;
    let stored_length = u32::from_le_bytes(take(bytes)?);
    let (key, rest) = bytes.split_at_checked(usize::from(key_length))?;
    let (value, rest) = rest.split_at_checked(stored_length as usize)?;
    *bytes = rest;
    Some((key, value))
}

fn take<const LENGTH: usize>(bytes: &mut &[u8]) -> Option<[u8; LENGTH]> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*head)
}

#[cfg(test)]
mod tests;
