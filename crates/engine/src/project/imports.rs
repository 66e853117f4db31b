//! A piece of an import: rows applied, members of the segment added, the job's counters moved.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::endpoints::{EndpointUpdate, Invalid};
use domain::records::{EndpointItem, ImportPiece};
use roaring::RoaringBitmap;
use store::tables::events::Count;
use store::tables::jobs::{
    FAILURES_MAX, JobState, JobStatus, MEMBER_CHUNK_ORDINALS, Members, member_key, member_user_key, state_key,
};
use store::{Key, KvError};

use super::events::folded;
use super::fold::Folder;
use crate::jobs::shortened;

impl Folder<'_> {
    /// `updates`: of each endpoint, if the piece registers them.
    pub(super) async fn import(
        &mut self,
        piece: &ImportPiece<'_>,
        updates: Vec<Result<EndpointUpdate, Invalid>>,
    ) -> Result<(), KvError> {
        if self.working.audience(&self.app).summary.deleted {
            return Ok(());
        }
        let key = state_key(&self.app, "import", piece.job);
        self.working.load_raw(self.engine, std::slice::from_ref(&key), false).await?;
        let Some(mut state) = self.working.get::<JobState>(&key)? else { return Ok(()) };
        if piece.number != state.pieces || state.completed.is_some() {
            return Ok(());
        }
        state.pieces += 1;
        state.status = JobStatus::Processing;
        state.failed += piece.failed;
        state.failures.extend(piece.failures.iter().map(|&failure| failure.to_owned()));
        let mut members: Vec<u32> = Vec::new();
        let mut channels: BTreeMap<String, u64> = state.channels.drain(..).collect();
        let mut updates = updates.into_iter();
        for item in &piece.endpoints {
            let verdict = match updates.next() {
                Some(update) => self.endpoint(item, update).await?,
                None => self.find_endpoint(item).await?,
            };
            match verdict {
                Ok(()) => {
                    state.processed += 1;
                    let endpoint = self.working.audience(&self.app).endpoints.get(&*folded(item.id));
                    if let Some(endpoint) = endpoint {
                        members.push(endpoint.ordinal);
                        if let Some(channel) = endpoint.channel_type {
                            *channels.entry(channel.as_str().to_owned()).or_default() += 1;
                        }
                    }
                }
                Err(Invalid(message)) => {
                    state.failed += 1;
                    state.failures.push(shortened(format!("{}: {message}", item.id)));
                }
            }
        }
        for user in &piece.users {
            self.import_user(piece, user, &mut state).await?;
        }
        if let Some((segment, version)) = piece.segment {
            self.add_members(segment, version, members).await?;
        }
        state.failures.truncate(FAILURES_MAX);
        state.channels = channels.into_iter().collect();
        if let Some(is_failed) = piece.last {
            state.status = if is_failed { JobStatus::Failed } else { JobStatus::Completed };
            state.completed = Some(self.arrival.at);
        }
        self.working.put(key, &state);
        Ok(())
    }

    /// A row that only selects: the endpoint must be there.
    async fn find_endpoint(&mut self, item: &EndpointItem<'_>) -> Result<Result<(), Invalid>, KvError> {
        let folded: Arc<str> = folded(item.id).into();
        let row = domain::audience::Row::Endpoint(Arc::clone(&folded));
        if !self.working.audience(&self.app).is_loaded(&row) {
            self.working.load(self.engine, &self.app, domain::audience::NotLoaded(vec![row])).await?;
        }
        let exists = self.working.audience(&self.app).endpoints.get(&folded).is_some();
        Ok(if exists { Ok(()) } else { Err(Invalid::new("endpoint does not exist")) })
    }

    /// A row that names only a user: the user must be there (spec/30 §6).
    async fn import_user(
        &mut self,
        piece: &ImportPiece<'_>,
        user: &str,
        state: &mut JobState,
    ) -> Result<(), KvError> {
        let row = domain::audience::Row::User(user.into());
        if !self.working.audience(&self.app).is_loaded(&row) {
            self.working.load(self.engine, &self.app, domain::audience::NotLoaded(vec![row])).await?;
        }
        if self.working.audience(&self.app).users.get(user).is_none() {
            state.failed += 1;
            state.failures.push(shortened(format!("{user}: user does not exist")));
            return Ok(());
        }
        state.processed += 1;
        if let Some((segment, version)) = piece.segment {
            self.working.put(member_user_key(&self.app, segment, version, user), &Count(1));
        }
        Ok(())
    }

    async fn add_members(&mut self, segment: &str, version: u32, members: Vec<u32>) -> Result<(), KvError> {
        let mut chunks: BTreeMap<u32, RoaringBitmap> = BTreeMap::new();
        for ordinal in members {
            chunks.entry(ordinal / MEMBER_CHUNK_ORDINALS).or_default().insert(ordinal);
        }
        for (chunk, added) in chunks {
            let key: Key = member_key(&self.app, segment, version, chunk);
            self.working.load_raw(self.engine, std::slice::from_ref(&key), false).await?;
            let mut bitmap = match self.working.get::<Members>(&key)? {
                Some(Members(bytes)) => crate::bitmap::read(&bytes)?,
                None => RoaringBitmap::new(),
            };
            bitmap |= added;
            self.working.put(key, &Members(crate::bitmap::write(&bitmap)));
        }
        Ok(())
    }
}
