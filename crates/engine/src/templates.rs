//! Which version of a template a message means.

use domain::campaigns::{TemplateRef, TemplateVersion};
use domain::ids::AccountId;
use store::tables::definitions::{self, Body, Head};
use store::value::{Stored, decode};
use store::{Key, Kv, KvError, Version};

/// What a reference leads to.
#[derive(Debug)]
pub struct Resolved {
    /// The rows that were read: while they are what they were, the answer is.
    pub rows: Vec<(Key, Version)>,
    /// `None` where there is no such template, or no such version of it.
    pub body: Option<Body>,
}

/// Resolves a reference to a template of one kind (`EMAIL`, `SMS`, `PUSH`, `INAPP`) now (spec/40-templates.md §2).
pub async fn resolve(
    kv: &dyn Kv,
    account: &AccountId,
    kind: &str,
    reference: &TemplateRef,
) -> Result<Resolved, KvError> {
    let templates = definitions::templates(account.as_str(), kind);
    let mut rows = Vec::new();
    let Some(head) = get::<Head>(kv, templates.head_key(&reference.name), &mut rows).await? else {
        return Ok(Resolved { rows, body: None });
    };
    let mut versions = match reference.version {
        TemplateVersion::Active => head.active..=head.active,
        TemplateVersion::Number(number) => number..=number,
        // Versions that were deleted leave gaps.
        TemplateVersion::Latest => 1..=head.latest,
    };
    while let Some(version) = versions.next_back() {
        let body = get(kv, templates.body_key(&reference.name, version), &mut rows).await?;
        if body.is_some() {
            return Ok(Resolved { rows, body });
        }
    }
    Ok(Resolved { rows, body: None })
}

async fn get<T: Stored>(kv: &dyn Kv, key: Key, rows: &mut Vec<(Key, Version)>) -> Result<Option<T>, KvError> {
    let row = kv.get(&key).await?;
    rows.push((key, row.as_ref().map_or(Version::ABSENT, |row| row.version)));
    Ok(row.map(|row| decode(&row.value)).transpose()?)
}
