//! What the tasks know of the workspace: where it is, how to call cargo in it, and what cargo says about it.

use std::convert::Infallible;
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde::Deserialize;

/// The directory of the workspace.
pub(crate) fn root() -> anyhow::Result<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().with_context(|| format!("{} is gone", root.display()))
}

/// Where what tasks fetch is kept: once per machine, outside of the checkout.
pub(crate) fn cache() -> anyhow::Result<PathBuf> {
    let cache = match std::env::var_os("XDG_CACHE_HOME") {
        Some(directory) if !directory.is_empty() => PathBuf::from(directory),
        _ => PathBuf::from(std::env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    Ok(cache.join("counterpoint"))
}

/// The cargo that runs this task, in the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> anyhow::Result<Command> {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root()?);
    // `cargo run` describes this package to us in variables that build scripts watch: handed on, they would make cargo
    // build ring anew after every change between a terminal and a task.
    for (name, _) in std::env::vars_os() {
        if is_about_this_package(&name) {
            command.env_remove(name);
        }
    }
    Ok(command)
}

fn is_about_this_package(variable: &OsStr) -> bool {
    variable
        .to_str()
        .is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
}

/// Builds the server and an example of its package in a profile, and becomes the example: signals reach it and its exit
/// status is ours, with nothing in between. Returns only if that fails.
pub(crate) fn become_example(profile: &str, example: &str, arguments: &[&str]) -> anyhow::Result<Infallible> {
    let build =
        ["build", "--profile", profile, "-p", "counterpoint", "--bin", "counterpoint", "--example", example];
    let status = cargo(&build)?.status().context("cargo cannot be started")?;
    ensure!(status.success(), "cargo {} failed", build.join(" "));
    let target_directory = Metadata::read_without_dependencies()?.target_directory;
    let program = target_directory.join(profile).join("examples").join(example);
    let error = Command::new(&program).args(arguments).exec();
    Err(error).with_context(|| format!("{} cannot be started", program.display()))
}

/// The part of `cargo metadata` that tasks use.
#[derive(Debug, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) packages: Vec<Package>,
    pub(crate) workspace_members: Vec<String>,
    /// Absent where dependencies were not asked for.
    pub(crate) resolve: Option<Resolve>,
    pub(crate) target_directory: PathBuf,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Resolve {
    pub(crate) nodes: Vec<Node>,
}

/// A package and what it depends on, by id.
#[derive(Debug, Deserialize)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) deps: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) pkg: String,
    pub(crate) dep_kinds: Vec<DependencyKind>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct DependencyKind {
    /// `dev` or `build`; absent where it is a normal one.
    pub(crate) kind: Option<String>,
}

impl Metadata {
    pub(crate) fn read() -> anyhow::Result<Self> {
        Self::ask(&["metadata", "--format-version", "1", "--quiet"])
    }

    fn read_without_dependencies() -> anyhow::Result<Self> {
        Self::ask(&["metadata", "--format-version", "1", "--quiet", "--no-deps"])
    }

    fn ask(arguments: &[&str]) -> anyhow::Result<Self> {
        let output = cargo(arguments)?.output().context("cargo cannot be started")?;
        let complaint = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "cargo {} failed: {complaint}", arguments.join(" "));
        serde_json::from_slice(&output.stdout).context("cargo metadata is not as expected")
    }
}
