//! Texts. Lengths and places count characters.

#![expect(clippy::unnecessary_wraps, reason = "one signature for all helpers")]

use std::borrow::Cow;

use super::{Arguments, Item, Reason};
use crate::rendering::{HELPER_RESULT_BYTES_MAX, WIDTH_CHARACTERS_MAX};

/// `abbreviate value length`: the dots belong to the length.
pub(super) fn abbreviate<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    const DOTS: &str = "...";
    let text = arguments.text(0);
    let length = arguments.count(1, "length")?;
    if length <= DOTS.len() {
        return Err(Cow::Borrowed("length must be at least 4"));
    }
    if text.chars().count() <= length {
        return Ok(Item::owned(text));
    }
    let kept: String = text.chars().take(length - DOTS.len()).collect();
    Ok(Item::owned(kept + DOTS))
}

/// Every word's first letter.
pub(super) fn capitalize<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    let text = arguments.text(0);
    let mut result = String::with_capacity(text.len());
    let mut is_start = true;
    for letter in text.chars() {
        if is_start {
            result.extend(letter.to_uppercase());
        } else {
            result.push(letter);
        }
        is_start = letter.is_whitespace();
    }
    Ok(Item::owned(result))
}

/// The text's first letter.
pub(super) fn capitalize_first<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    let text = arguments.text(0);
    let mut letters = text.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    Ok(Item::owned(first + letters.as_str()))
}

pub(super) fn center<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    fill(arguments, |missing| missing / 2)
}

pub(super) fn ljust<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    fill(arguments, |_| 0)
}

pub(super) fn rjust<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    fill(arguments, |missing| missing)
}

/// Fills up to `size` characters with `pad`; `before` tells how many of the missing ones come before the text.
fn fill<'v>(arguments: &Arguments<'v>, before: fn(usize) -> usize) -> Result<Item<'v>, Reason> {
    let text = arguments.text(0);
    let size = arguments.count(1, "size")?;
    if size > WIDTH_CHARACTERS_MAX {
        return Err(Cow::Owned(format!("size is more than {WIDTH_CHARACTERS_MAX}")));
    }
    let pad = arguments.option("pad").map_or(Cow::Borrowed(" "), Item::text);
    let pad = if pad.is_empty() { " " } else { &*pad };
    let missing = size.saturating_sub(text.chars().count());
    let before = before(missing);
    let mut result: String = pad.chars().cycle().take(before).collect();
    result.push_str(&text);
    result.extend(pad.chars().cycle().take(missing - before));
    Ok(Item::owned(result))
}

/// `cut value ["x"]`: without every `x`; without spaces by default.
pub(super) fn cut<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    let unwanted = arguments.items.get(1).map_or(Cow::Borrowed(" "), Item::text);
    let text = arguments.text(0);
    Ok(Item::owned(if unwanted.is_empty() { text.into_owned() } else { text.replace(&*unwanted, "") }))
}

/// `inflect number singular plural [includeCount=false]`.
pub(super) fn inflect<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    let number = arguments.number(0)?;
    let word = arguments.text(if (number - 1.0).abs() < f64::EPSILON { 1 } else { 2 });
    let counts = arguments.item_or_option(3, "includeCount");
    if counts.is_some_and(|counts| counts.is_true() && counts.text() != "false") {
        return Ok(Item::owned(format!("{number} {word}")));
    }
    Ok(Item::owned(word))
}

/// `join list separator` or `join first second … separator`, with `[prefix=] [suffix=]`.
pub(super) fn join<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    let Some((separator, items)) = arguments.items.split_last() else { return Ok(Item::Missing) };
    let separator = separator.text();
    let elements: Vec<Item<'_>> = items.iter().flat_map(Item::elements).collect();
    let texts: Vec<Cow<'_, str>> = elements.iter().map(Item::text).collect();
    check_size(texts.len().saturating_mul(separator.len()))?;
    let prefix = arguments.option("prefix").map_or(Cow::Borrowed(""), Item::text);
    let suffix = arguments.option("suffix").map_or(Cow::Borrowed(""), Item::text);
    Ok(Item::owned(format!("{prefix}{}{suffix}", texts.join(&*separator))))
}

pub(super) fn lower<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    Ok(Item::owned(arguments.text(0).to_lowercase()))
}

pub(super) fn upper<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    Ok(Item::owned(arguments.text(0).to_uppercase()))
}

/// 1st, 2nd, 3rd, 4th, 11th.
pub(super) fn ordinalize<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    let number = arguments.number(0)?;
    if number.fract() != 0.0 || number.abs() > 1e15 {
        return Err(Cow::Owned(format!("{number} is no whole number")));
    }
    let whole = number as i64;
    let ending = match (whole.abs() % 10, whole.abs() % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    Ok(Item::owned(format!("{whole}{ending}")))
}

/// `replace value from to`: every `from`.
pub(super) fn replace<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    let (text, from, to) = (arguments.text(0), arguments.text(1), arguments.text(2));
    if from.is_empty() {
        return Ok(Item::owned(text));
    }
    check_size(text.matches(&*from).count().saturating_mul(to.len()))?;
    Ok(Item::owned(text.replace(&*from, &to)))
}

/// Lower case, words joined by hyphens, nothing but letters, digits, `_` and `-`.
pub(super) fn slugify<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    let text = arguments.text(0);
    let mut slug = String::with_capacity(text.len());
    for letter in text.trim().chars() {
        if letter.is_alphanumeric() || letter == '_' {
            slug.extend(letter.to_lowercase());
        } else if (letter.is_whitespace() || letter == '-') && !slug.ends_with('-') {
            slug.push('-');
        }
    }
    Ok(Item::owned(slug))
}

/// Without everything from `<` to the next `>`.
pub(super) fn strip_tags<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    let text = arguments.text(0);
    let mut result = String::with_capacity(text.len());
    let mut rest = &*text;
    while let Some(start) = rest.find('<')
        && let Some(length) = rest[start..].find('>')
    {
        result.push_str(&rest[..start]);
        rest = &rest[start + length + 1..];
    }
    result.push_str(rest);
    Ok(Item::owned(result))
}

/// `substring value start [end]`: from `start` to before `end`, as far as the text goes.
pub(super) fn substring<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    let start = arguments.count(1, "start")?;
    let end = if arguments.items.len() > 2 { arguments.count(2, "end")? } else { usize::MAX };
    let text = arguments.text(0);
    Ok(Item::owned(text.chars().skip(start).take(end.saturating_sub(start)).collect::<String>()))
}

/// Refuses a result before it takes up memory.
fn check_size(bytes: usize) -> Result<(), Reason> {
    if bytes > HELPER_RESULT_BYTES_MAX {
        return Err(Cow::Owned(format!("the result has more than {HELPER_RESULT_BYTES_MAX} bytes")));
    }
    Ok(())
}
