//! Looks at the journal before fjall reads it, and cuts what a power cut has torn off its end.
//!
//! The disk may write the pages of an unsynced tail in any order. fjall refuses to open when a batch has its end and a hole
//! before it. Anything else that it cannot read it takes for the end of the journal, and cuts what is behind: after a power cut
//! that is right, but where a bit flipped in a batch that was synced, acknowledged commits would be gone without a word.
//!
//! A batch that was never acknowledged as durable may go - if it really lies behind the last sync. That is what the row of the
//! sequence number tells: each batch writes there which commit was known to be synced. Where a batch behind the hole says that
//! the batch with the hole had been synced, the hole is damage and nothing is cut. Only the newest journal can be torn: older
//! ones were synced before the next began.
//!
//! ```text
//! batch: 1 u8 | items u32 | seqno u64 | item … | 3 u8 | XXH3 of the items u64 | "FJL\x03"
//! item:  2 u8 | kind u8 | compression u8 | tree u64 | key length u16 | value length u32 | stored length u32 | key | value
//! ```
//!
//! This is the journal of fjall 3.1 as its source has it; a test notices when another release writes another one.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_64;

use super::{SEQUENCE_KEY, SequenceRow};

const BATCH_TAG: u8 = 1;
const ITEM_TAG: u8 = 2;
const BATCH_HEADER_BYTES: usize = 13;
const END_TAG: u8 = 3;
const TRAILER: [u8; 4] = *b"FJL\x03";

/// A journal is read in pieces of this size, or of that of its largest batch.
const READ_BYTES: usize = 1 << 20;

/// Cuts the newest journal in `directory` before its first torn batch. The path of the first journal with damage, in which case
/// nothing was cut.
pub(super) fn cut_torn_tail(directory: &Path) -> io::Result<Option<PathBuf>> {
    let journals = journals(directory)?;
    let mut last = Last::default();
    for (number, path) in journals.iter().enumerate() {
        let journal = scan(path, &mut last)?;
        if !journal.is_in_order {
            return Ok(Some(path.clone()));
        }
        let Some(tail) = journal.tail else { continue };
        // a torn batch at the very beginning tells its number itself, in its first item, or else the journal before does
        let own = if journal.whole_bytes == 0 { first_sequence(&tail) } else { None };
        let first_torn = own.or(last.sequence.map(|last| last + 1)).unwrap_or(0);
        if number + 1 < journals.len() || is_known_synced(&tail, first_torn) {
            return Ok(Some(path.clone()));
        }
        let kept_bytes = journal.whole_bytes;
        tracing::warn!(path = %path.display(), kept_bytes, first_torn, "cut a torn tail, which was never synced, off the journal");
        let file = File::options().write(true).open(path)?;
        file.set_len(kept_bytes)?;
        file.sync_all()?;
    }
    Ok(None)
}

/// The journals, oldest first.
fn journals(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut journals: Vec<(u64, PathBuf)> = Vec::new();
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse().ok());
        if let Some(number) = number.filter(|_| path.extension().is_some_and(|extension| extension == "jnl"))
        {
            journals.push((number, path));
        }
    }
    journals.sort();
    Ok(journals.into_iter().map(|(_, path)| path).collect())
}

/// The last whole batch so far.
#[derive(Default)]
struct Last {
    /// fjall's number, which no checksum covers: with another one, old rows would hide new ones.
    seqno: Option<u64>,
    /// Ours.
    sequence: Option<u64>,
}

/// What a journal holds.
struct Scanned {
    /// Bytes of the whole batches at its beginning.
    whole_bytes: u64,
    /// Whether fjall's numbers ascend in them.
    is_in_order: bool,
    /// What is behind them, if it is not only zeros: a journal gets its length before its batches.
    tail: Option<Vec<u8>>,
}

fn scan(path: &Path, last: &mut Last) -> io::Result<Scanned> {
    let mut file = File::open(path)?;
    let mut scanned = Scanned { whole_bytes: 0, is_in_order: true, tail: None };
    let mut bytes = Vec::new();
    loop {
        let mut rest = &bytes[..];
        while let Some(batch) = take_batch(&mut rest) {
            scanned.is_in_order &= last.seqno < Some(batch.seqno);
            last.seqno = Some(batch.seqno);
            last.sequence = batch.row.map(|row| row.sequence).or(last.sequence);
        }
        let whole_bytes = bytes.len() - rest.len();
        scanned.whole_bytes += whole_bytes as u64;
        bytes.drain(..whole_bytes);
        let is_end = bytes.first().is_some_and(|tag| *tag != BATCH_TAG);
        // What is longer than a batch can be read twice at most.
        let wanted = READ_BYTES.max(bytes.len());
        if is_end || (&mut file).take(wanted as u64).read_to_end(&mut bytes)? == 0 {
            break;
        }
    }
    let mut is_zero = bytes.iter().all(|byte| *byte == 0);
    while is_zero {
        bytes.clear();
        if (&mut file).take(READ_BYTES as u64).read_to_end(&mut bytes)? == 0 {
            return Ok(scanned);
        }
        is_zero = bytes.iter().all(|byte| *byte == 0);
    }
    file.seek(SeekFrom::Start(scanned.whole_bytes))?;
    bytes.clear();
    file.read_to_end(&mut bytes)?;
    scanned.tail = Some(bytes);
    Ok(scanned)
}

/// Whether any whole batch in `bytes`, at whatever offset it begins, knows that the commit `sequence` was synced.
fn is_known_synced(bytes: &[u8], sequence: u64) -> bool {
    (0..bytes.len()).any(|offset| {
        let mut rest = &bytes[offset..];
        rest.first() == Some(&BATCH_TAG)
            && take_batch(&mut rest).and_then(|batch| batch.row).is_some_and(|row| row.synced >= sequence)
    })
}

/// The number of the batch at the beginning of `bytes`, whole or not.
fn first_sequence(mut bytes: &[u8]) -> Option<u64> {
    take::<BATCH_HEADER_BYTES>(&mut bytes)?;
    let (key, value) = take_item(&mut bytes)?;
    SequenceRow::decode(value).filter(|_| key == SEQUENCE_KEY).map(|row| row.sequence)
}

/// A whole batch.
#[derive(Debug, PartialEq, Eq)]
struct WholeBatch {
    seqno: u64,
    /// The row of the sequence number, if it writes it.
    row: Option<SequenceRow>,
}

/// Takes a whole batch, with the right checksum, from `bytes`; else `None`, and nothing is taken.
fn take_batch(bytes: &mut &[u8]) -> Option<WholeBatch> {
    let mut rest = *bytes;
    if take::<1>(&mut rest)? != [BATCH_TAG] {
        return None;
    }
    let item_count = u32::from_le_bytes(take(&mut rest)?);
    let mut batch = WholeBatch { seqno: u64::from_le_bytes(take(&mut rest)?), row: None };
    let items = rest;
    for _ in 0..item_count {
        let (key, value) = take_item(&mut rest)?;
        if key == SEQUENCE_KEY {
            batch.row = SequenceRow::decode(value);
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
    Some(batch)
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
