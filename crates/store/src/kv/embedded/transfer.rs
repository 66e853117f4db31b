//! The whole state as one file and back: for backup and restore.
//!
//! ```text
//! "CPSTATE1"
//! block: length u32 | compressed length u32 | CRC-32 of both lengths and what follows u32 | rows, compressed with lz4
//! …
//! end:   0 u32      | 0 u32                 | CRC-32, as above u32                        | number of rows u64 | sequence u64
//! row:   length of key u32 | key | length of stored value u32 | stored value (version and value)
//! ```
//!
//! Numbers are little-endian. The row of the sequence number is a row like any other, so versions go on where they were.

use std::io::{self, Read, Write};
use std::path::Path;

use fjall::{PersistMode, Readable};

use super::creation::sync_names;
use super::{EmbeddedKv, EmbeddedOptions, Rows, SEQUENCE_KEY, VERSION_BYTES, classify, split};
use crate::kv::{BATCH_BYTES_MAX, KEY_BYTES_MAX, KvError, Version};

const MAGIC: &[u8; 8] = b"CPSTATE1";

/// A block is closed when it has reached this size.
const BLOCK_BYTES: usize = 1 << 20;

/// The largest block: one that was not full before its largest row, whose two lengths and version come on top.
const BLOCK_BYTES_MAX: usize =
    BLOCK_BYTES + KEY_BYTES_MAX + BATCH_BYTES_MAX + 2 * size_of::<u32>() + VERSION_BYTES;

/// What a snapshot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotSummary {
    pub rows: u64,
    /// The latest commit that is in it.
    pub sequence: Version,
}

/// By what the caller does next.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The snapshot is damaged or cut short: take another one. What was imported so far must be thrown away.
    #[error("the snapshot of the state is damaged: {0}")]
    Damaged(&'static str),
    /// The directory to import into holds a state already.
    #[error("there is a state already")]
    NotEmpty,
    /// The file could not be read or written.
    #[error("the snapshot of the state cannot be read or written")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Kv(#[from] KvError),
}

impl EmbeddedKv {
    /// Writes all rows as they are at this moment, while commits go on. Blocks until all is written.
    pub fn export_snapshot(&self, output: &mut dyn Write) -> Result<SnapshotSummary, TransferError> {
        let rows = &self.rows;
        rows.check_alive()?;
        let snapshot = rows.database.snapshot();
        let mut summary = SnapshotSummary { rows: 0, sequence: Version::ABSENT };
        if let Some(stored) = snapshot.get(&rows.tree, SEQUENCE_KEY).map_err(|error| rows.fail(error))? {
            summary.sequence = split(&stored)?.version;
        }
        output.write_all(MAGIC)?;
        let mut block = Vec::with_capacity(BLOCK_BYTES);
        for guard in snapshot.iter(&rows.tree) {
            let (key, stored) = guard.into_inner().map_err(|error| rows.fail(error))?;
            append(&mut block, &key);
            append(&mut block, &stored);
            summary.rows += 1;
            if block.len() >= BLOCK_BYTES {
                write_block(output, &block)?;
                block.clear();
            }
        }
        if !block.is_empty() {
            write_block(output, &block)?;
        }
        write_end(output, summary)?;
        output.flush()?;
        Ok(summary)
    }

    /// Fills a new directory with the rows of a snapshot: same versions, same sequence number; durable on return. Blocks
    /// until then. After an error the directory must be thrown away.
    pub fn import(
        path: &Path,
        options: &EmbeddedOptions,
        input: &mut dyn Read,
    ) -> Result<SnapshotSummary, TransferError> {
        let rows = Rows::open(path, options)?;
        if !rows.tree.is_empty().map_err(classify)? {
            return Err(TransferError::NotEmpty);
        }
        let mut magic = [0; MAGIC.len()];
        read_all(input, &mut magic)?;
        if magic != *MAGIC {
            return Err(TransferError::Damaged("it does not begin as a snapshot does"));
        }
        let mut count = 0;
        let summary = loop {
            match read_block(input)? {
                Block::Rows(block) => count += import_block(&rows, &block)?,
                Block::End(summary) => break summary,
            }
        };
        rows.database.persist(PersistMode::SyncAll).map_err(classify)?;
        sync_names(path)?;
        if summary != (SnapshotSummary { rows: count, sequence: Version(rows.sequence()?) }) {
            return Err(TransferError::Damaged("it does not hold the rows that it announces"));
        }
        Ok(summary)
    }
}

