//! Endpoints, users and attribute names that go (spec/10-endpoints-users.md §6, §7).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{AttributeKind, Audience, BLOCKED_BYTES_MAX, NotLoaded, Row, folded_address, glob_matches};
use crate::endpoints::{Endpoint, Invalid};

/// Removes an endpoint, its link and its claim on an address. Answers what was removed; `None` if there was none.
pub fn delete_endpoint(audience: &mut Audience, folded: &Arc<str>) -> Result<Option<Endpoint>, NotLoaded> {
    if audience.summary.deleted {
        return Ok(None);
    }
    let Some(endpoint) = audience.endpoint(folded)?.cloned() else { return Ok(None) };
    let address = folded_address(&endpoint);
    let mut missing = Vec::new();
    if let Some(user) = &endpoint.user_id {
        missing.push(Row::User(user.as_str().into()));
    }
    if let Some(address) = &address {
        missing.push(Row::Address(address.clone()));
    }
    missing.retain(|row| !audience.is_loaded(row));
    if !missing.is_empty() {
        return Err(NotLoaded(missing));
    }
    audience.require_ordinal(endpoint.ordinal)?;
    if let Some(user) = &endpoint.user_id {
        audience.unlink(folded, user.as_str())?;
    }
    if let Some(address) = &address
        && audience.holder(address)? == Some(folded)
    {
        audience.put_holder(address, None);
    }
    let summary = audience.summary_mut();
    summary.endpoints = summary.endpoints.saturating_sub(1);
    audience.take_ordinal(endpoint.ordinal);
    audience.put_endpoint(folded, None);
    Ok(Some(endpoint))
}

/// Removes all endpoints of a user, and with them the user. Answers how many there were.
pub fn delete_user(audience: &mut Audience, user_id: &str) -> Result<usize, NotLoaded> {
    if audience.summary.deleted {
        return Ok(0);
    }
    let Some(user) = audience.user(user_id)?.cloned() else { return Ok(0) };
    let missing: Vec<Row> = user
        .endpoints
        .iter()
        .map(|id| Row::Endpoint(id.as_str().into()))
        .filter(|row| !audience.is_loaded(row))
        .collect();
    if !missing.is_empty() {
        return Err(NotLoaded(missing));
    }
    let mut missing = Vec::new();
    for id in &user.endpoints {
        if let Some(endpoint) = audience.endpoint(id)? {
            missing.extend(folded_address(endpoint).map(Row::Address));
            let ordinal = audience.require_ordinal(endpoint.ordinal);
            missing.extend(ordinal.err().into_iter().flat_map(|NotLoaded(rows)| rows));
        }
    }
    missing.retain(|row| !audience.is_loaded(row));
    if !missing.is_empty() {
        return Err(NotLoaded(missing));
    }
    for id in &user.endpoints {
        delete_endpoint(audience, &id.as_str().into())?;
    }
    Ok(user.endpoints.len())
}

/// Stops capturing names that match the globs, and counting them. Values that are there stay (spec/97 C10). Refused when
/// there would be too many: the summary has to stay small, and every name is matched with all of them.
pub fn block_attributes(
    audience: &mut Audience,
    kind: AttributeKind,
    patterns: &[String],
) -> Result<(), Invalid> {
    if audience.summary.deleted {
        return Ok(());
    }
    let is_new =
        |pattern: &&String| !audience.summary.blocked.get(&kind).is_some_and(|set| set.contains(*pattern));
    let new: BTreeSet<&String> = patterns.iter().filter(is_new).collect();
    let blocked = audience.summary.blocked.values().flatten().chain(new);
    if blocked.map(String::len).sum::<usize>() > BLOCKED_BYTES_MAX {
        let message =
            format!("Too many attributes are removed: their names have at most {BLOCKED_BYTES_MAX} bytes");
        return Err(Invalid::new(message));
    }
    let is_blocked = |name: &str| patterns.iter().any(|pattern| glob_matches(pattern, name));
    let summary = audience.summary_mut();
    summary.names.retain(kind, |name| !is_blocked(name));
    summary.blocked.entry(kind).or_default().extend(patterns.iter().cloned());
    audience.names_changed = true;
    Ok(())
}
