//! The bytes of a frame: one group of appends, written with one write and made durable with one sync.
//!
//! ```text
//! header, 48 bytes, little-endian                                        body
//! ┌───────┬────────┬─────────┬───────┬─────┬────────┬───────┬──────┬────────┐ ┌───────────────────────────┐
//! │tag    │first   │arrival  │records│raw  │stored  │codec  │body  │header  │ │ partition u16, length u32,│
//! │u64    │position│ms i64   │u32    │bytes│bytes   │u8 + 3 │crc32 │crc32   │ │ bytes; … maybe compressed │
//! └───────┴────────┴─────────┴───────┴─────┴────────┴───────┴──────┴────────┘ └───────────────────────────┘
//! ```
//!
//! The tag is the random number of the segment. Nobody outside knows it, so the content of a record can never look like a
//! frame: where the tag stands again behind a damaged frame, a later frame was written, hence the damaged one was durable.

use bytes::Bytes;
use domain::time::Timestamp;
use lz4_flex::block::{CompressTable, compress_into_with_table, decompress_into, get_maximum_output_size};

use crate::log::{APPEND_BYTES_MAX, Partition, Position, RECORDS_MAX};

/// Bytes of a frame's header.
pub(super) const HEADER_BYTES: usize = 48;

/// Bytes of a record in a body beside its own.
pub(super) const RECORD_OVERHEAD_BYTES: usize = 6;

/// A group takes further appends until it has this many raw bytes. Larger groups would compress no better and answer later.
pub(super) const GROUP_BYTES_MAX: usize = 2 << 20;

/// The most raw bytes of a frame: a group just below its limit, and the largest append.
const RAW_BYTES_MAX: usize = GROUP_BYTES_MAX + APPEND_BYTES_MAX + RECORDS_MAX * RECORD_OVERHEAD_BYTES;

/// Smaller bodies are stored as they are: a frame header and a disk block cost more than compression saves.
const COMPRESS_BYTES_MIN: usize = 512;

/// How a body is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Raw = 0,
    Lz4 = 1,
}

/// The parsed header of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) tag: u64,
    pub(super) first: Position,
    pub(super) arrival: Timestamp,
    pub(super) record_count: u32,
    pub(super) raw_bytes: u32,
    pub(super) stored_bytes: u32,
    pub(super) codec: Codec,
    pub(super) body_crc: u32,
}

/// What is wrong with bytes that should be a frame or a segment's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Damage(pub(super) &'static str);

/// A frame does not continue where the one before it ended.
pub(super) const POSITIONS_HAVE_A_GAP: Damage = Damage("positions have a gap");

impl FrameHeader {
    pub(super) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&self.tag.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.first.0.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.arrival.0.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.record_count.to_le_bytes());
        bytes[28..32].copy_from_slice(&self.raw_bytes.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.stored_bytes.to_le_bytes());
        bytes[36] = self.codec as u8;
        bytes[40..44].copy_from_slice(&self.body_crc.to_le_bytes());
        let header_crc = crc32fast::hash(&bytes[..44]);
        bytes[44..].copy_from_slice(&header_crc.to_le_bytes());
        bytes
    }

    /// Parses and checks a header; its body is checked by [`FrameHeader::check_body`].
    pub(super) fn decode(bytes: &[u8; HEADER_BYTES], tag: u64) -> Result<Self, Damage> {
        let mut fields = Fields(bytes);
        let header = Self {
            tag: fields.u64(),
            first: Position(fields.u64()),
            arrival: Timestamp(fields.u64() as i64),
            record_count: fields.u32(),
            raw_bytes: fields.u32(),
            stored_bytes: fields.u32(),
            codec: match fields.u32() {
                0 => Codec::Raw,
                1 => Codec::Lz4,
                _ => return Err(Damage("unknown codec")),
            },
            body_crc: fields.u32(),
        };
        if fields.u32() != crc32fast::hash(&bytes[..44]) {
            return Err(Damage("checksum of a frame header differs"));
        }
        if header.tag != tag {
            return Err(Damage("frame of another segment"));
        }
        let raw_bytes = header.raw_bytes as usize;
        let fits = raw_bytes <= RAW_BYTES_MAX
            && header.stored_bytes as usize <= raw_bytes
            && header.record_count as usize * RECORD_OVERHEAD_BYTES <= raw_bytes
            && header.first.0.checked_add(u64::from(header.record_count)).is_some();
        if fits { Ok(header) } else { Err(Damage("impossible sizes in a frame header")) }
    }

    /// The position behind the frame's last record.
    pub(super) fn end(&self) -> Position {
        Position(self.first.0 + u64::from(self.record_count))
    }

    /// Header and body.
    pub(super) fn frame_bytes(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.stored_bytes)
    }

    pub(super) fn check_body(&self, stored: &[u8]) -> Result<(), Damage> {
        if crc32fast::hash(stored) == self.body_crc {
            Ok(())
        } else {
            Err(Damage("checksum of a frame body differs"))
        }
    }

    /// The records of a body, as slices of one shared buffer.
    pub(super) fn decode_body(&self, stored: &[u8]) -> Result<Vec<(Partition, Bytes)>, Damage> {
        self.check_body(stored)?;
        let raw = match self.codec {
            Codec::Raw => Bytes::copy_from_slice(stored),
            Codec::Lz4 => {
                let mut raw = vec![0; self.raw_bytes as usize];
                match decompress_into(stored, &mut raw) {
                    Ok(bytes) if bytes == raw.len() => Bytes::from(raw),
                    _ => return Err(Damage("frame body cannot be decompressed")),
                }
            }
        };
        split_records(&raw, self.record_count).ok_or(Damage("records do not fill their frame"))
    }
}