fn append(block: &mut Vec<u8>, bytes: &[u8]) {
    block.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    block.extend_from_slice(bytes);
}

fn write_block(output: &mut dyn Write, block: &[u8]) -> io::Result<()> {
    let compressed = lz4_flex::block::compress(block);
    write_checked(output, [block.len() as u32, compressed.len() as u32], &compressed)
}

fn write_end(output: &mut dyn Write, summary: SnapshotSummary) -> io::Result<()> {
    write_checked(output, [0, 0], &[summary.rows.to_le_bytes(), summary.sequence.0.to_le_bytes()].concat())
}

fn write_checked(output: &mut dyn Write, lengths: [u32; 2], bytes: &[u8]) -> io::Result<()> {
    for length in lengths {
        output.write_all(&length.to_le_bytes())?;
    }
    output.write_all(&checksum(lengths, bytes).to_le_bytes())?;
    output.write_all(bytes)
}

fn checksum(lengths: [u32; 2], bytes: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for length in lengths {
        hasher.update(&length.to_le_bytes());
    }
    hasher.update(bytes);
    hasher.finalize()
}

enum Block {
    Rows(Vec<u8>),
    End(SnapshotSummary),
}

fn read_block(input: &mut dyn Read) -> Result<Block, TransferError> {
    let lengths = [read_u32(input)?, read_u32(input)?];
    let expected_checksum = read_u32(input)?;
    let [length, compressed_length] = lengths.map(|length| length as usize);
    if length > BLOCK_BYTES_MAX
        || compressed_length > lz4_flex::block::get_maximum_output_size(BLOCK_BYTES_MAX)
    {
        return Err(TransferError::Damaged("a block is too long"));
    }
    let is_end = length == 0;
    let mut bytes = vec![0; if is_end { 2 * size_of::<u64>() } else { compressed_length }];
    read_all(input, &mut bytes)?;
    if checksum(lengths, &bytes) != expected_checksum {
        return Err(TransferError::Damaged("a checksum is wrong"));
    }
    if !is_end {
        let rows = lz4_flex::block::decompress(&bytes, length)
            .map_err(|_| TransferError::Damaged("a block cannot be decompressed"))?;
        return Ok(Block::Rows(rows));
    }
    let (rows, sequence) = bytes.split_at(size_of::<u64>());
    let number = |bytes: &[u8]| bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    Ok(Block::End(SnapshotSummary { rows: number(rows), sequence: Version(number(sequence)) }))
}

/// Writes the rows of one block as one batch; returns how many there are.
fn import_block(rows: &Rows, mut block: &[u8]) -> Result<u64, TransferError> {
    let mut changes = rows.database.batch();
    while !block.is_empty() {
        let key = take(&mut block)?;
        let stored = take(&mut block)?;
        changes.insert(&rows.tree, key, stored);
    }
    let count = changes.len() as u64;
    changes.commit().map_err(classify)?;
    Ok(count)
}

fn take<'a>(block: &mut &'a [u8]) -> Result<&'a [u8], TransferError> {
    const CUT: TransferError = TransferError::Damaged("a row is cut short");
    let (length, rest) = block.split_first_chunk().ok_or(CUT)?;
    let (bytes, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or(CUT)?;
    *block = rest;
    Ok(bytes)
}

fn read_u32(input: &mut dyn Read) -> Result<u32, TransferError> {
    let mut bytes = [0; size_of::<u32>()];
    read_all(input, &mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn read_all(input: &mut dyn Read, bytes: &mut [u8]) -> Result<(), TransferError> {
    input.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => TransferError::Damaged("it is cut short"),
        _ => TransferError::Io(error),
    })
}
