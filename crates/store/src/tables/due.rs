//! Due rows: what is to be done later, by due time.

use domain::audience::AppKey;
use domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use crate::key::{Key, KeyRange, Table};
use crate::log::Shard;
use crate::value::Stored;

/// Something to do for an application once its time has come. Stored by position: append only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Task {
    /// A campaign's run is due.
    CampaignStart {
        campaign: String,
    },
    /// The next page of a run is to be written.
    CampaignStep {
        campaign: String,
        run: String,
    },
    ImportJob {
        job: String,
    },
    ExportJob {
        job: String,
    },
    /// An application was deleted: the log is to say so.
    PurgeApp,
    /// The log says in `record` that an application was deleted, and once that is folded its rows are to be removed. `from`:
    /// the key up to which that is done.
    EraseApp {
        record: u64,
        from: Vec<u8>,
    },
}

/// A task and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    pub app: AppKey,
    pub task: Task,
    /// When it was meant to happen.
    pub scheduled: Timestamp,
}

impl Stored for Due {
    const FORMAT: u8 = 1;
}

impl Due {
    /// Where the row stands: at most one row of the same task and time.
    pub fn key(&self, shard: Shard, at: Timestamp) -> Key {
        let (kind, id) = match &self.task {
            Task::CampaignStart { campaign } => ("campaign-start", campaign.as_str()),
            Task::CampaignStep { run, .. } => ("campaign-step", run.as_str()),
            Task::ImportJob { job } => ("import", job.as_str()),
            Task::ExportJob { job } => ("export", job.as_str()),
            Task::PurgeApp => ("purge", ""),
            Task::EraseApp { .. } => ("erase", ""),
        };
        base(shard)
            .number(at.0.max(0) as u64)
            .text(self.app.account.as_str())
            .text(self.app.app.as_str())
            .text(kind)
            .text(id)
    }
}

fn base(shard: Shard) -> Key {
    Key::new(Table::Due).number(u64::from(shard.0))
}

/// The rows that are due at `from` or later, earliest first.
pub fn since(shard: Shard, from: Timestamp) -> KeyRange {
    KeyRange { from: base(shard).number(from.0.max(0) as u64), to: base(shard).after_prefix() }
}

/// When a row is due, from its key.
pub fn time_of(key: &Key) -> Option<Timestamp> {
    let mut components = key.components();
    components.number()?;
    Some(Timestamp(components.number()? as i64))
}
