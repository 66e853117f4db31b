//! Tells code, comments and literals of a Rust file apart, and the test modules from the rest.
//!
//! This is not a parser. It knows just enough of the syntax that a rule is neither fooled by a word in a string nor by a
//! brace in a comment.

use std::iter::Peekable;
use std::ops::{Range, RangeInclusive};
use std::str::Chars;

/// The text of a file twice: each character stands in one of the two, and the other has a space there. Line breaks
/// stand in both.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// Everything but comments and what is between quotes.
    pub(super) code: String,
    pub(super) comments: String,
}

impl Source {
    pub(super) fn read(text: &str) -> Self {
        let mut reader = Reader { source: Self::default(), rest: text.chars().peekable() };
        while reader.read_next() {}
        reader.source
    }

    /// Where each function stands: from `fn` to the end of its braces, or to the semicolon of one that has none.
    pub(super) fn functions(&self) -> impl Iterator<Item = Range<usize>> {
        let starts = self.code.match_indices("fn ").map(|(start, _)| start);
        let is_word = |start: &usize| {
            !self.code[..*start].ends_with(|before: char| before.is_alphanumeric() || before == '_')
        };
        starts.filter(is_word).map(|start| start..start + item_length(&self.code[start..]))
    }

    /// The lines, counted from 1, of each `#[cfg(test)]` and the item that it belongs to.
    pub(super) fn test_items(&self) -> Vec<RangeInclusive<usize>> {
        let attribute = "#[cfg(test)]";
        let mut items: Vec<RangeInclusive<usize>> = Vec::new();
        for (start, _) in self.code.match_indices(attribute) {
            let end = start + attribute.len() + item_length(&self.code[start + attribute.len()..]);
            let lines = line_at(&self.code, start)..=line_at(&self.code, end);
            // One within another is there already.
            if !items.last().is_some_and(|last| last.contains(lines.start())) {
                items.push(lines);
            }
        }
        items
    }
}

/// The line that a byte stands on, counted from 1.
pub(super) fn line_at(text: &str, offset: usize) -> usize {
    1 + text[..offset].matches('\n').count()
}

/// The length of the bracketed text that `code` begins with, or to its end where nothing closes it.
pub(super) fn bracketed_length(code: &str) -> usize {
    let mut depth = 0_usize;
    for (offset, character) in code.char_indices() {
        match character {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return offset + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// The length of the item that `code` begins with: to its semicolon, or to the end of its braces.
fn item_length(code: &str) -> usize {
    let mut offset = 0;
    while let Some(character) = code[offset..].chars().next() {
        match character {
            ';' => return offset + 1,
            '{' => return offset + bracketed_length(&code[offset..]),
            // What encloses the item ends, and the item with it: a field, or a match arm.
            '}' => return offset,
            '(' | '[' => offset += bracketed_length(&code[offset..]),
            _ => offset += character.len_utf8(),
        }
    }
    code.len()
}

struct Reader<'t> {
    source: Source,
    rest: Peekable<Chars<'t>>,
}

#[derive(Clone, Copy)]
enum Kind {
    Code,
    Comment,
    Literal,
}

impl Reader<'_> {
    /// Takes the next thing, and answers whether there was one.
    fn read_next(&mut self) -> bool {
        let Some(&character) = self.rest.peek() else { return false };
        match character {
            '/' if self.follows("//") => self.line_comment(),
            '/' if self.follows("/*") => self.block_comment(),
            '"' => self.text(),
            '\'' => self.quote(),
            'r' | 'b' | 'c' | '_' | 'a'..='z' | 'A'..='Z' => self.word(),
            _ => _ = self.take(Kind::Code),
        }
        true
    }

    fn take(&mut self, kind: Kind) -> Option<char> {
        let character = self.rest.next()?;
        let blank = if character == '\n' { '\n' } else { ' ' };
        let (code, comment) = match kind {
            Kind::Code => (character, blank),
            Kind::Comment => (blank, character),
            Kind::Literal => (blank, blank),
        };
        self.source.code.push(code);
        self.source.comments.push(comment);
        Some(character)
    }

    fn take_all(&mut self, kind: Kind, count: usize) {
        for _ in 0..count {
            self.take(kind);
        }
    }

    fn follows(&self, wanted: &str) -> bool {
        let mut rest = self.rest.clone();
        wanted.chars().all(|character| rest.next() == Some(character))
    }

    fn line_comment(&mut self) {
        while self.rest.peek().is_some_and(|character| *character != '\n') {
            self.take(Kind::Comment);
        }
    }

    /// Block comments nest.
    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            if self.follows("/*") {
                depth += 1;
                self.take_all(Kind::Comment, 2);
            } else if self.follows("*/") {
                depth -= 1;
                self.take_all(Kind::Comment, 2);
                if depth == 0 {
                    return;
                }
            } else if self.take(Kind::Comment).is_none() {
                return;
            }
        }
    }

    /// A string whose backslashes escape.
    fn text(&mut self) {
        self.take(Kind::Code);
        while let Some(&character) = self.rest.peek() {
            match character {
                '"' => {
                    self.take(Kind::Code);
                    return;
                }
                '\\' => self.take_all(Kind::Literal, 2),
                _ => _ = self.take(Kind::Literal),
            }
        }
    }

    /// A character, or the lifetime that begins like one.
    fn quote(&mut self) {
        self.take(Kind::Code);
        let mut ahead = self.rest.clone();
        let is_escape = ahead.next() == Some('\\');
        if !is_escape && ahead.next() != Some('\'') {
            return;
        }
        // What a backslash escapes may be a quote.
        self.take_all(Kind::Literal, if is_escape { 2 } else { 1 });
        while let Some(&character) = self.rest.peek() {
            if character == '\'' {
                self.take(Kind::Code);
                return;
            }
            self.take(Kind::Literal);
        }
    }

    /// A name or keyword; or the letters before a string, which may be raw.
    fn word(&mut self) {
        let mut word = String::new();
        while let Some(&character) = self.rest.peek() {
            if !is_of_word(character) {
                break;
            }
            word.push(character);
            self.take(Kind::Code);
        }
        if matches!(word.as_str(), "r" | "br" | "cr") {
            self.raw_text();
        }
    }

    fn raw_text(&mut self) {
        let hashes = self.rest.clone().take_while(|character| *character == '#').count();
        if self.rest.clone().nth(hashes) != Some('"') {
            // A raw name: `r#type`.
            return;
        }
        self.take_all(Kind::Code, hashes + 1);
        let end = format!("\"{}", "#".repeat(hashes));
        while !self.follows(&end) {
            if self.take(Kind::Literal).is_none() {
                return;
            }
        }
        self.take_all(Kind::Code, end.len());
    }
}

pub(super) fn is_of_word(character: char) -> bool {
    character == '_' || character.is_alphanumeric()
}
