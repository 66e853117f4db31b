//! Answers that are kept in the same commit as what they tell of, for repeats of the SDK (design §6).

use domain::records::{Deletion, KeptAnswer};
use store::tables::{expiries, invocations};
use store::{Key, KvError};

use super::fold::Folder;

impl Folder<'_> {
    /// Deletes and keeps the answer; nothing, if an earlier record of the same call has done so.
    pub(super) async fn delete_once(
        &mut self,
        what: Deletion<'_>,
        answer: &KeptAnswer<'_>,
    ) -> Result<(), KvError> {
        if self.working.audience(&self.app).summary.deleted || self.is_answered(answer).await? {
            return Ok(());
        }
        let key = Key::from_bytes(answer.row);
        let KeptAnswer { status, expires, .. } = *answer;
        self.working.put_mark(expiries::key(expires, &key));
        self.working.put(key, &invocations::Answer { status, body: answer.body.to_vec(), expires });
        self.delete(what).await
    }

    /// Whether the call was answered before this record, and the answer is still to be given.
    async fn is_answered(&mut self, answer: &KeptAnswer<'_>) -> Result<bool, KvError> {
        let key = Key::from_bytes(answer.row);
        self.working.load_raw(self.engine, std::slice::from_ref(&key), false).await?;
        let kept = self.working.get::<invocations::Answer>(&key)?;
        Ok(kept.is_some_and(|kept| kept.expires > self.arrival.at))
    }
}
