//! The server of the tour: the release binary as a process of its own, with a key made for it.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context;
use api::secrets::AccessKey;
use aws_sdk_pinpoint::Client;
use aws_sdk_pinpoint::config::{BehaviorVersion, Credentials, Region};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::client::Target;

const REGION: &str = "us-east-1";

pub(crate) struct Server {
    child: Child,
    target: Target,
}

impl Server {
    /// Starts it below `home`, with the samples where `s3://samples/` leads.
    pub(crate) async fn start(home: &Path) -> anyhow::Result<Self> {
        let bucket = home.join("objects").join("samples");
        std::fs::create_dir_all(&bucket)?;
        for (file, _) in crate::story::FILES {
            let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../samples").join(file);
            std::fs::copy(&sample, bucket.join(file)).with_context(|| format!("no {}", sample.display()))?;
        }
        let key = AccessKey::generate()?;
        let mut child = Command::new(binary()?)
            .arg("serve")
            .env("COUNTERPOINT_SERVER__LISTEN", "127.0.0.1:0")
            .env("COUNTERPOINT_SERVER__DATA_DIR", home.join("data"))
            .env("COUNTERPOINT_OBJECTS__DIRECTORY", home.join("objects"))
            .env("COUNTERPOINT_AUTH__ROOT_ACCESS_KEY_ID", &key.id)
            .env("COUNTERPOINT_AUTH__ROOT_SECRET_ACCESS_KEY", key.secret.reveal())
            .env("COUNTERPOINT_TELEMETRY__LEVEL", "warn")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("the server's binary does not start")?;
        let mut lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let address = loop {
            let line = lines.next_line().await?.context("the server ended before it was ready")?;
            if let Some(address) = line.strip_prefix("listening on http://") {
                break address.to_owned();
            }
        };
        let target =
            Target { address, access_key_id: key.id, secret_access_key: key.secret.reveal().to_owned() };
        Ok(Self { child, target })
    }

    /// What makes SDKs and the CLI talk to it.
    pub(crate) fn exports(&self) -> String {
        let Target { address, access_key_id, secret_access_key } = &self.target;
        format!(
            "export AWS_ENDPOINT_URL=http://{address}\nexport AWS_ACCESS_KEY_ID={access_key_id}\n\
             export AWS_SECRET_ACCESS_KEY={secret_access_key}\nexport AWS_REGION={REGION} AWS_DEFAULT_REGION={REGION}"
        )
    }

    /// AWS's SDK for Rust; only the endpoint's URL is not AWS's.
    pub(crate) fn sdk(&self) -> Client {
        let Target { address, access_key_id, secret_access_key } = &self.target;
        let config = aws_sdk_pinpoint::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .endpoint_url(format!("http://{address}"))
            .region(Region::new(REGION))
            .credentials_provider(Credentials::new(access_key_id, secret_access_key, None, None, "demo"))
            .http_client(aws_smithy_http_client::Builder::new().build_http())
            .build();
        Client::from_conf(config)
    }

    /// A call of Counterpoint's own API.
    pub(crate) async fn get(&self, path: &str) -> anyhow::Result<Value> {
        self.target.call("GET", path, "").await
    }

    /// Ends it as an operator does, and waits for it.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(id) = self.child.id() {
            // Ctrl-C on a terminal has reached it already.
            Command::new("kill").args(["-TERM", &id.to_string()]).status().await?;
        }
        self.child.wait().await?;
        Ok(())
    }
}

/// The server's binary: in the folder above this example's.
fn binary() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder =
        own.parent().and_then(Path::parent).context("an example lies in target/<profile>/examples")?;
    Ok(folder.join("counterpoint"))
}
