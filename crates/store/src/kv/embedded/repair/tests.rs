use std::ops::Range;

use tempfile::TempDir;

use super::*;
use crate::dice::Dice;
use crate::kv::embedded::{EmbeddedKv, EmbeddedOptions};
use crate::kv::{Batch, Durability, Kv, KvError, Version};
use crate::{Key, Table};

const VALUE_BYTES: usize = 3_000;

fn key(number: u64) -> Key {
    Key::new(Table::Ordinals).number(number)
}

/// The numbers 0..count as rows, one commit each; those in `durable` are durable. Returns the journal's bytes.
async fn write(directory: &Path, count: u64, durable: &[u64]) -> Vec<u8> {
    let kv = EmbeddedKv::open(directory, &EmbeddedOptions::default()).unwrap();
    for number in 0..count {
        let mut dice = Dice::new(number);
        let mut batch = Batch::default();
        batch.put(key(number), (0..VALUE_BYTES).map(|_| dice.roll() as u8).collect::<Vec<u8>>());
        let durability = if durable.contains(&number) { Durability::Durable } else { Durability::Buffered };
        kv.commit(batch, durability).await.unwrap();
    }
    drop(kv);
    let mut journal = fs::read(directory.join("0.jnl")).unwrap();
    journal.truncate(journal.iter().rposition(|&byte| byte != 0).unwrap() + 1);
    journal
}

/// Opens a copy of the directory whose journal has a hole; which rows are there, or the error.
async fn open_with_hole(
    directory: &Path,
    journal: &[u8],
    hole: Range<usize>,
    filler: u8,
) -> Result<Vec<u64>, KvError> {
    let mut journal = journal.to_vec();
    journal[hole].fill(filler);
    fs::write(directory.join("0.jnl"), journal).unwrap();
    let kv = EmbeddedKv::open(directory, &EmbeddedOptions::default())?;
    let rows = kv.scan(Key::new(Table::Ordinals).prefix(), 100).await?;
    let mut numbers = Vec::new();
    for (key, row) in rows {
        let number = key.components().number().unwrap();
        assert_eq!(row.version, Version(number + 1));
        numbers.push(number);
    }
    // what follows is not in the way of the next opening
    let next = kv.commit(Batch::default(), Durability::Durable).await?;
    assert_eq!(next, Version(numbers.len() as u64));
    drop(kv);
    EmbeddedKv::open(directory, &EmbeddedOptions::default())?;
    Ok(numbers)
}

#[tokio::test]
async fn a_hole_behind_the_last_sync_leaves_a_prefix_with_all_durable_commits() {
    let directory = TempDir::new().unwrap();
    let journal = write(directory.path(), 6, &[1]).await;
    let batch_bytes = journal.len() / 6;
    for start in (2 * batch_bytes + 1..journal.len()).step_by(401) {
        for (length, filler) in [(1, 0xa5), (700, 0), (4_096, 0), (4_096, 0xff)] {
            let hole = start..journal.len().min(start + length);
            let rows = open_with_hole(directory.path(), &journal, hole.clone(), filler).await;
            let rows = rows.unwrap_or_else(|error| panic!("hole at {hole:?}: {error:?}"));
            let whole = (start / batch_bytes) as u64;
            assert!(rows.iter().copied().eq(0..rows.len() as u64), "not a prefix: {rows:?}");
            assert!(rows.len() as u64 >= whole.min(5), "hole at {hole:?} left only {rows:?}");
            assert!(rows.len() < 6, "a commit with a hole survived: {hole:?} {rows:?}");
        }
    }
}

#[tokio::test]
async fn a_hole_before_the_last_sync_is_damage_and_nothing_is_cut() {
    let directory = TempDir::new().unwrap();
    // commit 4 knows that commits 0 to 3 were synced
    let journal = write(directory.path(), 5, &[3]).await;
    let batch_bytes = journal.len() / 5;
    for number in 0..4 {
        // tags and lengths of the batch and of its items, which fjall would take for the journal's end; values; the checksum
        let places = [0, 1, 5, 12, 13, 14, 15, 24, 26, 30, 34, 60, batch_bytes / 2];
        let from_behind = [13, 12, 4, 1].map(|place| batch_bytes - place);
        for place in places.into_iter().chain(from_behind) {
            let start = number * batch_bytes + place;
            for (length, filler) in [(1, 0xa5), (1, 0xff), (64, 0)] {
                let hole = start..(start + length).min(4 * batch_bytes);
                let result = open_with_hole(directory.path(), &journal, hole.clone(), filler).await;
                assert!(
                    matches!(result, Err(KvError::Corrupt(_))),
                    "hole at {hole:?} of {number}: {result:?}"
                );
                assert_eq!(fs::read(directory.path().join("0.jnl")).unwrap().len(), journal.len());
            }
        }
    }
}

#[tokio::test]
async fn a_new_journal_may_be_torn_in_its_first_batch() {
    for (durable, survivors) in [(vec![1], Some(3)), (vec![3], None)] {
        for hole in [1_000..1_500, 0..1_500, 0..1] {
            let directory = TempDir::new().unwrap();
            let journal = write(directory.path(), 5, &durable).await;
            let third = journal.len() / 5 * 3;
            // the journal was closed behind the third commit, and another one begun
            fs::write(directory.path().join("0.jnl"), &journal[..third]).unwrap();
            let mut torn = journal[third..].to_vec();
            torn[hole].fill(0);
            fs::write(directory.path().join("1.jnl"), torn).unwrap();
            match (EmbeddedKv::open(directory.path(), &EmbeddedOptions::default()), survivors) {
                (Ok(kv), Some(survivors)) => {
                    let rows = kv.scan(Key::new(Table::Ordinals).prefix(), 100).await.unwrap();
                    assert_eq!(rows.len(), survivors);
                }
                (Err(KvError::Corrupt(_)), None) => {}
                (opened, _) => panic!("durable {durable:?}: {opened:?}"),
            }
        }
    }
}

#[tokio::test]
async fn the_journal_is_as_described() {
    let directory = TempDir::new().unwrap();
    let journal = write(directory.path(), 3, &[1]).await;
    let mut rest = &journal[..];
    for (sequence, synced) in [(1, 0), (2, 0), (3, 2)] {
        let batch = take_batch(&mut rest).unwrap();
        assert_eq!(batch.row, Some(SequenceRow { sequence, synced }));
    }
    assert!(rest.is_empty());
    fs::write(directory.path().join("0.jnl"), &journal).unwrap();
    assert_eq!(cut_torn_tail(directory.path()).unwrap(), None);
    assert_eq!(fs::read(directory.path().join("0.jnl")).unwrap(), journal, "a whole journal is left alone");
}

/// Only the newest journal can be torn.
#[tokio::test]
async fn a_hole_in_an_older_journal_is_damage() {
    let directory = TempDir::new().unwrap();
    let journal = write(directory.path(), 4, &[]).await;
    let middle = journal.len() / 2;
    fs::write(directory.path().join("1.jnl"), &journal[middle..]).unwrap();
    for hole in [0..1, middle - 40..middle - 39] {
        let mut older = journal[..middle].to_vec();
        older[hole].fill(0xa5);
        fs::write(directory.path().join("0.jnl"), &older).unwrap();
        let opened = EmbeddedKv::open(directory.path(), &EmbeddedOptions::default());
        assert!(matches!(opened, Err(KvError::Corrupt(_))), "{opened:?}");
        assert_eq!(fs::read(directory.path().join("0.jnl")).unwrap(), older);
    }
}
