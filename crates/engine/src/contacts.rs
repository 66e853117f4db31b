//! How endpoints are reached, as hashes, and how large they are: whether an item of `PutEvents` would change an endpoint's
//! channel, address or user, or could make it too large, is known without reading the endpoint (design §5, who waits).
//!
//! A hash that is missing or differs only means that the caller waits for the projection, and that the projection reads the
//! endpoint to learn its ordinal; so the memory is bounded by simply starting over.

use std::sync::{Mutex, PoisonError};

use domain::audience::{AppKey, Changes};
use domain::channels::ChannelType;
use domain::endpoints::{ENDPOINT_BYTES_MAX, EndpointUpdate, USER_BYTES_MAX};
use domain::hashes::HashedMap;
use domain::ids::{UserId, folded};

use crate::fingerprint::Fingerprint;
use crate::readings::contact;

/// Endpoints whose contact is remembered.
const CONTACTS_MAX: usize = 1 << 20;
/// Locks, so that handlers do not queue behind one.
const SHARDS: usize = 16;

/// Contact by endpoint, both hashed.
#[derive(Debug, Default)]
pub struct Contacts {
    shards: [Mutex<HashedMap<Contact>>; SHARDS],
}

/// An endpoint's ordinal, and hashes of what makes its contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Contact {
    /// The rest of the endpoint's fingerprint.
    check: u32,
    ordinal: u32,
    channel: Option<ChannelType>,
    /// 0: none.
    address: u32,
    /// 0: none.
    user: u32,
    /// Of the endpoint; fits, because both limits do.
    bytes: u16,
    user_bytes: u16,
}

const _: () = assert!(ENDPOINT_BYTES_MAX < u16::MAX as usize);
const _: () = assert!(USER_BYTES_MAX < u16::MAX as usize);

impl Contacts {
    /// Whether the endpoint is known to exist.
    pub fn know(&self, app: &AppKey, endpoint_id: &str) -> bool {
        self.known(app, endpoint_id).is_some()
    }

    /// Whether the endpoint is known, and no rule but that of names can refuse the update: it leaves channel, address and user
    /// as they are, opts out nobody who has no address, and cannot make endpoint or user too large.
    pub fn allow(&self, app: &AppKey, endpoint_id: &str, update: &EndpointUpdate) -> bool {
        let Some(known) = self.known(app, endpoint_id) else { return false };
        let user = update.user.as_ref().and_then(|user| user.user_id.as_deref());
        update.channel_type.is_none_or(|channel| known.channel == Some(channel))
            && update.address.as_deref().is_none_or(|address| known.address == short(Some(address)))
            && user.is_none_or(|user| known.user == short(Some(user)))
            && (update.opt_out.is_none() || known.address != 0)
            && usize::from(known.bytes) + update.bytes() <= ENDPOINT_BYTES_MAX
            && usize::from(known.user_bytes) + update.user_bytes() <= USER_BYTES_MAX
    }

    /// The ordinal of an endpoint, by the fingerprint of [`contact`], if it is known to exist.
    pub(crate) fn ordinal(&self, endpoint: Fingerprint) -> Option<u32> {
        self.get(endpoint).map(|known| known.ordinal)
    }

    fn known(&self, app: &AppKey, endpoint_id: &str) -> Option<Contact> {
        self.get(contact(app, &folded(endpoint_id)))
    }

    fn get(&self, Fingerprint { key, check }: Fingerprint) -> Option<Contact> {
        let contacts = self.shard(key).lock().unwrap_or_else(PoisonError::into_inner);
        contacts.get(&key).filter(|known| known.check == check).copied()
    }

    /// Remembers what a step of the projection read and wrote.
    pub(crate) fn apply(&self, app: &AppKey, changes: &Changes) {
        for row in &changes.endpoints {
            let Fingerprint { key, check } = contact(app, &row.key);
            let mut contacts = self.shard(key).lock().unwrap_or_else(PoisonError::into_inner);
            let Some(endpoint) = &row.value else {
                contacts.remove(&key);
                continue;
            };
            if contacts.len() >= CONTACTS_MAX / SHARDS && !contacts.contains_key(&key) {
                *contacts = HashedMap::default();
            }
            let user = endpoint.user_id.as_ref().map(UserId::as_str);
            let loaded = endpoint.user_id.as_ref().map(|user| changes.user_bytes.get(user));
            let user_bytes = match loaded {
                None => 0,
                Some(Some(loaded)) => bytes(*loaded),
                // Not loaded, so not changed; as good as full where it is not known.
                Some(None) => contacts.get(&key).map_or(u16::MAX, |before| before.user_bytes),
            };
            let contact = Contact {
                check,
                ordinal: endpoint.ordinal,
                channel: endpoint.channel_type,
                address: short(endpoint.address.as_deref()),
                user: short(user),
                bytes: bytes(endpoint.bytes()),
                user_bytes,
            };
            contacts.insert(key, contact);
        }
        // A user grows by any of its endpoints.
        for user in changes.users.iter().filter(|row| row.is_changed).filter_map(|row| row.value.as_ref()) {
            for folded in &user.endpoints {
                let Fingerprint { key, .. } = contact(app, folded);
                let mut contacts = self.shard(key).lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(contact) = contacts.get_mut(&key) {
                    contact.user_bytes = bytes(user.bytes());
                }
            }
        }
    }

    fn shard(&self, key: u64) -> &Mutex<HashedMap<Contact>> {
        &self.shards[(key >> 32) as usize % SHARDS]
    }
}

fn bytes(bytes: usize) -> u16 {
    u16::try_from(bytes).unwrap_or(u16::MAX)
}

/// 0 for no text, as an update with an empty text asks for.
fn short(text: Option<&str>) -> u32 {
    text.filter(|text| !text.is_empty()).map_or(0, |text| Fingerprint::of(&text).check | 1)
}
