//! The projection: records of the log folded into state.
//!
//! A step reads records, folds them in log order into a working set, and commits the changed rows *and* the cursor in one
//! batch; only then does it act (update indexes, publish progress, wake workers). The next step is folded meanwhile ([`changed`]). Folding uses only state and record, so a
//! crash and a restart are the same path as normal running. A step that cannot commit is taken back whole: the window forgets
//! what it added, the working set is read anew.
//!
//! The rows of audiences are written here and nowhere else, which is why the working set may be kept between steps.

use std::collections::VecDeque;

use domain::audience::UPDATE_BYTES_MAX;
use domain::ids::RequestId;
use domain::records::{Body, Deletion, Record};
use domain::time::Timestamp;
use store::kv::BATCH_BYTES_MAX;
use store::tables::events::{Cursor, cursor_key};
use store::value::decode;
use store::{Durability, KvError, LogError, Position, Version};

use crate::Engine;
use crate::handle::SHARD;

mod ahead;
mod answers;
mod changed;
mod events;
mod fold;
mod imports;
mod outcomes;
mod window;
mod working;

use ahead::{Prepared, ReadAhead, prepare};
use changed::InFlight;
use window::Mark;
pub use window::Window;
use working::Working;

/// Bytes of the log that one step folds, at most (but at least one record).
pub const STEP_BYTES_MAX: usize = 4 << 20;
/// Bytes of changed rows after which a step ends: many small updates of large endpoints change more than the log holds. What
/// one record can change on top stays below the limit of a batch.
pub(crate) const STEP_DIRTY_BYTES_MAX: usize = 8 << 20;
const _: () = assert!(STEP_DIRTY_BYTES_MAX + RECORD_UPDATES_MAX * UPDATE_BYTES_MAX < BATCH_BYTES_MAX);
const _: () = assert!(domain::events::ENDPOINTS_MAX <= RECORD_UPDATES_MAX);
/// Updates that one record holds, at most: of a batch, of `PutEvents`, of a piece of an import.
pub(crate) const RECORD_UPDATES_MAX: usize = 100;
/// Bytes of the log that are folded before others have the thread.
const YIELD_BYTES: usize = 256 << 10;
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
    #[error("the task that reads the log ahead has ended")]
    ReadAhead,
    /// The state is ahead of the log: they are not of the same directory, or the log lost records.
    #[error("the state was folded up to record {cursor}, but the log ends at {end}: refusing to start")]
    CursorBeyondLog { cursor: u64, end: u64 },
    #[error("record {0} of the log cannot be read: {1}")]
    Record(u64, #[source] domain::records::RecordError),
    /// Another process folds the same log into the same state.
    #[error(
        "somebody else folds the log: the state has the records before {stored}, this projection those before {next}"
    )]
    Overtaken { stored: u64, next: u64 },
}

/// Folds the log of one shard. There is exactly one per shard.
#[derive(Debug)]
pub struct Projector {
    engine: Engine,
    cursor: Cursor,
    /// Of the cursor's row: nobody else may move it.
    cursor_version: Version,
    /// The next record to fold: beyond the cursor while a step is being committed.
    next: u64,
    /// What is read and not folded yet.
    records: VecDeque<Prepared>,
    /// `None`: records are read when a step needs them.
    read_ahead: Option<ReadAhead>,
    window: Window,
    working: Working,
    steps_since_sync: u32,
}

impl Projector {
    /// Reads the cursor and rebuilds the window of recent event ids from the log.
    pub async fn open(engine: Engine) -> Result<Self, ProjectError> {
        let (cursor, cursor_version) = stored_cursor(&engine).await?;
        let end = engine.log.end(SHARD).0;
        if cursor.next > end {
            return Err(ProjectError::CursorBeyondLog { cursor: cursor.next, end });
        }
        let mut window = Window::default();
        let mut position = Position(cursor.window_start.min(cursor.next));
        while position.0 < cursor.next {
            let mut bytes_since_yield = 0;
            for record in engine.log.read(SHARD, position, STEP_BYTES_MAX).await? {
                if record.position.0 >= cursor.next {
                    break;
                }
                position = record.position.next();
                events::remember(&mut window, &read(&record)?, record.position, record.arrival);
                bytes_since_yield += record.bytes.len();
                if bytes_since_yield >= YIELD_BYTES {
                    bytes_since_yield = 0;
                    tokio::task::yield_now().await;
                }
            }
            window.settle(window.mark());
        }
        engine.publish(Position(cursor.next), Timestamp::default(), Vec::new());
        Ok(Self {
            engine,
            cursor,
            cursor_version,
            next: cursor.next,
            records: VecDeque::new(),
            read_ahead: None,
            window,
            working: Working::new(cursor.next),
            steps_since_sync: 0,
        })
    }

