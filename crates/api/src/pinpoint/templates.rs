//! Message templates: five kinds, one body, with versions (spec/40 §1-§3).
//!
//! Each version is the wire request without its tags, which belong to the template. Versions count from 1 and are never used
//! again; the newest one that is left is "latest", and `Head::latest` is the highest number ever given.

use std::collections::BTreeMap;

use domain::rendering::parse_default_substitutions;
use model::pinpoint::{
    ListTemplateVersionsRequest, ListTemplatesRequest, MessageBody, TemplateResponse, TemplateType,
    TemplateVersionResponse, TemplateVersionsResponse, TemplatesResponse, UpdateTemplateActiveVersionRequest,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use store::tables::definitions::{self, Body, Definitions, Head};
use store::{Batch, Kv};

use super::{accepted, tags};
use crate::context::Cx;
use crate::error::ApiError;
use crate::paging::{Page, Place};

mod kinds;

pub(super) use kinds::{Email, InApp, Push, Sms, Voice};

/// Versions of a template. Deleted ones count: a number is never used again.
const VERSIONS_MAX: u32 = 5_000;
/// Templates of an account, over all kinds.
const TEMPLATES_MAX: usize = 20_000;
/// Characters of a template's name.
const NAME_CHARACTERS_MAX: usize = 128;
/// Characters of a template's description.
const DESCRIPTION_CHARACTERS_MAX: usize = 500;
/// Stands for the newest version, in any case of letters.
const LATEST: &str = "latest";

/// The members of a template's document.
type Members = Map<String, Value>;

/// A kind of template.
pub(super) trait TemplateKind {
    type Request: Serialize;
    type Response: Serialize + DeserializeOwned;
    /// The answer to creating one.
    type Created: Serialize + DeserializeOwned;

    const TYPE: TemplateType;

    /// Checks sizes, and that the texts are templates.
    fn check(request: &Self::Request) -> Result<(), ApiError>;
}

/// How an update treats versions.
pub(super) struct Versioning {
    pub(super) create_new_version: Option<bool>,
    pub(super) version: Option<String>,
}

pub(super) async fn create<K: TemplateKind>(
    cx: Cx,
    name: String,
    request: K::Request,
) -> Result<K::Created, ApiError> {
    check_name(&name)?;
    let (document, tags) = checked::<K>(&request)?;
    let templates = templates(&cx, K::TYPE);
    if templates.head(kv(&cx), &name).await?.is_some() {
        return Err(ApiError::bad_request(format!("Template {name} already exists")));
    }
    let mut count = 0;
    for kind in TemplateType::ALL {
        count += self::templates(&cx, *kind).heads(kv(&cx)).await?.len();
    }
    if count >= TEMPLATES_MAX {
        return Err(ApiError::bad_request("Too many templates"));
    }
    let mut batch = Batch::default();
    templates.create(&mut batch, &name, document, tags, cx.now());
    let output: K::Created = serde_json::from_value(json!({
        "Arn": arn(&cx, &name, K::TYPE),
        "Message": "Created",
        "RequestID": cx.request_id.as_str(),
    }))?;
    cx.commit(batch, &output).await?;
    Ok(output)
}

pub(super) async fn get<K: TemplateKind>(
    cx: Cx,
    name: String,
    version: Option<String>,
) -> Result<K::Response, ApiError> {
    let templates = templates(&cx, K::TYPE);
    let (head, _) = templates.head(kv(&cx), &name).await?.ok_or_else(ApiError::not_found)?;
    let version = version.unwrap_or_else(|| head.active.to_string());
    let body = find(&cx, &templates, &head, &version).await?;
    let mut members: Members = serde_json::from_str(&body.document)?;
    let mut put = |name: &str, value: Value| members.insert(name.to_owned(), value);
    put("Arn", json!(arn(&cx, &name, K::TYPE)));
    put("CreationDate", json!(head.created.to_string()));
    put("LastModifiedDate", json!(body.modified.to_string()));
    put("TemplateName", json!(head.id));
    put("TemplateType", json!(K::TYPE));
    put("Version", json!(body.version.to_string()));
    put("tags", json!(head.tags));
    Ok(serde_json::from_value(Value::Object(members))?)
}

/// Overwrites the newest version, or adds one, which does not become active by that. Tags are not changed (spec/00 §6).
pub(super) async fn update<K: TemplateKind>(
    cx: Cx,
    name: String,
    request: K::Request,
    versioning: Versioning,
) -> Result<MessageBody, ApiError> {
    let (document, _) = checked::<K>(&request)?;
    let templates = templates(&cx, K::TYPE);
    let (head, row) = templates.head(kv(&cx), &name).await?.ok_or_else(ApiError::not_found)?;
    let mut batch = Batch::default();
    if versioning.create_new_version == Some(true) {
        if versioning.version.is_some() {
            return Err(ApiError::bad_request("version cannot be given together with create-new-version"));
        }
        if head.latest >= VERSIONS_MAX {
            return Err(ApiError::bad_request("Too many versions of this template"));
        }
        templates.add_version(&mut batch, &head, row, document, cx.now());
    } else {
        let newest = find(&cx, &templates, &head, LATEST).await?;
        if versioning.version.is_some_and(|asked| !is_version(&asked, newest.version)) {
            return Err(ApiError::bad_request("version must be the latest version of the template"));
        }
        batch.check(templates.head_key(&name), row);
        templates.put_head(&mut batch, &Head { modified: cx.now(), ..head });
        templates.put_body(&mut batch, &name, &Body { document, modified: cx.now(), ..newest });
    }
    let output = accepted(&cx);
    cx.commit(batch, &output).await?;
    Ok(output)
}

/// Deletes one version, or all. Where the active version goes, the newest one left becomes active.
pub(super) async fn delete<K: TemplateKind>(
    cx: Cx,
    name: String,
    version: Option<String>,
) -> Result<MessageBody, ApiError> {
    let templates = templates(&cx, K::TYPE);
    let (mut head, row) = templates.head(kv(&cx), &name).await?.ok_or_else(ApiError::not_found)?;
    let mut batch = Batch::default();
    let mut left = None;
    if let Some(version) = version {
        let deleted = find(&cx, &templates, &head, &version).await?.version;
        left = newest(&cx, &templates, &head, |version| version != deleted, 1).await?.pop();
        batch.delete(templates.body_key(&name, deleted));
        if let Some(left) = &left {
            head.active = if head.active == deleted { left.version } else { head.active };
            head.modified = cx.now();
            batch.check(templates.head_key(&name), row);
            templates.put_head(&mut batch, &head);
        }
    }
    if left.is_none() {
        templates.delete(&mut batch, &head, row);
    }
    let output = accepted(&cx);
    cx.commit(batch, &output).await?;
    Ok(output)
}

pub(super) async fn update_template_active_version(
    cx: Cx,
    input: UpdateTemplateActiveVersionRequest,
) -> Result<MessageBody, ApiError> {
    let name = input.template_name;
    let templates = templates(&cx, parse_type(&input.template_type)?);
    let (head, row) = templates.head(kv(&cx), &name).await?.ok_or_else(ApiError::not_found)?;
    let asked = input.template_active_version_request.version;
    let asked = asked.ok_or_else(|| ApiError::bad_request("Version is required"))?;
    let active = find(&cx, &templates, &head, &asked).await?.version;
    let mut batch = Batch::default();
    batch.check(templates.head_key(&name), row);
    templates.put_head(&mut batch, &Head { active, modified: cx.now(), ..head });
    let output = accepted(&cx);
    cx.commit(batch, &output).await?;
    Ok(output)
}

pub(super) async fn list_templates(
    cx: Cx,
    input: ListTemplatesRequest,
) -> Result<TemplatesResponse, ApiError> {
    let page = Page::parse(input.page_size.as_deref(), input.next_token.as_deref())?;
    let prefix = input.prefix.unwrap_or_default();
    let asked = input.template_type.as_deref().map(parse_type).transpose()?;
    let mut found: Vec<(TemplateType, Head)> = Vec::new();
    for kind in TemplateType::ALL.iter().copied().filter(|kind| asked.is_none_or(|asked| asked == *kind)) {
        let heads = templates(&cx, kind).heads(kv(&cx)).await?;
        found.extend(heads.into_iter().filter(|head| head.id.starts_with(&prefix)).map(|head| (kind, head)));
    }
    let place = |(kind, head): &(TemplateType, Head)| Place::at(head.created, format!("{}/{kind}", head.id));
    found.sort_by_cached_key(|item| {
        let place = place(item);
        (std::cmp::Reverse(place.rank), place.id)
    });
    let (found, next_token) = page.cut(found, place);
    let item = found.into_iter().map(|(kind, head)| TemplateResponse {
        creation_date: head.created.to_string(),
        last_modified_date: head.modified.to_string(),
        template_name: head.id,
        template_type: kind,
        version: Some(head.active.to_string()),
        ..TemplateResponse::default()
    });
    Ok(TemplatesResponse { item: item.collect(), next_token })
}

pub(super) async fn list_template_versions(
    cx: Cx,
    input: ListTemplateVersionsRequest,
) -> Result<TemplateVersionsResponse, ApiError> {
    let page = Page::parse(input.page_size.as_deref(), input.next_token.as_deref())?;
    let kind = parse_type(&input.template_type)?;
    let templates = templates(&cx, kind);
    let found = templates.head(kv(&cx), &input.template_name).await?;
    let (head, _) = found.ok_or_else(ApiError::not_found)?;
    // Documents may be large, so only those of this page are read, and one more to know whether there is a next one.
    let after = page.after.as_ref().map_or(i64::MAX, |place| place.rank);
    let bodies = newest(&cx, &templates, &head, |version| i64::from(version) < after, page.size + 1).await?;
    let (bodies, next_token) = page.cut(bodies, Place::of_body);
    let mut item = Vec::with_capacity(bodies.len());
    for body in bodies {
        let members: Members = serde_json::from_str(&body.document)?;
        let text = |name: &str| members.get(name).and_then(Value::as_str).map(str::to_owned);
        item.push(TemplateVersionResponse {
            creation_date: body.created.to_string(),
            default_substitutions: text("DefaultSubstitutions"),
            last_modified_date: body.modified.to_string(),
            template_description: text("TemplateDescription"),
            template_name: head.id.clone(),
            template_type: kind.as_str().to_owned(),
            version: Some(body.version.to_string()),
        });
    }
    let request_id = Some(cx.request_id.to_string());
    Ok(TemplateVersionsResponse { item, message: None, next_token, request_id })
}

fn templates(cx: &Cx, kind: TemplateType) -> Definitions {
    definitions::templates(cx.account().as_str(), kind.as_str())
}

fn kv(cx: &Cx) -> &dyn Kv {
    &*cx.engine().kv
}

fn arn(cx: &Cx, name: &str, kind: TemplateType) -> String {
    cx.arn(&format!("templates/{name}/{kind}"))
}

/// The type in a path or query: in any case of letters (spec/40 §1).
fn parse_type(text: &str) -> Result<TemplateType, ApiError> {
    text.to_ascii_uppercase()
        .parse()
        .map_err(|_| ApiError::bad_request(format!("Invalid template type {text}")))
}

/// `asked` names `version`, which is the latest.
fn is_version(asked: &str, version: u32) -> bool {
    asked.eq_ignore_ascii_case(LATEST) || asked.parse() == Ok(version)
}

/// The version that a client names; 404 where it does not exist.
async fn find(cx: &Cx, templates: &Definitions, head: &Head, asked: &str) -> Result<Body, ApiError> {
    if asked.eq_ignore_ascii_case(LATEST) {
        return newest(cx, templates, head, |_| true, 1).await?.pop().ok_or_else(ApiError::not_found);
    }
    let version = asked.parse().map_err(|_| ApiError::bad_request("Version must be a number or latest"))?;
    templates.body(kv(cx), &head.id, version).await?.ok_or_else(ApiError::not_found)
}

/// Up to `count` of the versions that are left and wanted, newest first.
async fn newest(
    cx: &Cx,
    templates: &Definitions,
    head: &Head,
    is_wanted: impl Fn(u32) -> bool,
    count: usize,
) -> Result<Vec<Body>, ApiError> {
    let mut bodies = Vec::new();
    for version in (1..=head.latest).rev().filter(|version| is_wanted(*version)) {
        if bodies.len() == count {
            break;
        }
        bodies.extend(templates.body(kv(cx), &head.id, version).await?);
    }
    Ok(bodies)
}

/// The document to store, and the tags.
fn checked<K: TemplateKind>(request: &K::Request) -> Result<(String, BTreeMap<String, String>), ApiError> {
    K::check(request)?;
    let mut members: Members = serde_json::from_value(serde_json::to_value(request)?)?;
    if let Some(defaults) = members.get("DefaultSubstitutions").and_then(Value::as_str) {
        parse_default_substitutions(defaults)
            .map_err(|error| ApiError::bad_request(format!("Invalid DefaultSubstitutions: {error}")))?;
    }
    let description = members.get("TemplateDescription").and_then(Value::as_str).unwrap_or_default();
    if description.chars().count() > DESCRIPTION_CHARACTERS_MAX {
        let text = format!("TemplateDescription has more than {DESCRIPTION_CHARACTERS_MAX} characters");
        return Err(ApiError::bad_request(text));
    }
    let tags = match members.remove("tags") {
        Some(tags) => tags::checked(serde_json::from_value(tags)?)?,
        None => BTreeMap::new(),
    };
    Ok((serde_json::to_string(&members)?, tags))
}

/// Starts with a letter or digit; letters, digits, `_`, `-`; at most 128 characters.
fn check_name(name: &str) -> Result<(), ApiError> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    let starts_well = name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
    if starts_well && name.len() <= NAME_CHARACTERS_MAX && name.bytes().all(is_allowed) {
        return Ok(());
    }
    Err(ApiError::bad_request(
        "A template's name starts with a letter or digit and has up to 128 letters, digits, underscores and hyphens",
    ))
}
