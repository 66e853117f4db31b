//! The server under test, as a process of its own on a fresh directory.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::client::Target;

/// A running server; ended when dropped.
pub(crate) struct Server {
    child: Child,
    pub target: Target,
    /// From the start of the process to its readiness line.
    pub ready_after: Duration,
}

/// The fixed root key of servers under test.
pub(crate) const ACCESS_KEY_ID: &str = "CPKABENCHBENCHBENCH1";
const SECRET_ACCESS_KEY: &str = "benchbenchbenchbenchbenchbenchbenchbench";

impl Server {
    /// Starts the release binary beside this one on `directory`.
    pub(crate) async fn start(directory: &Path, settings: &[(&str, String)]) -> anyhow::Result<Self> {
        let binary = binary()?;
        let started = std::time::Instant::now();
        let mut command = Command::new(&binary);
        command
            .arg("serve")
            .env("COUNTERPOINT_SERVER__LISTEN", "127.0.0.1:0")
            .env("COUNTERPOINT_SERVER__DATA_DIR", directory)
            .env("COUNTERPOINT_AUTH__ROOT_ACCESS_KEY_ID", ACCESS_KEY_ID)
            .env("COUNTERPOINT_AUTH__ROOT_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
            .env("COUNTERPOINT_SERVER__THROTTLE_SCALE", "0")
            .env("COUNTERPOINT_TELEMETRY__LEVEL", "warn")
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        for (key, value) in settings {
            command.env(key, value);
        }
        let mut child = command.spawn().with_context(|| format!("cannot start {}", binary.display()))?;
        let mut lines = BufReader::new(child.stdout.take().context("no stdout")?).lines();
        let address = loop {
            let line = lines.next_line().await?.context("the server ended before it was ready")?;
            if let Some(address) = line.strip_prefix("listening on http://") {
                break address.to_owned();
            }
        };
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        let target = Target {
            address,
            access_key_id: ACCESS_KEY_ID.to_owned(),
            secret_access_key: SECRET_ACCESS_KEY.to_owned(),
        };
        Ok(Self { child, target, ready_after: started.elapsed() })
    }

    /// The process's resident memory and processor time: MB and seconds.
    pub(crate) fn usage(&self) -> anyhow::Result<(f64, f64)> {
        let id = self.child.id().context("the server has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes: f64 =
            resident.and_then(|text| text.split_whitespace().next()?.parse().ok()).unwrap_or_default();
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat"))?;
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |place: usize| fields.get(place).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
        Ok((kilobytes / 1_024.0, (ticks(11) + ticks(12)) / 100.0))
    }

    /// Begins to watch for the most memory that is resident: see [`Server::peak_mb`].
    pub(crate) fn watch_peak(&self) -> anyhow::Result<()> {
        let id = self.child.id().context("the server has ended")?;
        Ok(std::fs::write(format!("/proc/{id}/clear_refs"), "5")?)
    }

    /// The most megabytes that were resident since [`Server::watch_peak`].
    pub(crate) fn peak_mb(&self) -> anyhow::Result<f64> {
        let id = self.child.id().context("the server has ended")?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status"))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = peak.and_then(|text| text.split_whitespace().next()).context("a peak")?;
        Ok(kilobytes.parse::<f64>()? / 1_024.0)
    }

    pub(crate) async fn status(&self) -> anyhow::Result<serde_json::Value> {
        let mut connection = crate::client::Connection::open(&self.target.address).await?;
        let request = format!("GET /status HTTP/1.1\r\nhost: {}\r\n\r\n", self.target.address);
        connection.call(request.as_bytes()).await?.json()
    }

    /// Ends the process at once, as a power switch does.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().await?;
        Ok(())
    }
}

/// The server's binary: in the folder above this example's.
pub(crate) fn binary() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder =
        own.parent().and_then(Path::parent).context("an example lies in target/<profile>/examples")?;
    Ok(folder.join("counterpoint"))
}

/// A fresh directory for a run, removed when dropped.
pub(crate) fn directory() -> anyhow::Result<tempfile::TempDir> {
    Ok(tempfile::Builder::new().prefix("counterpoint-bench-").tempdir()?)
}
