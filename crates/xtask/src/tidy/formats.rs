//! Rules for what is stored: each type has a golden file of the format that is written.

use std::collections::HashSet;

use super::source::Source;
use super::{File, Finding, rust};

const GOLDEN: &str = "crates/store/tests/golden/";

/// Every `impl Stored for Type` has a file `type.vN.hex`, or some that are named `type_….vN.hex`.
pub(super) fn check(files: &[File]) -> Vec<Finding> {
    let golden: HashSet<&str> = files.iter().filter_map(|file| file.path.strip_prefix(GOLDEN)).collect();
    let has_golden = |name: &str, format: &str| {
        let end = format!(".v{format}.hex");
        let of_type = |file: &&str| {
            let rest = file.strip_suffix(&end).and_then(|stem| stem.strip_prefix(name));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        };
        golden.iter().any(of_type)
    };
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| rust::is_rust(file) && !rust::is_test(file)) {
        for (line, name, format) in stored_types(&file.text) {
            if !has_golden(&name, &format) {
                let what = format!("{GOLDEN}{name}.v{format}.hex is not there");
                findings.push(file.finding(line, what, "check a value in crates/store/src/tables/tests.rs"));
            }
        }
    }
    findings
}

/// The line of each implementation, the type's name in lower case, and its format.
fn stored_types(text: &str) -> Vec<(usize, String, String)> {
    let code = Source::read(text).code;
    let lines: Vec<&str> = code.lines().collect();
    let mut types = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = line.strip_prefix("impl Stored for ").and_then(|rest| rest.strip_suffix(" {"))
        else {
            continue;
        };
        let format = lines[at..].iter().find_map(|line| line.trim().strip_prefix("const FORMAT: u8 = "));
        let format = format.and_then(|rest| rest.strip_suffix(';')).unwrap_or("?");
        types.push((at + 1, in_lower_case(name), format.to_owned()));
    }
    types
}

fn in_lower_case(name: &str) -> String {
    let mut lower = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !lower.is_empty() {
            lower.push('_');
        }
        lower.push(letter.to_ascii_lowercase());
    }
    lower
}
