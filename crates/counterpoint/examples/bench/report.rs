//! What was measured, printed as it comes and kept as a table.

use std::collections::BTreeMap;

/// Rows of figures under headings.
#[derive(Default)]
pub(crate) struct Report {
    numbers: BTreeMap<String, f64>,
}

#[expect(clippy::print_stdout, reason = "the report is what the command is for")]
impl Report {
    #[expect(clippy::unused_self, reason = "a heading belongs to a report, though only its figures are kept")]
    pub(crate) fn section(&mut self, name: &str) {
        println!("\n## {name}\n\n| what | figure |\n|---|---|");
    }

    pub(crate) fn line(&mut self, name: &str, value: f64) {
        let shown = if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.3}") };
        println!("| {name} | {shown} |");
        self.numbers.insert(name.to_owned(), value);
    }

    /// A figure that was reported before.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        self.numbers.get(name).copied()
    }
}
