//! Reads what stands between `{{` and `}}`.

use super::helpers::{self, Helper};
use super::path::{Origin, Path, is_name_letter};
use super::tree::{Call, Expression};
use super::{EXPRESSIONS_NESTED_MAX, TemplateError};

/// Moves through a template's source.
pub(super) struct Cursor<'s> {
    source: &'s str,
    at: usize,
    expressions_open: usize,
    /// The paths of the tag at hand.
    pub paths: Vec<Path>,
}

/// The first word of a tag with what follows it, before it is known whether it is a helper.
#[derive(Debug)]
pub(super) struct Words {
    /// Byte at which the tag's first word starts, for errors.
    pub at: usize,
    /// Place of the first word among the cursor's paths, if it is a path.
    pub head_path: usize,
    pub head: Expression,
    pub arguments: Vec<Expression>,
    pub options: Vec<(String, Expression)>,
    /// Names of `as |element index|`.
    pub names: Vec<String>,
}

impl<'s> Cursor<'s> {
    pub(super) fn new(source: &'s str) -> Self {
        Self { source, at: 0, expressions_open: 0, paths: Vec::new() }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn move_to(&mut self, at: usize) {
        self.at = at;
    }

    pub(super) fn rest(&self) -> &'s str {
        &self.source[self.at..]
    }

