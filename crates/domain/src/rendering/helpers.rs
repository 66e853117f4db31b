//! The helpers (spec/40-templates.md §5): one table, one function each. Where the guide is silent they do what
//! jknack's Handlebars.java does.

use std::borrow::Cow;

use super::RenderContext;
use super::values::Item;

mod dates;
mod encoding;
mod logic;
mod numbers;
mod strings;

/// A helper as templates name it.
#[derive(Debug)]
pub(super) struct Helper {
    pub name: &'static str,
    /// Least and most arguments.
    pub arguments: (usize, usize),
    pub action: Action,
    forms: Forms,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Action {
    /// Makes a value.
    Value {
        run: Run,
        takes_missing: bool,
    },
    /// Decides between two blocks, or between `yes=` and `no=`.
    Condition(fn(&Arguments<'_>) -> bool),
    Each,
    With,
}

/// Why a helper cannot answer.
pub(super) type Reason = Cow<'static, str>;
pub(super) type Run = for<'v> fn(&Arguments<'v>) -> Result<Item<'v>, Reason>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Forms {
    Inline,
    Block,
    Both,
}

/// What a helper is called with.
pub(super) struct Arguments<'v> {
    pub items: Vec<Item<'v>>,
    pub options: Vec<(&'v str, Item<'v>)>,
    pub context: RenderContext,
    /// Different in every call of a rendering.
    pub serial: u64,
}

impl<'v> Arguments<'v> {
    pub(super) fn item(&self, place: usize) -> &Item<'v> {
        self.items.get(place).unwrap_or(&Item::Missing)
    }

    pub(super) fn text(&self, place: usize) -> Cow<'_, str> {
        self.item(place).text()
    }

    pub(super) fn number(&self, place: usize) -> Result<f64, Reason> {
        let item = self.item(place);
        item.number().ok_or_else(|| {
            if item.is_missing() {
                Cow::Owned(format!("argument {} is missing", place + 1))
            } else {
                Cow::Owned(format!("{:?} is no number", item.text()))
            }
        })
    }

    pub(super) fn option(&self, name: &str) -> Option<&Item<'v>> {
        self.options.iter().find(|(it, _)| *it == name).map(|(_, item)| item)
    }

    /// A value that may stand at a place or under a name.
    pub(super) fn item_or_option(&self, place: usize, name: &str) -> Option<&Item<'v>> {
        self.items.get(place).or_else(|| self.option(name))
    }

    /// A whole number from 0 on.
    pub(super) fn count(&self, place: usize, name: &str) -> Result<usize, Reason> {
        let item =
            self.item_or_option(place, name).ok_or_else(|| Cow::Owned(format!("{name} is not given")))?;
        match item.number() {
            Some(number) if number.fract() == 0.0 && number >= 0.0 => Ok(number as usize),
            _ => Err(Cow::Owned(format!("{name} must be a whole number from 0 on, not {:?}", item.text()))),
        }
    }
}

/// The helper of a name.
pub(super) fn find(name: &str) -> Option<&'static Helper> {
    HELPERS.iter().find(|helper| helper.name == name)
}

/// A helper that needs no arguments, so that its bare name is a call and no variable.
pub(super) fn is_nullary(name: &str) -> bool {
    find(name).is_some_and(|helper| helper.arguments.0 == 0)
}

impl Helper {
    pub(super) fn opens_block(&self) -> bool {
        self.forms != Forms::Inline
    }

    pub(super) fn is_inline(&self) -> bool {
        self.forms != Forms::Block
    }
}

const ANY: usize = usize::MAX;

const fn value(name: &'static str, arguments: (usize, usize), run: Run) -> Helper {
    Helper { name, arguments, action: Action::Value { run, takes_missing: false }, forms: Forms::Inline }
}

const fn condition(
    name: &'static str,
    arguments: (usize, usize),
    forms: Forms,
    decide: fn(&Arguments<'_>) -> bool,
) -> Helper {
    Helper { name, arguments, action: Action::Condition(decide), forms }
}

static HELPERS: &[Helper] = &[
    condition("if", (1, 1), Forms::Block, logic::is_true),
    condition("unless", (1, 1), Forms::Block, logic::not),
    Helper { name: "each", arguments: (1, 1), action: Action::Each, forms: Forms::Block },
    Helper { name: "with", arguments: (1, 1), action: Action::With, forms: Forms::Block },
    condition("and", (2, ANY), Forms::Both, logic::and),
    condition("or", (2, ANY), Forms::Both, logic::or),
    condition("not", (1, 1), Forms::Both, logic::not),
    condition("eq", (2, 2), Forms::Both, logic::eq),
    condition("neq", (2, 2), Forms::Both, logic::neq),
    condition("gt", (2, 2), Forms::Both, logic::gt),
    condition("gte", (2, 2), Forms::Both, logic::gte),
    condition("lt", (2, 2), Forms::Both, logic::lt),
    condition("lte", (2, 2), Forms::Both, logic::lte),
    value("lookup", (2, 2), logic::lookup),
    value("abbreviate", (2, 2), strings::abbreviate),
    value("capitalize", (1, 1), strings::capitalize),
    value("capitalizeFirst", (1, 1), strings::capitalize_first),
    value("center", (1, 2), strings::center),
    value("cut", (1, 2), strings::cut),
    value("inflect", (3, 4), strings::inflect),
    value("join", (2, ANY), strings::join),
    value("ljust", (1, 2), strings::ljust),
    value("lower", (1, 1), strings::lower),
    value("ordinalize", (1, 1), strings::ordinalize),
    value("replace", (3, 3), strings::replace),
    value("rjust", (1, 2), strings::rjust),
    value("slugify", (1, 1), strings::slugify),
    value("stripTags", (1, 1), strings::strip_tags),
    value("substring", (2, 3), strings::substring),
    value("upper", (1, 1), strings::upper),
    Helper {
        name: "yesno",
        arguments: (1, 1),
        action: Action::Value { run: logic::yesno, takes_missing: true },
        forms: Forms::Inline,
    },
    value("dateFormat", (1, 2), dates::date_format),
    value("now", (0, 1), dates::now),
    value("add", (2, 2), numbers::add),
    value("subtract", (2, 2), numbers::subtract),
    value("multiply", (2, 2), numbers::multiply),
    value("divide", (2, 2), numbers::divide),
    value("modulo", (2, 2), numbers::modulo),
    value("ceiling", (1, 1), numbers::ceiling),
    value("floor", (1, 1), numbers::floor),
    value("round", (1, 1), numbers::round),
    value("encode64", (1, 1), encoding::encode64),
    value("decode64", (1, 1), encoding::decode64),
    value("md5", (1, 1), encoding::md5),
    value("sha256", (1, 1), encoding::sha256),
    value("sha512", (1, 1), encoding::sha512),
    value("uuid", (0, 0), encoding::uuid),
];
