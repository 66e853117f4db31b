//! What says of which files the state consists is looked at before fjall believes it.
//!
//! fjall checks each block of rows that it reads, but neither the list of a tree's tables nor the table of contents of each: with
//! the wrong bit flipped there the process would abort, because something is asserted or more memory is asked for than there
//! is, and tables that are missing in the list would be deleted as left-overs.
//!
//! ```text
//! current: number of the list u64 | XXH3-128 of the list u128 | 0 u8
//! table:   … | contents: "TOC!" entries u32 entry … | footer: "SFA!" 1 u8 0 u8 checksum u128 contents at u64 their length u64
//! ```
//!
//! These are the files of fjall 3.1 as its source has them; a test notices when another release writes other ones.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::xxh3_128;

use super::TREES;

const CURRENT_BYTES: usize = 25;
const FOOTER_BYTES: u64 = 38;
const FOOTER_MAGIC: &[u8] = b"SFA!\x01\0";
const CONTENTS_MAGIC: [u8; 4] = *b"TOC!";
/// Position and length of a part, and the length of its name.
const ENTRY_BYTES_MIN: u64 = 18;

/// The first file in the database's directory that is seen to be damaged.
pub(super) fn damaged_file(directory: &Path) -> io::Result<Option<PathBuf>> {
    let marker = directory.join("version");
    if !marker.try_exists()? {
        return Ok(Some(marker));
    }
    for tree in entries(&directory.join(TREES))? {
        if let Some(damaged) = damaged_list(&tree)? {
            return Ok(Some(damaged));
        }
        for table in entries(&tree.join("tables"))? {
            if !has_sound_contents(&table)? {
                return Ok(Some(table));
            }
        }
    }
    Ok(None)
}

/// The list of a tree's tables, or what names it, if it is not what was written. A tree without one was never used.
fn damaged_list(tree: &Path) -> io::Result<Option<PathBuf>> {
    let path = tree.join("current");
    let Some(current) = found(fs::read(&path))? else { return Ok(None) };
    let Some((number, checksum)) = read_current(&current) else { return Ok(Some(path)) };
    let list_path = tree.join(format!("v{number}"));
    let list = found(fs::read(&list_path))?;
    let is_sound = list.is_some_and(|list| xxh3_128(&list) == checksum);
    Ok((!is_sound).then_some(list_path))
}

fn read_current(bytes: &[u8]) -> Option<(u64, u128)> {
    let bytes: &[u8; CURRENT_BYTES] = bytes.try_into().ok()?;
    let (number, rest) = bytes.split_first_chunk()?;
    let (checksum, rest) = rest.split_first_chunk()?;
    (rest == [0]).then_some((u64::from_le_bytes(*number), u128::from_le_bytes(*checksum)))
}

/// Whether a table of contents has room for as many entries as it says. Everything else fjall checks itself; and what is left of a
/// table that was being written when the power went is no damage.
fn has_sound_contents(path: &Path) -> io::Result<bool> {
    let Some(table) = found(File::open(path))? else { return Ok(true) };
    let Some(footer_start) = table.metadata()?.len().checked_sub(FOOTER_BYTES) else { return Ok(true) };
    let mut footer = [0; FOOTER_BYTES as usize];
    table.read_exact_at(&mut footer, footer_start)?;
    let start = footer.strip_prefix(FOOTER_MAGIC).and_then(|rest| rest[16..].first_chunk());
    let Some(start) = start.map(|bytes| u64::from_le_bytes(*bytes)) else { return Ok(true) };
    let Some(room) = footer_start.checked_sub(start).and_then(|room| room.checked_sub(8)) else {
        return Ok(true);
    };
    let (mut magic, mut entries) = ([0; 4], [0; 4]);
    table.read_exact_at(&mut magic, start)?;
    table.read_exact_at(&mut entries, start + 4)?;
    let needed = u64::from(u32::from_le_bytes(entries)) * ENTRY_BYTES_MIN;
    Ok(magic != CONTENTS_MAGIC || needed <= room)
}

/// The paths in a directory; none if it does not exist.
fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let Some(entries) = found(fs::read_dir(directory))? else { return Ok(Vec::new()) };
    entries.map(|entry| Ok(entry?.path())).collect()
}

fn found<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
