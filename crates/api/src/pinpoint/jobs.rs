//! Import and export jobs: made and shown here, carried out by `engine::jobs` (spec/30-segments.md §6, §7).

use domain::audience::AppKey;
use domain::jobs::{Effects, ExportDocument, ImportDocument};
use domain::segments::ImportOrigin;
use engine::jobs::{Kind, RUNNING_MAX};
use engine::objects::{ObjectsError, S3Url, parse_s3_url};
use model::pinpoint::{
    CreateExportJobRequest, CreateImportJobRequest, ExportJobRequest, ExportJobResource, ExportJobResponse,
    ExportJobsResponse, GetExportJobRequest, GetExportJobsRequest, GetImportJobRequest, GetImportJobsRequest,
    GetSegmentExportJobsRequest, GetSegmentImportJobsRequest, ImportJobRequest, ImportJobResource,
    ImportJobResponse, ImportJobsResponse,
};
use store::Batch;
use store::tables::definitions;

use self::shown::{Job, export_jobs, export_response, import_jobs, import_response, load};
use super::segments;
use crate::context::Cx;
use crate::error::ApiError;
use crate::paging::Page;

mod shown;

/// Characters of a role's ARN, which is only stored and echoed (IAM's own limit).
const ROLE_ARN_CHARACTERS_MAX: usize = 2_048;
/// Characters of an external id, likewise.
const EXTERNAL_ID_CHARACTERS_MAX: usize = 1_224;

/// The answer has the ids of the segment and of the external party, whether they were sent or not: clients read both from it
/// (spec/97 C21).
pub(super) async fn create_import_job(
    cx: Cx,
    input: CreateImportJobRequest,
) -> Result<ImportJobResponse, ApiError> {
    let app = cx.app_head(&input.application_id).await?;
    let effects = Effects::of(&input.import_job_request)?;
    let mut definition = import_definition(&cx, input.import_job_request)?;
    let url = place(&cx, "S3Url", &definition.s3_url)?;
    check_room(&cx, Kind::Import).await?;
    let id = cx.new_id();
    let mut batch = Batch::default();
    app.guard(&mut batch);
    let mut segment_version = None;
    if effects.define {
        let named = (definition.segment_id.as_deref(), definition.segment_name.clone());
        let origin = origin(&id, &definition);
        let (segment, version) = segments::put_imported(&cx, &app.key, &mut batch, named, origin).await?;
        definition.segment_id = Some(segment);
        segment_version = Some(version);
    }
    let document = ImportDocument { definition, segment_version };
    let format = document.plan()?.format;
    if let Some(fault) = engine::jobs::start_error(cx.engine(), &url, format).await {
        return Err(ApiError::bad_request(fault));
    }
    let json = serde_json::to_string(&document)?;
    let state = engine::jobs::create(&mut batch, &app.key, Kind::Import, &id, json, cx.now());
    let output = import_response(&app.key, Job { id, document, state });
    cx.commit(batch, &output).await?;
    cx.engine().jobs.notify_one();
    Ok(output)
}

pub(super) async fn create_export_job(
    cx: Cx,
    input: CreateExportJobRequest,
) -> Result<ExportJobResponse, ApiError> {
    let app = cx.app_head(&input.application_id).await?;
    let ExportJobRequest { role_arn, s3_url_prefix, segment_id, segment_version } = input.export_job_request;
    check_role(&role_arn)?;
    place(&cx, "S3UrlPrefix", &s3_url_prefix)?;
    match &segment_id {
        Some(segment) => check_segment(&cx, &app.key, segment, segment_version).await?,
        // Whoever names a version does not mean everybody.
        None if segment_version.is_some() => {
            return Err(ApiError::bad_request("SegmentVersion needs SegmentId"));
        }
        None => {}
    }
    check_room(&cx, Kind::Export).await?;
    let definition = ExportJobResource { role_arn, s3_url_prefix, segment_id, segment_version };
    let document = ExportDocument { definition };
    let id = cx.new_id();
    let mut batch = Batch::default();
    app.guard(&mut batch);
    let json = serde_json::to_string(&document)?;
    let state = engine::jobs::create(&mut batch, &app.key, Kind::Export, &id, json, cx.now());
    let output = export_response(&app.key, Job { id, document, state });
    cx.commit(batch, &output).await?;
    cx.engine().jobs.notify_one();
    Ok(output)
}

pub(super) async fn get_import_job(
    cx: Cx,
    input: GetImportJobRequest,
) -> Result<ImportJobResponse, ApiError> {
    let app = cx.app(&input.application_id).await?;
    let job = load(&cx, &app, &input.job_id).await?.ok_or_else(ApiError::not_found)?;
    Ok(import_response(&app, job))
}

pub(super) async fn get_export_job(
    cx: Cx,
    input: GetExportJobRequest,
) -> Result<ExportJobResponse, ApiError> {
    let app = cx.app(&input.application_id).await?;
    let job = load(&cx, &app, &input.job_id).await?.ok_or_else(ApiError::not_found)?;
    Ok(export_response(&app, job))
}

