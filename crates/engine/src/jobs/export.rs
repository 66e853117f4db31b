//! An export: endpoints as gzip files of newline-delimited JSON, `<prefix>/<job id>-<part>.gz`.
//!
//! A job that starts over writes the same names again, and removes what an earlier run wrote beyond its own last part. The
//! endpoints are not of one instant: who changes while the export runs may be in it with either state.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use domain::audience::AppKey;
use domain::endpoints::{Endpoint, User, document};
use domain::ids::UserId;
use domain::jobs::{ExportDocument, ExportPlan};
use flate2::Compression;
use flate2::write::GzEncoder;
use object_store::path::Path;
use roaring::RoaringBitmap;
use store::tables::audiences::{endpoint_key, endpoints, user_key};
use store::tables::jobs::{JobState, JobStatus, state_key};
use store::value::{decode, encode};
use store::{Batch, Durability, Key, KvError, Versioned};
use tokio_util::sync::CancellationToken;

use super::{JobError, Kind, Outcome, load};
use crate::Engine;
use crate::objects::{Bucket, NewObject, ObjectsError, parse_s3_url};
use crate::reads;
use crate::segments::{SelectError, select};

/// Rows of a part.
const PART_ROWS_MAX: u64 = 50_000;
/// Endpoints read, and written, before others have the thread.
const PAGE_ROWS: usize = 200;
/// Packing is what an export's time goes to.
const COMPRESSION: Compression = Compression::fast();

/// Carries an export out.
pub async fn run_export(
    engine: &Engine,
    app: &AppKey,
    job: &str,
    stop: &CancellationToken,
) -> Result<Outcome, JobError> {
    let Some((document, mut state)) = load(engine, app, Kind::Export, job).await? else {
        return Ok(Outcome::Ended);
    };
    if state.completed.is_some() {
        return Ok(Outcome::Ended);
    }
    let document: ExportDocument = serde_json::from_str(&document)
        .map_err(|fault| KvError::Corrupt(format!("the document of export {job}: {fault}")))?;
    let plan = document.plan();
    let is_repeat = state.status != JobStatus::Created;
    state = JobState { status: JobStatus::Processing, pieces: 0, processed: 0, ..state };
    let mut export = Export { engine, app, job, stop, is_repeat, state };
    match export.carry_out(&plan).await {
        Ok(()) | Err(Halt::Gone | Halt::Failed(_)) => Ok(Outcome::Ended),
        Err(Halt::Stopped) => Ok(Outcome::Stopped),
        Err(Halt::NotYet) => Ok(Outcome::NotYet),
        Err(Halt::Kv(error)) => Err(error.into()),
    }
}

/// Why a run does not reach the job's end, or reaches it by failing.
#[derive(Debug)]
enum Halt {
    Stopped,
    NotYet,
    /// The application was deleted meanwhile, and the job with it.
    Gone,
    Kv(KvError),
    Failed(String),
}

impl From<KvError> for Halt {
    fn from(error: KvError) -> Self {
        Self::Kv(error)
    }
}

impl From<ObjectsError> for Halt {
    fn from(error: ObjectsError) -> Self {
        Self::Failed(error.to_string())
    }
}

struct Export<'a> {
    engine: &'a Engine,
    app: &'a AppKey,
    job: &'a str,
    stop: &'a CancellationToken,
    /// A run before this one may have written parts.
    is_repeat: bool,
    state: JobState,
}

/// A part that is being written.
struct Part {
    object: NewObject,
    rows: u64,
    packer: GzEncoder<Vec<u8>>,
}

