//! `cargo xtask demo`: builds the server and runs the example `demo`, which shows it at work with sample data.

use crate::workspace;

pub(crate) fn run(arguments: &[String]) -> anyhow::Result<()> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match workspace::become_example("release", "demo", &arguments)? {}
}