pub(super) async fn get_import_jobs(
    cx: Cx,
    input: GetImportJobsRequest,
) -> Result<ImportJobsResponse, ApiError> {
    let app = cx.app(&input.application_id).await?;
    let page = Page::parse(input.page_size.as_deref(), input.token.as_deref())?;
    import_jobs(&cx, &app, &page, None).await
}

pub(super) async fn get_export_jobs(
    cx: Cx,
    input: GetExportJobsRequest,
) -> Result<ExportJobsResponse, ApiError> {
    let app = cx.app(&input.application_id).await?;
    let page = Page::parse(input.page_size.as_deref(), input.token.as_deref())?;
    export_jobs(&cx, &app, &page, None).await
}

pub(super) async fn get_segment_import_jobs(
    cx: Cx,
    input: GetSegmentImportJobsRequest,
) -> Result<ImportJobsResponse, ApiError> {
    let app = cx.app(&input.application_id).await?;
    let page = Page::parse(input.page_size.as_deref(), input.token.as_deref())?;
    check_segment(&cx, &app, &input.segment_id, None).await?;
    import_jobs(&cx, &app, &page, Some(&input.segment_id)).await
}

pub(super) async fn get_segment_export_jobs(
    cx: Cx,
    input: GetSegmentExportJobsRequest,
) -> Result<ExportJobsResponse, ApiError> {
    let app = cx.app(&input.application_id).await?;
    let page = Page::parse(input.page_size.as_deref(), input.token.as_deref())?;
    check_segment(&cx, &app, &input.segment_id, None).await?;
    export_jobs(&cx, &app, &page, Some(&input.segment_id)).await
}

/// What a request asks for, as it is stored and echoed.
fn import_definition(cx: &Cx, request: ImportJobRequest) -> Result<ImportJobResource, ApiError> {
    let ImportJobRequest {
        define_segment,
        external_id,
        format,
        register_endpoints,
        role_arn,
        s3_url,
        segment_id,
        segment_name,
    } = request;
    check_role(&role_arn)?;
    if external_id.as_ref().is_some_and(|id| id.chars().count() > EXTERNAL_ID_CHARACTERS_MAX) {
        let text = format!("ExternalId has more than {EXTERNAL_ID_CHARACTERS_MAX} characters");
        return Err(ApiError::bad_request(text));
    }
    Ok(ImportJobResource {
        define_segment,
        external_id: external_id.filter(|id| !id.is_empty()).or_else(|| Some(cx.new_id())),
        format,
        register_endpoints,
        role_arn,
        s3_url,
        segment_id,
        segment_name,
    })
}

fn origin(job: &str, definition: &ImportJobResource) -> ImportOrigin {
    ImportOrigin {
        job: job.to_owned(),
        format: definition.format,
        s3_url: definition.s3_url.clone(),
        role_arn: definition.role_arn.clone(),
        external_id: definition.external_id.clone().unwrap_or_default(),
    }
}

fn check_role(arn: &str) -> Result<(), ApiError> {
    if arn.trim().is_empty() {
        return Err(ApiError::bad_request("RoleArn is required"));
    }
    if arn.chars().count() > ROLE_ARN_CHARACTERS_MAX {
        let text = format!("RoleArn has more than {ROLE_ARN_CHARACTERS_MAX} characters");
        return Err(ApiError::bad_request(text));
    }
    Ok(())
}

/// Where a job's objects are; 400 where a request does not say it, or the operator has not said where that leads.
fn place(cx: &Cx, member: &str, url: &str) -> Result<S3Url, ApiError> {
    if url.trim().is_empty() {
        return Err(ApiError::bad_request(format!("{member} is required")));
    }
    let url = parse_s3_url(url).map_err(|fault| ApiError::bad_request(format!("{member}: {fault}")))?;
    if !cx.engine().objects.is_configured() {
        return Err(ApiError::bad_request(ObjectsError::Unconfigured.to_string()));
    }
    Ok(url)
}

/// Calls at the same instant may all find the last place free: it is a limit on work, of which one job is carried out at a
/// time anyway.
async fn check_room(cx: &Cx, kind: Kind) -> Result<(), ApiError> {
    if engine::jobs::running(cx.engine(), cx.account().as_str(), kind).await? >= RUNNING_MAX {
        let kind = kind.as_str();
        let text = format!("Too many active {kind} jobs: an account may have {RUNNING_MAX} at a time");
        return Err(ApiError::bad_request(text));
    }
    Ok(())
}

/// 404 where the segment, or the version of it, does not exist.
async fn check_segment(cx: &Cx, app: &AppKey, segment: &str, version: Option<i32>) -> Result<(), ApiError> {
    let kv = &*cx.engine().kv;
    let segments = definitions::segments(app.account.as_str(), app.app.as_str());
    let (head, _) = segments.head(kv, segment).await?.ok_or_else(ApiError::not_found)?;
    if let Some(version) = version {
        let version = u32::try_from(version).map_err(|_| ApiError::not_found())?;
        segments.body(kv, &head.id, version).await?.ok_or_else(ApiError::not_found)?;
    }
    Ok(())
}
