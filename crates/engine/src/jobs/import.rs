//! An import: objects are read as they come, cut into pieces, and the pieces are appended to the log.
//!
//! The projection applies the pieces and keeps the job's state. What can fail again or not (a server that does not answer)
//! ends the job, so that a restart never sees other rows under a number than the run before; what fails each time (a header
//! that says nothing) ends only its object.

use std::collections::VecDeque;

use bytes::Bytes;
use domain::audience::AppKey;
use domain::import::Format;
use domain::jobs::ImportDocument;
use futures::StreamExt;
use store::{KvError, LogError, Position};
use tokio_util::sync::CancellationToken;

use super::decode::{Intake, ObjectFault};
use super::pieces::{Header, Pieces};
use super::{IMPORT_BYTES_MAX, JobError, Kind, Outcome, load};
use crate::Engine;
use crate::handle::SHARD;
use crate::objects::{Bucket, Found, ObjectsError, parse_s3_url};

/// Pieces of a job in the log that are not projected yet: other records wait behind them.
const AHEAD_PIECES_MAX: usize = 256;
/// Pieces of one append.
const APPEND_PIECES: usize = 32;
/// Bytes of an object that are read before others have the thread.
const SLICE_BYTES: usize = 64 << 10;

/// Carries an import out. Its state is the projection's: while this runs, somebody has to step the projector.
pub async fn run_import(
    engine: &Engine,
    app: &AppKey,
    job: &str,
    stop: &CancellationToken,
) -> Result<Outcome, JobError> {
    match run(engine, app, job, stop).await {
        Ok(outcome) => Ok(outcome),
        Err(Halt::Stopped) => Ok(Outcome::Stopped),
        Err(Halt::Job(error)) => Err(error),
    }
}

async fn run(engine: &Engine, app: &AppKey, job: &str, stop: &CancellationToken) -> Result<Outcome, Halt> {
    // Pieces of a run before this one may be on the log and not in the state.
    if let Some(last) = engine.log.end(SHARD).0.checked_sub(1) {
        projected(engine, Position(last), stop).await?;
    }
    let Some((document, state)) = load(engine, app, Kind::Import, job).await? else {
        return Ok(Outcome::Ended);
    };
    if state.completed.is_some() {
        return Ok(Outcome::Ended);
    }
    let document: ImportDocument = serde_json::from_str(&document)
        .map_err(|fault| KvError::Corrupt(format!("the document of import {job}: {fault}")))?;
    let plan = document
        .plan()
        .map_err(|fault| KvError::Corrupt(format!("the document of import {job}: {fault}")))?;
    let header = Header {
        app: app.clone(),
        job: job.to_owned(),
        segment: plan.segment.map(|(segment, version)| (segment.to_string(), version)),
        register: plan.register,
    };
    let mut import = Import {
        engine,
        app,
        stop,
        format: plan.format,
        pieces: Pieces::new(header, state.pieces),
        ahead: VecDeque::new(),
        bytes_left: IMPORT_BYTES_MAX,
        is_failed: false,
    };
    import.objects(&plan.s3_url).await?;
    import.finish().await?;
    // A job of an application that was deleted meanwhile does not end; the next call finds its definition gone.
    let is_over =
        load(engine, app, Kind::Import, job).await?.is_none_or(|(_, state)| state.completed.is_some());
    Ok(if is_over { Outcome::Ended } else { Outcome::NotYet })
}

/// Why the run ends before the job does.
#[derive(Debug)]
enum Halt {
    Stopped,
    Job(JobError),
}

impl From<KvError> for Halt {
    fn from(error: KvError) -> Self {
        Self::Job(error.into())
    }
}

impl From<LogError> for Halt {
    fn from(error: LogError) -> Self {
        Self::Job(error.into())
    }
}

struct Import<'a> {
    engine: &'a Engine,
    app: &'a AppKey,
    stop: &'a CancellationToken,
    format: Format,
    pieces: Pieces,
    /// Positions of pieces that were not projected when they were looked at last.
    ahead: VecDeque<Position>,
    bytes_left: u64,
    /// One or more objects could not be read.
    is_failed: bool,
}

/// Whether to go on with the next object.
#[derive(Debug, PartialEq, Eq)]
enum Object {
    Read,
    Skipped,
    /// The job cannot go on.
    Last,
}

