//! Segments and their versions (spec/30-segments.md §1, §2).

use std::collections::{BTreeMap, BTreeSet};

use domain::audience::AppKey;
use domain::segments::{Document, ImportOrigin, SOURCE_DEPTH_MAX, SOURCES_MAX};
use model::pinpoint::{
    CreateSegmentRequest, DeleteSegmentRequest, GetSegmentRequest, GetSegmentVersionRequest,
    GetSegmentVersionsRequest, GetSegmentsRequest, SegmentImportResource, SegmentResponse, SegmentType,
    SegmentsResponse, UpdateSegmentRequest, WriteSegmentRequest,
};
use store::Batch;
use store::tables::definitions::{self, Body, Definitions, Head};
use store::tables::jobs::{self, JobState};
use store::value::decode;

use super::{campaigns, tags};
use crate::context::Cx;
use crate::error::ApiError;
use crate::paging::{Page, Place};

/// Segments of an application.
const SEGMENTS_MAX: usize = 10_000;
/// Characters of a segment's name.
const NAME_CHARACTERS_MAX: usize = 256;

pub(super) async fn create_segment(cx: Cx, input: CreateSegmentRequest) -> Result<SegmentResponse, ApiError> {
    let app = cx.app_head(&input.application_id).await?;
    let mut request = input.write_segment_request;
    let tags = tags::checked(request.tags.take().unwrap_or_default())?;
    let document = checked(&cx, &app.key, None, request).await?;
    let segments = segments(&app.key);
    check_room(&cx, &segments).await?;
    let mut batch = Batch::default();
    app.guard(&mut batch);
    let json = serde_json::to_string(&document)?;
    let (head, body) = segments.create(&mut batch, &cx.new_id(), json, tags, cx.now());
    let output = response(&cx, &app.key, &head, &body).await?;
    cx.commit(batch, &output).await?;
    Ok(output)
}

pub(super) async fn update_segment(cx: Cx, input: UpdateSegmentRequest) -> Result<SegmentResponse, ApiError> {
    let app = cx.app_head(&input.application_id).await?;
    let segments = segments(&app.key);
    let found = segments.latest(&*cx.engine().kv, &input.segment_id).await?;
    let (head, row, body) = found.ok_or_else(ApiError::not_found)?;
    let before: Document = serde_json::from_str(&body.document)?;
    if before.import.is_some() {
        return Err(ApiError::bad_request("An imported segment cannot be changed; import it again"));
    }
    // Tags of an update are ignored (spec/00 §6); what the request leaves out keeps its value.
    let mut document = checked(&cx, &app.key, Some(&head.id), input.write_segment_request).await?;
    document.name = document.name.or(before.name);
    if document.dimensions.is_none() && document.segment_groups.is_none() {
        document.dimensions = before.dimensions;
        document.segment_groups = before.segment_groups;
    }
    let mut batch = Batch::default();
    app.guard(&mut batch);
    let (head, body) =
        segments.add_version(&mut batch, &head, row, serde_json::to_string(&document)?, cx.now());
    let output = response(&cx, &app.key, &head, &body).await?;
    cx.commit(batch, &output).await?;
    Ok(output)
}

pub(super) async fn get_segment(cx: Cx, input: GetSegmentRequest) -> Result<SegmentResponse, ApiError> {
    let app = cx.app(&input.application_id).await?;
    let found = segments(&app).latest(&*cx.engine().kv, &input.segment_id).await?;
    let (head, _, body) = found.ok_or_else(ApiError::not_found)?;
    response(&cx, &app, &head, &body).await
}

pub(super) async fn get_segment_version(
    cx: Cx,
    input: GetSegmentVersionRequest,
) -> Result<SegmentResponse, ApiError> {
    let app = cx.app(&input.application_id).await?;
    let kv = &*cx.engine().kv;
    let (head, _) = segments(&app).head(kv, &input.segment_id).await?.ok_or_else(ApiError::not_found)?;
    let version: u32 = input.version.parse().map_err(|_| ApiError::not_found())?;
    let body = segments(&app).body(kv, &head.id, version).await?.ok_or_else(ApiError::not_found)?;
    response(&cx, &app, &head, &body).await
}

