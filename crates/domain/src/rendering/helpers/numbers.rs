//! Arithmetic on numbers and on texts that hold them.

use std::borrow::Cow;

use super::{Arguments, Item, Reason};

/// Results are rounded to 8 decimals, as in the guide: 5 / 2.3 is 2.17391304.
const DECIMALS_FACTOR: f64 = 1e8;

pub(super) fn add<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    result(arguments.number(0)? + arguments.number(1)?)
}

pub(super) fn subtract<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    result(arguments.number(0)? - arguments.number(1)?)
}

pub(super) fn multiply<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    result(arguments.number(0)? * arguments.number(1)?)
}

pub(super) fn divide<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    result(arguments.number(0)? / divisor(arguments)?)
}

pub(super) fn modulo<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    result(arguments.number(0)? % divisor(arguments)?)
}

pub(super) fn ceiling<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    result(arguments.number(0)?.ceil())
}

pub(super) fn floor<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    result(arguments.number(0)?.floor())
}

/// Halves go up, as in Java: -2.5 is -2.
pub(super) fn round<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    result((arguments.number(0)? + 0.5).floor())
}

fn divisor(arguments: &Arguments<'_>) -> Result<f64, Reason> {
    match arguments.number(1)? {
        0.0 => Err(Cow::Borrowed("division by zero")),
        divisor => Ok(divisor),
    }
}

fn result<'v>(number: f64) -> Result<Item<'v>, Reason> {
    let scaled = number * DECIMALS_FACTOR;
    // Beyond 2^53 a number has no decimals that could be rounded.
    let rounded = if scaled.abs() < 9e15 { scaled.round() / DECIMALS_FACTOR } else { number };
    if !rounded.is_finite() {
        return Err(Cow::Borrowed("the result is too large"));
    }
    // No "-0".
    Ok(Item::Number(rounded + 0.0))
}
