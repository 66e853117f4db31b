//! Renders a template for one recipient.

use std::borrow::Cow;

use serde_json::Value;

use super::helpers::{Action, Arguments};
use super::path::{Origin, Path};
use super::tree::{Block, Call, Expression, Node, Partial, Section, Subject};
use super::values::{Item, Values};
use super::{
    EACH_ELEMENTS_MAX, Escape, HELPER_RESULT_BYTES_MAX, Missing, OUTPUT_BYTES_MAX, RENDER_DEPTH_MAX,
    RenderContext, RenderError, WORK_MAX, WORK_PER_NODE,
};

/// Renders `block`; all that a rendering knows lives in this call.
pub(super) fn render(
    block: &Block,
    escape: Escape,
    values: &Values<'_>,
    missing: Missing,
    context: RenderContext,
    output: String,
) -> Result<String, RenderError> {
    let mut rendering = Rendering {
        values: *values,
        escape,
        missing,
        context,
        frames: Vec::new(),
        partials: Vec::new(),
        output,
        work: 0,
        depth: 0,
        calls: 0,
    };
    rendering.block(block)?;
    Ok(rendering.output)
}

/// `'v` is the life of both the template and the values.
struct Rendering<'v> {
    values: Values<'v>,
    escape: Escape,
    missing: Missing,
    context: RenderContext,
    /// The elements at hand, the innermost last.
    frames: Vec<Frame<'v>>,
    /// The inline partials in sight, those of the innermost block last.
    partials: Vec<&'v [(String, Block)]>,
    output: String,
    work: usize,
    depth: usize,
    calls: u64,
}

/// What `each`, `with` or a partial puts in front of the recipient's values.
struct Frame<'v> {
    this: Item<'v>,
    names: Vec<(&'v str, Item<'v>)>,
    data: Option<Data<'v>>,
}

/// `@index`, `@first`, `@last`, `@key`.
#[derive(Clone, Copy)]
struct Data<'v> {
    index: usize,
    is_last: bool,
    key: Option<&'v str>,
}

impl<'v> Rendering<'v> {
    fn block(&mut self, block: &'v Block) -> Result<(), RenderError> {
        self.depth += 1;
        if self.depth > RENDER_DEPTH_MAX {
            return Err(RenderError::Limit {
                limit: RENDER_DEPTH_MAX,
                unit: "levels of blocks and partials",
            });
        }
        self.partials.push(&block.partials);
        for node in &block.nodes {
            self.spend(WORK_PER_NODE)?;
            match node {
                Node::Text(text) => self.print(text, Escape::None)?,
                Node::Output { value, raw } => self.output(value, *raw)?,
                Node::Section(section) => self.section(section)?,
                Node::Partial(partial) => self.partial(partial)?,
            }
        }
        self.partials.pop();
        self.depth -= 1;
        Ok(())
    }

    fn spend(&mut self, work: usize) -> Result<(), RenderError> {
        self.work += work;
        if self.work > WORK_MAX {
            return Err(RenderError::Limit { limit: WORK_MAX, unit: "units of work" });
        }
        Ok(())
    }

    fn print(&mut self, text: &str, escape: Escape) -> Result<(), RenderError> {
        match escape {
            Escape::None => self.output.push_str(text),
            Escape::Html => push_escaped(&mut self.output, text),
        }
        if self.output.len() > OUTPUT_BYTES_MAX {
            return Err(RenderError::Limit { limit: OUTPUT_BYTES_MAX, unit: "bytes of text" });
        }
        Ok(())
    }

    fn output(&mut self, value: &'v Expression, raw: bool) -> Result<(), RenderError> {
        let item = self.value(value)?;
        let escape = if raw { Escape::None } else { self.escape };
        // Whatever is printed is bounded before it is escaped: lists and objects are made text first.
        self.spend(item.bytes())?;
        self.print(&item.text(), escape)
    }

