//! The Python packages that integration tests run as peers: another mail server, another SDK.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::workspace;

/// Where the tests look for them.
pub(crate) const VARIABLE: &str = "COUNTERPOINT_TEST_PYTHONPATH";

/// Pinned, so that a test that fails has not changed by itself.
const PACKAGES: [&str; 2] = ["aiosmtpd==1.4.6", "boto3==1.43.11"];

/// The directory that the packages are installed in; fetched once per version and machine.
pub(crate) fn python_path() -> anyhow::Result<PathBuf> {
    let directory = workspace::cache()?.join(format!("python-{}", PACKAGES.join("-").replace("==", "-")));
    let complete = directory.join("complete");
    if complete.is_file() {
        return Ok(directory);
    }
    let mut install = Command::new("python3");
    install.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade", "--target"]);
    let status = install.arg(&directory).args(PACKAGES).status().context("python3 cannot be started")?;
    ensure!(
        status.success(),
        "the Python packages {} cannot be installed: it needs pip (Debian and Ubuntu: the package python3-pip) and a way to \
         PyPI, once; they are then kept in {}",
        PACKAGES.join(", "),
        directory.display()
    );
    std::fs::write(&complete, "")?;
    Ok(directory)
}
