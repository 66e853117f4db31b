//! Rules for Rust files: their size, what is not left in code, and what they begin with.

use super::source::{Source, bracketed_length, is_of_word, line_at};
use super::{File, Finding};
use crate::codegen;

/// Lines of a file without its tests.
const LINES_MAX: usize = 500;

/// Lines of a function, from its name to its end.
const FUNCTION_LINES_MAX: usize = 90;

/// What code that ships does not have, and what to do instead.
const BANNED_IN_CODE: [(&str, &str); 5] = [
    ("todo!", "write what is missing"),
    ("unimplemented!", "write what is missing"),
    ("dbg!", "remove it"),
    ("#[allow(", "use #[expect(.., reason = \"..\")]"),
    ("#![allow(", "use #![expect(.., reason = \"..\")]"),
];

const BANNED_IN_COMMENTS: [&str; 2] = ["TODO", "FIXME"];

pub(super) fn is_rust(file: &File) -> bool {
    file.has_extension("rs")
}

pub(super) fn check(file: &File) -> Vec<Finding> {
    let source = Source::read(&file.text);
    let mut findings = Vec::new();
    findings.extend(size(file, &source));
    findings.extend(functions(file, &source));
    findings.extend(banned(file, &source));
    findings.extend(ignored(file, &source));
    findings.extend(reasons(file, &source));
    findings.extend(begins_with_doc(file));
    findings
}

/// Tests, by where they are.
pub(super) fn is_test(file: &File) -> bool {
    file.path.split('/').any(|part| part == "tests") || file.path.ends_with("tests.rs")
}

fn is_example(file: &File) -> bool {
    file.path.split('/').any(|part| part == "examples")
}

fn is_generated(file: &File) -> bool {
    file.path.starts_with("crates/model/src/") && file.text.starts_with(codegen::HEADER)
}

pub(super) fn size(file: &File, source: &Source) -> Option<Finding> {
    if is_test(file) || is_example(file) || is_generated(file) {
        return None;
    }
    let tests: usize = source.test_items().into_iter().map(Iterator::count).sum();
    let lines = file.text.lines().count() - tests;
    let what = format!("the file has {lines} lines without tests, {LINES_MAX} are allowed");
    (lines > LINES_MAX).then(|| file.finding(1, what, "split it by what it is about"))
}

/// Functions that are too long, without their tests: what clippy counts by the line of code is counted here by the line.
pub(super) fn functions(file: &File, source: &Source) -> Vec<Finding> {
    if is_test(file) || is_example(file) || is_generated(file) {
        return Vec::new();
    }
    let tests = source.test_items();
    let mut findings = Vec::new();
    for start in source.functions() {
        let line = line_at(&source.code, start.start);
        let lines = source.code[start].trim_end().lines().count();
        if lines > FUNCTION_LINES_MAX && !tests.iter().any(|test| test.contains(&line)) {
            let what = format!("the function has {lines} lines, {FUNCTION_LINES_MAX} are allowed");
            findings.push(file.finding(line, what, "split it by its steps"));
        }
    }
    findings
}

pub(super) fn banned(file: &File, source: &Source) -> Vec<Finding> {
    if is_test(file) {
        return Vec::new();
    }
    let mut findings = Vec::new();
    for (wanted, fix) in BANNED_IN_CODE {
        for line in lines_with(&source.code, wanted) {
            findings.push(file.finding(line, format!("{wanted} in code"), fix));
        }
    }
    for wanted in BANNED_IN_COMMENTS {
        for line in lines_with(&source.comments, wanted) {
            findings.push(file.finding(line, format!("{wanted} in a comment"), "do it, or open an issue"));
        }
    }
    let tests = source.test_items();
    findings.retain(|finding| !tests.iter().any(|lines| lines.contains(&finding.line)));
    findings
}

pub(super) fn ignored(file: &File, source: &Source) -> Vec<Finding> {
    lines_with(&source.code, "#[ignore")
        .map(|line| file.finding(line, "an ignored test", "make it run, or delete it"))
        .collect()
}

pub(super) fn reasons(file: &File, source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    for begin in ["#[expect(", "#![expect("] {
        for (start, _) in source.code.match_indices(begin) {
            let rest = &source.code[start + begin.len() - 1..];
            let arguments = &rest[..bracketed_length(rest)];
            if lines_with(arguments, "reason").next().is_none() {
                let line = line_at(&source.code, start);
                findings.push(file.finding(line, "an #[expect] without a reason", "add reason = \"..\""));
            }
        }
    }
    findings
}

pub(super) fn begins_with_doc(file: &File) -> Option<Finding> {
    let is_root = ["lib.rs", "main.rs"].contains(&file.path.rsplit('/').next()?);
    let has_doc = file.text.starts_with("//!");
    let fix = "begin it with a //! line that says what it is for";
    (is_root && !has_doc).then(|| file.finding(1, "no documentation at the beginning", fix))
}

/// The lines on which `wanted` stands, not as a part of a longer word.
fn lines_with(text: &str, wanted: &str) -> impl Iterator<Item = usize> {
    text.match_indices(wanted).filter_map(move |(start, found)| {
        let before = text[..start].chars().next_back().is_some_and(is_of_word);
        let after = text[start + found.len()..].chars().next().is_some_and(is_of_word);
        let is_part = (before && found.starts_with(is_of_word)) || (after && found.ends_with(is_of_word));
        (!is_part).then(|| line_at(text, start))
    })
}
