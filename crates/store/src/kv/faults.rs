//! [`FaultyKv`]: a wrapper that fails as planned, so that a test can stand at any commit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{Batch, Durability, Kv, KvError, Version, Versioned};
use crate::dice::Dice;
use crate::key::{Key, KeyRange};

/// What happens to one commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is written; the caller gets [`KvError::Full`].
    FailBefore,
    /// All is written, but the caller gets [`KvError::Failed`] and cannot know.
    FailAfter,
    /// Nothing is written; the caller gets a conflict on the first row that the batch checks. A batch without checks
    /// cannot conflict and goes through.
    Conflict,
    /// The commit lets other tasks run this many times before it is done.
    Yield(u32),
    /// The process dies: this and every later call, reads too, fails with [`KvError::Failed`] until
    /// [`FaultyKv::revive`]. `written` tells whether this commit still got through.
    Crash { written: bool },
}

/// Which commits meet which fault. Commits are counted from 1, in the order in which they were asked for.
#[derive(Debug, Clone, Default)]
pub struct FaultPlan {
    faults: BTreeMap<u64, Fault>,
}

impl FaultPlan {
    /// No faults.
    pub fn none() -> Self {
        Self::default()
    }

    #[must_use]
    pub fn at(mut self, commit: u64, fault: Fault) -> Self {
        self.faults.insert(commit, fault);
        self
    }

    /// Of the first `commits` commits about one in `one_in` meets one of `choices`, as `seed` decides.
    pub fn random(seed: u64, commits: u64, one_in: u64, choices: &[Fault]) -> Self {
        let mut dice = Dice::new(seed);
        let mut plan = Self::none();
        for commit in 1..=commits {
            let choice = choices.get(dice.below(choices.len() as u64) as usize);
            if let Some(&fault) = choice
                && dice.once_in(one_in)
            {
                plan.faults.insert(commit, fault);
            }
        }
        plan
    }
}

/// Passes everything on to another store, except where the plan has a fault.
#[derive(Debug)]
pub struct FaultyKv {
    inner: Arc<dyn Kv>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    plan: FaultPlan,
    commits: u64,
    crashed: bool,
}

impl FaultyKv {
    pub fn new(inner: Arc<dyn Kv>, plan: FaultPlan) -> Self {
        Self { inner, state: Mutex::new(State { plan, commits: 0, crashed: false }) }
    }

    /// How many commits were asked for while it was alive.
    pub fn commits(&self) -> u64 {
        self.lock().commits
    }

    pub fn is_crashed(&self) -> bool {
        self.lock().crashed
    }

    /// The process starts again after a crash. Commits are counted on.
    pub fn revive(&self) {
        self.lock().crashed = false;
    }

    /// Replaces the plan; its numbers go on from [`FaultyKv::commits`], they do not start again.
    pub fn set_plan(&self, plan: FaultPlan) {
        self.lock().plan = plan;
    }

    fn check_alive(&self) -> Result<(), KvError> {
        if self.lock().crashed { Err(planned("the process has crashed")) } else { Ok(()) }
    }

    /// Counts the commit and tells what shall happen to it.
    fn next_fault(&self) -> Result<Option<Fault>, KvError> {
        self.check_alive()?;
        let mut state = self.lock();
        state.commits += 1;
        let fault = state.plan.faults.get(&state.commits).copied();
        if let Some(Fault::Crash { .. }) = fault {
            state.crashed = true;
        }
        Ok(fault)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn planned(text: &'static str) -> KvError {
    KvError::Failed(text.into())
}

#[async_trait]
impl Kv for FaultyKv {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, KvError> {
        self.check_alive()?;
        self.inner.get_many(keys).await
    }

    async fn scan(&self, range: KeyRange, limit: usize) -> Result<Vec<(Key, Versioned)>, KvError> {
        self.check_alive()?;
        self.inner.scan(range, limit).await
    }

    async fn commit(&self, batch: Batch, durability: Durability) -> Result<Version, KvError> {
        match self.next_fault()? {
            None => self.inner.commit(batch, durability).await,
            Some(Fault::FailBefore) => Err(KvError::Full),
            Some(Fault::FailAfter) => {
                self.inner.commit(batch, durability).await?;
                Err(planned("the commit was written and its answer was lost"))
            }
            Some(Fault::Conflict) => match batch.checks.first() {
                Some((key, _)) => Err(KvError::Conflict(key.clone())),
                None => self.inner.commit(batch, durability).await,
            },
            Some(Fault::Yield(times)) => {
                for _ in 0..times {
                    tokio::task::yield_now().await;
                }
                // another task may have crashed the process meanwhile
                self.check_alive()?;
                self.inner.commit(batch, durability).await
            }
            Some(Fault::Crash { written }) => {
                if written {
                    self.inner.commit(batch, durability).await?;
                }
                Err(planned("the process crashed at this commit"))
            }
        }
    }

    async fn sync(&self) -> Result<(), KvError> {
        self.check_alive()?;
        self.inner.sync().await
    }
}

#[cfg(test)]
mod tests;
