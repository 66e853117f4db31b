//! What every [`Kv`] must do, as functions that any back end and any wrapper runs: see [`all`].
//!
//! Each function wants an empty store. A broken promise panics; an error of the store is returned.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::{BATCH_BYTES_MAX, Batch, Durability, KEY_BYTES_MAX, Kv, KvError, Version};
use crate::dice::Dice;
use crate::key::{Key, KeyRange, Table};

mod model;

pub use model::agrees_with_a_model;

/// Seeds of the property test that [`all`] runs.
const MODEL_SEEDS: u64 = 8;

/// Runs the whole contract, each function on a store of its own that `make` provides.
pub async fn all<Make>(make: Make) -> Result<(), KvError>
where
    Make: AsyncFn() -> Arc<dyn Kv>,
{
    absent_rows_read_as_none(&*make().await).await?;
    versions_rise_and_are_never_reused(&*make().await).await?;
    a_conflict_leaves_nothing_done(&*make().await).await?;
    absence_can_be_checked(&*make().await).await?;
    a_batch_may_only_check(&*make().await).await?;
    the_later_write_wins(&*make().await).await?;
    a_scan_is_ordered_and_limited(&*make().await).await?;
    a_scan_stays_within_its_range(&*make().await).await?;
    values_are_any_bytes(&*make().await).await?;
    keys_are_any_bytes(&*make().await).await?;
    what_is_too_large_is_refused(&*make().await).await?;
    a_key_that_cannot_be_is_absent(&*make().await).await?;
    a_batch_is_seen_whole(make().await).await?;
    concurrent_counting_loses_nothing(make().await).await?;
    for seed in 0..MODEL_SEEDS {
        agrees_with_a_model(&*make().await, seed).await?;
    }
    Ok(())
}

fn key(name: &str) -> Key {
    Key::new(Table::Settings).text(name)
}

async fn put(kv: &dyn Kv, key: &Key, value: &[u8]) -> Result<Version, KvError> {
    let mut batch = Batch::default();
    batch.put(key.clone(), value);
    kv.commit(batch, Durability::Durable).await
}

async fn delete(kv: &dyn Kv, key: &Key) -> Result<Version, KvError> {
    let mut batch = Batch::default();
    batch.delete(key.clone());
    kv.commit(batch, Durability::Durable).await
}

/// The value of a row that must exist.
async fn value_of(kv: &dyn Kv, key: &Key) -> Result<Arc<[u8]>, KvError> {
    let row = kv.get(key).await?;
    Ok(row.unwrap_or_else(|| panic!("{key:?} is absent")).value)
}

fn assert_conflict(result: Result<Version, KvError>, expected: &Key) {
    match result {
        Err(KvError::Conflict(key)) => assert_eq!(key, *expected, "the conflict names another row"),
        other => panic!("expected a conflict on {expected:?}, got {other:?}"),
    }
}

/// Rows that were never written or are deleted read as `None`, in the place of their key.
pub async fn absent_rows_read_as_none(kv: &dyn Kv) -> Result<(), KvError> {
    let (a, b, c) = (key("a"), key("b"), key("c"));
    assert_eq!(kv.get(&a).await?, None);
    assert!(kv.get_many(&[]).await?.is_empty());
    put(kv, &b, b"1").await?;
    let found = kv.get_many(&[c.clone(), b.clone(), a.clone(), b.clone()]).await?;
    let found: Vec<Option<&[u8]>> = found.iter().map(|row| row.as_ref().map(|row| &*row.value)).collect();
    assert_eq!(found, [None, Some(&b"1"[..]), None, Some(b"1")]);
    delete(kv, &b).await?;
    assert_eq!(kv.get(&b).await?, None);
    // deleting what is absent is no error
    delete(kv, &a).await?;
    Ok(())
}

