//! Files that are not what was written: torn ends, flipped bits, random bytes.

use std::fs;

use super::super::frame::{Codec, FrameHeader, HEADER_BYTES};
use super::super::segment::SEGMENT_HEADER_BYTES;
use super::*;
use crate::dice::Dice;

/// The content of each file of a closed log, oldest first.
type Content = Vec<(PathBuf, Vec<u8>)>;

fn content(world: &World) -> Content {
    world.files().into_iter().map(|path| (path.clone(), fs::read(&path).unwrap())).collect()
}

fn restore(world: &World, content: &Content) {
    for path in world.files() {
        fs::remove_file(path).unwrap();
    }
    for (path, bytes) in content {
        fs::write(path, bytes).unwrap();
    }
}

/// What remains readable, up to the first damage; panics on any other error.
async fn readable(world: &World) -> Result<Vec<Record>, LogError> {
    let log = world.open()?;
    let mut records: Vec<Record> = Vec::new();
    loop {
        let next = records.last().map_or(log.stats().first, |record| record.position.next());
        match log.read(SHARD, next, 5_000).await {
            Ok(page) if page.is_empty() => return Ok(records),
            Ok(page) => records.extend(page),
            Err(error) => return Err(error),
        }
    }
}

fn assert_prefix(records: &[Record]) {
    for (record, number) in records.iter().zip(0..) {
        let (partition, bytes) = numbered(number);
        assert_eq!((record.position.0, record.partition, &record.bytes), (number, partition, &bytes));
    }
}

#[tokio::test]
async fn an_end_that_is_torn_at_any_byte_is_cut_off() {
    let world = World::new();
    let log = world.open().unwrap();
    append_numbered(&log, 0, 40, 10).await;
    let acknowledged_bytes = log.stats().disk_bytes as usize;
    append_numbered(&log, 40, 50, 10).await;
    log.close().await;
    let original = content(&world);
    let (path, whole) = &original[0];
    let mut dice = Dice::new(5);
    for kept_bytes in acknowledged_bytes..whole.len() {
        let torn = whole[..kept_bytes].to_vec();
        let mut zeros = torn.clone();
        zeros.resize(whole.len() + 1, 0);
        let mut noise = torn.clone();
        noise.resize_with(whole.len(), || dice.roll() as u8);
        for damaged in [torn, zeros, noise] {
            fs::write(path, damaged).unwrap();
            let log = world.open().unwrap_or_else(|error| panic!("{kept_bytes}: {error}"));
            assert_numbered(&log, 0, 40).await;
            assert_eq!(fs::read(path).unwrap(), whole[..acknowledged_bytes]);
            append_numbered(&log, 40, 42, 2).await;
            assert_numbered(&log, 0, 42).await;
            log.close().await;
            assert_numbered(&world.open().unwrap(), 0, 42).await;
        }
    }
}

#[tokio::test]
async fn a_damaged_frame_before_a_whole_one_is_reported_with_file_and_offset() {
    let world = World::new();
    let log = world.open().unwrap();
    append_numbered(&log, 0, 10, 10).await;
    let first_frame_end = log.stats().disk_bytes as usize;
    append_numbered(&log, 10, 30, 10).await;
    log.close().await;
    let original = content(&world);
    for offset in SEGMENT_HEADER_BYTES..first_frame_end {
        let mut damaged = original.clone();
        damaged[0].1[offset] ^= 0x10;
        restore(&world, &damaged);
        let Err(LogError::Corrupt(message)) = world.open() else { panic!("byte {offset} was not missed") };
        assert!(message.contains("00000000000000000000.log at byte 48: "), "{message}");
        assert_eq!(content(&world), damaged, "nothing is cut off");
    }
}