    /// The value of an expression that is to be printed or worked with.
    fn value(&mut self, expression: &'v Expression) -> Result<Item<'v>, RenderError> {
        let item = self.evaluate(expression, false)?;
        if self.missing == Missing::Refuse
            && item.is_missing()
            && let Some(name) = name_of(expression)
        {
            return Err(RenderError::MissingValue(name.to_owned()));
        }
        Ok(item)
    }

    /// The value of an expression. Where a condition asks (`lenient`), what misses a value is itself missing.
    fn evaluate(&mut self, expression: &'v Expression, lenient: bool) -> Result<Item<'v>, RenderError> {
        Ok(match expression {
            Expression::Path(path) => self.find(path),
            Expression::Text(text) => Item::Text(Cow::Borrowed(text)),
            Expression::Number(number) => Item::Number(*number),
            Expression::Bool(yes) => Item::Bool(*yes),
            Expression::Null => Item::Missing,
            Expression::Call(call) => self.call(call, lenient)?,
        })
    }

    fn find(&self, path: &'v Path) -> Item<'v> {
        match path.origin {
            Origin::Root => self.values.find(path),
            Origin::This => match self.frames.last() {
                Some(frame) => frame.this.clone().navigate(path, 0).unwrap_or(Item::Missing),
                None => self.values.find(path),
            },
            Origin::Data { up } => self.data(path, up),
            Origin::Scopes { up } => {
                let visible = self.frames.len().saturating_sub(up);
                for frame in self.frames[..visible].iter().rev() {
                    if let Some(found) = frame.find(path) {
                        return found;
                    }
                }
                self.values.find(path)
            }
        }
    }

    fn data(&self, path: &'v Path, up: usize) -> Item<'v> {
        let data = self.frames.iter().rev().filter_map(|frame| frame.data).nth(up);
        match (data, path.dotted()) {
            (Some(data), "index") => Item::Number(data.index as f64),
            (Some(data), "first") => Item::Bool(data.index == 0),
            (Some(data), "last") => Item::Bool(data.is_last),
            (Some(data), "key") => data.key.map_or(Item::Missing, |key| Item::Text(Cow::Borrowed(key))),
            _ => Item::Missing,
        }
    }

    fn call(&mut self, call: &'v Call, lenient: bool) -> Result<Item<'v>, RenderError> {
        match call.helper.action {
            Action::Condition(decide) => {
                let arguments = self.arguments(call, true)?;
                let (option, default) = if decide(&arguments) { ("yes", true) } else { ("no", false) };
                Ok(arguments.option(option).cloned().unwrap_or(Item::Bool(default)))
            }
            Action::Value { run, takes_missing } => {
                let arguments = self.arguments(call, lenient || takes_missing)?;
                if lenient && !takes_missing && arguments.items.iter().any(Item::is_missing) {
                    return Ok(Item::Missing);
                }
                let helper = call.helper.name;
                let result = run(&arguments)
                    .map_err(|reason| RenderError::Helper { helper, reason: reason.into_owned() })?;
                let bytes = result.bytes();
                if bytes > HELPER_RESULT_BYTES_MAX {
                    let limit = HELPER_RESULT_BYTES_MAX;
                    return Err(RenderError::Limit { limit, unit: "bytes of a helper's result" });
                }
                self.spend(bytes)?;
                Ok(result)
            }
            // The parser lets these stand only where a block is opened.
            Action::Each | Action::With => Ok(Item::Missing),
        }
    }

    fn arguments(&mut self, call: &'v Call, lenient: bool) -> Result<Arguments<'v>, RenderError> {
        self.calls += 1;
        let mut arguments = Arguments {
            items: Vec::with_capacity(call.arguments.len()),
            options: Vec::with_capacity(call.options.len()),
            context: self.context,
            serial: self.calls,
        };
        let mut bytes = WORK_PER_NODE;
        for argument in &call.arguments {
            let item = if lenient { self.evaluate(argument, true)? } else { self.value(argument)? };
            bytes += item.bytes();
            arguments.items.push(item);
        }
        for (name, option) in &call.options {
            let item = if lenient { self.evaluate(option, true)? } else { self.value(option)? };
            bytes += item.bytes();
            arguments.options.push((name, item));
        }
        self.spend(bytes)?;
        Ok(arguments)
    }

    fn section(&mut self, section: &'v Section) -> Result<(), RenderError> {
        match &section.subject {
            Subject::Helper(call) => match call.helper.action {
                Action::Condition(decide) => {
                    let arguments = self.arguments(call, true)?;
                    self.branch(section, decide(&arguments))
                }
                Action::Each => {
                    let subject = self.evaluate(&call.arguments[0], true)?;
                    self.each(section, &subject)
                }
                Action::With => {
                    let subject = self.evaluate(&call.arguments[0], true)?;
                    self.with(section, subject)
                }
                // The parser lets no other helper open a block.
                Action::Value { .. } => Ok(()),
            },
            Subject::NoValue(subject) => {
                let subject = self.evaluate(subject, true)?;
                self.branch(section, !subject.is_true())
            }
            Subject::Value(subject) => match self.evaluate(subject, true)? {
                list @ (Item::Json(Value::Array(_)) | Item::Texts(_)) => self.each(section, &list),
                object @ Item::Json(Value::Object(_)) => self.with(section, object),
                other => self.branch(section, other.is_true()),
            },
        }
    }

    fn branch(&mut self, section: &'v Section, is_true: bool) -> Result<(), RenderError> {
        match &section.inverse {
            _ if is_true => self.block(&section.body),
            Some(inverse) => self.block(inverse),
            None => Ok(()),
        }
    }

    fn with(&mut self, section: &'v Section, subject: Item<'v>) -> Result<(), RenderError> {
        if !subject.is_true() {
            return self.branch(section, false);
        }
        let names = section.names.first().map(|name| (name.as_str(), subject.clone())).into_iter().collect();
        self.within(Frame { this: subject, names, data: None }, &section.body)
    }

    fn each(&mut self, section: &'v Section, subject: &Item<'v>) -> Result<(), RenderError> {
        if !subject.is_true() {
            return self.branch(section, false);
        }
        if let Item::Json(Value::Object(members)) = subject {
            let elements = members.iter().map(|(key, member)| (Some(key.as_str()), Item::Json(member)));
            return self.every(section, elements.take(EACH_ELEMENTS_MAX).collect());
        }
        let elements = subject.elements().map(|element| (None, element));
        self.every(section, elements.take(EACH_ELEMENTS_MAX).collect())
    }

    fn every(
        &mut self,
        section: &'v Section,
        elements: Vec<(Option<&'v str>, Item<'v>)>,
    ) -> Result<(), RenderError> {
        let count = elements.len();
        for (index, (key, this)) in elements.into_iter().enumerate() {
            let place = match key {
                Some(key) => Item::Text(Cow::Borrowed(key)),
                None => Item::Number(index as f64),
            };
            let named = section.names.iter().map(String::as_str).zip([this.clone(), place]);
            let data = Data { index, is_last: index + 1 == count, key };
            self.within(Frame { this, names: named.collect(), data: Some(data) }, &section.body)?;
        }
        Ok(())
    }

    fn within(&mut self, frame: Frame<'v>, block: &'v Block) -> Result<(), RenderError> {
        self.frames.push(frame);
        self.block(block)?;
        self.frames.pop();
        Ok(())
    }

    fn partial(&mut self, partial: &'v Partial) -> Result<(), RenderError> {
        let name = self.value(&partial.name)?;
        let name = name.text();
        let mut in_sight = self.partials.iter().rev().flat_map(|partials| partials.iter().rev());
        let Some(block) = in_sight.find(|(it, _)| *it == name).map(|(_, block)| block) else {
            return Err(RenderError::UnknownPartial(name.into_owned()));
        };
        if partial.context.is_none() && partial.options.is_empty() {
            return self.block(block);
        }
        let this = match &partial.context {
            Some(context) => self.evaluate(context, true)?,
            None => self.frames.last().map_or(Item::Missing, |frame| frame.this.clone()),
        };
        let mut names = Vec::with_capacity(partial.options.len());
        for (name, option) in &partial.options {
            names.push((name.as_str(), self.evaluate(option, true)?));
        }
        self.within(Frame { this, names, data: None }, block)
    }
}

impl<'v> Frame<'v> {
    fn find(&self, path: &Path) -> Option<Item<'v>> {
        if path.len() > 0
            && let Some((_, named)) = self.names.iter().find(|(name, _)| *name == path.key(0, 1))
        {
            return Some(named.clone().navigate(path, 1).unwrap_or(Item::Missing));
        }
        self.this.clone().navigate(path, 0)
    }
}

/// What a missing value is called where it is missed; literals are never missed.
fn name_of(expression: &Expression) -> Option<&str> {
    match expression {
        Expression::Path(path) if path.len() == 0 => Some("this"),
        Expression::Path(path) => Some(path.dotted()),
        Expression::Call(call) => Some(call.helper.name),
        _ => None,
    }
}

/// The replacements of Handlebars' own `escapeExpression`.
fn push_escaped(output: &mut String, text: &str) {
    let mut rest = text;
    while let Some(place) = rest.find(['<', '>', '"', '&', '\'', '`', '=']) {
        output.push_str(&rest[..place]);
        output.push_str(match rest.as_bytes()[place] {
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            b'&' => "&amp;",
            b'\'' => "&#x27;",
            b'`' => "&#x60;",
            _ => "&#x3D;",
        });
        rest = &rest[place + 1..];
    }
    output.push_str(rest);
}
