//! `cargo xtask test`: everything that CI runs, in its order. The cheap steps come first, and the first failure ends it.

use std::time::Instant;

use anyhow::{Context, bail};

use crate::{peers, tidy, workspace};

/// One step: its name is the command that repeats it alone.
struct Step {
    name: String,
    action: Action,
}

enum Action {
    /// Cargo with these arguments, and with these variables.
    Cargo { arguments: Vec<&'static str>, variables: Vec<(&'static str, &'static str)> },
    /// A task of this binary.
    Task(fn() -> anyhow::Result<()>),
}

pub(crate) fn run(quick: bool) -> anyhow::Result<()> {
    let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    let steps = plan(quick, is_ci, has_nextest()?);
    let start = Instant::now();
    for (place, step) in (1..).zip(&steps) {
        eprintln!("\n[{place}/{}] {}", steps.len(), step.name);
        let step_start = Instant::now();
        step.run(is_ci).with_context(|| format!("step {place} of {} failed: {}", steps.len(), step.name))?;
        eprintln!("      done in {:.1} s", step_start.elapsed().as_secs_f64());
    }
    eprintln!("\nall {} steps passed in {:.1} s", steps.len(), start.elapsed().as_secs_f64());
    Ok(())
}

fn has_nextest() -> anyhow::Result<bool> {
    let output = workspace::cargo(&["nextest", "--version"])?.output().context("cargo cannot be started")?;
    Ok(output.status.success())
}

fn plan(quick: bool, is_ci: bool, has_nextest: bool) -> Vec<Step> {
    let tests = Step::cargo(match (has_nextest, is_ci) {
        (true, true) => &["nextest", "run", "--workspace", "--profile", "ci"],
        (true, false) => &["nextest", "run", "--workspace"],
        // Without the documentation tests, which have a step of their own.
        (false, _) => &["test", "--workspace", "--all-targets"],
    });
    if quick {
        return vec![tests];
    }
    let mut documentation = Step::cargo(&["doc", "--workspace", "--no-deps", "--document-private-items"]);
    documentation.set("RUSTDOCFLAGS", "-D warnings");
    vec![
        Step::cargo(&["fmt", "--all", "--check"]),
        Step::cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        Step::task("tidy", tidy::run),
        tests,
        Step::cargo(&["test", "--workspace", "--doc"]),
        documentation,
    ]
}

impl Step {
    fn cargo(arguments: &[&'static str]) -> Self {
        let name = format!("cargo {}", arguments.join(" "));
        Self { name, action: Action::Cargo { arguments: arguments.to_vec(), variables: Vec::new() } }
    }

    fn task(arguments: &str, task: fn() -> anyhow::Result<()>) -> Self {
        Self { name: format!("cargo xtask {arguments}"), action: Action::Task(task) }
    }

    fn set(&mut self, variable: &'static str, value: &'static str) {
        self.name = format!("{variable}=\"{value}\" {}", self.name);
        if let Action::Cargo { variables, .. } = &mut self.action {
            variables.push((variable, value));
        }
    }

    fn run(&self, is_ci: bool) -> anyhow::Result<()> {
        match &self.action {
            Action::Task(task) => task(),
            Action::Cargo { arguments, variables } => {
                let mut command = workspace::cargo(arguments)?;
                command.envs(variables.iter().copied());
                if arguments.contains(&"nextest") || arguments.contains(&"test") {
                    command.env(peers::VARIABLE, peers::python_path()?);
                }
                if is_ci {
                    // What is built once is not built again: the files for it would only fill the disk.
                    command.env("CARGO_INCREMENTAL", "0");
                }
                let status = command.status().context("cargo cannot be started")?;
                if !status.success() {
                    bail!("cargo ended with {status}");
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests;