impl Export<'_> {
    /// Runs to the end, and says in the state how that was.
    async fn carry_out(&mut self, plan: &ExportPlan) -> Result<(), Halt> {
        self.save(Durability::Buffered).await?;
        let failure = match self.run(plan).await {
            Ok(()) => None,
            Err(Halt::Failed(text)) => Some(text),
            Err(halt) => return Err(halt),
        };
        self.state.status = if failure.is_some() { JobStatus::Failed } else { JobStatus::Completed };
        self.state.completed = Some(self.engine.context.now());
        self.state.failed += u64::from(failure.is_some());
        self.state.failures.extend(failure);
        self.save(Durability::Durable).await
    }

    async fn run(&mut self, plan: &ExportPlan) -> Result<(), Halt> {
        let url = parse_s3_url(&plan.s3_url_prefix).map_err(|fault| Halt::Failed(fault.to_string()))?;
        let bucket = self.engine.objects.bucket_to_write(&url.bucket).await?;
        let mut source = self.source(plan).await?;
        // An export of nobody is a part without rows: who waits for a file gets one.
        let mut part = Some(self.begin(&bucket, &url.path)?);
        while let Some(rows) = source.page(self.engine, self.app).await? {
            let mut current = match part.take() {
                Some(part) if part.rows + rows.len() as u64 <= PART_ROWS_MAX => part,
                Some(full) => {
                    self.end(full).await?;
                    self.begin(&bucket, &url.path)?
                }
                None => self.begin(&bucket, &url.path)?,
            };
            if let Err(halt) = self.write(&mut current, &rows).await {
                current.object.abort().await;
                return Err(halt);
            }
            part = Some(current);
        }
        if let Some(last) = part {
            self.end(last).await?;
        }
        self.remove_leftovers(&bucket, &url.path).await
    }

    async fn source(&self, plan: &ExportPlan) -> Result<Source, Halt> {
        let Some(segment) = &plan.segment else { return Ok(Source::All { last: None }) };
        let now = self.engine.context.now();
        match select(self.engine, self.app, segment, plan.segment_version, now).await {
            Ok(members) => Ok(Source::Members { next: 0, members }),
            Err(SelectError::NotReady) => Err(Halt::NotYet),
            Err(SelectError::Kv(error)) => Err(error.into()),
            Err(error @ (SelectError::Missing | SelectError::Invalid(_))) => {
                Err(Halt::Failed(error.to_string()))
            }
        }
    }

    fn begin(&self, bucket: &Bucket, prefix: &Path) -> Result<Part, Halt> {
        let object = bucket.create(&self.path(prefix, self.state.pieces)?);
        Ok(Part { object, rows: 0, packer: GzEncoder::new(Vec::new(), COMPRESSION) })
    }

    async fn write(&mut self, part: &mut Part, rows: &[Row]) -> Result<(), Halt> {
        if self.stop.is_cancelled() {
            return Err(Halt::Stopped);
        }
        for (endpoint, user) in rows {
            let document = document(&self.app.app, endpoint, user.as_ref());
            let written = serde_json::to_writer(&mut part.packer, &document).map_err(std::io::Error::from);
            let written = written.and_then(|()| std::io::Write::write_all(&mut part.packer, b"\n"));
            written.map_err(|cause| Halt::Failed(format!("an endpoint could not be written: {cause}")))?;
        }
        part.rows += rows.len() as u64;
        self.state.processed += rows.len() as u64;
        let packed = std::mem::take(part.packer.get_mut());
        part.object.write(packed.into()).await?;
        tokio::task::yield_now().await;
        Ok(())
    }

    async fn end(&mut self, part: Part) -> Result<(), Halt> {
        let Part { mut object, rows: _, packer } = part;
        let rest =
            packer.finish().map_err(|cause| Halt::Failed(format!("a part could not be packed: {cause}")))?;
        object.write(Bytes::from(rest)).await?;
        object.finish().await?;
        self.state.pieces += 1;
        self.save(Durability::Buffered).await
    }

    /// Removes parts that a run before this one wrote, of endpoints that are gone since.
    async fn remove_leftovers(&self, bucket: &Bucket, prefix: &Path) -> Result<(), Halt> {
        let mut part = self.state.pieces;
        while self.is_repeat && bucket.delete(&self.path(prefix, part)?).await? {
            part += 1;
        }
        Ok(())
    }

    fn path(&self, prefix: &Path, part: u64) -> Result<Path, Halt> {
        let path = format!("{prefix}/{}-{part:05}.gz", self.job);
        Path::parse(&path).map_err(|_| Halt::Failed(format!("{path} cannot be the name of an object")))
    }

    /// Nobody else writes this row once the job exists, and whoever removed it must not find it again.
    async fn save(&self, durability: Durability) -> Result<(), Halt> {
        let key = state_key(self.app, Kind::Export.as_str(), self.job);
        let Some(row) = self.engine.kv.get(&key).await? else { return Err(Halt::Gone) };
        let mut batch = Batch::default();
        batch.check(key.clone(), row.version);
        batch.put(key, encode(&self.state));
        match self.engine.kv.commit(batch, durability).await {
            Ok(_) => Ok(()),
            Err(KvError::Conflict(_)) => Err(Halt::Gone),
            Err(error) => Err(error.into()),
        }
    }
}