/// No row has a key above [`KEY_BYTES_MAX`]: it reads as absent, can be checked to be, and bounds a scan, however long it is.
pub async fn a_key_that_cannot_be_is_absent(kv: &dyn Kv) -> Result<(), KvError> {
    let longest = |last: &str| {
        let room = KEY_BYTES_MAX - key("").as_bytes().len() - last.len();
        key(&format!("{}{last}", "m".repeat(room)))
    };
    for name in ["a", "z"] {
        put(kv, &key(name), b"1").await?;
    }
    put(kv, &longest("m"), b"1").await?;
    put(kv, &longest("n"), b"1").await?;
    for bytes in [KEY_BYTES_MAX + 1, 70_000] {
        let long = key(&"m".repeat(bytes));
        assert_eq!(kv.get_many(&[long.clone(), key("a")]).await?.iter().flatten().count(), 1, "{bytes}");
        let mut batch = Batch::default();
        batch.check(long.clone(), Version::ABSENT);
        kv.commit(batch, Durability::Durable).await?;
        let table = Key::new(Table::Settings);
        let before = kv.scan(KeyRange { from: table.clone(), to: long.clone() }, 10).await?;
        let behind = kv.scan(KeyRange { from: long, to: table.after_prefix() }, 10).await?;
        let names =
            |rows: &[(Key, super::Versioned)]| rows.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
        assert_eq!(names(&before), [key("a"), longest("m")], "{bytes}");
        assert_eq!(names(&behind), [longest("n"), key("z")], "{bytes}");
    }
    Ok(())
}

/// Each commit has a larger version than all before it, also for a row that was deleted and written again, and rows tell
/// the version of the commit that wrote them.
pub async fn versions_rise_and_are_never_reused(kv: &dyn Kv) -> Result<(), KvError> {
    let (a, b) = (key("a"), key("b"));
    let mut newest = Version::ABSENT;
    for round in 0..10_u8 {
        for durability in [Durability::Buffered, Durability::Durable] {
            let mut batch = Batch::default();
            batch.put(a.clone(), [round]).put(b.clone(), [round]);
            let version = kv.commit(batch, durability).await?;
            assert!(version > newest, "{version:?} after {newest:?}");
            for row in kv.get_many(&[a.clone(), b.clone()]).await? {
                assert_eq!(row.map(|row| row.version), Some(version));
            }
            newest = version;
        }
        let version = delete(kv, &a).await?;
        assert!(version > newest, "a delete is a commit too");
        newest = version;
    }
    let scanned = kv.scan(Key::new(Table::Settings).prefix(), 10).await?;
    let row = kv.get(&b).await?;
    assert_eq!(scanned.first().map(|(_, row)| row), row.as_ref(), "a scan and a read tell the same");
    Ok(())
}

/// One check that fails refuses the whole batch, and names the row.
pub async fn a_conflict_leaves_nothing_done(kv: &dyn Kv) -> Result<(), KvError> {
    let (a, b, c) = (key("a"), key("b"), key("c"));
    let stale = put(kv, &a, b"old").await?;
    put(kv, &a, b"new").await?;
    let at_b = put(kv, &b, b"b").await?;
    let mut batch = Batch::default();
    batch
        .check(b.clone(), at_b)
        .check(a.clone(), stale)
        .put(a.clone(), *b"x")
        .put(c.clone(), *b"x")
        .delete(b.clone());
    assert_conflict(kv.commit(batch, Durability::Durable).await, &a);
    assert_eq!(*value_of(kv, &a).await?, *b"new");
    assert_eq!(*value_of(kv, &b).await?, *b"b");
    assert_eq!(kv.get(&c).await?, None);
    Ok(())
}