    pub(super) fn before(&self, at: usize) -> &'s str {
        &self.source[..at]
    }

    /// Takes `text` if it comes next.
    pub(super) fn take(&mut self, text: &str) -> bool {
        let is_next = self.rest().starts_with(text);
        if is_next {
            self.at += text.len();
        }
        is_next
    }

    /// Takes `word` if it comes next and is not the start of a longer one.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let after = self.rest().strip_prefix(word);
        let is_next = after.is_some_and(|after| {
            !after.starts_with(|letter| is_name_letter(letter) || letter == '.' || letter == '=')
        });
        if is_next {
            self.at += word.len();
        }
        is_next
    }

    pub(super) fn skip_white_space(&mut self) {
        self.at = self.source.len() - self.rest().trim_start().len();
    }

    /// Everything up to `end`, which is taken too.
    pub(super) fn take_until(&mut self, end: &str, opened_at: usize) -> Result<&'s str, TemplateError> {
        let rest = self.rest();
        let Some(length) = rest.find(end) else {
            return Err(self.fault(opened_at, format!("there is no {end:?} to end this")));
        };
        self.at += length + end.len();
        Ok(&rest[..length])
    }

    /// A fault at a byte of the source.
    pub(super) fn fault(&self, at: usize, reason: impl Into<String>) -> TemplateError {
        let before = &self.source[..at];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        TemplateError {
            line: before.bytes().filter(|byte| *byte == b'\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            reason: reason.into(),
        }
    }

    /// Takes the end of a tag; answers whether white space after it is to go (`~}}`).
    pub(super) fn take_end(&mut self, end: &str) -> Result<bool, TemplateError> {
        self.skip_white_space();
        // In `{{~{name}~}}` the tilde stands within the end.
        if end == "}}}" && self.take("}~}}") {
            return Ok(true);
        }
        let trims = self.take("~");
        if self.take(end) {
            return Ok(trims);
        }
        Err(self.unexpected(&format!("an expression or {end:?}")))
    }

    fn unexpected(&self, wanted: &str) -> TemplateError {
        let reason = match self.rest().chars().next() {
            Some(letter) => format!("found {letter:?} where {wanted} is expected"),
            None => format!("the template ends where {wanted} is expected"),
        };
        self.fault(self.at, reason)
    }

    /// Reads the words of a tag up to its end.
    pub(super) fn words(&mut self) -> Result<Words, TemplateError> {
        self.skip_white_space();
        let (at, head_path) = (self.at, self.paths.len());
        let head = self.expression()?;
        let mut words =
            Words { at, head_path, head, arguments: Vec::new(), options: Vec::new(), names: Vec::new() };
        loop {
            self.skip_white_space();
            if self.starts_block_names() {
                words.names = self.block_names()?;
                return Ok(words);
            }
            if self.rest().starts_with(['}', '~', ')']) || self.rest().is_empty() {
                return Ok(words);
            }
            match self.option_name() {
                Some(name) => {
                    self.skip_white_space();
                    let value = self.expression()?;
                    words.options.push((name.to_owned(), value));
                }
                None => words.arguments.push(self.expression()?),
            }
        }
    }

    /// Takes `name=` if it comes next.
    fn option_name(&mut self) -> Option<&'s str> {
        let rest = self.rest();
        let length = rest.find(|letter| !is_name_letter(letter))?;
        if length == 0 || !rest[length..].starts_with('=') {
            return None;
        }
        self.at += length + 1;
        Some(&rest[..length])
    }

    /// Takes `as |` if it comes next.
    fn starts_block_names(&mut self) -> bool {
        let names = self.rest().strip_prefix("as").and_then(|rest| rest.trim_start().strip_prefix('|'));
        if let Some(names) = names {
            self.at = self.source.len() - names.len();
        }
        names.is_some()
    }

    fn block_names(&mut self) -> Result<Vec<String>, TemplateError> {
        let opened_at = self.at;
        let names: Vec<String> =
            self.take_until("|", opened_at)?.split_whitespace().map(str::to_owned).collect();
        if names.is_empty() || names.len() > 2 || names.iter().any(|name| !name.chars().all(is_name_letter)) {
            return Err(self.fault(opened_at, "expected one or two names, as in 'as |element index|'"));
        }
        Ok(names)
    }

    /// Reads one expression.
    pub(super) fn expression(&mut self) -> Result<Expression, TemplateError> {
        let at = self.at;
        match self.rest().chars().next() {
            Some('(') => self.nested(),
            Some(quote @ ('"' | '\'')) => self.text(quote),
            Some(letter) if "@[.".contains(letter) || is_name_letter(letter) => {
                let word_length = self.rest().find(|it| !is_name_letter(it) && it != '.');
                let word = &self.rest()[..word_length.unwrap_or(self.rest().len())];
                if let Some(literal) = literal(word) {
                    self.at += word.len();
                    return Ok(literal);
                }
                let (path, length) = Path::parse(self.rest()).map_err(|reason| self.fault(at, reason))?;
                self.at += length;
                self.paths.push(path.clone());
                Ok(Expression::Path(path))
            }
            _ => Err(self.unexpected("an expression")),
        }
    }

    /// Reads `(helper argument …)`.
    fn nested(&mut self) -> Result<Expression, TemplateError> {
        let at = self.at;
        self.expressions_open += 1;
        if self.expressions_open > EXPRESSIONS_NESTED_MAX {
            return Err(self.fault(
                at,
                format!("expressions are nested more than {EXPRESSIONS_NESTED_MAX} levels deep"),
            ));
        }
        self.take("(");
        let words = self.words()?;
        if !self.take(")") {
            return Err(self.unexpected("')'"));
        }
        self.expressions_open -= 1;
        Ok(Expression::Call(Box::new(self.call(words, false)?)))
    }

    /// Reads a text in quotes; a backslash before the same quote keeps it in the text.
    fn text(&mut self, quote: char) -> Result<Expression, TemplateError> {
        let at = self.at;
        self.at += 1;
        let mut text = String::new();
        let rest = self.rest();
        let mut escaped = false;
        for (index, letter) in rest.char_indices() {
            if letter == quote && !escaped {
                self.at += index + 1;
                return Ok(Expression::Text(text));
            }
            if letter == quote {
                text.pop();
            }
            escaped = letter == '\\';
            text.push(letter);
        }
        Err(self.fault(at, "the text in quotes does not end"))
    }

    /// The call that words stand for; `block` tells whether they open a block.
    pub(super) fn call(&mut self, words: Words, block: bool) -> Result<Call, TemplateError> {
        let Some(name) = simple_name(&words.head) else {
            return Err(self.fault(words.at, "expected the name of a helper"));
        };
        let Some(helper) = helpers::find(name) else {
            return Err(self.fault(words.at, format!("there is no helper named {name:?}")));
        };
        self.check(helper, &words, block)?;
        self.forget_head(&words);
        Ok(Call { helper, arguments: words.arguments, options: words.options })
    }

    /// The name of a helper or partial is no variable.
    pub(super) fn forget_head(&mut self, words: &Words) {
        if matches!(words.head, Expression::Path(_)) {
            self.paths.remove(words.head_path);
        }
    }

    /// Only a block can name its elements.
    pub(super) fn refuse_names(&self, words: &Words) -> Result<(), TemplateError> {
        if words.names.is_empty() {
            return Ok(());
        }
        Err(self.fault(words.at, "only a block can name its elements"))
    }

    fn check(&self, helper: &Helper, words: &Words, block: bool) -> Result<(), TemplateError> {
        let name = helper.name;
        if !block {
            self.refuse_names(words)?;
        }
        if block && !helper.opens_block() {
            return Err(self.fault(words.at, format!("helper {name} has no block form")));
        }
        if !block && !helper.is_inline() {
            return Err(self.fault(words.at, format!("helper {name} has only a block form")));
        }
        let given = words.arguments.len();
        let (least, most) = helper.arguments;
        if given < least || given > most {
            let wanted = match (least, most) {
                (least, usize::MAX) => format!("at least {least}"),
                (least, most) if least == most => least.to_string(),
                (least, most) => format!("{least} to {most}"),
            };
            return Err(self.fault(words.at, format!("helper {name} takes {wanted} arguments, not {given}")));
        }
        Ok(())
    }
}

/// The name where an expression is nothing but a name.
pub(super) fn simple_name(expression: &Expression) -> Option<&str> {
    match expression {
        Expression::Path(path) if path.origin == (Origin::Scopes { up: 0 }) => path.simple_name(),
        _ => None,
    }
}

fn literal(word: &str) -> Option<Expression> {
    match word {
        "true" => Some(Expression::Bool(true)),
        "false" => Some(Expression::Bool(false)),
        "null" | "undefined" => Some(Expression::Null),
        _ => {
            let digits = word.strip_prefix('-').unwrap_or(word);
            let is_number = digits.starts_with(|first: char| first.is_ascii_digit())
                && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
            // A word such as 2.0.1 is a path.
            word.parse().ok().filter(|number: &f64| is_number && number.is_finite()).map(Expression::Number)
        }
    }
}