fn split_records(raw: &Bytes, record_count: u32) -> Option<Vec<(Partition, Bytes)>> {
    let mut records = Vec::with_capacity(record_count as usize);
    let mut offset = 0;
    for _ in 0..record_count {
        let (partition, rest) = raw.get(offset..)?.split_first_chunk()?;
        let (length, _) = rest.split_first_chunk()?;
        let start = offset + RECORD_OVERHEAD_BYTES;
        offset = start.checked_add(u32::from_le_bytes(*length) as usize)?;
        if offset > raw.len() {
            return None;
        }
        records.push((Partition(u16::from_le_bytes(*partition)), raw.slice(start..offset)));
    }
    (offset == raw.len()).then_some(records)
}

/// A frame without its header: that one is filled in when the position is known.
#[derive(Debug)]
pub(super) struct EncodedBody {
    /// Room for the header, then the stored body.
    pub(super) frame: Vec<u8>,
    pub(super) raw_bytes: u32,
    pub(super) codec: Codec,
    pub(super) body_crc: u32,
}

impl EncodedBody {
    pub(super) fn stored_bytes(&self) -> u32 {
        (self.frame.len() - HEADER_BYTES) as u32
    }
}

/// Builds bodies, with buffers that are used again.
#[derive(Default)]
pub(super) struct Encoder {
    /// Room for the header, then the records.
    raw: Vec<u8>,
    table: CompressTable,
}

impl Encoder {
    /// Copies the records together: `raw_bytes` with their overhead.
    pub(super) fn encode<'a>(
        &mut self,
        records: impl Iterator<Item = &'a (Partition, Bytes)>,
        raw_bytes: usize,
        compress: bool,
    ) -> EncodedBody {
        self.raw.clear();
        self.raw.reserve_exact(HEADER_BYTES + raw_bytes);
        self.raw.resize(HEADER_BYTES, 0);
        for (partition, bytes) in records {
            self.raw.extend_from_slice(&partition.0.to_le_bytes());
            self.raw.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            self.raw.extend_from_slice(bytes);
        }
        let compressed = if compress && raw_bytes >= COMPRESS_BYTES_MIN { self.compress() } else { None };
        let (frame, codec) = match compressed {
            Some(frame) => (frame, Codec::Lz4),
            None => (std::mem::take(&mut self.raw), Codec::Raw),
        };
        let body_crc = crc32fast::hash(&frame[HEADER_BYTES..]);
        EncodedBody { frame, raw_bytes: raw_bytes as u32, codec, body_crc }
    }

    /// `None` where it would save less than a tenth.
    fn compress(&mut self) -> Option<Vec<u8>> {
        let raw = &self.raw[HEADER_BYTES..];
        let mut frame = vec![0; HEADER_BYTES + get_maximum_output_size(raw.len())];
        let stored = compress_into_with_table(raw, &mut frame[HEADER_BYTES..], &mut self.table).ok()?;
        if stored > raw.len() - raw.len() / 10 {
            return None;
        }
        frame.truncate(HEADER_BYTES + stored);
        Some(frame)
    }

    /// Gives the buffers back while nothing is appended.
    pub(super) fn release(&mut self) {
        *self = Self::default();
    }
}

/// Reads the little-endian fields of a header whose size is known.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl Fields<'_> {
    pub(super) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.take())
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.take())
    }

    fn take<const BYTES: usize>(&mut self) -> [u8; BYTES] {
        let (head, rest) = self.0.split_first_chunk().expect("the fields of a header add up to its size");
        self.0 = rest;
        *head
    }
}
