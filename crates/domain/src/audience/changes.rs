//! What a step changed in an audience, handed over to be committed and told while the next step is folded.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Address, Audience, Ordinals, Recent, Summary};
use crate::endpoints::{Endpoint, User};
use crate::ids::UserId;
use crate::time::Timestamp;

/// What a step loaded and changed, as it was when the step ended.
#[derive(Debug)]
pub struct Changes {
    pub summary: Arc<Summary>,
    /// The summary is to be written.
    pub is_summary_changed: bool,
    /// Names were captured or blocked.
    pub are_names_changed: bool,
    pub endpoints: Vec<Recent<Arc<str>, Arc<Endpoint>>>,
    pub users: Vec<Recent<Arc<str>, Arc<User>>>,
    pub addresses: Vec<Recent<Address, Arc<str>>>,
    pub ordinals: Vec<Recent<u32, Arc<Ordinals>>>,
    /// Bytes of the users in memory that recent endpoints have.
    pub user_bytes: HashMap<UserId, usize>,
    /// As in [`Audience`].
    pub activity: Vec<(u32, Timestamp)>,
    pub deleted_ordinals: Vec<u32>,
}

impl Changes {
    pub(super) fn of(audience: &mut Audience, position: u64, is_summary_changed: bool) -> Self {
        let endpoints = audience.endpoints.settle(position);
        let users = audience.users.settle(position);
        let named = endpoints.iter().filter_map(|row| row.value.as_ref()?.user_id.clone());
        let user_bytes = named.filter_map(|id| {
            let bytes = audience.users.get(id.as_str())?.bytes();
            Some((id, bytes))
        });
        Self {
            summary: Arc::clone(&audience.summary),
            is_summary_changed,
            are_names_changed: std::mem::take(&mut audience.names_changed),
            user_bytes: user_bytes.collect(),
            endpoints,
            users,
            addresses: audience.addresses.settle(position),
            ordinals: audience.ordinals.settle(position),
            activity: audience.activity.drain().collect(),
            deleted_ordinals: std::mem::take(&mut audience.deleted_ordinals).into_iter().collect(),
        }
    }
}
