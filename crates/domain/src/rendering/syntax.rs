//! Reads a template: text, tags and blocks, in one pass and without recursion over blocks.

use super::path::Origin;
use super::reads::Reads;
use super::tags::{Cursor, simple_name};
use super::tree::{Block, Call, Expression, Node, Partial, Section, Subject};
use super::{BLOCKS_NESTED_MAX, TemplateError};

/// A template that was read.
pub(super) struct Parsed {
    pub(super) body: Block,
    /// The paths of values from outside the template, each once, sorted.
    pub(super) variables: Vec<String>,
    /// All paths.
    pub(super) reads: Reads,
}

/// Reads a template.
pub(super) fn parse(source: &str) -> Result<Parsed, TemplateError> {
    let mut parser = Parser {
        cursor: Cursor::new(source),
        block: Block::default(),
        open: Vec::new(),
        variables: Vec::new(),
        reads: Reads::default(),
    };
    while !parser.cursor.rest().is_empty() {
        parser.step()?;
    }
    if let Some(open) = parser.open.last() {
        let reason = format!("block {} is not closed", open.name);
        return Err(parser.cursor.fault(open.at, reason));
    }
    let Parser { block: body, mut variables, reads, .. } = parser;
    variables.sort_unstable();
    variables.dedup();
    Ok(Parsed { body, variables, reads })
}

struct Parser<'s> {
    cursor: Cursor<'s>,
    /// What is being filled: the innermost open block.
    block: Block,
    open: Vec<Open>,
    variables: Vec<String>,
    reads: Reads,
}

/// A block whose end has not come yet.
struct Open {
    name: String,
    /// Byte at which its tag starts, for errors.
    at: usize,
    kind: Kind,
    /// The block around it, as far as it was read.
    outer: Block,
    /// What stood before `{{else}}`.
    body: Option<Block>,
    names: Vec<String>,
}

enum Kind {
    Section(Subject),
    /// `{{else if …}}`: ends where the block before it ends.
    Chained(Call),
    InlinePartial,
}

/// A tag's place and its tildes.
#[derive(Clone, Copy)]
struct Tag {
    at: usize,
    /// The tag disappears with its line if nothing else stands on it.
    standalone: bool,
    trims_before: bool,
    trims_after: bool,
}

