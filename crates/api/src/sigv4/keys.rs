//! Signing keys: derived by four HMACs from a secret and a scope, and remembered.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use ring::{digest, hmac};

use super::{Scope, TERMINATOR};
use crate::secrets::Secret;

/// Signing keys remembered, at most. One is in use for each access key, region and service a day.
pub const SIGNING_KEYS_MAX: usize = 4_096;

/// The keys of signatures that were good lately. One per server.
pub struct SigningKeys(Mutex<Generations>);

/// Two generations bound the memory without any order of use: a key that is asked for moves to the younger one, and when
/// that is full it becomes the older one, whose keys are forgotten.
#[derive(Default)]
struct Generations {
    younger: HashMap<Fingerprint, hmac::Key>,
    older: HashMap<Fingerprint, hmac::Key>,
}

/// Of access key, secret and scope. So a changed secret is another key, and no secret is kept here.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    pub(super) fn new(access_key_id: &str, secret: &Secret, scope: &Scope<'_>) -> Self {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in [access_key_id, secret.reveal(), scope.date, scope.region, scope.service] {
            // Lengths keep ("ab", "c") apart from ("a", "bc").
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        Self(bytes)
    }
}

impl SigningKeys {
    pub fn new() -> Self {
        Self(Mutex::default())
    }

    pub(super) fn get(&self, fingerprint: Fingerprint) -> Option<hmac::Key> {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = generations.younger.get(&fingerprint) {
            return Some(key.clone());
        }
        let key = generations.older.remove(&fingerprint)?;
        generations.insert(fingerprint, key.clone());
        Some(key)
    }

    /// Remembers a key. Only for signatures that were good: a stranger must not push the others out.
    pub(super) fn insert(&self, fingerprint: Fingerprint, key: hmac::Key) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(fingerprint, key);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let generations = self.0.lock().unwrap();
        generations.younger.len() + generations.older.len()
    }
}

impl Generations {
    fn insert(&mut self, fingerprint: Fingerprint, key: hmac::Key) {
        if self.younger.len() >= SIGNING_KEYS_MAX / 2 {
            self.older = std::mem::take(&mut self.younger);
        }
        self.younger.insert(fingerprint, key);
    }
}

impl Default for SigningKeys {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SigningKeys").finish_non_exhaustive()
    }
}

/// The key that signs for one day, region and service.
pub(super) fn derive(secret: &Secret, scope: &Scope<'_>) -> hmac::Key {
    let first = Secret::new(format!("AWS4{}", secret.reveal()));
    let mut key = hmac::Key::new(hmac::HMAC_SHA256, first.reveal().as_bytes());
    for part in [scope.date, scope.region, scope.service, TERMINATOR] {
        key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref());
    }
    key
}