    /// From now on records are read and prepared by a task of their own.
    pub fn read_ahead(&mut self) {
        self.records = VecDeque::new();
        self.read_ahead = Some(ReadAhead::start(self.engine.clone(), Position(self.next)));
    }

    /// Folds the next records, if there are any; when idle, everything that was folded is committed. After [`KvError::Full`] it
    /// may be called again: what failed has left nothing behind. After any other error the process must end.
    pub async fn step(&mut self) -> Result<Step, ProjectError> {
        match self.try_step().await {
            Err(ProjectError::Kv(KvError::Conflict(key))) => {
                // Somebody else changed a row that a record refers to (a campaign was paused, say): decide again.
                tracing::debug!(?key, "projection decides again after a conflict");
                self.take_back().await;
                self.check_cursor().await?;
                Ok(Step::Progress)
            }
            Err(error) => {
                self.take_back().await;
                Err(error)
            }
            done => done,
        }
    }

    async fn try_step(&mut self) -> Result<Step, ProjectError> {
        if self.fill(Position(self.next)).await? {
            self.fold_and_hand_over().await?;
            return Ok(Step::Progress);
        }
        Ok(if self.finish().await? { Step::Progress } else { Step::Idle })
    }

    /// Gives back the memory of a projection that has had nothing to do for a while.
    pub fn rest(&mut self) {
        self.working.forget_all(self.cursor.next);
        self.engine.readings.forget();
    }

    /// Whether there are records to fold, after taking what is there from `from` on.
    async fn fill(&mut self, from: Position) -> Result<bool, ProjectError> {
        if self.records.is_empty() {
            self.records = match &mut self.read_ahead {
                Some(ahead) => ahead.ready()?.into(),
                None => prepare(&self.engine, from).await?.into(),
            };
        }
        Ok(!self.records.is_empty())
    }

    /// Folds records until they are, or change, so much that a batch should hold no more, and has that committed. A
    /// projection that reads ahead folds the next ones meanwhile.
    async fn fold_and_hand_over(&mut self) -> Result<(), ProjectError> {
        let mut next = self.next;
        // Rows that are still to be folded may have been read in this state.
        let mut state = next;
        let mut arrival = Timestamp::default();
        let (mut bytes, mut bytes_since_yield) = (0, 0);
        while bytes < STEP_BYTES_MAX
            && self.working.dirty_bytes() < STEP_DIRTY_BYTES_MAX
            && self.fill(Position(next)).await?
            && let Some(prepared) = self.records.pop_front()
        {
            next = prepared.record.position.next().0;
            state = prepared.state.0;
            bytes += prepared.record.bytes.len();
            bytes_since_yield += prepared.record.bytes.len();
            arrival = prepared.record.arrival;
            self.fold(prepared).await?;
            if bytes_since_yield >= YIELD_BYTES {
                bytes_since_yield = 0;
                tokio::task::yield_now().await;
            }
        }
        self.working.settle_counts(&self.engine).await?;
        let window_start = self.window.start().map_or(next, |start| start.0);
        let changed = self.working.hand_over(Cursor { next, window_start }, arrival, state);
        let mark = self.window.mark();
        self.next = next;
        self.finish().await?;
        let durability = self.durability();
        if self.read_ahead.is_some() {
            let in_flight =
                InFlight::start(self.engine.clone(), changed, mark, self.cursor_version, durability);
            self.working.in_flight = Some(in_flight);
        } else {
            let cursor = changed.cursor;
            let version = changed.commit(&self.engine, self.cursor_version, durability).await?;
            self.settle(cursor, version, mark);
        }
        Ok(())
    }

