//! `cargo xtask samples`: 10,000 people who do not exist, as the two kinds of file that an import job reads.
//!
//! [`person`] makes them up from [`countries`], [`names`] and a seeded [`random`]; [`csv`] and [`ndjson`] write them. The
//! same program writes the same bytes everywhere, so the files are committed and CI runs `--check`.

mod countries;
mod csv;
mod names;
mod ndjson;
mod person;
mod random;

use std::fs;

use anyhow::{Context, bail};

use self::person::People;
use crate::workspace;

/// Any other number makes other people.
const SEED: u64 = 2026;
const CSV_PEOPLE: usize = 6_000;
const NDJSON_PEOPLE: usize = 4_000;

pub(crate) fn run(check: bool) -> anyhow::Result<()> {
    let directory = workspace::root()?.join("samples");
    let mut stale = Vec::new();
    for (name, text) in files()? {
        let path = directory.join(name);
        if fs::read_to_string(&path).is_ok_and(|present| present == text) {
            continue;
        }
        if !check {
            fs::create_dir_all(&directory)?;
            fs::write(&path, text).with_context(|| path.display().to_string())?;
        }
        stale.push(format!("samples/{name}"));
    }
    for name in &stale {
        eprintln!("{}: {name}", if check { "stale" } else { "written" });
    }
    if check && !stale.is_empty() {
        bail!("sample files are stale; run `cargo xtask samples` and commit the result");
    }
    Ok(())
}

fn files() -> anyhow::Result<[(&'static str, String); 2]> {
    let mut people = People::new(SEED);
    let first: Vec<_> = people.by_ref().take(CSV_PEOPLE).collect();
    let second: Vec<_> = people.take(NDJSON_PEOPLE).collect();
    Ok([("people.csv", csv::write(&first)), ("people.ndjson", ndjson::write(&second)?)])
}

#[cfg(test)]
mod tests;
