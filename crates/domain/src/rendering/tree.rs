//! A template as it is kept: what [`super::syntax`] reads and [`super::evaluate`] walks.

use super::helpers::Helper;
use super::path::Path;

/// A stretch of a template with the inline partials that are defined in it.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub nodes: Vec<Node>,
    /// Visible in the whole block, also before their definition.
    pub partials: Vec<(String, Block)>,
}

#[derive(Debug)]
pub(super) enum Node {
    Text(String),
    Output {
        value: Expression,
        /// `{{{value}}}` and `{{& value}}`: never escaped.
        raw: bool,
    },
    Section(Box<Section>),
    Partial(Box<Partial>),
}

/// `{{#helper …}}body{{else}}inverse{{/helper}}`.
#[derive(Debug)]
pub(super) struct Section {
    pub subject: Subject,
    /// Names of `as |element index|`.
    pub names: Vec<String>,
    pub body: Block,
    pub inverse: Option<Block>,
}

/// What a section decides by.
#[derive(Debug)]
pub(super) enum Subject {
    Helper(Call),
    /// `{{#name}}`, as in Mustache: once per element, or once if there is a value.
    Value(Expression),
    /// `{{^name}}`: if there is no value.
    NoValue(Expression),
}

/// `{{> name context key=value}}`.
#[derive(Debug)]
pub(super) struct Partial {
    pub name: Expression,
    pub context: Option<Expression>,
    pub options: Vec<(String, Expression)>,
}

#[derive(Debug)]
pub(super) enum Expression {
    Path(Path),
    Text(String),
    Number(f64),
    Bool(bool),
    Null,
    Call(Box<Call>),
}

/// A helper with its arguments, whose number has been checked.
#[derive(Debug)]
pub(super) struct Call {
    pub helper: &'static Helper,
    pub arguments: Vec<Expression>,
    pub options: Vec<(String, Expression)>,
}
