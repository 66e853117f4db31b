//! The parts of a server that hold its state: data directory, master key, stores, engine.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use api::secrets::MasterKey;
use engine::Engine;
use store::kv::embedded::{EmbeddedKv, EmbeddedOptions};
use store::log::embedded::{EmbeddedLog, EmbeddedLogOptions};
use store::{Context, DataDirectory};

use crate::config::Config;

/// An open data directory. No other process can open it meanwhile.
pub(crate) struct Node {
    pub(crate) context: Context,
    pub(crate) directory: DataDirectory,
    pub(crate) master_key: MasterKey,
    pub(crate) kv: Arc<EmbeddedKv>,
    pub(crate) log: Arc<EmbeddedLog>,
    pub(crate) engine: Engine,
}

impl Node {
    /// Opens the data directory, and makes it where there is none. Blocks while the journal and the last segment of the log
    /// are read.
    pub(crate) fn open(config: &Config, context: Context) -> anyhow::Result<Self> {
        let directory = DataDirectory::open(&config.server.data_dir, context.now())?;
        let master_key = MasterKey::load_or_create(&config.master_key_file())?;
        let kv = Arc::new(
            EmbeddedKv::open(&directory.state(), &kv_options(config)).context("cannot open the state")?,
        );
        let log_options = EmbeddedLogOptions {
            disk_bytes_max: Some(config.log.disk_bytes_max).filter(|bytes| *bytes > 0),
            reserve_bytes: log_reserve_bytes(config),
            compress: config.log.compress,
            ..EmbeddedLogOptions::new(directory.log())
        };
        let log = EmbeddedLog::open(context.clone(), log_options).context("cannot open the log")?;
        let engine = Engine::with_objects(
            context.clone(),
            Arc::<EmbeddedKv>::clone(&kv),
            Arc::<EmbeddedLog>::clone(&log),
            config.objects(),
        );
        Ok(Self { context, directory, master_key, kv, log, engine })
    }
}

/// Disk space that the log leaves free: more than the state does, so that the state can take in what the log holds when the log
/// takes no more.
pub(crate) fn log_reserve_bytes(config: &Config) -> u64 {
    config.store.reserve_bytes.saturating_mul(2)
}

/// How the state is kept.
pub(crate) fn kv_options(config: &Config) -> EmbeddedOptions {
    let store = &config.store;
    EmbeddedOptions {
        cache_bytes: store.cache_bytes,
        memtable_bytes: store.memtable_bytes,
        reserve_bytes: store.reserve_bytes,
        ..EmbeddedOptions::default()
    }
}

/// The file whose presence keeps messages from leaving: a restored outbox may hold what was sent after its backup.
fn hold_file(data_dir: &Path) -> PathBuf {
    data_dir.join("HOLD")
}

/// Whether messages are held back.
pub(crate) fn is_held(data_dir: &Path) -> bool {
    hold_file(data_dir).exists()
}

/// Holds messages back from the next start on. Durable on return.
pub(crate) fn hold(data_dir: &Path) -> std::io::Result<()> {
    File::create(hold_file(data_dir))?.sync_all()?;
    File::open(data_dir)?.sync_all()
}

/// Lets messages leave again from the next start on. False: they were not held back.
pub(crate) fn resume(data_dir: &Path) -> std::io::Result<bool> {
    match std::fs::remove_file(hold_file(data_dir)) {
        Ok(()) => File::open(data_dir)?.sync_all().map(|()| true),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a data directory was made there already.
pub(crate) fn exists(path: &Path) -> bool {
    path.join("FORMAT").is_file()
}
