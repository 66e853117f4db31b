//! The end of an application.

use std::collections::BTreeSet;
use std::time::Duration;

use domain::audience::AppKey;
use domain::records::{Body, EndpointItem};
use engine::SHARD;
use engine::due::{self, Next};
use store::key::Scope;
use store::tables::audiences::summary_key;
use store::tables::due::Task;
use store::tables::outbox::{Claimed, Lane, Page, Source, claimed_key, page_key};
use store::tables::{apps, definitions};
use store::value::encode;
use store::{Batch, Key, Log, Table};

use crate::jobs::world::app;
use crate::world::World;

impl World {
    /// An application with an audience, and `rows` rows in every table that it could have rows in.
    async fn application(&self, app: &AppKey, rows: u64) {
        let items =
            vec![EndpointItem { id: "e", json: r#"{"ChannelType":"EMAIL","Address":"e@example.com"}"# }];
        self.append(app, Body::Endpoints { items }).await;
        self.project().await;
        let (account, id) = (app.account.as_str(), app.app.as_str());
        let mut batch = Batch::default();
        for table in Table::ALL.into_iter().filter(|table| table.scope() == Scope::App) {
            let prefix = Key::new(table).text(account).text(id);
            if table != Table::Audiences {
                for row in 0..rows {
                    batch.put(prefix.clone().number(row), Vec::new());
                }
            }
        }
        let now = self.context.now();
        let settings = definitions::settings(account);
        settings.create(&mut batch, id, "{}".to_owned(), std::collections::BTreeMap::default(), now);
        for lane in Lane::ALL {
            let page = Page {
                id: format!("{id}{lane:?}"),
                app: app.clone(),
                lane,
                source: Source::Direct { request: "r".to_owned() },
                attempt: 1,
                created: now,
                expires: now,
                recipients: Vec::new(),
            };
            batch.put(page_key(SHARD, &page, now), encode(&page));
            batch.put(claimed_key(SHARD, &page.id), encode(&Claimed(1)));
        }
        self.commit(batch).await;
    }

    async fn due_now(&self, app: &AppKey, task: Task) {
        self.due(app, Duration::ZERO, task).await;
        self.engine.due.notify_one();
    }

    /// All rows but those of work to be done.
    fn rows(&self) -> BTreeSet<Key> {
        let rows = self.kv.inner.snapshot().into_keys();
        rows.filter(|key| key.as_bytes()[0] != Table::Due as u8 && key.as_bytes()[0] != Table::Meta as u8)
            .collect()
    }
}

#[tokio::test]
async fn everything_of_a_deleted_application_goes_and_nothing_of_another() {
    let world = World::new();
    world.application(&app("other"), 10).await;
    let others = world.rows();
    world.application(&app("gone"), 700).await;
    world.due_now(&app("gone"), Task::PurgeApp).await;
    assert_eq!(due::step(&world.engine).await.unwrap(), Next::Progress);
    assert_eq!(world.log.end(SHARD).0, 3);

    // Nobody waits until that is projected; calls that were under way may still write.
    world.pass(Duration::from_secs(61));
    world.due_now(&app("another"), Task::CampaignStart { campaign: "c".to_owned() }).await;
    assert_eq!(due::step(&world.engine).await.unwrap(), Next::Progress);
    let Next::Wait(Some(again)) = due::step(&world.engine).await.unwrap() else { panic!("erased too early") };
    assert_eq!(again.since(world.context.now()), Duration::from_secs(1));
    assert_eq!(world.log.end(SHARD).0, 3, "the log is told once");
    world.project().await;
    assert!(
        world
            .kv
            .inner
            .snapshot()
            .contains_key(&Key::new(Table::Caps).text("123456789012").text("gone").number(0))
    );

    world.pass(Duration::from_secs(1));
    world.kv.durable_commits();
    while due::step(&world.engine).await.unwrap() == Next::Progress {}
    assert_eq!(world.kv.durable_commits(), 0);
    let mut expected = others;
    expected.insert(summary_key(&app("gone")));
    assert_eq!(world.rows(), expected);
    assert_eq!(due::step(&world.engine).await.unwrap(), Next::Wait(None));
}

#[tokio::test]
async fn rows_are_removed_from_where_it_stopped_on() {
    let world = World::new();
    world.application(&app("gone"), 4_000).await;
    world.due_now(&app("gone"), Task::PurgeApp).await;
    due::step(&world.engine).await.unwrap();
    world.project().await;
    world.pass(Duration::from_mins(1));
    let prefixes = apps::all(SHARD, &app("gone"));
    let mut reached = prefixes[0].clone();
    for _ in 0..10 {
        world.kv.scans();
        assert_eq!(due::step(&world.engine).await.unwrap(), Next::Progress);
        let of_work = [Table::Due as u8, Table::Meta as u8];
        for begun in world.kv.scans().into_iter().filter(|key| !of_work.contains(&key.as_bytes()[0])) {
            assert!(begun >= reached, "{begun:?} lies before {reached:?}");
            reached = begun;
        }
    }
}