/// [`Version::ABSENT`] checks that there is no row; a deleted row is absent, and its old version matches no more.
pub async fn absence_can_be_checked(kv: &dyn Kv) -> Result<(), KvError> {
    let a = key("a");
    let create = || {
        let mut batch = Batch::default();
        batch.check(a.clone(), Version::ABSENT).put(a.clone(), *b"created");
        batch
    };
    let created = kv.commit(create(), Durability::Durable).await?;
    assert_conflict(kv.commit(create(), Durability::Durable).await, &a);
    delete(kv, &a).await?;
    let mut batch = Batch::default();
    batch.check(a.clone(), created).put(a.clone(), *b"x");
    assert_conflict(kv.commit(batch, Durability::Durable).await, &a);
    kv.commit(create(), Durability::Durable).await?;
    Ok(())
}

/// A batch without writes checks; an empty one does nothing; neither makes a version.
pub async fn a_batch_may_only_check(kv: &dyn Kv) -> Result<(), KvError> {
    let a = key("a");
    let version = put(kv, &a, b"1").await?;
    let check = |version| {
        let mut batch = Batch::default();
        batch.check(a.clone(), version);
        batch
    };
    assert_eq!(kv.commit(check(version), Durability::Durable).await?, version);
    assert_conflict(kv.commit(check(Version::ABSENT), Durability::Buffered).await, &a);
    assert_eq!(kv.commit(Batch::default(), Durability::Buffered).await?, version);
    kv.sync().await?;
    Ok(())
}

/// Within a batch the last write of a key counts, whatever it is.
pub async fn the_later_write_wins(kv: &dyn Kv) -> Result<(), KvError> {
    let (a, b, c) = (key("a"), key("b"), key("c"));
    put(kv, &c, b"before").await?;
    let mut batch = Batch::default();
    batch.put(a.clone(), *b"first").put(a.clone(), *b"second");
    batch.put(b.clone(), *b"first").delete(b.clone());
    batch.delete(c.clone()).put(c.clone(), *b"second");
    let version = kv.commit(batch, Durability::Durable).await?;
    assert_eq!(*value_of(kv, &a).await?, *b"second");
    assert_eq!(kv.get(&b).await?, None);
    assert_eq!(*value_of(kv, &c).await?, *b"second");
    assert_eq!(kv.get(&c).await?.map(|row| row.version), Some(version));
    Ok(())
}

/// Rows come in key order, as many as asked for; pages by [`Key::prefix_after`] give each row once.
pub async fn a_scan_is_ordered_and_limited(kv: &dyn Kv) -> Result<(), KvError> {
    const ROWS: u64 = 57;
    let row_key = |number: u64| Key::new(Table::Ordinals).text("app").number(number);
    let prefix = Key::new(Table::Ordinals).text("app");
    let mut batch = Batch::default();
    // 20 and 57 share no factor: every number once, out of order
    for step in 0..ROWS {
        batch.put(row_key(step * 20 % ROWS), (step * 20 % ROWS).to_be_bytes());
    }
    kv.commit(batch, Durability::Buffered).await?;

    assert!(kv.scan(prefix.prefix(), 0).await?.is_empty());
    let all = kv.scan(prefix.prefix(), 10_000).await?;
    let expected: Vec<Key> = (0..ROWS).map(row_key).collect();
    assert_eq!(all.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), expected);
    for (number, (_, row)) in all.iter().enumerate() {
        assert_eq!(*row.value, (number as u64).to_be_bytes());
    }
    for limit in [1, 10, 19, 57, 58] {
        let mut range = prefix.prefix();
        let mut paged = Vec::new();
        loop {
            let page = kv.scan(range, limit).await?;
            assert!(page.len() <= limit);
            let Some((last, _)) = page.last() else { break };
            range = prefix.prefix_after(last);
            paged.extend(page);
        }
        assert_eq!(paged, all, "pages of {limit}");
    }
    Ok(())
}

