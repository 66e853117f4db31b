//! Jobs as clients see them: read one by one or as a list, with how far they are.

use domain::audience::AppKey;
use domain::jobs::{ExportDocument, ImportDocument};
use engine::jobs::Kind;
use model::pinpoint::{
    ExportJobResponse, ExportJobsResponse, ImportJobResponse, ImportJobsResponse, JobStatus as WireStatus,
};
use serde::de::DeserializeOwned;
use store::tables::definitions::{self, Definitions, Head};
use store::tables::jobs::{JobState, JobStatus};

use crate::context::Cx;
use crate::error::ApiError;
use crate::paging::{Page, Place};

/// A job as it is read.
pub(super) struct Job<D> {
    pub(super) id: String,
    pub(super) document: D,
    pub(super) state: JobState,
}

/// What a kind of job is stored as.
pub(super) trait JobDocument: DeserializeOwned {
    const KIND: Kind;

    /// The segment that the job fills, or exports.
    fn segment(&self) -> Option<&str>;
}

impl JobDocument for ImportDocument {
    const KIND: Kind = Kind::Import;

    fn segment(&self) -> Option<&str> {
        self.definition.segment_id.as_deref()
    }
}

impl JobDocument for ExportDocument {
    const KIND: Kind = Kind::Export;

    fn segment(&self) -> Option<&str> {
        self.definition.segment_id.as_deref()
    }
}

pub(super) async fn load<D: JobDocument>(
    cx: &Cx,
    app: &AppKey,
    id: &str,
) -> Result<Option<Job<D>>, ApiError> {
    let found = engine::jobs::load(cx.engine(), app, D::KIND, id).await?;
    let Some((document, state)) = found else { return Ok(None) };
    Ok(Some(Job { id: id.to_owned(), document: serde_json::from_str(&document)?, state }))
}

/// A page of the jobs of one kind, newest first; of a segment where one is named.
async fn list<D: JobDocument>(
    cx: &Cx,
    app: &AppKey,
    page: &Page,
    segment: Option<&str>,
) -> Result<(Vec<Job<D>>, Option<String>), ApiError> {
    let definitions = definitions::jobs(app.account.as_str(), app.app.as_str(), D::KIND.as_str());
    let mut heads = definitions.heads(&*cx.engine().kv).await?;
    if let Some(segment) = segment {
        heads = heads_of_segment::<D>(cx, &definitions, heads, segment).await?;
    }
    let (heads, next_token) = page.cut(heads, Place::of_head);
    let mut jobs = Vec::with_capacity(heads.len());
    for head in heads {
        // A job whose application was deleted since the heads were read is left out.
        jobs.extend(load(cx, app, &head.id).await?);
    }
    Ok((jobs, next_token))
}

/// Nothing but a job's document says of which segment it is: those who ask for one segment's jobs are few.
async fn heads_of_segment<D: JobDocument>(
    cx: &Cx,
    definitions: &Definitions,
    heads: Vec<Head>,
    segment: &str,
) -> Result<Vec<Head>, ApiError> {
    let mut kept = Vec::new();
    for head in heads {
        let Some(body) = definitions.body(&*cx.engine().kv, &head.id, head.latest).await? else { continue };
        let document: D = serde_json::from_str(&body.document)?;
        if document.segment() == Some(segment) {
            kept.push(head);
        }
    }
    Ok(kept)
}

pub(super) async fn import_jobs(
    cx: &Cx,
    app: &AppKey,
    page: &Page,
    segment: Option<&str>,
) -> Result<ImportJobsResponse, ApiError> {
    let (jobs, next_token) = list(cx, app, page, segment).await?;
    let item = jobs.into_iter().map(|job| import_response(app, job)).collect();
    Ok(ImportJobsResponse { item, next_token })
}

pub(super) async fn export_jobs(
    cx: &Cx,
    app: &AppKey,
    page: &Page,
    segment: Option<&str>,
) -> Result<ExportJobsResponse, ApiError> {
    let (jobs, next_token) = list(cx, app, page, segment).await?;
    let item = jobs.into_iter().map(|job| export_response(app, job)).collect();
    Ok(ExportJobsResponse { item, next_token })
}

pub(super) fn import_response(app: &AppKey, job: Job<ImportDocument>) -> ImportJobResponse {
    let Job { id, document, state } = job;
    // What makes a piece of an import fail is in its last one, which every import has.
    let progress = Progress::of(&state, state.pieces);
    ImportJobResponse {
        application_id: app.app.to_string(),
        completed_pieces: progress.completed_pieces,
        completion_date: progress.completion_date,
        creation_date: state.created.to_string(),
        definition: document.definition,
        failed_pieces: progress.failed_pieces,
        failures: progress.failures,
        id,
        job_status: progress.job_status,
        total_failures: progress.total_failures,
        total_pieces: progress.total_pieces,
        total_processed: progress.total_processed,
        r#type: "IMPORT".to_owned(),
    }
}

pub(super) fn export_response(app: &AppKey, job: Job<ExportDocument>) -> ExportJobResponse {
    let Job { id, document, state } = job;
    // The part at which an export failed was not written, and is not counted.
    let failed = u64::from(state.status == JobStatus::Failed);
    let progress = Progress::of(&state, state.pieces + failed);
    ExportJobResponse {
        application_id: app.app.to_string(),
        completed_pieces: progress.completed_pieces,
        completion_date: progress.completion_date,
        creation_date: state.created.to_string(),
        definition: document.definition,
        failed_pieces: progress.failed_pieces,
        failures: progress.failures,
        id,
        job_status: progress.job_status,
        total_failures: progress.total_failures,
        total_pieces: progress.total_pieces,
        total_processed: progress.total_processed,
        r#type: "EXPORT".to_owned(),
    }
}

/// How far a job is, as both kinds show it.
#[derive(Debug, Default)]
struct Progress {
    job_status: WireStatus,
    completion_date: Option<String>,
    total_pieces: Option<i32>,
    completed_pieces: Option<i32>,
    failed_pieces: Option<i32>,
    total_processed: Option<i32>,
    total_failures: Option<i32>,
    failures: Option<Vec<String>>,
}

impl Progress {
    /// `pieces`: so far, with one that failed. A job that has not begun shows no numbers, and how many pieces there are in
    /// all is known when it is over.
    fn of(state: &JobState, pieces: u64) -> Self {
        let job_status = match state.status {
            JobStatus::Created => return Self::default(),
            JobStatus::Processing => WireStatus::Processing,
            JobStatus::Completed => WireStatus::Completed,
            JobStatus::Failed => WireStatus::Failed,
        };
        let failed = u64::from(state.status == JobStatus::Failed);
        Self {
            job_status,
            completion_date: state.completed.map(|at| at.to_string()),
            total_pieces: state.completed.map(|_| count(pieces)),
            completed_pieces: Some(count(pieces.saturating_sub(failed))),
            failed_pieces: Some(count(failed)),
            total_processed: Some(count(state.processed)),
            total_failures: Some(count(state.failed)),
            failures: Some(state.failures.clone()),
        }
    }
}

/// The wire counts in 32 bits.
fn count(number: u64) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}
