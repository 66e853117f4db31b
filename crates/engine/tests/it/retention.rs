//! How long it is kept what became of deliveries.

use std::sync::Arc;
use std::time::Duration;

use domain::records::SendStatus;
use domain::time::Timestamp;
use engine::retention::Retention;
use store::tables::outbox::{Outcome, outcome_key, unknown_key};
use store::value::encode;
use store::{Batch, Key, Kv, Table};

use crate::jobs::world::app;
use crate::world::World;

const DAY: Duration = Duration::from_hours(24);

fn outcome(endpoint: &str, sent: Timestamp) -> Arc<[u8]> {
    encode(&Outcome {
        endpoint: endpoint.to_owned(),
        address: String::new(),
        campaign: None,
        run: None,
        treatment: 0,
        status: SendStatus::Unknown,
        attempt: 1,
        code: None,
        detail: String::new(),
        sent,
    })
}

impl World {
    async fn rows_of(&self, table: Table) -> usize {
        self.kv.scan(Key::new(table).prefix(), 10_000).await.unwrap().len()
    }
}

#[tokio::test]
async fn outcomes_are_removed_once_they_are_too_old() {
    let world = World::new();
    world.pass(100 * DAY);
    let mut batch = Batch::default();
    for (days, endpoints) in [(10, 0..700), (40, 700..1_300)] {
        for number in endpoints {
            let (endpoint, delivery) = (format!("e{number}"), format!("d{number}"));
            let row = outcome(&endpoint, world.context.now().minus(days * DAY));
            batch.put(outcome_key(&app("a"), &endpoint, &delivery), Arc::<[u8]>::clone(&row));
            batch.put(unknown_key(&app("a"), &delivery), row);
        }
    }
    // What cannot be read is nobody's to remove, and stops nothing.
    batch.put(outcome_key(&app("a"), "damaged", "d"), vec![255]);
    world.commit(batch).await;

    let mut retention = Retention::new(30 * DAY);
    while retention.step(&world.engine).await.unwrap() {}
    assert_eq!((world.rows_of(Table::Unknown).await, world.rows_of(Table::Deliveries).await), (700, 701));
    while retention.step(&world.engine).await.unwrap() {}
    assert_eq!(world.rows_of(Table::Unknown).await, 700);
    world.pass(20 * DAY);
    while retention.step(&world.engine).await.unwrap() {}
    assert_eq!(world.rows_of(Table::Deliveries).await, 701, "30 days are not over 30 days");
    world.pass(Duration::from_millis(1));
    while retention.step(&world.engine).await.unwrap() {}
    assert_eq!((world.rows_of(Table::Unknown).await, world.rows_of(Table::Deliveries).await), (0, 1));
}
