//! The projection: records of the log folded into state.
//!
//! A step reads records, folds them in log order into a working set, and commits the changed rows *and* the cursor in one
//! batch; only then does it act (publish progress, update indexes, wake workers). Folding uses only state and record, so a
//! crash and a restart are the same path as normal running.
//!
//! The rows of audiences are written here and nowhere else, which is why the working set may be kept between steps.

use domain::ids::RequestId;
use domain::records::{Body, Record};
use store::tables::events::{Cursor, cursor_key};
use store::value::{decode, encode};
use store::{Batch, Durability, KvError, LogError, Position};

use crate::Engine;
use crate::handle::SHARD;

mod events;
mod fold;
mod imports;
mod outcomes;
mod window;
mod working;

pub use window::Window;
use working::Working;

/// Bytes of the log that one step folds, at most (but at least one record).
pub const STEP_BYTES_MAX: usize = 4 << 20;
/// Commits between two durable ones: how much of the log a restart replays at most, in steps.
const STEPS_BETWEEN_SYNCS: u32 = 64;

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Progress,
    /// There was nothing to do.
    Idle,
}

/// The projection cannot go on; the process must end or an operator must look.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    #[error("cannot read the log")]
    Log(#[from] LogError),
    #[error("cannot keep the state")]
    Kv(#[from] KvError),
    /// The state is ahead of the log: they are not of the same directory, or the log lost records.
    #[error("the state was folded up to record {cursor}, but the log ends at {end}: refusing to start")]
    CursorBeyondLog { cursor: u64, end: u64 },
    #[error("record {0} of the log cannot be read: {1}")]
    Record(u64, #[source] domain::records::RecordError),
}

/// Folds the log of one shard. There is exactly one per shard.
#[derive(Debug)]
pub struct Projector {
    engine: Engine,
    cursor: Cursor,
    window: Window,
    working: Working,
    steps_since_sync: u32,
}

impl Projector {
    /// Reads the cursor and rebuilds the window of recent event ids from the log.
    pub async fn open(engine: Engine) -> Result<Self, ProjectError> {
        let cursor = match engine.kv.get(&cursor_key(SHARD)).await? {
            Some(row) => decode(&row.value).map_err(KvError::from)?,
            None => Cursor::default(),
        };
        let end = engine.log.end(SHARD).0;
        if cursor.next > end {
            return Err(ProjectError::CursorBeyondLog { cursor: cursor.next, end });
        }
        let mut window = Window::default();
        let mut position = Position(cursor.window_start.min(cursor.next));
        while position.0 < cursor.next {
            for record in engine.log.read(SHARD, position, STEP_BYTES_MAX).await? {
                if record.position.0 >= cursor.next {
                    break;
                }
                position = record.position.next();
                let parsed = read(&record)?;
                events::remember(&mut window, &parsed, record.position, record.arrival);
            }
        }
        engine.publish(Position(cursor.next), Vec::new());
        Ok(Self { engine, cursor, window, working: Working::default(), steps_since_sync: 0 })
    }

    /// Folds the next records, if there are any.
    pub async fn step(&mut self) -> Result<Step, ProjectError> {
        let from = Position(self.cursor.next);
        let records = self.engine.log.read(SHARD, from, STEP_BYTES_MAX).await?;
        let Some(last) = records.last() else {
            self.working.forget_clean();
            return Ok(Step::Idle);
        };
        let next = last.position.next();
        for record in &records {
            let parsed = read(record)?;
            self.fold(record, &parsed).await?;
        }
        self.working.settle_counts(&self.engine).await?;
        let cursor =
            Cursor { next: next.0, window_start: self.window.start().map_or(next.0, |start| start.0) };
        match self.commit(cursor).await {
            Ok(()) => {}
            Err(KvError::Conflict(key)) => {
                // Somebody else changed a row that a record refers to (a campaign was paused, say): decide again.
                tracing::debug!(?key, "projection decides again after a conflict");
                return self.start_over().await;
            }
            Err(error) => return Err(error.into()),
        }
        self.cursor = cursor;
        let refusals = self.working.publish(&self.engine);
        self.engine.publish(next, refusals);
        Ok(Step::Progress)
    }

    /// Waits until there is something to fold.
    pub async fn wait(&self) -> Result<(), ProjectError> {
        let next = Position(self.cursor.next);
        match next.0.checked_sub(1) {
            Some(last) => self.engine.log.wait_beyond(SHARD, Position(last + 1)).await?,
            None => self.engine.log.wait_beyond(SHARD, Position(0)).await?,
        }
        Ok(())
    }

    async fn fold(&mut self, record: &store::Record, parsed: &Record<'_>) -> Result<(), ProjectError> {
        let arrival = domain::audience::Arrival {
            at: record.arrival,
            request_id: RequestId::new(parsed.request_id),
        };
        let app = working::app_key(parsed);
        self.working.load_app(&self.engine, &app).await?;
        let mut folder = fold::Folder {
            engine: &self.engine,
            working: &mut self.working,
            window: &mut self.window,
            app,
            arrival,
            position: record.position,
        };
        match &parsed.body {
            Body::Events { json } => folder.events(json).await?,
            Body::Endpoints { items } => folder.endpoints(items).await?,
            Body::EndpointDeleted { endpoint } => folder.delete_endpoint(endpoint).await?,
            Body::UserDeleted { user } => folder.delete_user(user).await?,
            Body::AttributesBlocked { kind, patterns } => folder.block_attributes(*kind, patterns),
            Body::AppDeleted => folder.delete_app(),
            Body::Import { piece } => folder.import(piece).await?,
            Body::Outcomes { outcomes } => folder.outcomes(outcomes).await?,
        }
        Ok(())
    }

    /// Commits the changed rows with the cursor. The log can replay what a crash loses, so most commits are buffered.
    async fn commit(&mut self, cursor: Cursor) -> Result<(), KvError> {
        let mut batch = Batch::default();
        self.working.write(&mut batch);
        batch.put(cursor_key(SHARD), encode(&cursor));
        self.steps_since_sync += 1;
        let durability = if self.steps_since_sync >= STEPS_BETWEEN_SYNCS {
            self.steps_since_sync = 0;
            Durability::Durable
        } else {
            Durability::Buffered
        };
        self.engine.kv.commit(batch, durability).await?;
        Ok(())
    }

    /// Throws the working set away and rebuilds the window as it was at the cursor.
    async fn start_over(&mut self) -> Result<Step, ProjectError> {
        let reopened = Self::open(self.engine.clone()).await?;
        self.window = reopened.window;
        self.working = Working::default();
        Ok(Step::Progress)
    }
}

fn read(record: &store::Record) -> Result<Record<'_>, ProjectError> {
    Record::decode(&record.bytes).map_err(|error| ProjectError::Record(record.position.0, error))
}
