//! `cargo xtask tidy`: the rules of the project that no compiler knows.
//!
//! A rule is a small function on text: [`arrows`] between crates, [`manifests`], [`rust`] files, [`formats`] of what is stored,
//! [`documents`], and [`machine`] paths. Before them: what [`codegen`] and [`samples`] print must be what is committed.
//!
//! All of them see what git would commit, and everything that they find is told at once.

mod arrows;
mod documents;
mod formats;
mod machine;
mod manifests;
mod rust;
mod source;

use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail, ensure};

use crate::workspace::{self, Metadata};
use crate::{codegen, samples};

/// A text file of the project.
#[derive(Debug)]
struct File {
    /// From the root, with slashes.
    path: String,
    text: String,
}

/// What a rule has against a line, and what to do about it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    path: String,
    /// Counted from 1.
    line: usize,
    what: String,
    fix: &'static str,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, line, what, fix } = self;
        write!(formatter, "{path}:{line}: {what}; {fix}")
    }
}

impl File {
    fn has_extension(&self, wanted: &str) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == wanted)
    }

    fn finding(&self, line: usize, what: impl Into<String>, fix: &'static str) -> Finding {
        Finding { path: self.path.clone(), line, what: what.into(), fix }
    }
}

/// Checks everything, and that nothing generated is stale.
pub(crate) fn run() -> anyhow::Result<()> {
    codegen::run(true)?;
    samples::run(true)?;
    let files = read_files(&workspace::root()?)?;
    let findings = check(&files, &Metadata::read()?);
    for finding in &findings {
        eprintln!("{finding}");
    }
    if !findings.is_empty() {
        bail!("tidy: {} files, findings: {}", files.len(), findings.len());
    }
    eprintln!("tidy: {} files, nothing found", files.len());
    Ok(())
}

fn check(files: &[File], metadata: &Metadata) -> Vec<Finding> {
    let mut findings = arrows::check(metadata, files);
    findings.extend(documents::decisions(files));
    findings.extend(formats::check(files));
    for file in files {
        findings.extend(machine::paths(file));
        if rust::is_rust(file) {
            findings.extend(rust::check(file));
        }
        if manifests::is_of_member(file) {
            findings.extend(manifests::lints(file));
        }
        if documents::is_document(file) {
            findings.extend(documents::paths(file, files));
        }
    }
    findings.sort();
    findings.dedup();
    findings
}

/// The text files that git has or would take: what is ignored is nobody's business, what is new is checked before it is
/// committed.
fn read_files(root: &Path) -> anyhow::Result<Vec<File>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .context("git cannot be started; tidy asks it which files there are")?;
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git ls-files failed; tidy needs a git checkout: {complaint}");
    let names = String::from_utf8(output.stdout).context("a path is not UTF-8")?;
    let mut files = Vec::new();
    for path in names.split('\0').filter(|path| !path.is_empty()) {
        let full_path = root.join(path);
        // A file that is deleted but not yet committed as such is still listed.
        if !full_path.is_file() {
            continue;
        }
        let bytes = fs::read(&full_path).with_context(|| path.to_owned())?;
        // Pictures and other binary files have no lines; the rest of the project is UTF-8.
        if let Ok(text) = String::from_utf8(bytes) {
            files.push(File { path: path.to_owned(), text });
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests;