type Row = (Endpoint, Option<User>);

/// Which endpoints are exported, and how far.
enum Source {
    All { last: Option<Key> },
    Members { next: u32, members: RoaringBitmap },
}

impl Source {
    /// The next rows; `None` at the end. A page of members who were deleted meanwhile is empty.
    async fn page(&mut self, engine: &Engine, app: &AppKey) -> Result<Option<Vec<Row>>, KvError> {
        let rows = match self {
            Self::All { last } => {
                let prefix = endpoints(app);
                let range = last.as_ref().map_or_else(|| prefix.prefix(), |last| prefix.prefix_after(last));
                let rows = engine.kv.scan(range, PAGE_ROWS).await?;
                let Some((key, _)) = rows.last() else { return Ok(None) };
                *last = Some(key.clone());
                rows.into_iter().map(|(_, row)| row).collect()
            }
            Self::Members { next, members } => {
                let ordinals: Vec<u32> = members.range(*next..).take(PAGE_ROWS).collect();
                let Some(last) = ordinals.last() else { return Ok(None) };
                match last.checked_add(1) {
                    Some(after) => *next = after,
                    None => members.clear(),
                }
                members_of(engine, app, &ordinals).await?
            }
        };
        with_users(engine, app, rows).await.map(Some)
    }
}

async fn members_of(engine: &Engine, app: &AppKey, ordinals: &[u32]) -> Result<Vec<Versioned>, KvError> {
    let ids = reads::ids_of_ordinals(&*engine.kv, app, ordinals).await?;
    let endpoints: Vec<Key> = ids.iter().flatten().map(|folded| endpoint_key(app, folded)).collect();
    Ok(engine.kv.get_many(&endpoints).await?.into_iter().flatten().collect())
}

async fn with_users(engine: &Engine, app: &AppKey, rows: Vec<Versioned>) -> Result<Vec<Row>, KvError> {
    let endpoints = rows.iter().map(|row| decode(&row.value)).collect::<Result<Vec<Endpoint>, _>>()?;
    let ids: BTreeSet<UserId> = endpoints.iter().filter_map(|endpoint| endpoint.user_id.clone()).collect();
    let keys: Vec<Key> = ids.iter().map(|id| user_key(app, id.as_str())).collect();
    let mut users: HashMap<UserId, User> = HashMap::new();
    for (id, row) in ids.into_iter().zip(engine.kv.get_many(&keys).await?) {
        if let Some(row) = row {
            users.insert(id, decode(&row.value)?);
        }
    }
    let with_user = |endpoint: Endpoint| {
        let user = endpoint.user_id.as_ref().and_then(|id| users.get(id)).cloned();
        (endpoint, user)
    };
    Ok(endpoints.into_iter().map(with_user).collect())
}