#[tokio::test]
async fn flipped_bits_never_alter_a_record() {
    let world = World::new();
    let log = world.open_with(|options| options.segment_bytes_max = 1_500);
    append_numbered(&log, 0, 300, 20).await;
    log.close().await;
    let original = content(&world);
    assert!(original.len() > 2);
    let mut dice = Dice::new(6);
    let (mut reported, mut shortened) = (0, 0);
    for _ in 0..400 {
        let mut damaged = original.clone();
        let file = dice.below(damaged.len() as u64) as usize;
        let bytes = &mut damaged[file].1;
        let offset = dice.below(bytes.len() as u64) as usize;
        bytes[offset] ^= 1 << dice.below(8);
        restore(&world, &damaged);
        match readable(&world).await {
            Ok(records) => {
                assert_eq!(records.len(), 280, "only the very last frame may be taken for torn");
                assert_eq!(file, original.len() - 1);
                assert_prefix(&records);
                shortened += 1;
            }
            Err(LogError::Corrupt(message)) => {
                assert!(message.contains(".log at byte "), "{message}");
                reported += 1;
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert!(reported > 300 && shortened > 0, "{reported} {shortened}");
}

#[tokio::test]
async fn a_missing_or_renamed_file_is_reported() {
    let world = World::new();
    let log = world.open_with(|options| options.segment_bytes_max = 1_000);
    append_numbered(&log, 0, 100, 5).await;
    log.close().await;
    let original = content(&world);
    let mut gap = original.clone();
    gap.remove(1);
    restore(&world, &gap);
    assert!(matches!(readable(&world).await, Err(LogError::Corrupt(_))));
    let mut renamed = original.clone();
    renamed[1].0.set_file_name("00000000000000000001.log");
    restore(&world, &renamed);
    assert!(matches!(world.open(), Err(LogError::Corrupt(_))));
    restore(&world, &original);
    fs::write(world.directory.path().join("notes.txt"), "not ours").unwrap();
    fs::write(world.directory.path().join("00000000000000000500.new"), "incomplete").unwrap();
    assert_prefix(&readable(&world).await.unwrap());
    assert!(!world.directory.path().join("00000000000000000500.new").exists());
    let log = world.open().unwrap();
    log.shared.groups.clear();
    fs::remove_file(&original[0].0).unwrap();
    assert!(matches!(log.read(SHARD, Position(0), 1).await, Err(LogError::Corrupt(_))));
}

#[tokio::test]
async fn random_bytes_never_panic() {
    let world = World::new();
    let log = world.open().unwrap();
    append_numbered(&log, 0, 60, 20).await;
    log.close().await;
    let original = content(&world);
    let whole = &original[0].1;
    let tag = u64::from_le_bytes(whole[16..24].try_into().unwrap());
    let mut dice = Dice::new(7);
    for _ in 0..600 {
        let mut bytes = match dice.below(4) {
            0 => Vec::new(),
            1 => whole[..SEGMENT_HEADER_BYTES].to_vec(),
            2 => whole[..dice.below(whole.len() as u64) as usize].to_vec(),
            // a later piece overwrites an earlier one
            _ => whole.clone(),
        };
        match dice.below(3) {
            0 => (0..dice.below(2_000)).for_each(|_| bytes.push(dice.roll() as u8)),
            1 => bytes.extend(forged_frame(&mut dice, tag)),
            _ if !bytes.is_empty() => {
                for _ in 0..dice.below(40) {
                    let at = dice.below(bytes.len() as u64) as usize;
                    bytes[at] = dice.roll() as u8;
                }
            }
            _ => {}
        }
        restore(&world, &vec![(original[0].0.clone(), bytes)]);
        match readable(&world).await {
            Ok(_) | Err(LogError::Corrupt(_)) => {}
            Err(other) => panic!("{other:?}"),
        }
    }
}

/// A frame whose checksums fit and whose fields do not.
fn forged_frame(dice: &mut Dice, tag: u64) -> Vec<u8> {
    let body: Vec<u8> = (0..dice.below(300)).map(|_| dice.roll() as u8).collect();
    let any = |dice: &mut Dice| if dice.once_in(2) { dice.below(400) as u32 } else { dice.roll() as u32 };
    let header = FrameHeader {
        tag,
        first: Position([0, 60, u64::MAX, dice.roll()][dice.below(4) as usize]),
        arrival: domain::time::Timestamp(dice.roll() as i64),
        record_count: any(dice),
        raw_bytes: any(dice),
        stored_bytes: if dice.once_in(3) { any(dice) } else { body.len() as u32 },
        codec: if dice.once_in(2) { Codec::Raw } else { Codec::Lz4 },
        body_crc: crc32fast::hash(&body),
    };
    [&header.encode()[..], &body].concat()
}

#[test]
fn a_header_is_read_as_it_was_written() {
    let header = FrameHeader {
        tag: 0x0123_4567_89ab_cdef,
        first: Position(77),
        arrival: domain::time::Timestamp(-5),
        record_count: 3,
        raw_bytes: 100,
        stored_bytes: 60,
        codec: Codec::Lz4,
        body_crc: 9,
    };
    let bytes = header.encode();
    // the format on disk: a change of these bytes is a new format
    assert_eq!(bytes[..16], [0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01, 77, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(bytes[24..40], [3, 0, 0, 0, 100, 0, 0, 0, 60, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(FrameHeader::decode(&bytes, header.tag), Ok(header));
    assert!(FrameHeader::decode(&bytes, 1).is_err());
    for byte in 0..HEADER_BYTES {
        let mut damaged = bytes;
        damaged[byte] ^= 1;
        assert!(FrameHeader::decode(&damaged, header.tag).is_err(), "{byte}");
    }
}