pub(super) async fn get_segment_versions(
    cx: Cx,
    input: GetSegmentVersionsRequest,
) -> Result<SegmentsResponse, ApiError> {
    let app = cx.app(&input.application_id).await?;
    let kv = &*cx.engine().kv;
    let page = Page::parse(input.page_size.as_deref(), input.token.as_deref())?;
    let (head, _) = segments(&app).head(kv, &input.segment_id).await?.ok_or_else(ApiError::not_found)?;
    let (bodies, next_token) = page.cut(segments(&app).versions(kv, &head.id).await?, Place::of_body);
    let mut item = Vec::with_capacity(bodies.len());
    for body in bodies {
        item.push(response(&cx, &app, &head, &body).await?);
    }
    Ok(SegmentsResponse { item, next_token })
}

pub(super) async fn get_segments(cx: Cx, input: GetSegmentsRequest) -> Result<SegmentsResponse, ApiError> {
    let app = cx.app(&input.application_id).await?;
    let kv = &*cx.engine().kv;
    let page = Page::parse(input.page_size.as_deref(), input.token.as_deref())?;
    let (heads, next_token) = page.cut(segments(&app).heads(kv).await?, Place::of_head);
    let mut item = Vec::with_capacity(heads.len());
    for head in heads {
        if let Some(body) = segments(&app).body(kv, &head.id, head.latest).await? {
            item.push(response(&cx, &app, &head, &body).await?);
        }
    }
    Ok(SegmentsResponse { item, next_token })
}

/// Deletes a segment and stops the campaigns that are sent to it (spec/30 §1).
pub(super) async fn delete_segment(cx: Cx, input: DeleteSegmentRequest) -> Result<SegmentResponse, ApiError> {
    let app = cx.app(&input.application_id).await?;
    let found = segments(&app).latest(&*cx.engine().kv, &input.segment_id).await?;
    let (head, row, body) = found.ok_or_else(ApiError::not_found)?;
    let output = response(&cx, &app, &head, &body).await?;
    let mut batch = Batch::default();
    segments(&app).delete(&mut batch, &head, row);
    campaigns::stop_campaigns_of(&cx, &app, &head.id, &mut batch).await?;
    cx.commit(batch, &output).await?;
    Ok(output)
}

/// Adds the version of a segment that an import fills: of a new segment, or the next one of the imported segment `id`.
/// Answers both. It can be seen at once; whoever selects by it waits until the import is over (`engine::segments`).
pub(super) async fn put_imported(
    cx: &Cx,
    app: &AppKey,
    batch: &mut Batch,
    (id, name): (Option<&str>, Option<String>),
    origin: ImportOrigin,
) -> Result<(String, u32), ApiError> {
    check_name("SegmentName", name.as_deref())?;
    let segments = segments(app);
    let mut document = Document { name, import: Some(origin), ..Document::default() };
    let Some(id) = id else {
        check_room(cx, &segments).await?;
        let json = serde_json::to_string(&document)?;
        let (head, _) = segments.create(batch, &cx.new_id(), json, BTreeMap::new(), cx.now());
        return Ok((head.id, head.latest));
    };
    let found = segments.latest(&*cx.engine().kv, id).await?;
    let (head, row, body) = found.ok_or_else(ApiError::not_found)?;
    let before: Document = serde_json::from_str(&body.document)?;
    if before.import.is_none() {
        return Err(ApiError::bad_request("SegmentId names a segment that was not imported"));
    }
    document.name = document.name.or(before.name);
    let json = serde_json::to_string(&document)?;
    let (head, _) = segments.add_version(batch, &head, row, json, cx.now());
    Ok((head.id, head.latest))
}

async fn check_room(cx: &Cx, segments: &Definitions) -> Result<(), ApiError> {
    if segments.heads(&*cx.engine().kv).await?.len() >= SEGMENTS_MAX {
        return Err(ApiError::bad_request("Too many segments"));
    }
    Ok(())
}

fn check_name(member: &str, name: Option<&str>) -> Result<(), ApiError> {
    if name.is_some_and(|name| name.chars().count() > NAME_CHARACTERS_MAX) {
        let text = format!("{member} has more than {NAME_CHARACTERS_MAX} characters");
        return Err(ApiError::bad_request(text));
    }
    Ok(())
}