    /// Waits for the step that is being committed. False: there is none.
    async fn finish(&mut self) -> Result<bool, ProjectError> {
        if let Some(in_flight) = &mut self.working.in_flight {
            in_flight.wait().await;
        }
        let Some(in_flight) = self.working.in_flight.take() else { return Ok(false) };
        let (cursor, mark) = (in_flight.cursor, in_flight.mark);
        let version = in_flight.outcome()?;
        self.settle(cursor, version, mark);
        Ok(true)
    }

    /// A step is in the state.
    fn settle(&mut self, cursor: Cursor, version: Version, mark: Mark) {
        self.cursor = cursor;
        self.cursor_version = version;
        self.window.settle(mark);
    }

    /// The log can replay what a crash loses, so most commits are buffered.
    fn durability(&mut self) -> Durability {
        self.steps_since_sync += 1;
        if self.steps_since_sync < STEPS_BETWEEN_SYNCS {
            return Durability::Buffered;
        }
        self.steps_since_sync = 0;
        Durability::Durable
    }

    /// Forgets what was folded and is not in the state.
    async fn take_back(&mut self) {
        // Only to know where the state ends: that is reported already, or found again.
        let _ = self.finish().await;
        self.window.take_back();
        self.working = Working::new(self.cursor.next);
        self.next = self.cursor.next;
        self.records = VecDeque::new();
        if self.read_ahead.is_some() {
            self.read_ahead();
        }
    }

    /// Whether the stored cursor is still the one from which on this projection folds.
    async fn check_cursor(&mut self) -> Result<(), ProjectError> {
        let (stored, version) = stored_cursor(&self.engine).await?;
        if stored != self.cursor {
            return Err(ProjectError::Overtaken { stored: stored.next, next: self.cursor.next });
        }
        self.cursor_version = version;
        Ok(())
    }

    /// Waits until there is something to fold. May be cancelled.
    pub async fn wait(&mut self) -> Result<(), ProjectError> {
        match &mut self.read_ahead {
            Some(ahead) if self.records.is_empty() => self.records = ahead.next().await?.into(),
            Some(_) => {}
            None => self.engine.log.wait_beyond(SHARD, Position(self.next)).await?,
        }
        Ok(())
    }

    async fn fold(&mut self, prepared: Prepared) -> Result<(), ProjectError> {
        let Prepared { record, updates, rows, state } = prepared;
        let parsed = read(&record)?;
        let arrival = domain::audience::Arrival {
            at: record.arrival,
            request_id: RequestId::new(parsed.request_id),
            may_create: parsed.body.may_create(),
        };
        let app = working::app_key(&parsed);
        self.working.load_app(&self.engine, &app).await?;
        self.working.take_in(&app, rows, state);
        let dirty_bytes = self.working.audience(&app).dirty_bytes();
        let mut folder = fold::Folder {
            engine: &self.engine,
            working: &mut self.working,
            window: &mut self.window,
            app: app.clone(),
            arrival,
            position: record.position,
        };
        match &parsed.body {
            Body::Events { json } | Body::EventsOfKnown { json } => folder.events(json).await?,
            Body::Endpoints { items } => folder.endpoints(items, updates).await?,
            Body::EndpointDeleted { endpoint } => folder.delete(Deletion::Endpoint(endpoint)).await?,
            Body::UserDeleted { user } => folder.delete(Deletion::User(user)).await?,
            Body::AnsweredDeletion { of, answer } => folder.delete_once(*of, answer).await?,
            Body::AttributesBlocked { kind, patterns } => folder.block_attributes(*kind, patterns),
            Body::AppDeleted => folder.delete_app(),
            Body::Import { piece } | Body::ImportOfKnown { piece } => folder.import(piece, updates).await?,
            Body::Outcomes { outcomes } => folder.outcomes(outcomes).await?,
        }
        self.working.count_dirty(&app, dirty_bytes);
        Ok(())
    }
}

async fn stored_cursor(engine: &Engine) -> Result<(Cursor, Version), KvError> {
    match engine.kv.get(&cursor_key(SHARD)).await? {
        Some(row) => Ok((decode(&row.value)?, row.version)),
        None => Ok((Cursor::default(), Version::ABSENT)),
    }
}

fn read(record: &store::Record) -> Result<Record<'_>, ProjectError> {
    Record::decode(&record.bytes).map_err(|error| ProjectError::Record(record.position.0, error))
}

#[cfg(test)]
mod tests;