/// `from` is included and `to` is not; neighbours in other tables are not seen; a range that is empty or reversed is no
/// error; deleted rows are not seen.
pub async fn a_scan_stays_within_its_range(kv: &dyn Kv) -> Result<(), KvError> {
    let names = ["", "a", "b", "ba", "c"];
    for table in [Table::Endpoints, Table::Ordinals, Table::Users] {
        for name in names {
            put(kv, &Key::new(table).text(name), b"1").await?;
        }
    }
    let ordinal = |name: &str| Key::new(Table::Ordinals).text(name);
    let scanned = async |range: KeyRange| -> Result<Vec<String>, KvError> {
        let mut found = Vec::new();
        for (key, _) in kv.scan(range, 100).await? {
            assert_eq!(key.as_bytes().first(), Some(&(Table::Ordinals as u8)), "a row of another table");
            found.extend(key.components().text());
        }
        Ok(found)
    };
    assert_eq!(scanned(Key::new(Table::Ordinals).prefix()).await?, names);
    assert_eq!(scanned(KeyRange { from: ordinal("a"), to: ordinal("c") }).await?, ["a", "b", "ba"]);
    assert_eq!(scanned(ordinal("b").prefix()).await?, ["b"]);
    assert!(scanned(KeyRange { from: ordinal("b"), to: ordinal("b") }).await?.is_empty());
    assert!(scanned(KeyRange { from: ordinal("c"), to: ordinal("a") }).await?.is_empty());
    delete(kv, &ordinal("b")).await?;
    assert_eq!(scanned(KeyRange { from: ordinal("a"), to: ordinal("c") }).await?, ["a", "ba"]);
    Ok(())
}

/// Values of no bytes and of a megabyte come back as they were; an empty value is not an absent row.
pub async fn values_are_any_bytes(kv: &dyn Kv) -> Result<(), KvError> {
    let (a, b) = (key("empty"), key("large"));
    let mut dice = Dice::new(1);
    let large: Vec<u8> = (0..1 << 20).map(|_| dice.roll() as u8).collect();
    let version = put(kv, &a, &[]).await?;
    put(kv, &b, &large).await?;
    assert!(value_of(kv, &a).await?.is_empty());
    assert_eq!(*value_of(kv, &b).await?, *large);
    let mut batch = Batch::default();
    batch.check(a.clone(), Version::ABSENT);
    assert_conflict(kv.commit(batch, Durability::Durable).await, &a);
    let mut batch = Batch::default();
    batch.check(a, version);
    kv.commit(batch, Durability::Durable).await?;
    Ok(())
}

/// Keys are ordered as unsigned bytes, whatever the bytes are, up to the longest key.
pub async fn keys_are_any_bytes(kv: &dyn Kv) -> Result<(), KvError> {
    let tag = Table::Members as u8;
    let longest = [vec![tag, 0x80], vec![0xff; KEY_BYTES_MAX - 2]].concat();
    let tails: [&[u8]; 7] = [&[], &[0], &[0, 0], &[1], &[0x7f, 0xff], &[0x80], &[0xff, 0, 0xff]];
    let mut expected: BTreeMap<Key, Vec<u8>> =
        tails.into_iter().map(|tail| (Key::from_bytes(&[&[tag], tail].concat()), tail.to_vec())).collect();
    expected.insert(Key::from_bytes(&longest), b"longest".to_vec());
    for (key, value) in expected.iter().rev() {
        put(kv, key, value).await?;
    }
    let scanned = kv.scan(Key::new(Table::Members).prefix(), 100).await?;
    let scanned: Vec<(Key, Vec<u8>)> =
        scanned.into_iter().map(|(key, row)| (key, row.value.to_vec())).collect();
    assert_eq!(scanned, expected.into_iter().collect::<Vec<_>>());
    Ok(())
}

