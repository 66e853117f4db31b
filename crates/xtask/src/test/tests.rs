//! The plan, as a table.

use super::*;

#[track_caller]
fn check(steps: &[Step], wanted: &[&str]) {
    let names: Vec<&str> = steps.iter().map(|step| step.name.as_str()).collect();
    assert_eq!(names, wanted);
}

#[test]
fn the_steps_are_those_of_ci_in_its_order() {
    check(
        &plan(false, true, true),
        &[
            "cargo fmt --all --check",
            "cargo clippy --workspace --all-targets -- -D warnings",
            "cargo xtask tidy",
            "cargo nextest run --workspace --profile ci",
            "cargo test --workspace --doc",
            "RUSTDOCFLAGS=\"-D warnings\" cargo doc --workspace --no-deps --document-private-items",
        ],
    );
}

#[test]
fn quick_runs_the_tests_only() {
    check(&plan(true, false, true), &["cargo nextest run --workspace"]);
    check(&plan(true, false, false), &["cargo test --workspace --all-targets"]);
}