/// What is stored of a request; 400 where it cannot be meant or refers to what does not exist.
async fn checked(
    cx: &Cx,
    app: &AppKey,
    own: Option<&str>,
    request: WriteSegmentRequest,
) -> Result<Document, ApiError> {
    check_name("Name", request.name.as_deref())?;
    let document = Document {
        name: request.name,
        dimensions: request.dimensions,
        segment_groups: request.segment_groups,
        import: None,
    };
    let criteria = document.criteria()?;
    let mut level: BTreeSet<(String, Option<u32>)> =
        criteria.sources().map(|source| (source.segment.as_str().to_owned(), source.version)).collect();
    let mut looked_at = 0;
    // Follows the sources: each must exist, none may lead back here.
    for _ in 0..SOURCE_DEPTH_MAX {
        if level.is_empty() {
            return Ok(document);
        }
        looked_at += level.len();
        if looked_at > SOURCES_MAX {
            let text = format!("A segment is built on at most {SOURCES_MAX} others");
            return Err(ApiError::bad_request(text));
        }
        let mut next = BTreeSet::new();
        for (segment, version) in level {
            if own == Some(segment.as_str()) {
                return Err(ApiError::bad_request("A segment cannot be built on itself"));
            }
            let source = load(cx, app, &segment, version).await?;
            let source =
                source.ok_or_else(|| ApiError::bad_request(format!("Source segment {segment} not found")))?;
            let sources = source.criteria()?;
            next.extend(sources.sources().map(|source| (source.segment.as_str().to_owned(), source.version)));
        }
        level = next;
    }
    Err(ApiError::bad_request(format!("Segments are built on each other more than {SOURCE_DEPTH_MAX} deep")))
}

async fn load(
    cx: &Cx,
    app: &AppKey,
    segment: &str,
    version: Option<u32>,
) -> Result<Option<Document>, ApiError> {
    let kv = &*cx.engine().kv;
    let Some((head, _)) = segments(app).head(kv, segment).await? else { return Ok(None) };
    let body = segments(app).body(kv, segment, version.unwrap_or(head.latest)).await?;
    Ok(body.map(|body| serde_json::from_str(&body.document)).transpose()?)
}

/// Whether a segment's version exists: what a campaign asks. Answers the version to use; the commit fails if the segment is
/// changed or deleted meanwhile.
pub(super) async fn existing_version(
    cx: &Cx,
    app: &AppKey,
    segment: &str,
    version: Option<u32>,
    batch: &mut Batch,
) -> Result<u32, ApiError> {
    let kv = &*cx.engine().kv;
    let missing = || ApiError::bad_request(format!("Segment {segment} not found"));
    let (head, row) = segments(app).head(kv, segment).await?.ok_or_else(missing)?;
    let version = version.unwrap_or(head.latest);
    segments(app).body(kv, segment, version).await?.ok_or_else(missing)?;
    batch.check(segments(app).head_key(segment), row);
    Ok(version)
}

fn segments(app: &AppKey) -> Definitions {
    definitions::segments(app.account.as_str(), app.app.as_str())
}

async fn response(cx: &Cx, app: &AppKey, head: &Head, body: &Body) -> Result<SegmentResponse, ApiError> {
    let document: Document = serde_json::from_str(&body.document)?;
    let import_definition = match &document.import {
        None => None,
        Some(origin) => {
            let row = cx.engine().kv.get(&jobs::state_key(app, "import", &origin.job)).await?;
            let state: Option<JobState> = row.map(|row| decode(&row.value)).transpose()?;
            let counts = state.iter().flat_map(|state| &state.channels);
            Some(SegmentImportResource {
                channel_counts: Some(
                    counts.map(|(channel, count)| (channel.clone(), *count as i32)).collect(),
                ),
                external_id: origin.external_id.clone(),
                format: origin.format,
                role_arn: origin.role_arn.clone(),
                s3_url: origin.s3_url.clone(),
                size: state.map_or(0, |state| state.processed as i32),
            })
        }
    };
    let segment_type = if document.import.is_some() { SegmentType::Import } else { SegmentType::Dimensional };
    Ok(SegmentResponse {
        application_id: app.app.to_string(),
        arn: cx.arn(&format!("apps/{}/segments/{}", app.app, head.id)),
        creation_date: head.created.to_string(),
        dimensions: document.dimensions,
        id: head.id.clone(),
        import_definition,
        last_modified_date: Some(body.modified.to_string()),
        name: document.name,
        segment_groups: document.segment_groups,
        segment_type,
        version: Some(body.version as i32),
        tags: Some(head.tags.clone()),
    })
}
