//! Conditions, and choices by them. A missing value is false, equals nothing but another missing value, and is neither
//! greater nor less than anything.

#![expect(clippy::unnecessary_wraps, reason = "one signature for all helpers")]

use std::borrow::Cow;
use std::cmp::Ordering;

use super::{Arguments, Item, Reason};

pub(super) fn is_true(arguments: &Arguments<'_>) -> bool {
    arguments.item(0).is_true()
}

pub(super) fn not(arguments: &Arguments<'_>) -> bool {
    !arguments.item(0).is_true()
}

pub(super) fn and(arguments: &Arguments<'_>) -> bool {
    arguments.items.iter().all(Item::is_true)
}

pub(super) fn or(arguments: &Arguments<'_>) -> bool {
    arguments.items.iter().any(Item::is_true)
}

pub(super) fn eq(arguments: &Arguments<'_>) -> bool {
    let (left, right) = (arguments.item(0), arguments.item(1));
    if left.is_missing() || right.is_missing() {
        return left.is_missing() && right.is_missing();
    }
    // A number equals a text that holds it; two texts are equal as texts only, so that "007" is not "7".
    if (left.is_number() || right.is_number())
        && let (Some(left), Some(right)) = (left.number(), right.number())
    {
        return left.total_cmp(&right) == Ordering::Equal;
    }
    left.text() == right.text()
}

pub(super) fn neq(arguments: &Arguments<'_>) -> bool {
    !eq(arguments)
}

pub(super) fn gt(arguments: &Arguments<'_>) -> bool {
    order(arguments).is_some_and(Ordering::is_gt)
}

pub(super) fn gte(arguments: &Arguments<'_>) -> bool {
    order(arguments).is_some_and(Ordering::is_ge)
}

pub(super) fn lt(arguments: &Arguments<'_>) -> bool {
    order(arguments).is_some_and(Ordering::is_lt)
}

pub(super) fn lte(arguments: &Arguments<'_>) -> bool {
    order(arguments).is_some_and(Ordering::is_le)
}

/// By number where both hold one, else by text.
fn order(arguments: &Arguments<'_>) -> Option<Ordering> {
    let (left, right) = (arguments.item(0), arguments.item(1));
    if left.is_missing() || right.is_missing() {
        return None;
    }
    match (left.number(), right.number()) {
        (Some(left), Some(right)) => left.partial_cmp(&right),
        _ => Some(left.text().cmp(&right.text())),
    }
}

/// `lookup list key`: the element or member under a computed key.
pub(super) fn lookup<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    Ok(arguments.item(0).member(&arguments.text(1)))
}

/// `yesno value [yes=] [no=] [maybe=]`: maybe stands for a missing value. Attributes are texts, so "false" is no.
pub(super) fn yesno<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    let item = arguments.item(0);
    let name = if item.is_missing() {
        "maybe"
    } else if item.is_true() && !item.text().eq_ignore_ascii_case("false") {
        "yes"
    } else {
        "no"
    };
    Ok(arguments.option(name).cloned().unwrap_or(Item::Text(Cow::Borrowed(name))))
}