impl Parser<'_> {
    /// Takes the text up to the next tag, and the tag.
    fn step(&mut self) -> Result<(), TemplateError> {
        let rest = self.cursor.rest();
        let Some(length) = rest.find("{{") else {
            self.push_text(rest);
            self.cursor.move_to(self.cursor.at() + rest.len());
            return Ok(());
        };
        let text = &rest[..length];
        let at = self.cursor.at() + length;
        // One backslash makes text of the braces; of more, one goes and the tag stays.
        if let Some(text) = text.strip_suffix('\\') {
            if !text.ends_with('\\') {
                self.push_text(text);
                self.push_text("{{");
                self.cursor.move_to(at + 2);
                return Ok(());
            }
            self.push_text(text);
        } else {
            self.push_text(text);
        }
        self.cursor.move_to(at + 2);
        self.tag(at)
    }

    fn push_text(&mut self, text: &str) {
        match self.block.nodes.last_mut() {
            _ if text.is_empty() => {}
            Some(Node::Text(last)) => last.push_str(text),
            _ => self.block.nodes.push(Node::Text(text.to_owned())),
        }
    }

    fn tag(&mut self, at: usize) -> Result<(), TemplateError> {
        let mut tag = Tag { at, standalone: true, trims_before: false, trims_after: false };
        if self.cursor.rest().starts_with('!') || self.cursor.rest().starts_with("~!") {
            return self.comment(tag);
        }
        if self.cursor.take("{") {
            tag.trims_before = self.cursor.take("~");
            return self.output(tag, "}}}", true);
        }
        tag.trims_before = self.cursor.take("~");
        if self.cursor.take("{") {
            return self.output(tag, "}}}", true);
        }
        self.cursor.skip_white_space();
        if self.cursor.take("#*") || self.cursor.take("# *") {
            self.open_inline_partial(tag)
        } else if self.cursor.take("#>") {
            Err(self.cursor.fault(at, "partials with a block are not supported"))
        } else if self.cursor.take("#") {
            self.open_section(tag)
        } else if self.cursor.take("/") {
            self.close(tag)
        } else if self.cursor.take("^") {
            self.inverse(tag, true)
        } else if self.cursor.take_word("else") {
            self.inverse(tag, false)
        } else if self.cursor.take(">") {
            self.partial(tag)
        } else if self.cursor.take("*") {
            Err(self.cursor.fault(at, "decorators other than inline partials are not supported"))
        } else {
            let raw = self.cursor.take("&");
            self.output(tag, "}}", raw)
        }
    }

    fn comment(&mut self, mut tag: Tag) -> Result<(), TemplateError> {
        tag.trims_before = self.cursor.take("~");
        self.cursor.take("!");
        if self.cursor.take("--") {
            self.cursor.take_until("--", tag.at)?;
            // A comment ends at the first "--}}"; other dashes belong to it.
            while !(self.cursor.rest().starts_with("}}") || self.cursor.rest().starts_with("~}}")) {
                self.cursor.move_to(self.cursor.at() - 1);
                self.cursor.take_until("--", tag.at)?;
            }
            tag.trims_after = self.cursor.take_end("}}")?;
        } else {
            tag.trims_after = self.cursor.take_until("}}", tag.at)?.ends_with('~');
        }
        self.trim(tag);
        Ok(())
    }

    fn output(&mut self, mut tag: Tag, end: &str, raw: bool) -> Result<(), TemplateError> {
        let words = self.cursor.words()?;
        self.cursor.refuse_names(&words)?;
        tag.trims_after = self.cursor.take_end(end)?;
        tag.standalone = false;
        let is_value = words.arguments.is_empty()
            && words.options.is_empty()
            && !simple_name(&words.head).is_some_and(super::helpers::is_nullary);
        let value =
            if is_value { words.head } else { Expression::Call(Box::new(self.cursor.call(words, false)?)) };
        self.collect_variables();
        self.trim(tag);
        self.block.nodes.push(Node::Output { value, raw });
        Ok(())
    }

    fn open_section(&mut self, mut tag: Tag) -> Result<(), TemplateError> {
        let mut words = self.cursor.words()?;
        tag.trims_after = self.cursor.take_end("}}")?;
        let names = std::mem::take(&mut words.names);
        let name = head_name(&words.head);
        let is_helper = simple_name(&words.head).is_some_and(|name| super::helpers::find(name).is_some());
        let subject = if !is_helper && words.arguments.is_empty() && words.options.is_empty() {
            Subject::Value(words.head)
        } else {
            Subject::Helper(self.cursor.call(words, true)?)
        };
        self.open(tag, name, Kind::Section(subject), names)
    }

    fn open_inline_partial(&mut self, mut tag: Tag) -> Result<(), TemplateError> {
        let words = self.cursor.words()?;
        tag.trims_after = self.cursor.take_end("}}")?;
        self.cursor.forget_head(&words);
        match (simple_name(&words.head), words.arguments.as_slice()) {
            (Some("inline"), [Expression::Text(name)]) if words.options.is_empty() => {
                self.open(tag, name.clone(), Kind::InlinePartial, Vec::new())
            }
            _ => Err(self.cursor.fault(tag.at, "expected an inline partial: {{#*inline \"name\"}}")),
        }
    }

    fn open(&mut self, tag: Tag, name: String, kind: Kind, names: Vec<String>) -> Result<(), TemplateError> {
        if self.open.len() == BLOCKS_NESTED_MAX {
            let reason = format!("blocks are nested more than {BLOCKS_NESTED_MAX} levels deep");
            return Err(self.cursor.fault(tag.at, reason));
        }
        self.collect_variables();
        self.trim(tag);
        let outer = std::mem::take(&mut self.block);
        self.open.push(Open { name, at: tag.at, kind, outer, body: None, names });
        Ok(())
    }

    /// `{{else}}`, `{{^}}`, `{{else helper …}}`, or `{{^name}}`, which opens a section of its own.
    fn inverse(&mut self, mut tag: Tag, is_caret: bool) -> Result<(), TemplateError> {
        self.cursor.skip_white_space();
        if self.cursor.rest().starts_with(['}', '~']) {
            tag.trims_after = self.cursor.take_end("}}")?;
            return self.start_inverse(tag);
        }
        let mut words = self.cursor.words()?;
        tag.trims_after = self.cursor.take_end("}}")?;
        let names = std::mem::take(&mut words.names);
        let is_value = words.arguments.is_empty() && words.options.is_empty();
        if is_caret && is_value {
            let name = head_name(&words.head);
            return self.open(tag, name, Kind::Section(Subject::NoValue(words.head)), names);
        }
        let call = self.cursor.call(words, true)?;
        let name = call.helper.name.to_owned();
        self.start_inverse(tag)?;
        // The line of the tag is gone already: do not look at it twice.
        let tag = Tag { standalone: false, trims_before: false, trims_after: false, ..tag };
        self.open(tag, name, Kind::Chained(call), names)
    }

    /// Ends the part before `{{else}}`.
    fn start_inverse(&mut self, tag: Tag) -> Result<(), TemplateError> {
        self.trim(tag);
        match self.open.last_mut() {
            Some(open) if open.body.is_none() && !matches!(open.kind, Kind::InlinePartial) => {
                open.body = Some(std::mem::take(&mut self.block));
                Ok(())
            }
            _ => Err(self.cursor.fault(tag.at, "'else' belongs to no open block")),
        }
    }

    fn close(&mut self, mut tag: Tag) -> Result<(), TemplateError> {
        let words = self.cursor.words()?;
        self.cursor.paths.clear();
        tag.trims_after = self.cursor.take_end("}}")?;
        self.trim(tag);
        let name = head_name(&words.head);
        // Every `{{else if}}` ends with the block that it belongs to.
        loop {
            let Some(open) = self.open.pop() else {
                return Err(self.cursor.fault(tag.at, format!("block {name} is not open")));
            };
            let (wanted, is_chained) = match &open.kind {
                Kind::Section(_) => (open.name.as_str(), false),
                Kind::Chained(_) => ("", true),
                Kind::InlinePartial => ("inline", false),
            };
            if !is_chained && wanted != name {
                let reason = format!("block {wanted} is open, but {name} is closed");
                return Err(self.cursor.fault(tag.at, reason));
            }
            self.finish(open);
            if !is_chained {
                return Ok(());
            }
        }
    }

    /// Puts a block that has been read into the one around it.
    fn finish(&mut self, open: Open) {
        let last = std::mem::replace(&mut self.block, open.outer);
        let (body, inverse) = match open.body {
            Some(body) => (body, Some(last)),
            None => (last, None),
        };
        let subject = match open.kind {
            Kind::InlinePartial => return self.block.partials.push((open.name, body)),
            Kind::Section(subject) => subject,
            Kind::Chained(call) => Subject::Helper(call),
        };
        let section = Section { subject, names: open.names, body, inverse };
        self.block.nodes.push(Node::Section(Box::new(section)));
    }

    fn partial(&mut self, mut tag: Tag) -> Result<(), TemplateError> {
        let words = self.cursor.words()?;
        self.cursor.refuse_names(&words)?;
        tag.trims_after = self.cursor.take_end("}}")?;
        self.cursor.forget_head(&words);
        let mut arguments = words.arguments.into_iter();
        let context = arguments.next();
        if arguments.next().is_some() {
            return Err(self.cursor.fault(words.at, "a partial takes one context at most"));
        }
        let name = match words.head {
            Expression::Path(path) => Expression::Text(path.dotted().to_owned()),
            Expression::Number(_) | Expression::Bool(_) | Expression::Null => {
                return Err(self.cursor.fault(words.at, "expected the name of a partial"));
            }
            name @ (Expression::Text(_) | Expression::Call(_)) => name,
        };
        self.collect_variables();
        // The partial stands in for its line: white space before it stays.
        let is_standalone = self.is_standalone(tag);
        self.trim(Tag { standalone: false, ..tag });
        if is_standalone {
            self.skip_line_end();
        }
        self.block.nodes.push(Node::Partial(Box::new(Partial { name, context, options: words.options })));
        Ok(())
    }

    /// Takes what the tag's tildes, or its standing alone on its line, make superfluous.
    fn trim(&mut self, tag: Tag) {
        let is_standalone = tag.standalone && self.is_standalone(tag);
        if let Some(Node::Text(text)) = self.block.nodes.last_mut() {
            if tag.trims_before {
                text.truncate(text.trim_end().len());
            } else if is_standalone {
                text.truncate(text.trim_end_matches([' ', '\t']).len());
            }
            if text.is_empty() {
                self.block.nodes.pop();
            }
        }
        if tag.trims_after {
            self.cursor.skip_white_space();
        } else if is_standalone {
            self.skip_line_end();
        }
    }

    /// Nothing but white space stands before the tag and after the cursor on their lines.
    fn is_standalone(&self, tag: Tag) -> bool {
        let before = self.cursor.before(tag.at).trim_end_matches([' ', '\t']);
        let after = self.cursor.rest().trim_start_matches([' ', '\t']);
        (before.is_empty() || before.ends_with('\n'))
            && (after.is_empty() || after.starts_with('\n') || after.starts_with("\r\n"))
    }

    fn skip_line_end(&mut self) {
        let rest = self.cursor.rest();
        let after = rest.trim_start_matches([' ', '\t']);
        let after = after.strip_prefix("\r\n").or_else(|| after.strip_prefix('\n')).unwrap_or(after);
        self.cursor.move_to(self.cursor.at() + rest.len() - after.len());
    }

    /// Keeps the paths of a tag: those that name values from outside the template, and all.
    fn collect_variables(&mut self) {
        for path in std::mem::take(&mut self.cursor.paths) {
            self.reads.push(&path);
            let is_named = |open: &Open| open.names.iter().any(|name| *name == path.key(0, 1));
            let is_value = matches!(path.origin, Origin::Scopes { .. } | Origin::Root) && path.len() > 0;
            if is_value && !self.open.iter().any(is_named) {
                self.variables.push(path.dotted().to_owned());
            }
        }
    }
}

/// The name by which a block is closed.
fn head_name(head: &Expression) -> String {
    match head {
        Expression::Path(path) if path.len() == 0 => "this".to_owned(),
        Expression::Path(path) => path.dotted().to_owned(),
        Expression::Text(text) => text.clone(),
        Expression::Number(number) => number.to_string(),
        Expression::Bool(yes) => yes.to_string(),
        Expression::Null => "null".to_owned(),
        Expression::Call(call) => call.helper.name.to_owned(),
    }
}
