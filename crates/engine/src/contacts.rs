//! How endpoints are reached, as hashes: whether an item of PutEvents would change an endpoint's channel, address or user is
//! known without reading the endpoint (design §5, who waits).
//!
//! A hash that is missing or differs only means that the caller waits for the projection; so the memory is bounded by simply
//! starting over.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use domain::audience::{AppKey, Audience};
use domain::channels::ChannelType;
use domain::endpoints::EndpointUpdate;

/// Endpoints whose contact is remembered.
const CONTACTS_MAX: usize = 1 << 20;
/// Locks, so that handlers do not queue behind one.
const SHARDS: usize = 16;

/// Contact by endpoint, both hashed.
#[derive(Debug, Default)]
pub struct Contacts {
    shards: [Mutex<HashMap<u64, Contact>>; SHARDS],
}

/// Hashes of what makes a contact; `None` where there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Contact {
    channel: Option<ChannelType>,
    address: u32,
    user: u32,
}

impl Contacts {
    /// Whether the update leaves channel, address and user of a known endpoint as they are.
    pub fn leaves(&self, app: &AppKey, folded: &str, update: &EndpointUpdate) -> bool {
        let key = hash(&(app, folded));
        let known = self.shard(key).lock().unwrap_or_else(PoisonError::into_inner).get(&key).copied();
        let Some(known) = known else { return false };
        let user = update.user.as_ref().and_then(|user| user.user_id.as_deref());
        update.channel_type.is_none_or(|channel| known.channel == Some(channel))
            && update.address.as_deref().is_none_or(|address| known.address == short(Some(address)))
            && user.is_none_or(|user| known.user == short(Some(user)))
    }

    /// Remembers what a step of the projection wrote.
    pub(crate) fn apply(&self, app: &AppKey, audience: &Audience) {
        for (folded, slot) in audience.endpoints.iter().filter(|(_, slot)| slot.dirty) {
            let key = hash(&(app, folded.as_str()));
            let mut contacts = self.shard(key).lock().unwrap_or_else(PoisonError::into_inner);
            let Some(endpoint) = &slot.value else {
                contacts.remove(&key);
                continue;
            };
            if contacts.len() >= CONTACTS_MAX / SHARDS {
                *contacts = HashMap::new();
            }
            let contact = Contact {
                channel: endpoint.channel_type,
                address: short(endpoint.address.as_deref()),
                user: short(endpoint.user_id.as_ref().map(|user| user.as_str())),
            };
            contacts.insert(key, contact);
        }
    }

    fn shard(&self, key: u64) -> &Mutex<HashMap<u64, Contact>> {
        &self.shards[(key >> 32) as usize % SHARDS]
    }
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// 0 for no text, as an update with an empty text asks for.
fn short(text: Option<&str>) -> u32 {
    text.filter(|text| !text.is_empty()).map_or(0, |text| hash(&text) as u32 | 1)
}
