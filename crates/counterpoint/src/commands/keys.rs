//! `counterpoint keys`: in the data directory while no server runs, else through the running server.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use api::keys::{self, NewKey};
use api::policy::Policy;
use clap::Subcommand;
use domain::ids::AccountId;
use serde_json::{Value, json};
use store::directory::DirectoryError;
use store::{Key, Kv as _, Table};

use crate::client::Client;
use crate::config::Config;
use crate::node::{Node, exists};
use crate::system;

#[derive(Subcommand)]
pub(crate) enum Keys {
    /// List the access keys of the account
    List {
        #[arg(long)]
        account: Option<String>,
    },
    /// Make an access key and print its secret, once
    Create {
        /// What it is for: shown in lists and in denials
        #[arg(long)]
        name: String,
        /// A file with an IAM policy; without one the key may do everything in the account
        #[arg(long, conflicts_with = "mobile")]
        policy: Option<PathBuf>,
        /// Only `PutEvents` and `UpdateEndpoint`, on this application: a key for an app on phones
        #[arg(long, value_name = "APPLICATION_ID")]
        mobile: Option<String>,
        /// Another account than the first, made with its first key; only while no server runs
        #[arg(long)]
        account: Option<String>,
    },
    /// Refuse what an access key signs
    Disable { id: String },
    /// Take an access key again
    Enable { id: String },
    /// Delete an access key
    Delete { id: String },
}

/// Who is asked.
enum Place {
    Directory(Box<Node>, AccountId),
    Server(Client),
}

pub(crate) async fn run(command: Keys, config: &Config) -> anyhow::Result<()> {
    let account = match &command {
        Keys::List { account } | Keys::Create { account, .. } => account.clone(),
        Keys::Disable { .. } | Keys::Enable { .. } | Keys::Delete { .. } => None,
    };
    let place = place(config, account.as_deref()).await?;
    match command {
        Keys::List { .. } => list(&place).await,
        Keys::Create { name, policy, mobile, .. } => {
            let policy = match (policy, mobile) {
                (Some(file), _) => {
                    let text = std::fs::read_to_string(&file);
                    let text = text.with_context(|| format!("cannot read {}", file.display()))?;
                    Some(Policy::parse(&text)?)
                }
                (None, Some(app)) => {
                    Some(Policy::mobile(&format!("arn:aws:mobiletargeting:*:*:apps/{app}"))?)
                }
                (None, None) => None,
            };
            create(&place, name, policy).await
        }
        Keys::Disable { id } => set_disabled(&place, &id, true).await,
        Keys::Enable { id } => set_disabled(&place, &id, false).await,
        Keys::Delete { id } => delete(&place, &id).await,
    }
}

/// The directory, or the server that holds it.
async fn place(config: &Config, account: Option<&str>) -> anyhow::Result<Place> {
    let context = system::context();
    if !exists(&config.server.data_dir) {
        bail!(
            "there is no data directory {}: `counterpoint serve` makes it",
            config.server.data_dir.display()
        );
    }
    let node = match tokio::task::block_in_place(|| Node::open(config, context.clone())) {
        Ok(node) => node,
        Err(error) if matches!(error.downcast_ref(), Some(DirectoryError::InUse(_))) => {
            if account.is_some() {
                bail!("--account works only while no server runs");
            }
            return Ok(Place::Server(Client::new(config, context)?));
        }
        Err(error) => return Err(error),
    };
    let account = match account {
        Some(account) if account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()) => {
            AccountId::new(account)
        }
        Some(_) => bail!("an account has 12 digits"),
        None => {
            let accounts = node.kv.scan(Key::new(Table::Accounts).prefix(), 1).await?;
            let first = accounts.first().and_then(|(key, _)| key.components().text());
            AccountId::new(first.context("there is no account yet: `counterpoint serve` makes it")?)
        }
    };
    Ok(Place::Directory(Box::new(node), account))
}

#[expect(clippy::print_stdout, reason = "what the command answers")]
async fn list(place: &Place) -> anyhow::Result<()> {
    let items = match place {
        Place::Directory(node, account) => {
            let keys = keys::list(&*node.kv, account).await?;
            keys.iter().map(|(id, key)| keys::shown(id, key)).collect()
        }
        Place::Server(client) => {
            let answer = client.call("GET", "keys", None).await?;
            answer["Item"].as_array().cloned().unwrap_or_default()
        }
    };
    println!("{:<22} {:<14} {:<10} {:<12} NAME", "ACCESS KEY", "ACCOUNT", "STATE", "MAY");
    for item in items {
        let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
        let state = if item["Disabled"] == true { "disabled" } else { "enabled" };
        let may = if item["Policy"].is_null() { "everything" } else { "its policy" };
        println!(
            "{:<22} {:<14} {state:<10} {may:<12} {}",
            text("AccessKeyId"),
            text("AccountId"),
            text("Name")
        );
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what the command answers; a secret is shown this once")]
async fn create(place: &Place, name: String, policy: Option<Policy>) -> anyhow::Result<()> {
    let (id, secret) = match place {
        Place::Directory(node, account) => {
            let new = NewKey { account: account.clone(), name, policy };
            let key = keys::create(&*node.kv, &node.master_key, new, node.context.now()).await?;
            (key.id.clone(), key.secret)
        }
        Place::Server(client) => {
            let mut request = json!({ "Name": name });
            if let Some(policy) = policy {
                request["Policy"] = serde_json::from_str::<Value>(policy.document())?;
            }
            let answer = client.call("POST", "keys", Some(&request)).await?;
            let text = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
            (text("AccessKeyId"), api::secrets::Secret::new(text("SecretAccessKey")))
        }
    };
    println!("export AWS_ACCESS_KEY_ID={id}\nexport AWS_SECRET_ACCESS_KEY={}", secret.reveal());
    Ok(())
}

async fn set_disabled(place: &Place, id: &str, disabled: bool) -> anyhow::Result<()> {
    match place {
        Place::Directory(node, account) => {
            keys::change(&*node.kv, account, id, Some(disabled), None).await?;
        }
        Place::Server(client) => {
            client.call("PUT", &path(id)?, Some(&json!({ "Disabled": disabled }))).await?;
        }
    }
    Ok(())
}

async fn delete(place: &Place, id: &str) -> anyhow::Result<()> {
    match place {
        Place::Directory(node, account) => keys::delete(&*node.kv, account, id).await?,
        Place::Server(client) => {
            client.call("DELETE", &path(id)?, None).await?;
        }
    }
    Ok(())
}

fn path(id: &str) -> anyhow::Result<String> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        bail!("{id:?} is not the id of an access key");
    }
    Ok(format!("keys/{id}"))
}
