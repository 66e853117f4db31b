//! Rows of an application's audience: written by the projection alone.

use std::borrow::Cow;
use std::sync::Arc;

use domain::audience::{Address, AppKey, Ordinals, Row, Summary};
use domain::endpoints::{Endpoint, User};
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::key::{Key, Table};
use crate::value::Stored;

impl Stored for Endpoint {
    const FORMAT: u8 = 1;
}

impl Stored for User {
    const FORMAT: u8 = 1;
}

impl Stored for Summary {
    const FORMAT: u8 = 1;
}

/// Before the first release each ordinal had a row of its own: format 1.
impl Stored for Ordinals {
    const FORMAT: u8 = 2;
}

/// The folded id of an endpoint, as a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointRef(pub Arc<str>);

impl Stored for EndpointRef {
    const FORMAT: u8 = 1;
}

/// An instant, as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instant(pub Timestamp);

impl Stored for Instant {
    const FORMAT: u8 = 1;
}

fn scope(table: Table, app: &AppKey) -> Key {
    Key::new(table).text(app.account.as_str()).text(app.app.as_str())
}

/// All endpoints of an application, by folded id.
pub fn endpoints(app: &AppKey) -> Key {
    scope(Table::Endpoints, app)
}

pub fn endpoint_key(app: &AppKey, folded: &str) -> Key {
    endpoints(app).text(folded)
}

/// All users of an application.
pub fn users(app: &AppKey) -> Key {
    scope(Table::Users, app)
}

pub fn user_key(app: &AppKey, user_id: &str) -> Key {
    users(app).text(user_id)
}

/// Addresses may be as long as an endpoint: a long one is keyed by its hash.
pub fn address_key(app: &AppKey, address: &Address) -> Key {
    scope(Table::Addresses, app).text(address.channel.as_str()).text(&short(&address.folded))
}

/// A text that is short enough for a key: itself, or `#` and its SHA-256.
pub(crate) fn short(text: &str) -> Cow<'_, str> {
    const BYTES_MAX: usize = 512;
    if text.len() <= BYTES_MAX {
        return Cow::Borrowed(text);
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
    Cow::Owned(format!("#{}", crate::hex::encode(digest.as_ref())))
}

/// `row`: see [`Ordinals::row_of`].
pub fn ordinals_key(app: &AppKey, row: u32) -> Key {
    scope(Table::Ordinals, app).ordinal(row)
}

pub fn summary_key(app: &AppKey) -> Key {
    scope(Table::Audiences, app)
}

/// Latest activity of all endpoints of an application, by ordinal.
pub fn activities(app: &AppKey) -> Key {
    scope(Table::Activity, app)
}

pub fn activity_key(app: &AppKey, ordinal: u32) -> Key {
    activities(app).ordinal(ordinal)
}

/// The key of a row that the domain asked for.
pub fn row_key(app: &AppKey, row: &Row) -> Key {
    match row {
        Row::Endpoint(folded) => endpoint_key(app, folded),
        Row::User(id) => user_key(app, id),
        Row::Address(address) => address_key(app, address),
        Row::Ordinals(row) => ordinals_key(app, *row),
    }
}
