//! `counterpoint backup`, `restore` and `upgrade`; and the call by which a running server backs itself up.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use api::{Answer, ApiError, Cx, OwnRequest, Server};
use domain::ids::AccountId;
use serde::Deserialize;
use serde_json::{Value, json};
use store::DataDirectory;
use store::backup::{self, Manifest};
use store::directory::DirectoryError;
use store::kv::embedded::EmbeddedKv;

use crate::client::Client;
use crate::config::Config;
use crate::node::{Node, exists, kv_options};
use crate::{node, system};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct BackupRequest {
    /// A directory on the server's machine, absolute.
    destination: PathBuf,
}

/// Adds `POST backup` to our own API, for keys of `operator` that may do everything: a backup holds all accounts.
pub(crate) fn add(
    server: Server,
    kv: Arc<EmbeddedKv>,
    directory: Arc<DataDirectory>,
    operator: AccountId,
) -> Server {
    server.own("backup", move |cx, request| {
        let (kv, directory) = (Arc::clone(&kv), Arc::clone(&directory));
        let is_operator = *cx.account() == operator && cx.caller.policy.allows_everything();
        async move { answer(cx, request, is_operator, kv, directory).await }
    })
}

async fn answer(
    cx: Cx,
    request: OwnRequest,
    is_operator: bool,
    kv: Arc<EmbeddedKv>,
    directory: Arc<DataDirectory>,
) -> Result<Answer, ApiError> {
    if !is_operator {
        return Err(ApiError::access_denied(
            "Only an unrestricted key of the first account may take a backup".to_owned(),
        ));
    }
    if request.method != hyper::Method::POST {
        return Err(ApiError::method_not_allowed());
    }
    let BackupRequest { destination } =
        serde_json::from_slice(&request.body).map_err(|error| ApiError::bad_request(error.to_string()))?;
    if !destination.is_absolute() {
        return Err(ApiError::bad_request("Destination must be an absolute path"));
    }
    let now = cx.now();
    let taken = tokio::task::spawn_blocking(move || backup::backup(&kv, &directory, &destination, now)).await;
    match taken {
        Ok(Ok(manifest)) => Ok(Answer::json(summary(&manifest).to_string())),
        Ok(Err(error)) => {
            tracing::warn!(error = &error as &dyn std::error::Error, "a backup failed");
            Err(ApiError::bad_request(error.to_string()))
        }
        Err(error) => {
            tracing::error!(%error, "a backup panicked");
            Err(ApiError::internal())
        }
    }
}

pub(crate) async fn backup(destination: &Path, config: &Config) -> anyhow::Result<()> {
    let context = system::context();
    if !exists(&config.server.data_dir) {
        bail!("there is no data directory {}", config.server.data_dir.display());
    }
    let destination = std::path::absolute(destination)?;
    let summary = match tokio::task::block_in_place(|| Node::open(config, context.clone())) {
        Ok(node) => {
            let taken = || backup::backup(&node.kv, &node.directory, &destination, context.now());
            summary(&tokio::task::block_in_place(taken)?)
        }
        Err(error) if matches!(error.downcast_ref(), Some(DirectoryError::InUse(_))) => {
            let request = json!({ "Destination": destination });
            Client::new(config, context)?.call("POST", "backup", Some(&request)).await?
        }
        Err(error) => return Err(error),
    };
    report("backed up", &summary);
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the command answers")]
pub(crate) fn restore(source: &Path, config: &Config) -> anyhow::Result<()> {
    let destination = &config.server.data_dir;
    let manifest = tokio::task::block_in_place(|| backup::restore(source, destination, &kv_options(config)))
        .with_context(|| format!("{} was not restored", destination.display()))?;
    node::hold(destination).context("cannot write the file that holds messages back")?;
    report("restored", &summary(&manifest));
    println!(
        "no message leaves before `counterpoint resume`: some in the outbox may have been sent after the backup"
    );
    if !config.master_key_file().exists() {
        remind(&config.master_key_file());
    }
    Ok(())
}

/// `counterpoint resume`: after a restore, or a look at what is in the outbox.
pub(crate) fn resume(config: &Config) -> anyhow::Result<()> {
    let data_dir = &config.server.data_dir;
    if !exists(data_dir) {
        bail!("there is no data directory {}", data_dir.display());
    }
    if !node::resume(data_dir)? {
        bail!("messages are not held back");
    }
    Ok(())
}

pub(crate) fn finalise(config: &Config) -> anyhow::Result<()> {
    if !exists(&config.server.data_dir) {
        bail!("there is no data directory {}", config.server.data_dir.display());
    }
    DataDirectory::open(&config.server.data_dir, system::context().now())?.finalise()?;
    Ok(())
}

fn summary(manifest: &Manifest) -> Value {
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    json!({ "Rows": manifest.rows, "Files": manifest.files.len(), "Bytes": bytes, "Taken": manifest.taken.to_string() })
}

#[expect(clippy::print_stdout, reason = "what the command answers")]
fn report(what: &str, summary: &Value) {
    println!("{what}: {} rows, {} files, {} bytes", summary["Rows"], summary["Files"], summary["Bytes"]);
}

#[expect(clippy::print_stderr, reason = "what must be done before the server starts")]
fn remind(master_key_file: &Path) {
    eprintln!("now put the master key, which is in no backup, at {}", master_key_file.display());
}
