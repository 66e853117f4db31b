//! Projects.

use domain::audience::AppKey;
use domain::ids::AppId;
use engine::SHARD;
use model::pinpoint::{
    ApplicationResponse, ApplicationsResponse, CreateAppRequest, DeleteAppRequest, GetAppRequest,
    GetAppsRequest,
};
use serde::{Deserialize, Serialize};
use store::tables::definitions::{self, Definitions, Head};
use store::tables::due::{Due, Task};
use store::value::encode;
use store::{Batch, Key, Table};

use super::tags;
use crate::context::Cx;
use crate::error::ApiError;
use crate::paging::{Page, Place};

/// Projects of an account.
pub(super) const APPS_MAX: usize = 10_000;
/// Characters of a project's name.
pub(super) const NAME_CHARACTERS_MAX: usize = 256;

/// Rows of an application's definitions that are deleted in the commit that deletes the application; what is beyond is left
/// for the purge.
const DELETED_ROWS_MAX: usize = 10_000;

/// What is stored of an application beside its head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    name: String,
}

pub(super) async fn create_app(cx: Cx, input: CreateAppRequest) -> Result<ApplicationResponse, ApiError> {
    let request = input.create_application_request;
    let name = request.name;
    if name.trim().is_empty() || name.chars().count() > NAME_CHARACTERS_MAX {
        return Err(ApiError::bad_request(format!("Name must have 1 to {NAME_CHARACTERS_MAX} characters")));
    }
    let tags = tags::checked(request.tags.unwrap_or_default())?;
    let apps = apps(&cx);
    if apps.heads(&*cx.engine().kv).await?.len() >= APPS_MAX {
        return Err(ApiError::bad_request("Too many applications"));
    }
    let mut batch = Batch::default();
    let document = serde_json::to_string(&Document { name: name.clone() })?;
    let (head, _) = apps.create(&mut batch, &cx.new_id(), document, tags, cx.now());
    let output = response(&cx, head, name);
    cx.commit(batch, &output).await?;
    Ok(output)
}

pub(super) async fn get_app(cx: Cx, input: GetAppRequest) -> Result<ApplicationResponse, ApiError> {
    let found = apps(&cx).latest(&*cx.engine().kv, &input.application_id).await?;
    let (head, _, body) = found.ok_or_else(ApiError::app_not_found)?;
    let document: Document = serde_json::from_str(&body.document)?;
    Ok(response(&cx, head, document.name))
}

pub(super) async fn get_apps(cx: Cx, input: GetAppsRequest) -> Result<ApplicationsResponse, ApiError> {
    let page = Page::parse(input.page_size.as_deref(), input.token.as_deref())?;
    let (heads, next_token) = page.cut(apps(&cx).heads(&*cx.engine().kv).await?, Place::of_head);
    let mut item = Vec::with_capacity(heads.len());
    for head in heads {
        // An application that was deleted since the heads were read is left out.
        if let Some(body) = apps(&cx).body(&*cx.engine().kv, &head.id, head.latest).await? {
            let document: Document = serde_json::from_str(&body.document)?;
            item.push(response(&cx, head, document.name));
        }
    }
    Ok(ApplicationsResponse { item: Some(item), next_token })
}

/// Deletes the application and its definitions. A due row sees to it that everything else goes, endpoints and users first
/// (spec/00-overview.md §1).
pub(super) async fn delete_app(cx: Cx, input: DeleteAppRequest) -> Result<ApplicationResponse, ApiError> {
    let id = input.application_id;
    let found = apps(&cx).latest(&*cx.engine().kv, &id).await?;
    let (head, row, body) = found.ok_or_else(ApiError::app_not_found)?;
    let document: Document = serde_json::from_str(&body.document)?;
    let mut batch = Batch::default();
    apps(&cx).delete(&mut batch, &head, row);
    for key in definitions_of(&cx, &id).await? {
        batch.delete(key);
    }
    let (app, now) = (AppKey { account: cx.account().clone(), app: AppId::new(&id) }, cx.now());
    let due = Due { app, task: Task::PurgeApp, scheduled: now };
    batch.put(due.key(SHARD, now), encode(&due));
    let output = response(&cx, head, document.name);
    cx.commit(batch, &output).await?;
    cx.engine().due.notify_one();
    Ok(output)
}

/// The rows of everything that was defined within an application.
async fn definitions_of(cx: &Cx, app: &str) -> Result<Vec<Key>, ApiError> {
    let kv = &cx.engine().kv;
    let account = cx.account().as_str();
    let mut keys = Vec::new();
    if let Some((head, _)) = definitions::settings(account).head(&**kv, app).await? {
        keys.push(definitions::settings(account).head_key(app));
        keys.push(definitions::settings(account).body_key(app, head.latest));
    }
    for table in [Table::Channels, Table::Segments, Table::Campaigns, Table::Jobs] {
        let range = Key::new(table).text(account).text(app).prefix();
        let rows = kv.scan(range, DELETED_ROWS_MAX - keys.len()).await?;
        keys.extend(rows.into_iter().map(|(key, _)| key));
    }
    Ok(keys)
}

fn apps(cx: &Cx) -> Definitions {
    definitions::apps(cx.account().as_str())
}

fn response(cx: &Cx, head: Head, name: String) -> ApplicationResponse {
    let Head { id, created, modified: _, latest: _, active: _, tags } = head;
    ApplicationResponse {
        arn: cx.arn(&format!("apps/{id}")),
        creation_date: Some(created.to_string()),
        id,
        name,
        tags: Some(tags),
    }
}
