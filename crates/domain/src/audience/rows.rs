//! How large the rows of an audience are when they are written: an estimate that is never far too small.

use std::collections::BTreeMap;

use super::{Ordinals, Summary};
use crate::endpoints::{Endpoint, Text, User, Values};

/// Bytes of the rows that one update changes, at most: the endpoint, those that give way to it, the users of both, the row of
/// its ordinal.
pub const UPDATE_BYTES_MAX: usize = 200 << 10;

/// Key, ordinal, dates and lengths of a row.
const ROW_BYTES: usize = 512;
/// The length of a text.
const LENGTH_BYTES: usize = 2;

pub(super) fn summary(summary: &Summary) -> usize {
    let names = summary.names.iter().map(|(_, name)| name);
    let names = names.chain(summary.blocked.values().flatten().map(String::as_str));
    ROW_BYTES + names.map(|name| name.len() + LENGTH_BYTES).sum::<usize>()
}

/// A row of an endpoint.
pub(super) fn endpoint(folded: &str, value: Option<&Endpoint>) -> usize {
    let value = value.map_or(0, |endpoint| {
        let Endpoint { attributes, loose_user_attributes, id, request_id, .. } = endpoint;
        endpoint.bytes()
            + lists(attributes)
            + lists(loose_user_attributes)
            + id.as_str().len()
            + request_id.as_str().len()
    });
    ROW_BYTES + 2 * folded.len() + value
}

/// A row of ordinals before what is added to it.
pub(super) fn ordinals(row: Option<&Ordinals>) -> usize {
    ROW_BYTES + row.map_or(0, Ordinals::bytes)
}

pub(super) fn user(id: &str, value: Option<&User>) -> usize {
    let value = value.map_or(0, |user| {
        let User { attributes, endpoints } = user;
        let endpoints: usize = endpoints.iter().map(|folded| folded.len() + LENGTH_BYTES).sum();
        user.bytes() + lists(attributes) + endpoints
    });
    ROW_BYTES + id.len() + value
}

pub(super) fn address(holder: Option<&str>) -> usize {
    // A long address is keyed by its hash.
    2 * ROW_BYTES + holder.map_or(0, str::len)
}

/// Lengths of the texts of attributes.
fn lists(attributes: &BTreeMap<Text, Values>) -> usize {
    attributes.values().map(|values| (values.len() + 2) * LENGTH_BYTES).sum()
}
