//! Message templates: compile once, render for every recipient (spec/40-templates.md §4, §5).
//!
//! The language is Handlebars as Pinpoint speaks it: flat dotted keys, values that are lists, the helpers of the guide.
//! It has an engine of its own because a template is hostile input that runs once per recipient: reading it takes time
//! linear in its length, rendering has a budget ([`WORK_MAX`]) that no nesting or recursion gets around, and nothing of a
//! recipient is copied. The tests hold it against the `handlebars` crate, whose parser is quadratic (576 KB with 18,000
//! tags: 30 s, here 20 ms), whose values are one document to be copied, and whose partials may recurse without end.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a helper takes the kinds of values and expressions that it has a use for"
)]

use std::collections::BTreeMap;

use crate::time::Timestamp;

mod dates;
mod evaluate;
mod helpers;
mod path;
mod reads;
mod syntax;
mod tags;
mod tree;
mod values;

pub use reads::Reads;
pub use values::Values;

/// Levels of blocks within blocks and of `{{else if}}` in a chain, at most.
pub const BLOCKS_NESTED_MAX: usize = 100;
/// Levels of expressions within expressions, at most.
pub const EXPRESSIONS_NESTED_MAX: usize = 32;
/// Levels of blocks and partials while rendering, at most: a partial may include itself.
pub const RENDER_DEPTH_MAX: usize = 200;
/// Elements of a list that `each` visits: the guide's limit; the rest is left out.
pub const EACH_ELEMENTS_MAX: usize = 15;
/// Bytes of a rendered text.
pub const OUTPUT_BYTES_MAX: usize = 10_000_000;
/// Bytes that are set aside for a text at first: most are about as long as their template.
const OUTPUT_CAPACITY_BYTES: usize = 16 << 10;
/// Bytes of one helper's result.
pub const HELPER_RESULT_BYTES_MAX: usize = 1 << 20;
/// Characters to which `center`, `ljust` and `rjust` fill up.
pub const WIDTH_CHARACTERS_MAX: usize = 10_000;
/// What one rendering may cost: [`WORK_PER_NODE`] for a node or helper, 1 for a byte that a helper reads or makes.
pub const WORK_MAX: usize = 20_000_000;
/// See [`WORK_MAX`].
pub const WORK_PER_NODE: usize = 20;

/// Substitutions of a message or of an address: name to values.
pub type Substitutions = BTreeMap<String, Vec<String>>;

/// What `{{value}}` does to `<`, `>`, `&`, quotes, backtick and `=`; `{{{value}}}` does nothing in either.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// Texts: SMS, voice, push, subjects, the text part of an email.
    None,
    /// The HTML part of an email.
    Html,
}

/// What becomes of a variable without a value (spec/97 C19: users saw both).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Prints nothing.
    Blank,
    /// The message is not sent: [`RenderError::MissingValue`].
    Refuse,
}

/// What a template may see of the world beside its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RenderContext {
    /// For `now`, and the century of two-digit years.
    pub now: Timestamp,
    /// For `uuid`; one value serves any number of them in one rendering.
    pub random: u128,
}

/// A text that is not a template; the client's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {reason}")]
pub struct TemplateError {
    /// Counted from 1.
    pub line: usize,
    /// In characters, counted from 1.
    pub column: usize,
    pub reason: String,
}

/// A template that makes no message for this recipient. Another recipient may fare better.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    #[error("no value for {0}")]
    MissingValue(String),
    #[error("{helper}: {reason}")]
    Helper { helper: &'static str, reason: String },
    #[error("no inline partial is named {0:?}")]
    UnknownPartial(String),
    /// The template is too expensive, whatever the recipient.
    #[error("rendering exceeds {limit} {unit}")]
    Limit { limit: usize, unit: &'static str },
}

/// A compiled template.
#[derive(Debug)]
pub struct Template {
    body: tree::Block,
    escape: Escape,
    variables: Vec<String>,
    reads: Reads,
    source_bytes: usize,
}

impl Template {
    /// Reads a template. Length limits depend on the kind of template and are the caller's.
    pub fn compile(source: &str, escape: Escape) -> Result<Self, TemplateError> {
        let syntax::Parsed { body, variables, reads } = syntax::parse(source)?;
        Ok(Self { body, escape, variables, reads, source_bytes: source.len() })
    }

    /// What the template may read of the recipient's document.
    pub fn reads(&self) -> &Reads {
        &self.reads
    }

    /// The paths that the template reads, each once, sorted, dotted and without brackets. Names inside `each` may belong
    /// to the element.
    pub fn variables(&self) -> &[String] {
        &self.variables
    }

    /// The text for one recipient.
    pub fn render(
        &self,
        values: &Values<'_>,
        missing: Missing,
        context: &RenderContext,
    ) -> Result<String, RenderError> {
        let output = String::with_capacity(self.source_bytes.min(OUTPUT_CAPACITY_BYTES));
        evaluate::render(&self.body, self.escape, values, missing, *context, output)
    }
}

/// Reads a template's `DefaultSubstitutions`: a text that holds a JSON object. A blank text is an empty object.
pub fn parse_default_substitutions(text: &str) -> Result<serde_json::Value, TemplateError> {
    let fault = |line, column, reason| TemplateError { line, column, reason };
    if text.trim().is_empty() {
        return Ok(serde_json::Value::Object(serde_json::Map::new()));
    }
    let value: serde_json::Value = serde_json::from_str(text).map_err(|error| {
        fault(error.line(), error.column(), format!("DefaultSubstitutions is not JSON: {error}"))
    })?;
    if value.is_object() {
        Ok(value)
    } else {
        Err(fault(1, 1, "DefaultSubstitutions is not a JSON object".to_owned()))
    }
}

#[cfg(test)]
mod tests;
