use std::collections::BTreeMap;

use tempfile::TempDir;

use super::*;
use crate::Table;
use crate::dice::Dice;
use crate::kv::contract;
use crate::value::golden;

fn open(directory: &TempDir) -> EmbeddedKv {
    EmbeddedKv::open(directory.path(), &EmbeddedOptions::default()).unwrap()
}

fn key(number: u64) -> Key {
    Key::new(Table::Ordinals).number(number)
}

fn batch_of(number: u64, value: &[u8]) -> Batch {
    let mut batch = Batch::default();
    batch.put(key(number), value);
    batch
}

/// The contract wants an empty store for each function; the directories are kept until all have run.
async fn run_contract() {
    let directories = std::sync::Mutex::new(Vec::new());
    let make = async || {
        let directory = TempDir::new().unwrap();
        let kv = Arc::new(open(&directory)) as Arc<dyn Kv>;
        directories.lock().unwrap().push(directory);
        kv
    };
    contract::all(make).await.unwrap();
}

#[tokio::test]
async fn obeys_the_contract_on_one_thread() {
    run_contract().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn obeys_the_contract_on_many_threads() {
    run_contract().await;
}

#[tokio::test]
async fn what_was_committed_is_there_after_reopening_and_versions_go_on() {
    let directory = TempDir::new().unwrap();
    let (durable, deleted);
    {
        let kv = open(&directory);
        durable = kv.commit(batch_of(1, b"durable"), Durability::Durable).await.unwrap();
        kv.commit(batch_of(2, b"buffered"), Durability::Buffered).await.unwrap();
        let mut batch = Batch::default();
        batch.delete(key(2));
        deleted = kv.commit(batch, Durability::Buffered).await.unwrap();
    }
    for _ in 0..3 {
        let kv = open(&directory);
        let row = kv.get(&key(1)).await.unwrap().unwrap();
        assert_eq!((row.version, &*row.value), (durable, &b"durable"[..]));
        assert_eq!(kv.get(&key(2)).await.unwrap(), None);
        // no row has this version any more, and still it is not reused
        assert_eq!(kv.commit(Batch::default(), Durability::Durable).await.unwrap(), deleted);
    }
    let kv = open(&directory);
    assert!(kv.commit(batch_of(3, b"x"), Durability::Durable).await.unwrap() > deleted);
}

#[tokio::test]
async fn a_second_opening_is_refused() {
    let directory = TempDir::new().unwrap();
    let kv = open(&directory);
    let second = EmbeddedKv::open(directory.path(), &EmbeddedOptions::default());
    assert!(matches!(second, Err(KvError::Failed(_))), "{second:?}");
    drop(kv);
    open(&directory);
}

#[tokio::test]
async fn a_full_disk_refuses_puts_and_nothing_else() {
    let directory = TempDir::new().unwrap();
    open(&directory).commit(batch_of(1, b"before"), Durability::Durable).await.unwrap();
    let options = EmbeddedOptions { reserve_bytes: u64::MAX, ..EmbeddedOptions::default() };
    let kv = EmbeddedKv::open(directory.path(), &options).unwrap();
    let mut batch = batch_of(2, b"x");
    batch.delete(key(1));
    assert!(matches!(kv.commit(batch, Durability::Durable).await, Err(KvError::Full)));
    assert_eq!(kv.get(&key(2)).await.unwrap(), None);
    assert_eq!(&*kv.get(&key(1)).await.unwrap().unwrap().value, b"before");
    let mut batch = Batch::default();
    batch.delete(key(1));
    kv.commit(batch, Durability::Durable).await.unwrap();
    assert_eq!(kv.get(&key(1)).await.unwrap(), None);
}

#[tokio::test]
async fn after_a_failure_nothing_is_read_or_written() {
    let directory = TempDir::new().unwrap();
    let kv = open(&directory);
    kv.commit(batch_of(1, b"x"), Durability::Durable).await.unwrap();
    kv.rows.fail(fjall::Error::Io(std::io::Error::other("the disk is gone")));
    for _ in 0..2 {
        for durability in [Durability::Durable, Durability::Buffered] {
            let result = kv.commit(batch_of(2, b"x"), durability).await;
            assert!(
                matches!(&result, Err(KvError::Failed(cause)) if cause.to_string().contains("the disk is gone"))
            );
        }
        assert!(matches!(kv.get(&key(1)).await, Err(KvError::Failed(_))));
        assert!(matches!(kv.scan(key(1).prefix(), 1).await, Err(KvError::Failed(_))));
        assert!(matches!(kv.sync().await, Err(KvError::Failed(_))));
    }
}

#[tokio::test]
async fn long_scans_leave_the_thread_and_answer_the_same() {
    let directory = TempDir::new().unwrap();
    let kv = open(&directory);
    let rows = SCAN_INLINE_ROWS_MAX as u64 + 10;
    let mut batch = Batch::default();
    for number in 0..rows {
        batch.put(key(number), number.to_be_bytes());
    }
    kv.commit(batch, Durability::Buffered).await.unwrap();
    let prefix = Key::new(Table::Ordinals).prefix();
    let long = kv.scan(prefix.clone(), rows as usize * 2).await.unwrap();
    assert_eq!(long.len() as u64, rows);
    assert_eq!(kv.scan(prefix, SCAN_INLINE_ROWS_MAX).await.unwrap(), long[..SCAN_INLINE_ROWS_MAX]);
}

/// Rows of which some are larger than a block of the snapshot.
async fn fill(kv: &EmbeddedKv) -> Vec<(Key, Versioned)> {
    for number in 0..200 {
        let length = if number % 50 == 0 { 1_500_000 } else { number as usize * 7 };
        kv.commit(batch_of(number, &vec![number as u8; length]), Durability::Buffered).await.unwrap();
    }
    let mut batch = Batch::default();
    batch.delete(key(199));
    kv.commit(batch, Durability::Durable).await.unwrap();
    kv.scan(Key::new(Table::Ordinals).prefix(), 1_000).await.unwrap()
}

#[tokio::test]
async fn a_snapshot_brings_all_rows_and_versions_to_another_directory() {
    let (from, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let kv = open(&from);
    let rows = fill(&kv).await;
    let mut snapshot = Vec::new();
    let summary = kv.export_snapshot(&mut snapshot).unwrap();
    assert_eq!(summary, SnapshotSummary { rows: 200, sequence: Version(201) });

    let options = EmbeddedOptions::default();
    assert_eq!(EmbeddedKv::import(to.path(), &options, &mut &snapshot[..]).unwrap(), summary);
    let restored = open(&to);
    assert_eq!(restored.scan(Key::new(Table::Ordinals).prefix(), 1_000).await.unwrap(), rows);
    assert_eq!(restored.commit(batch_of(1, b"x"), Durability::Durable).await.unwrap(), Version(202));
    drop(restored);
    let again = EmbeddedKv::import(to.path(), &options, &mut &snapshot[..]);
    assert!(matches!(again, Err(TransferError::NotEmpty)), "{again:?}");
}

#[tokio::test]
async fn what_a_creation_left_that_was_cut_short_is_no_obstacle() {
    let home = TempDir::new().unwrap();
    let (path, beside) = (home.path().join("state"), home.path().join("state.new"));
    let open = || EmbeddedKv::open(&path, &EmbeddedOptions::default());
    // With a journal and without a marker, fjall refuses for ever.
    std::fs::create_dir_all(beside.join("keyspaces")).unwrap();
    std::fs::write(beside.join("0.jnl"), [0; 100]).unwrap();
    let kv = open().unwrap();
    kv.commit(batch_of(1, b"x"), Durability::Durable).await.unwrap();
    drop(kv);
    assert!(!beside.exists());
    // Without its marker a database is damaged, not new.
    std::fs::rename(path.join("version"), path.join("gone")).unwrap();
    let opened = open();
    assert!(matches!(&opened, Err(KvError::Corrupt(text)) if text.contains("version")), "{opened:?}");
    std::fs::rename(path.join("gone"), path.join("version")).unwrap();
    assert!(open().unwrap().get(&key(1)).await.unwrap().is_some());
}

/// Whatever this release would make of the same rows.
#[tokio::test]
async fn a_snapshot_stays_readable() {
    let (from, to) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let kv = open(&from);
    let numbers = 0..5u8;
    for number in numbers.clone() {
        kv.commit(batch_of(number.into(), &[number; 100]), Durability::Durable).await.unwrap();
    }
    let kept = golden::stored_bytes("snapshot", 1, || {
        let mut snapshot = Vec::new();
        kv.export_snapshot(&mut snapshot).unwrap();
        snapshot
    });
    EmbeddedKv::import(to.path(), &EmbeddedOptions::default(), &mut &kept[..]).unwrap();
    let restored = open(&to).scan(Key::new(Table::Ordinals).prefix(), 10).await.unwrap();
    assert_eq!(restored, kv.scan(Key::new(Table::Ordinals).prefix(), 10).await.unwrap());
    assert_eq!(restored.len(), numbers.len());
}

#[tokio::test]
async fn a_damaged_snapshot_is_refused() {
    let from = TempDir::new().unwrap();
    let kv = open(&from);
    kv.commit(batch_of(1, &[7; 5_000]), Durability::Durable).await.unwrap();
    let mut snapshot = Vec::new();
    kv.export_snapshot(&mut snapshot).unwrap();
    let import = |bytes: &[u8]| {
        let to = TempDir::new().unwrap();
        EmbeddedKv::import(to.path(), &EmbeddedOptions::default(), &mut &bytes[..])
    };
    import(&snapshot).unwrap();
    for length in [0, 5, 8, 15, 30, snapshot.len() - 1] {
        let result = import(&snapshot[..length]);
        assert!(matches!(result, Err(TransferError::Damaged(_))), "cut to {length}: {result:?}");
    }
    for position in (0..snapshot.len()).step_by(3) {
        let mut damaged = snapshot.clone();
        damaged[position] ^= 0x10;
        let result = import(&damaged);
        assert!(matches!(result, Err(TransferError::Damaged(_))), "byte {position}: {result:?}");
    }
}

/// A bit that flips in a table is never read as a value: the row reads as it was written, or what is wrong is named.
#[tokio::test]
async fn a_bit_that_flips_in_a_table_is_noticed() {
    let directory = TempDir::new().unwrap();
    let options = EmbeddedOptions { memtable_bytes: 1 << 20, cache_bytes: 0, ..EmbeddedOptions::default() };
    let open = || EmbeddedKv::open(directory.path(), &options);
    let value = |number: u64| (0..4_000).map(|place| (number * 31 + place) as u8).collect::<Vec<u8>>();
    let kv = open().unwrap();
    for number in 0..1_000 {
        kv.commit(batch_of(number, &value(number)), Durability::Buffered).await.unwrap();
    }
    kv.sync().await.unwrap();
    drop(kv);
    let tables: Vec<_> =
        files(directory.path()).into_iter().filter(|(path, _)| path.contains("/tables/")).collect();
    let bytes_of_tables: u64 = tables.iter().map(|(_, bytes)| bytes).sum();
    assert!(bytes_of_tables > 1 << 20, "{tables:?}");
    let mut dice = Dice::new(7);
    let mut noticed = 0;
    for _ in 0..20 {
        let (path, bytes) = &tables[dice.below(tables.len() as u64) as usize];
        let whole = std::fs::read(path).unwrap();
        let mut damaged = whole.clone();
        damaged[dice.below(*bytes) as usize] ^= 1 << dice.below(8);
        std::fs::write(path, &damaged).unwrap();
        let found = match open() {
            Ok(kv) => {
                let rows = kv.scan(Key::new(Table::Ordinals).prefix(), 2_000).await;
                rows.map(|rows| {
                    assert_eq!(rows.len(), 1_000, "{path}");
                    for (number, (_, row)) in (0..).zip(rows) {
                        assert_eq!(&*row.value, value(number), "{path} {number}");
                    }
                })
            }
            Err(error) => Err(error),
        };
        match found {
            Ok(()) => {}
            Err(KvError::Corrupt(text)) => {
                assert!(text.contains("restore a backup"), "{text}");
                noticed += 1;
            }
            Err(error) => panic!("{path}: {error:?}"),
        }
        std::fs::write(path, whole).unwrap();
    }
    assert!(noticed >= 10, "only {noticed} of 20 were noticed");
}

/// What says of which files the state consists, and where their parts are: no table is taken for a left-over and deleted, no
/// length is believed.
#[tokio::test]
async fn a_bit_that_flips_in_what_the_state_consists_of_is_noticed() {
    let directory = TempDir::new().unwrap();
    let options = EmbeddedOptions { memtable_bytes: 1 << 20, ..EmbeddedOptions::default() };
    let open = || EmbeddedKv::open(directory.path(), &options);
    let kv = open().unwrap();
    for number in 0..600 {
        kv.commit(batch_of(number, &[7; 4_000]), Durability::Buffered).await.unwrap();
    }
    kv.sync().await.unwrap();
    drop(kv);
    let rows = async || Ok(open()?.scan(Key::new(Table::Ordinals).prefix(), 2_000).await?.len());
    let keyspaces = directory.path().join("keyspaces");
    let whole: BTreeMap<String, Vec<u8>> =
        files(&keyspaces).into_iter().map(|(path, _)| (path.clone(), std::fs::read(path).unwrap())).collect();
    let mut dice = Dice::new(3);
    let mut noticed = 0;
    for turn in 0..100 {
        let (path, bytes) = whole.iter().nth(dice.below(whole.len() as u64) as usize).unwrap();
        let mut damaged = bytes.clone();
        let place = damaged.len() - 1 - dice.below(damaged.len().min(400) as u64) as usize;
        match damaged.windows(4).rposition(|window| window == b"TOC!") {
            // The number of entries, of which a large one is more than there is memory for.
            Some(start) if turn % 10 == 0 => damaged[start + 7] ^= 0x80,
            // What fjall takes for granted of a list.
            _ if turn % 10 == 1 => damaged[0] ^= 1 << dice.below(8),
            _ => damaged[place] ^= 1 << dice.below(8),
        }
        std::fs::write(path, &damaged).unwrap();
        match rows().await {
            Ok(rows) => assert_eq!(rows, 600, "{path} {place}"),
            Err(KvError::Corrupt(text)) => {
                assert!(text.contains("restore a backup"), "{text}");
                noticed += 1;
                // Nothing was done to the other files.
                std::fs::write(path, bytes).unwrap();
                assert_eq!(rows().await.unwrap(), 600, "{path} {place}");
            }
            Err(error) => panic!("{path} {place}: {error:?}"),
        }
        for (path, _) in files(&keyspaces) {
            std::fs::remove_file(path).unwrap();
        }
        for (path, bytes) in &whole {
            std::fs::write(path, bytes).unwrap();
        }
    }
    // The others lie in what the next start removes, or where nothing stands.
    assert!(noticed >= 50, "only {noticed} of 100 were noticed");
}

/// All files below a directory, with their sizes.
fn files(directory: &std::path::Path) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(files(&entry.path()));
        } else {
            found.push((entry.path().display().to_string(), entry.metadata().unwrap().len()));
        }
    }
    found
}
