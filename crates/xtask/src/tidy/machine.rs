//! The rule that nothing names a path of the machine that it was written on.

use super::{File, Finding};

/// Directories that exist on one machine, without the slash that follows: this file is checked as well.
const DIRECTORIES: [&str; 2] = ["/work", "/root"];

pub(super) fn paths(file: &File) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(file.text.lines()) {
        for directory in DIRECTORIES {
            if names(line, directory) {
                let what = format!("a path of one machine, in {directory}");
                findings.push(file.finding(
                    number,
                    what,
                    "name it from the root of the project, or configure it",
                ));
            }
        }
    }
    findings
}

/// Not where it is the middle of a longer path or an address.
fn names(line: &str, directory: &str) -> bool {
    line.match_indices(directory).any(|(start, _)| {
        let is_inner =
            line[..start].ends_with(|before: char| before.is_alphanumeric() || "_-.".contains(before));
        !is_inner && line[start + directory.len()..].starts_with('/')
    })
}