/// A key or batch beyond the limits is refused as a whole, and the store goes on.
pub async fn what_is_too_large_is_refused(kv: &dyn Kv) -> Result<(), KvError> {
    let a = key("a");
    let mut long_key = Batch::default();
    long_key.put(a.clone(), *b"x").put(Key::from_bytes(&vec![1; KEY_BYTES_MAX + 1]), *b"x");
    let mut large_batch = Batch::default();
    large_batch.put(a.clone(), vec![0; BATCH_BYTES_MAX]);
    for batch in [long_key, large_batch] {
        let refused = kv.commit(batch, Durability::Durable).await;
        assert!(matches!(refused, Err(KvError::TooLarge { .. })), "{refused:?}");
        assert_eq!(kv.get(&a).await?, None);
    }
    put(kv, &a, b"1").await?;
    Ok(())
}

/// No reader sees a part of a batch, by keys or by scan.
pub async fn a_batch_is_seen_whole(kv: Arc<dyn Kv>) -> Result<(), KvError> {
    const ROUNDS: u64 = 200;
    const ROWS: u64 = 8;
    let keys: Vec<Key> = (0..ROWS).map(|number| Key::new(Table::Ordinals).number(number)).collect();
    let mut tasks: JoinSet<Result<(), KvError>> = JoinSet::new();
    let writing = (Arc::clone(&kv), keys.clone());
    tasks.spawn(async move {
        let (kv, keys) = writing;
        for round in 0..ROUNDS {
            let mut batch = Batch::default();
            for key in &keys {
                batch.put(key.clone(), round.to_be_bytes());
            }
            kv.commit(batch, Durability::Buffered).await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    });
    for _ in 0..2 {
        let (kv, keys) = (Arc::clone(&kv), keys.clone());
        tasks.spawn(async move {
            for _ in 0..ROUNDS {
                let rows = kv.get_many(&keys).await?;
                assert!(rows.iter().all(|row| *row == rows[0]), "a part of a batch was read: {rows:?}");
                let scanned = kv.scan(Key::new(Table::Ordinals).prefix(), keys.len()).await?;
                assert!(scanned.iter().all(|(_, row)| *row == scanned[0].1), "a part of a batch was scanned");
                assert!(scanned.is_empty() || scanned.len() == keys.len());
                tokio::task::yield_now().await;
            }
            Ok(())
        });
    }
    finish(tasks).await
}

/// Tasks that read, add one, and commit with a check, trying again after a conflict, count every addition.
pub async fn concurrent_counting_loses_nothing(kv: Arc<dyn Kv>) -> Result<(), KvError> {
    const TASKS: u64 = 8;
    const ADDITIONS: u64 = 40;
    let mut tasks: JoinSet<Result<(), KvError>> = JoinSet::new();
    for _ in 0..TASKS {
        let kv = Arc::clone(&kv);
        tasks.spawn(async move {
            for _ in 0..ADDITIONS {
                while !add_one(&*kv, &key("counter")).await? {
                    tokio::task::yield_now().await;
                }
            }
            Ok(())
        });
    }
    finish(tasks).await?;
    assert_eq!(*value_of(&*kv, &key("counter")).await?, (TASKS * ADDITIONS).to_be_bytes());
    Ok(())
}

/// False after a conflict.
async fn add_one(kv: &dyn Kv, counter: &Key) -> Result<bool, KvError> {
    let row = kv.get(counter).await?;
    let count = row
        .as_ref()
        .and_then(|row| row.value.first_chunk::<8>())
        .map_or(0, |bytes| u64::from_be_bytes(*bytes));
    let mut batch = Batch::default();
    batch.check(counter.clone(), row.map_or(Version::ABSENT, |row| row.version));
    batch.put(counter.clone(), (count + 1).to_be_bytes());
    match kv.commit(batch, Durability::Durable).await {
        Ok(_) => Ok(true),
        Err(KvError::Conflict(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Waits for all tasks; a panic in one is a panic here.
async fn finish(mut tasks: JoinSet<Result<(), KvError>>) -> Result<(), KvError> {
    while let Some(joined) = tasks.join_next().await {
        match joined {
            Ok(result) => result?,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    Ok(())
}
