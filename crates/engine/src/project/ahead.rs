//! Records of the log prepared for folding: what can be read without the state, and the rows that they name.
//!
//! Folding is one thing after another; preparing is not, so where there is a second processor it runs beside the folding of
//! earlier records ([`ReadAhead`]). Rows that are read so may be older than what is folded meanwhile: each record tells of
//! which state its rows are, and the working set keeps what changed since ([`super::working`]).

use domain::audience::{AppKey, Found, Row, rows_named};
use domain::endpoints::{EndpointUpdate, Invalid, check_endpoint_id};
use domain::ids::folded;
use domain::records::{Body, EndpointItem, ImportPiece};
use store::Position;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::working::{app_key, read_rows};
use super::{ProjectError, YIELD_BYTES, read};
use crate::Engine;
use crate::handle::SHARD;

/// Bytes of the log that are prepared together, at most (but at least one record): updates take about five times as many
/// when they are read.
const BATCH_BYTES_MAX: usize = 1 << 20;
/// Batches that wait while one is folded.
const BATCHES_MAX: usize = 1;

/// A record, and what was read for it.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) record: store::Record,
    /// What the record says of each endpoint, or why that is refused: of updates and of pieces of an import.
    pub(super) updates: Vec<Result<EndpointUpdate, Invalid>>,
    pub(super) rows: Vec<Found>,
    /// Everything before this position was folded when the rows were read.
    pub(super) state: Position,
}

/// Reads and prepares the records from a position on; none when the log ends there.
pub(super) async fn prepare(engine: &Engine, from: Position) -> Result<Vec<Prepared>, ProjectError> {
    let records = engine.log.read(SHARD, from, BATCH_BYTES_MAX).await?;
    let state = engine.projected();
    let mut prepared = Vec::with_capacity(records.len());
    let mut bytes_since_yield = 0;
    for record in records {
        bytes_since_yield += record.bytes.len();
        let (updates, rows) = look_up(engine, &record).await?;
        prepared.push(Prepared { record, updates, rows, state });
        if bytes_since_yield >= YIELD_BYTES {
            bytes_since_yield = 0;
            tokio::task::yield_now().await;
        }
    }
    Ok(prepared)
}

async fn look_up(
    engine: &Engine,
    record: &store::Record,
) -> Result<(Vec<Result<EndpointUpdate, Invalid>>, Vec<Found>), ProjectError> {
    let parsed = read(record)?;
    let app = app_key(&parsed);
    match &parsed.body {
        Body::Endpoints { items } => updates(engine, &app, items).await,
        Body::Import { piece } | Body::ImportOfKnown { piece } => import(engine, &app, piece).await,
        // What the others need is known from memory, or not before they are folded.
        Body::Events { .. }
        | Body::EventsOfKnown { .. }
        | Body::EndpointDeleted { .. }
        | Body::UserDeleted { .. }
        | Body::AnsweredDeletion { .. }
        | Body::AttributesBlocked { .. }
        | Body::AppDeleted
        | Body::Outcomes { .. } => Ok((Vec::new(), Vec::new())),
    }
}

async fn updates(
    engine: &Engine,
    app: &AppKey,
    items: &[EndpointItem<'_>],
) -> Result<(Vec<Result<EndpointUpdate, Invalid>>, Vec<Found>), ProjectError> {
    let updates: Vec<_> = items.iter().map(read_update).collect();
    let named = items.iter().zip(&updates).filter_map(|(item, update)| Some((item, update.as_ref().ok()?)));
    let rows = named.flat_map(|(item, update)| rows_named(item.id, update)).collect();
    Ok((updates, read_rows(engine, app, rows).await?))
}

async fn import(
    engine: &Engine,
    app: &AppKey,
    piece: &ImportPiece<'_>,
) -> Result<(Vec<Result<EndpointUpdate, Invalid>>, Vec<Found>), ProjectError> {
    if piece.register {
        return updates(engine, app, &piece.endpoints).await;
    }
    let rows = piece.endpoints.iter().map(|item| Row::Endpoint(folded(item.id).into())).collect();
    Ok((Vec::new(), read_rows(engine, app, rows).await?))
}

fn read_update(item: &EndpointItem<'_>) -> Result<EndpointUpdate, Invalid> {
    check_endpoint_id(item.id)?;
    let update = EndpointUpdate::parse(item.json)?;
    update.check()?;
    Ok(update)
}

/// A task that prepares records while others are folded.
#[derive(Debug)]
pub(super) struct ReadAhead {
    batches: mpsc::Receiver<Result<Vec<Prepared>, ProjectError>>,
    task: JoinHandle<()>,
}

impl ReadAhead {
    pub(super) fn start(engine: Engine, from: Position) -> Self {
        let (sender, batches) = mpsc::channel(BATCHES_MAX);
        let task = tokio::spawn(async move {
            let ended = run(&engine, from, &sender).await;
            if let Err(error) = ended {
                // Whoever folds hears of it, unless it is gone.
                let _ = sender.send(Err(error)).await;
            }
        });
        Self { batches, task }
    }

    /// What is prepared already.
    pub(super) fn ready(&mut self) -> Result<Vec<Prepared>, ProjectError> {
        match self.batches.try_recv() {
            Ok(batch) => batch,
            // An end without an error is seen by whoever waits.
            Err(_) => Ok(Vec::new()),
        }
    }

    /// Waits for records. May be cancelled.
    pub(super) async fn next(&mut self) -> Result<Vec<Prepared>, ProjectError> {
        self.batches.recv().await.unwrap_or(Err(ProjectError::ReadAhead))
    }
}

impl Drop for ReadAhead {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Prepares until nobody takes the batches any more.
async fn run(
    engine: &Engine,
    from: Position,
    batches: &mpsc::Sender<Result<Vec<Prepared>, ProjectError>>,
) -> Result<(), ProjectError> {
    let mut next = from;
    loop {
        engine.log.wait_beyond(SHARD, next).await?;
        let batch = prepare(engine, next).await?;
        let Some(last) = batch.last() else { continue };
        next = last.record.position.next();
        if batches.send(Ok(batch)).await.is_err() {
            return Ok(());
        }
    }
}
