//! What the tour looks like.

use std::io::{IsTerminal, Write};

use serde_json::Value;

const BAR_CHARACTERS: u64 = 40;
/// Characters of a mail's line that are shown.
const LINE_CHARACTERS_MAX: usize = 96;

pub(crate) fn heading(text: &str) {
    println!("\n== {text}");
}

pub(crate) fn line(text: &str) {
    println!("   {text}");
}

/// A progress bar that is drawn over itself on a terminal, and once at its end elsewhere.
pub(crate) fn progress(what: &str, done: u64, of: u64) {
    let of = of.max(1);
    let is_done = done >= of;
    let filled = (done.min(of) * BAR_CHARACTERS / of) as usize;
    let bar = format!("{}{}", "#".repeat(filled), ".".repeat(BAR_CHARACTERS as usize - filled));
    let drawn = format!("   [{bar}] {done:>6} / {of} {what}");
    if std::io::stdout().is_terminal() {
        print!("\r{drawn}");
        // A terminal that cannot be written to shows nothing anyway.
        let _ = std::io::stdout().flush();
        if is_done {
            println!();
        }
    } else if is_done {
        println!("{drawn}");
    }
}

/// A mail as its reader sees it.
pub(crate) fn message(message: &Value) {
    let text = |name: &str| message[name].as_str().unwrap_or_default();
    println!("\n   +-- To:      {}", text("To"));
    println!("   |   From:    {}", text("From"));
    println!("   |   Subject: {}", text("Subject"));
    println!("   |");
    for line in text("Text").lines() {
        let cut: String = line.chars().take(LINE_CHARACTERS_MAX).collect();
        println!("   |   {cut}");
    }
    println!("   +--");
}
