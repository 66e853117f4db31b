//! The end of an application: the log says that it was deleted, then its rows are removed page by page.

use std::time::Duration;

use domain::audience::AppKey;
use domain::records::{Body, Record};
use store::tables::apps;
use store::tables::due::{Due, Task};
use store::tables::outbox::{Page, claimed_key};
use store::value::{decode, encode};
use store::{Batch, Durability, Key, KvError, LogError, Position, Table};

use crate::Engine;
use crate::campaigns::DueRow;
use crate::due::DueError;
use crate::handle::SHARD;

/// Rows removed in one commit.
const ERASE_ROWS: usize = 1_000;
/// The wait before the rows are removed: calls that found the application before it was deleted are over by then, and so is
/// what they write.
const CALLS_END_WITHIN: Duration = Duration::from_mins(1);
/// The wait before it is looked at again whether the log has room, or the projection is behind the record.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// Tells the log, and with it every consumer, that the application was deleted.
pub(crate) async fn purge(engine: &Engine, row: &DueRow) -> Result<(), DueError> {
    let app: &AppKey = &row.due.app;
    let record = Record {
        account: app.account.as_str(),
        app: app.app.as_str(),
        request_id: "",
        body: Body::AppDeleted,
    };
    let position = match engine.append(app, &record).await {
        Ok(position) => position,
        // Others need not wait until there is room.
        Err(LogError::Full) => return put_off(engine, row).await,
        Err(error) => return Err(error.into()),
    };
    let task = Task::EraseApp { record: position.0, from: Vec::new() };
    let due = Due { task, ..row.due.clone() };
    let mut batch = Batch::default();
    row.done(&mut batch);
    batch.put(due.key(SHARD, engine.context.now().plus(CALLS_END_WITHIN)), encode(&due));
    commit(engine, batch, Durability::Durable).await.map(drop)
}

/// Removes the next rows, from the key on up to which that is done.
pub(crate) async fn erase(engine: &Engine, row: &DueRow, record: u64, from: &[u8]) -> Result<(), DueError> {
    // Before that the projection may still write rows.
    if engine.projected() <= Position(record) {
        return put_off(engine, row).await;
    }
    let mut batch = Batch::default();
    row.done(&mut batch);
    let (last, pages) = remove_rows(engine, &row.due.app, &Key::from_bytes(from), &mut batch).await?;
    if let Some(last) = last {
        let task = Task::EraseApp { record, from: last.successor().as_bytes().to_vec() };
        let due = Due { task, ..row.due.clone() };
        batch.put(due.key(SHARD, engine.context.now()), encode(&due));
    }
    // A crash takes the row back together with what it removed.
    if commit(engine, batch, Durability::Buffered).await? {
        engine.queues.rows.removed(&row.due.app.account, pages);
    }
    Ok(())
}

/// Adds the removal of the next rows to a batch. Answers the last of them (`None`: there are no more behind them), and how many
/// of all were pages of the outbox.
async fn remove_rows(
    engine: &Engine,
    app: &AppKey,
    from: &Key,
    batch: &mut Batch,
) -> Result<(Option<Key>, usize), KvError> {
    let (mut left, mut pages) = (ERASE_ROWS, 0);
    for prefix in apps::all(SHARD, app) {
        let mut range = prefix.prefix();
        if range.to <= *from {
            continue;
        }
        range.from = range.from.max(from.clone());
        let rows = engine.kv.scan(range, left).await?;
        left -= rows.len();
        for (key, row) in &rows {
            if key.as_bytes().first() == Some(&(Table::Outbox as u8)) {
                pages += 1;
                if let Ok(page) = decode::<Page>(&row.value) {
                    batch.delete(claimed_key(SHARD, &page.id));
                }
            }
            batch.delete(key.clone());
        }
        if left == 0 {
            return Ok((rows.last().map(|(key, _)| key.clone()), pages));
        }
    }
    Ok((None, pages))
}

async fn put_off(engine: &Engine, row: &DueRow) -> Result<(), DueError> {
    Ok(row.put_off(engine, engine.context.now().plus(LOOK_AGAIN)).await?)
}

/// Answers whether it was committed: a conflict means that the row was carried out already.
async fn commit(engine: &Engine, batch: Batch, durability: Durability) -> Result<bool, DueError> {
    match engine.kv.commit(batch, durability).await {
        Ok(_) => Ok(true),
        Err(KvError::Conflict(_)) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
