//! The power goes at any moment: what was synced is there, of the rest any part may be.

use std::collections::BTreeMap;
use std::path::Path;

use super::disks::{Event, Failure, TestDisk};
use super::*;
use crate::dice::Dice;

/// A disk writes whole sectors.
const SECTOR_BYTES: u64 = 512;

/// Survivals tried for each moment.
const OUTCOMES: u64 = 4;

/// A file while the events are played back.
#[derive(Debug, Clone, Default)]
struct Played {
    /// What the last sync made durable.
    durable: Vec<u8>,
    /// Changes since then, in order.
    pending: Vec<Event>,
}

#[tokio::test]
async fn every_acknowledged_record_survives_a_power_cut() {
    let (world, disk) = (World::new(), Arc::new(TestDisk::default()));
    let written = record_a_life(&world, &disk).await;
    check_every_moment(&disk.events(), &written, 8).await;
}

#[tokio::test]
async fn what_a_full_disk_left_of_a_write_never_ends_up_in_a_sealed_segment() {
    let (world, disk) = (World::new(), Arc::new(TestDisk::default()));
    let options = EmbeddedLogOptions { segment_bytes_max: 1_000, ..world.options() };
    let log =
        EmbeddedLog::open_on(Arc::clone(&disk) as Arc<dyn Disk>, world.context.clone(), options).unwrap();
    log.append(vec![sized(0)]).await.unwrap();
    disk.note(Event::Acknowledged(0));
    disk.fail(Failure::Write { written_bytes: 100, kind: io::ErrorKind::StorageFull });
    assert!(matches!(log.append(vec![sized(1)]).await, Err(LogError::Full)));
    // Too large for this segment: the next thing that is written is another file.
    log.append(vec![sized(2), sized(3)]).await.unwrap();
    disk.note(Event::Acknowledged(2));
    let events = disk.events();
    assert_eq!(events.iter().filter(|event| matches!(event, Event::Create { .. })).count(), 2);
    let written = numbers(&log, Vec::new()).await;
    for seed in 0..10 {
        check_every_moment(&events, &written, seed).await;
    }
}

/// The power goes after each of the events.
async fn check_every_moment(events: &[Event], written: &[u64], seed: u64) {
    let mut dice = Dice::new(seed);
    for moment in 0..=events.len() {
        for _ in 0..OUTCOMES {
            let survivor = World::new();
            survive(&events[..moment], &survivor, &mut dice);
            let log = survivor.open().unwrap_or_else(|error| panic!("after {moment} events: {error}"));
            check_survivor(&log, &events[..moment], written).await;
        }
    }
}

/// Writers, a full disk, new segments and a trim; returns the numbers in the order of their positions.
async fn record_a_life(world: &World, disk: &Arc<TestDisk>) -> Vec<u64> {
    let options = EmbeddedLogOptions { segment_bytes_max: 6_000, ..world.options() };
    let on_disk = Arc::clone(disk) as Arc<dyn Disk>;
    let log = EmbeddedLog::open_on(on_disk, world.context.clone(), options).unwrap();
    let mut written = Vec::new();
    for round in 0..6 {
        let mut appending = tokio::task::JoinSet::new();
        for number in round * 20..round * 20 + 20 {
            let (log, disk) = (Arc::clone(&log), Arc::clone(disk));
            appending.spawn(async move {
                if let Ok(positions) = log.append(vec![sized(number)]).await {
                    disk.note(Event::Acknowledged(positions[0].0));
                }
            });
        }
        appending.join_all().await;
        written = numbers(&log, written).await;
        if round == 2 {
            disk.fail(Failure::Write { written_bytes: 100, kind: io::ErrorKind::StorageFull });
        }
        if round == 4 {
            log.trim(SHARD, Position(30)).await.unwrap();
        }
    }
    assert!(disk.events().iter().any(|event| matches!(event, Event::Truncate { .. })));
    assert!(disk.events().iter().any(|event| matches!(event, Event::Remove { .. })));
    written
}

/// A record of about a sector that does not compress.
fn sized(number: u64) -> (Partition, Bytes) {
    let mut dice = Dice::new(number);
    let noise: Vec<u8> = (0..300).map(|_| dice.roll() as u8).collect();
    (Partition(0), Bytes::from([format!("{number:04}").into_bytes(), noise].concat()))
}

async fn numbers(log: &EmbeddedLog, mut known: Vec<u64>) -> Vec<u64> {
    while log.end(SHARD) > Position(known.len() as u64) {
        for record in log.read(SHARD, Position(known.len() as u64), 1 << 20).await.unwrap() {
            let number = std::str::from_utf8(&record.bytes[..4]).unwrap().parse().unwrap();
            assert_eq!(record.bytes, sized(number).1);
            known.push(number);
        }
    }
    known
}

async fn check_survivor(log: &EmbeddedLog, events: &[Event], written: &[u64]) {
    let acknowledged_end = events
        .iter()
        .map(|event| if let Event::Acknowledged(position) = event { position + 1 } else { 0 })
        .max();
    let end = log.end(SHARD).0;
    assert!(end >= acknowledged_end.unwrap_or(0), "{end} of {acknowledged_end:?}");
    let mut next = log.stats().first.0;
    assert!(next <= 30, "only what was trimmed is missing");
    while next < end {
        for record in log.read(SHARD, Position(next), 1 << 20).await.unwrap() {
            assert_eq!(record.bytes, sized(written[next as usize]).1, "position {next}");
            next += 1;
        }
    }
}

/// Writes what is left after these events into the directory of another world.
fn survive(events: &[Event], survivor: &World, dice: &mut Dice) {
    let mut files: BTreeMap<&Path, Played> = BTreeMap::new();
    for event in events {
        match event {
            Event::Acknowledged(_) => {}
            Event::Create { path, bytes } => {
                files.insert(path, Played { durable: bytes.clone(), pending: Vec::new() });
            }
            Event::Write { path, .. } | Event::Truncate { path, .. } => {
                files.get_mut(path.as_path()).unwrap().pending.push(event.clone());
            }
            Event::Sync { path } => {
                let played = files.get_mut(path.as_path()).unwrap();
                for pending in std::mem::take(&mut played.pending) {
                    apply(&mut played.durable, &pending, |_| true);
                }
            }
            Event::Remove { path } => {
                files.remove(path.as_path());
            }
        }
    }
    for (path, mut played) in files {
        // none, all, or any part of what was not synced
        let mode = dice.below(3);
        for pending in &played.pending {
            apply(&mut played.durable, pending, |_| mode == 1 || (mode == 2 && dice.once_in(2)));
        }
        let name = path.file_name().unwrap();
        std::fs::write(survivor.directory.path().join(name), played.durable).unwrap();
    }
}

/// Applies the sectors of a change that `survives`; a sector that is lost behind the old end reads as zeros where a later one
/// is not lost.
fn apply(content: &mut Vec<u8>, change: &Event, mut survives: impl FnMut(u64) -> bool) {
    match change {
        Event::Write { offset, bytes, .. } => {
            let end = offset + bytes.len() as u64;
            let mut start = *offset;
            while start < end {
                let sector_end = end.min((start / SECTOR_BYTES + 1) * SECTOR_BYTES);
                if survives(start) {
                    let needed = content.len().max(sector_end as usize);
                    content.resize(needed, 0);
                    let source = &bytes[(start - offset) as usize..(sector_end - offset) as usize];
                    content[start as usize..sector_end as usize].copy_from_slice(source);
                }
                start = sector_end;
            }
        }
        Event::Truncate { length_bytes, .. } if survives(0) => content.truncate(*length_bytes as usize),
        _ => {}
    }
}
