use super::*;
use crate::Table;
use crate::kv::contract;

fn key(name: &str) -> Key {
    Key::new(Table::Settings).text(name)
}

async fn put(kv: &MemoryKv, name: &str, value: &str, durability: Durability) -> Version {
    let mut batch = Batch::default();
    batch.put(key(name), value.as_bytes());
    kv.commit(batch, durability).await.unwrap()
}

#[tokio::test]
async fn obeys_the_contract() {
    contract::all(async || Arc::new(MemoryKv::new()) as Arc<dyn Kv>).await.unwrap();
}

#[tokio::test]
async fn a_power_cut_leaves_a_prefix_of_the_buffered_commits() {
    let kv = MemoryKv::new();
    put(&kv, "a", "durable", Durability::Durable).await;
    let at_durable = kv.snapshot();
    let first = put(&kv, "a", "first", Durability::Buffered).await;
    let at_first = kv.snapshot();
    put(&kv, "b", "second", Durability::Buffered).await;
    let mut batch = Batch::default();
    batch.delete(key("a")).put(key("b"), *b"x").put(key("b"), *b"third");
    kv.commit(batch, Durability::Buffered).await.unwrap();
    assert_eq!(kv.buffered_commits(), 3);

    assert_eq!(kv.lose_buffered(1), 2);
    assert_eq!(kv.snapshot(), at_first);
    assert_eq!(kv.get(&key("a")).await.unwrap().unwrap().version, first);
    // what survived the cut is on disk
    assert_eq!(kv.lose_buffered(0), 0);
    assert_eq!(kv.snapshot(), at_first);

    put(&kv, "a", "again", Durability::Buffered).await;
    kv.lose_buffered(0);
    assert_eq!(kv.snapshot(), at_first);
    assert_ne!(at_first, at_durable);
}

#[tokio::test]
async fn a_durable_commit_and_a_sync_make_all_before_them_durable() {
    for sync in [false, true] {
        let kv = MemoryKv::new();
        put(&kv, "a", "buffered", Durability::Buffered).await;
        if sync {
            kv.sync().await.unwrap();
        } else {
            put(&kv, "b", "durable", Durability::Durable).await;
        }
        let before = kv.snapshot();
        assert_eq!(kv.lose_buffered(0), 0);
        assert_eq!(kv.snapshot(), before);
    }
}

#[tokio::test]
async fn a_refused_commit_is_nothing_to_take_back() {
    let kv = MemoryKv::new();
    let mut batch = Batch::default();
    batch.check(key("a"), Version(7)).put(key("a"), *b"x");
    kv.commit(batch, Durability::Buffered).await.unwrap_err();
    assert_eq!(kv.buffered_commits(), 0);
}