impl Import<'_> {
    /// Reads every object of the job; what goes wrong with them stands in the pieces.
    async fn objects(&mut self, s3_url: &str) -> Result<(), Halt> {
        let (bucket, found) = match self.find(s3_url).await? {
            Ok(found) => found,
            Err(text) => {
                self.fail(text);
                return Ok(());
            }
        };
        let mut was_read = false;
        for object in &found {
            match self.object(&bucket, object).await? {
                Object::Read => was_read = true,
                Object::Skipped => {}
                Object::Last => return Ok(()),
            }
        }
        // A prefix may hold other things too, but not only other things.
        self.is_failed |= !was_read;
        Ok(())
    }

    /// The job's objects, or why none of them is read.
    async fn find(&self, s3_url: &str) -> Result<Result<(Bucket, Vec<Found>), String>, Halt> {
        let url = match parse_s3_url(s3_url) {
            Ok(url) => url,
            Err(fault) => return Ok(Err(fault.to_string())),
        };
        let bucket = match self.engine.objects.bucket(&url.bucket) {
            Ok(bucket) => bucket,
            Err(fault) => return Ok(Err(fault.to_string())),
        };
        Ok(match self.unless_stopped(bucket.find(&url)).await? {
            Ok(found) if found.iter().map(|object| object.bytes).sum::<u64>() > IMPORT_BYTES_MAX => {
                Err(format!("{url}: an import reads at most {IMPORT_BYTES_MAX} bytes; nothing was imported"))
            }
            Ok(found) => Ok((bucket, found)),
            Err(fault) => Err(fault.to_string()),
        })
    }

    async fn object(&mut self, bucket: &Bucket, object: &Found) -> Result<Object, Halt> {
        let url = bucket.url(&object.path);
        let mut chunks = match self.unless_stopped(bucket.read(&object.path)).await? {
            Ok(chunks) => chunks,
            Err(fault) => return Ok(self.fail_last(&fault)),
        };
        let mut intake = Intake::new(self.format);
        while let Some(chunk) = self.unless_stopped(chunks.next()).await? {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(fault) => return Ok(self.fail_last(&fault)),
            };
            for slice in chunk.chunks(SLICE_BYTES) {
                self.pieces.may_create = self.engine.audiences.usage.may_create(&self.app.account);
                let Self { pieces, bytes_left, .. } = self;
                let fed = intake.feed(slice, bytes_left, &mut |row| pieces.row(&url, &row));
                if let Err(fault) = fed {
                    return Ok(self.object_failed(&url, &fault));
                }
                self.append(APPEND_PIECES).await?;
            }
            tokio::task::yield_now().await;
        }
        let Self { pieces, bytes_left, .. } = self;
        match intake.finish(bytes_left, &mut |row| pieces.row(&url, &row)) {
            Ok(()) => Ok(Object::Read),
            Err(fault) => Ok(self.object_failed(&url, &fault)),
        }
    }

    fn object_failed(&mut self, url: &str, fault: &ObjectFault) -> Object {
        let text = format!("{url}: {fault}");
        match fault {
            ObjectFault::OtherFormat => {
                self.pieces.fail(text);
                Object::Skipped
            }
            ObjectFault::Gzip | ObjectFault::File(_) => {
                self.fail(text);
                Object::Read
            }
            ObjectFault::TooLarge => {
                self.fail(text);
                Object::Last
            }
        }
    }

    fn fail_last(&mut self, fault: &ObjectsError) -> Object {
        self.fail(fault.to_string());
        Object::Last
    }

    /// Counts an object, or all of them, as not read.
    fn fail(&mut self, text: String) {
        self.pieces.fail(text);
        self.is_failed = true;
    }

    /// Appends pieces that are full, if there are at least `pieces_min` of them.
    async fn append(&mut self, pieces_min: usize) -> Result<(), Halt> {
        while self.pieces.full().len() >= pieces_min.max(1) {
            let full = self.pieces.full();
            let some = full.drain(..full.len().min(APPEND_PIECES)).collect();
            self.append_some(some).await?;
        }
        if self.stop.is_cancelled() { Err(Halt::Stopped) } else { Ok(()) }
    }

    async fn append_some(&mut self, pieces: Vec<Bytes>) -> Result<(), Halt> {
        while self.ahead.len() + pieces.len() > AHEAD_PIECES_MAX
            && let Some(first) = self.ahead.pop_front()
        {
            projected(self.engine, first, self.stop).await?;
        }
        self.ahead.extend(self.engine.append_many(self.app, pieces).await?);
        Ok(())
    }

    /// Appends what is left and the job's end, and waits until it is projected.
    async fn finish(mut self) -> Result<(), Halt> {
        self.append(1).await?;
        let Self { engine, app, stop, pieces, is_failed, .. } = self;
        let positions = engine.append_many(app, pieces.finish(is_failed)).await?;
        for position in positions {
            projected(engine, position, stop).await?;
        }
        Ok(())
    }

    async fn unless_stopped<T>(&self, future: impl Future<Output = T>) -> Result<T, Halt> {
        unless_stopped(self.stop, future).await
    }
}

async fn projected(engine: &Engine, position: Position, stop: &CancellationToken) -> Result<(), Halt> {
    unless_stopped(stop, engine.wait_projected(position)).await
}

async fn unless_stopped<T>(stop: &CancellationToken, future: impl Future<Output = T>) -> Result<T, Halt> {
    tokio::select! {
        biased;
        () = stop.cancelled() => Err(Halt::Stopped),
        output = future => Ok(output),
    }
}
