//! Rules for the manifests of the members.

use super::{File, Finding};

pub(super) fn is_of_member(file: &File) -> bool {
    file.path
        .strip_prefix("crates/")
        .and_then(|path| path.strip_suffix("/Cargo.toml"))
        .is_some_and(|name| !name.contains('/'))
}

/// A member that does not say so has none of the lints of the workspace.
pub(super) fn lints(file: &File) -> Option<Finding> {
    let mut lines = file.text.lines().map(str::trim).skip_while(|line| *line != "[lints]");
    let has_section = lines.next().is_some();
    let has_lints =
        has_section && lines.take_while(|line| !line.starts_with('[')).any(|line| line == "workspace = true");
    (!has_lints).then(|| {
        file.finding(1, "the lints of the workspace are not in force", "add [lints] with workspace = true")
    })
}

/// The line that names a dependency; the first one where none does.
pub(super) fn line_of_dependency(text: &str, name: &str) -> usize {
    let names = |line: &str| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', ' ', '=']))
            || line.strip_suffix(']').is_some_and(|table| table.ends_with(&format!("dependencies.{name}")))
    };
    (1..).zip(text.lines()).find_map(|(number, line)| names(line).then_some(number)).unwrap_or(1)
}
