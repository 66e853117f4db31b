//! Tags of applications, campaigns, segments and templates, by ARN (spec/00 §6).

use std::collections::BTreeMap;

use model::NoOutput;
use model::pinpoint::{
    ListTagsForResourceRequest, TagResourceRequest, TagsModel, TemplateType, UntagResourceRequest,
};
use store::tables::definitions::{self, Definitions};
use store::{Batch, Kv};

use crate::context::Cx;
use crate::error::ApiError;

/// Tags of a resource.
pub(super) const TAGS_MAX: usize = 50;
/// Characters of a tag's key.
pub(super) const KEY_CHARACTERS_MAX: usize = 128;
/// Characters of a tag's value.
pub(super) const VALUE_CHARACTERS_MAX: usize = 256;
/// Keys that begin so are reserved.
const RESERVED_PREFIX: &str = "aws:";

/// Tags by key.
pub(super) type Tags = BTreeMap<String, String>;

/// Tags as they may be stored; 400 where they break a rule.
pub(super) fn checked(tags: Tags) -> Result<Tags, ApiError> {
    if tags.len() > TAGS_MAX {
        return Err(ApiError::bad_request(format!("A resource can have at most {TAGS_MAX} tags")));
    }
    for (key, value) in &tags {
        let characters = key.chars().count();
        if characters == 0 || characters > KEY_CHARACTERS_MAX {
            return Err(ApiError::bad_request(format!(
                "Tag key must have 1 to {KEY_CHARACTERS_MAX} characters"
            )));
        }
        if value.chars().count() > VALUE_CHARACTERS_MAX {
            return Err(ApiError::bad_request(format!(
                "Tag value has more than {VALUE_CHARACTERS_MAX} characters"
            )));
        }
        if key.get(..RESERVED_PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(RESERVED_PREFIX)) {
            return Err(ApiError::bad_request("Tag keys that begin with aws: are reserved"));
        }
        if !key.chars().chain(value.chars()).all(is_allowed) {
            return Err(ApiError::bad_request(
                "Tags consist of letters, digits, white space and _ . : / = + - @",
            ));
        }
    }
    Ok(tags)
}

fn is_allowed(character: char) -> bool {
    character.is_alphanumeric() || character.is_whitespace() || "_.:/=+-@".contains(character)
}

pub(super) async fn list_tags_for_resource(
    cx: Cx,
    input: ListTagsForResourceRequest,
) -> Result<TagsModel, ApiError> {
    let (definitions, id) = resource(&cx, &input.resource_arn)?;
    let (head, _) = definitions.head(kv(&cx), &id).await?.ok_or_else(ApiError::not_found)?;
    Ok(TagsModel { tags: head.tags })
}

pub(super) async fn tag_resource(cx: Cx, input: TagResourceRequest) -> Result<NoOutput, ApiError> {
    let new = checked(input.tags_model.tags)?;
    let change = |mut tags: Tags| {
        tags.extend(new);
        checked(tags)
    };
    change_tags(&cx, &input.resource_arn, change).await
}

pub(super) async fn untag_resource(cx: Cx, input: UntagResourceRequest) -> Result<NoOutput, ApiError> {
    if input.tag_keys.is_empty() {
        return Err(ApiError::bad_request("tagKeys is required"));
    }
    let change = |mut tags: Tags| {
        tags.retain(|key, _| !input.tag_keys.contains(key));
        Ok(tags)
    };
    change_tags(&cx, &input.resource_arn, change).await
}

async fn change_tags(
    cx: &Cx,
    arn: &str,
    change: impl FnOnce(Tags) -> Result<Tags, ApiError>,
) -> Result<NoOutput, ApiError> {
    let (definitions, id) = resource(cx, arn)?;
    let (mut head, row) = definitions.head(kv(cx), &id).await?.ok_or_else(ApiError::not_found)?;
    head.tags = change(head.tags)?;
    let mut batch = Batch::default();
    batch.check(definitions.head_key(&id), row);
    definitions.put_head(&mut batch, &head);
    cx.commit(batch, &NoOutput {}).await?;
    Ok(NoOutput {})
}

fn kv(cx: &Cx) -> &dyn Kv {
    &*cx.engine().kv
}

/// Where the head of a taggable resource is kept. 400 for what is no ARN; 404 for what has no tags here.
fn resource(cx: &Cx, arn: &str) -> Result<(Definitions, String), ApiError> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    let ["arn", partition, service, _region, account, resource] = parts[..] else {
        return Err(ApiError::bad_request("Invalid resource ARN"));
    };
    // One set of definitions serves all regions, so the ARN's region is not compared.
    if partition != "aws"
        || service != cx.operation.service.signing_name()
        || account != cx.account().as_str()
    {
        return Err(ApiError::not_found());
    }
    let segments: Vec<&str> = resource.split('/').collect();
    match segments[..] {
        ["apps", app] => Ok((definitions::apps(account), app.to_owned())),
        ["apps", app, "campaigns", id] => Ok((definitions::campaigns(account, app), id.to_owned())),
        ["apps", app, "segments", id] => Ok((definitions::segments(account, app), id.to_owned())),
        ["templates", name, kind] => match kind.parse::<TemplateType>() {
            Ok(kind) => Ok((definitions::templates(account, kind.as_str()), name.to_owned())),
            Err(_) => Err(ApiError::not_found()),
        },
        _ => Err(ApiError::not_found()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(key: &str, value: &str, is_allowed: bool) {
        let tags = Tags::from([(key.to_owned(), value.to_owned())]);
        assert_eq!(checked(tags).is_ok(), is_allowed, "{key:?} = {value:?}");
    }

    #[test]
    fn tags_keep_the_rules() {
        check("Stage", "", true);
        check("a b_.:/=+-@ü", "x y", true);
        check("", "x", false);
        check("aws:x", "x", false);
        check("AWS:x", "x", false);
        check("awsx", "x", true);
        check("a<b", "x", false);
        check("a", "x!", false);
        check(&"ü".repeat(128), &"ü".repeat(256), true);
        check(&"k".repeat(129), "", false);
        check("k", &"v".repeat(257), false);
        let many =
            |count: usize| (0..count).map(|number| (format!("k{number}"), String::new())).collect::<Tags>();
        assert!(checked(many(50)).is_ok());
        assert!(checked(many(51)).is_err());
    }
}
