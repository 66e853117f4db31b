//! Rules for the documents: decisions are numbered, and what a document points at is there.

use std::collections::HashSet;

use super::{File, Finding};

const DECISIONS: &str = "docs/decisions/";

/// The documents for readers: those at the top, and those right in docs/. Decisions tell of their day and may name what is
/// gone.
pub(super) fn is_document(file: &File) -> bool {
    let name = file.path.strip_prefix("docs/").unwrap_or(&file.path);
    file.has_extension("md") && !name.contains('/')
}

/// Decisions are numbered from 001 without a gap, in their names and in their first lines.
pub(super) fn decisions(files: &[File]) -> Vec<Finding> {
    let mut decisions: Vec<&File> = files.iter().filter(|file| file.path.starts_with(DECISIONS)).collect();
    decisions.sort_by_key(|file| &file.path);
    let mut findings = Vec::new();
    for (place, file) in (1..).zip(decisions) {
        let number = format!("{place:03}");
        let name = &file.path[DECISIONS.len()..];
        if !name.starts_with(&format!("{number}-")) || !file.has_extension("md") {
            let what = format!("decision {place} is not named {number}-title.md");
            findings.push(file.finding(1, what, "number decisions from 001 without a gap"));
        } else if !file.text.starts_with(&format!("# {number} ")) {
            let what = format!("the first line does not begin with \"# {number} \"");
            findings.push(file.finding(1, what, "begin with the number of the file and a title"));
        }
    }
    findings
}

/// Every link to a file, and every `docs/…` and `crates/…` that the text names.
pub(super) fn paths(file: &File, files: &[File]) -> Vec<Finding> {
    let present = Present::new(files);
    let mut findings = Vec::new();
    let mut is_fenced = false;
    for (number, line) in (1..).zip(file.text.lines()) {
        is_fenced ^= line.trim_start().starts_with("```");
        // In a block of code, brackets and parentheses are code.
        let links = if is_fenced { Vec::new() } else { links(line) };
        for link in links {
            if !resolve(&file.path, link).is_some_and(|path| present.has(&path)) {
                let what = format!("the link leads to {link}, which is not there");
                findings.push(file.finding(number, what, "correct or remove it"));
            }
        }
        for path in named_paths(line) {
            if !present.has(path) {
                let what = format!("{path} is named, but not there");
                findings.push(file.finding(number, what, "correct the path, or remove it"));
            }
        }
    }
    findings
}

/// Files, and the directories that they are in.
struct Present<'f>(HashSet<&'f str>);

impl<'f> Present<'f> {
    fn new(files: &'f [File]) -> Self {
        let mut paths = HashSet::new();
        for file in files {
            paths.insert(file.path.as_str());
            paths.extend(file.path.match_indices('/').map(|(end, _)| &file.path[..end]));
        }
        Self(paths)
    }

    fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        path.is_empty() || self.0.contains(path)
    }
}

/// Targets of `[text](target)` that are files of the project, without what follows a `#`.
fn links(line: &str) -> Vec<&str> {
    let mut links = Vec::new();
    for (start, begin) in line.match_indices("](") {
        let rest = &line[start + begin.len()..];
        let target = rest.split([')', ' ', '#']).next().unwrap_or_default();
        if !target.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
            links.push(target);
        }
    }
    links
}

/// The path from the root that a link of `document` means; `None` if it leads out of the project.
fn resolve(document: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = document.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop()?,
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Paths from the root that stand in the text, with or without quotes. A pattern or a placeholder names no file.
fn named_paths(line: &str) -> Vec<&str> {
    let is_of_path = |character: char| character.is_ascii_alphanumeric() || "_-./".contains(character);
    let mut paths = Vec::new();
    for directory in ["docs/", "crates/"] {
        for (start, _) in line.match_indices(directory) {
            if line[..start].ends_with(is_of_path) {
                continue;
            }
            let length = line[start..].find(|character| !is_of_path(character)).unwrap_or(line.len() - start);
            let (path, rest) = line[start..].split_at(length);
            if !rest.starts_with(['*', '<', '{', '[', '…']) && !path.contains("NNN") {
                paths.push(path.trim_end_matches('.'));
            }
        }
    }
    paths
}
