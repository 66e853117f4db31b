//! Reads newline-delimited JSON: lines are passed on as they are, after a check of their syntax.

use std::borrow::Cow;
use std::ops::Range;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::document::{channel_type, generated_id};
use super::lines::{BYTE_ORDER_MARK, Line};
use super::{ImportItem, ImportRow, LINE_BYTES_MAX, RowFault};

#[derive(Debug, Default)]
pub(super) struct NdjsonReader {
    /// A line that had to be changed: one buffer for all.
    output: String,
}

/// What decides how a line is taken; the rest is only checked for syntax.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Head<'l> {
    #[serde(default, borrow, deserialize_with = "member")]
    id: Option<&'l RawValue>,
    #[serde(default, borrow, deserialize_with = "member")]
    endpoint_status: Option<&'l RawValue>,
    #[serde(default, borrow)]
    address: Option<Text<'l>>,
    #[serde(default, borrow)]
    channel_type: Option<Text<'l>>,
    #[serde(default, borrow)]
    user: Option<User<'l>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct User<'l> {
    #[serde(default, borrow)]
    user_id: Option<Text<'l>>,
}

/// A text that is borrowed where it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'l>(#[serde(borrow)] Cow<'l, str>);

/// A member that is there, even if it is null.
fn member<'l, D: Deserializer<'l>>(deserializer: D) -> Result<Option<&'l RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl NdjsonReader {
    pub(super) fn line(&mut self, number: u64, line: Line<'_>, sink: &mut impl FnMut(ImportRow<'_>)) {
        let result = match line {
            Line::TooLong => Err(RowFault(format!("the line has more than {LINE_BYTES_MAX} bytes"))),
            Line::Whole(bytes) => match std::str::from_utf8(bytes) {
                Ok(text) if text.trim().is_empty() => return,
                Ok(text) => self.item(text.trim(), &mut |item| sink(ImportRow { number, result: Ok(item) })),
                Err(_) => Err(RowFault("the line is not UTF-8".to_owned())),
            },
        };
        if let Err(fault) = result {
            sink(ImportRow { number, result: Err(fault) });
        }
    }

    fn item(&mut self, line: &str, sink: &mut impl FnMut(ImportItem<'_>)) -> Result<(), RowFault> {
        if !line.starts_with('{') {
            return Err(RowFault(syntax_error(line, true).unwrap_or_else(|| NO_OBJECT.to_owned())));
        }
        let head: Head<'_> = serde_json::from_str(line).map_err(|fault| RowFault(fault.to_string()))?;
        let id = head.id.map(|id| serde_json::from_str::<Option<Text<'_>>>(id.get())).transpose();
        let id = id.map_err(|_| RowFault("Id is not a string".to_owned()))?.flatten();
        let has_id = given(id.as_ref()).is_some();
        let (address, channel) = (given(head.address.as_ref()), given(head.channel_type.as_ref()));
        let channel = channel.map(channel_type).transpose()?;
        let user_id = head.user.as_ref().and_then(|user| given(user.user_id.as_ref()));
        if !has_id
            && address.is_none()
            && channel.is_none()
            && let Some(user_id) = user_id
        {
            sink(ImportItem::UserId(user_id));
            return Ok(());
        }
        if has_id && head.endpoint_status.is_none() {
            sink(ImportItem::Endpoint(line));
            return Ok(());
        }
        let mut edits = Vec::with_capacity(2);
        if !has_id {
            let id = serde_json::Value::from(generated_id(channel, address)?).to_string();
            match head.id {
                Some(empty) => edits.push((place(line, empty), id)),
                // There is an address, so another member follows.
                None => edits.push((1..1, format!("\"Id\":{id},"))),
            }
        }
        if let Some(status) = head.endpoint_status {
            // The status is not imported (spec/30 §6); null changes nothing.
            edits.push((place(line, status), "null".to_owned()));
        }
        self.edit(line, edits);
        sink(ImportItem::Endpoint(&self.output));
        Ok(())
    }

    /// Makes of `line` the output, with some ranges replaced.
    fn edit(&mut self, line: &str, mut edits: Vec<(Range<usize>, String)>) {
        edits.sort_by_key(|(place, _)| place.start);
        self.output.clear();
        let mut copied = 0;
        for (place, text) in edits {
            self.output.push_str(&line[copied..place.start]);
            self.output.push_str(&text);
            copied = place.end;
        }
        self.output.push_str(&line[copied..]);
    }
}

/// A text that is there and not empty.
fn given<'t>(text: Option<&'t Text<'_>>) -> Option<&'t str> {
    text.map(|text| &*text.0).filter(|text| !text.is_empty())
}

/// Where in `line` a value that was read from it stands.
fn place(line: &str, value: &RawValue) -> Range<usize> {
    let start = value.get().as_ptr().addr() - line.as_ptr().addr();
    start..start + value.get().len()
}

const NO_OBJECT: &str = "the record is not a JSON object";

/// The fault of the first line of a file, of which `start` is the beginning; see [`super::first_record_error`].
pub(super) fn first_line_error(start: &[u8]) -> Option<String> {
    let start = start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(start).trim_ascii_start();
    let end = start.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
    let line = &start[..end.unwrap_or(start.len())];
    let line = match std::str::from_utf8(line) {
        Ok(line) => line,
        // The start may end within a character.
        Err(fault) if end.is_none() && fault.error_len().is_none() => {
            std::str::from_utf8(&line[..fault.valid_up_to()]).ok()?
        }
        Err(_) => return Some("Invalid UTF-8 in the first record".to_owned()),
    };
    if line.is_empty() { None } else { syntax_error(line, end.is_some()) }
}

/// What a JSON parser says of a record, in the words that the service answers with; `None` if it is a JSON object, or may
/// become one where the line has not ended.
fn syntax_error(line: &str, is_whole: bool) -> Option<String> {
    let unexpected = |letter: char, reason: &str| {
        format!("Unexpected character ('{letter}' (code {})): {reason}", u32::from(letter))
    };
    let first = line.chars().next()?;
    if !(first.is_ascii_digit() || "{[\"-tfn".contains(first)) {
        let reason = "expected a valid value (JSON object, array, string, number, 'true', 'false' or 'null')";
        return Some(unexpected(first, reason));
    }
    match serde_json::from_str::<IgnoredAny>(line) {
        Ok(_) if first == '{' || (!is_whole && first != '[') => None,
        Ok(_) => Some(NO_OBJECT.to_owned()),
        Err(fault) if fault.is_eof() && !is_whole => None,
        Err(fault) if fault.is_eof() => Some(format!("Unexpected end-of-input: {fault}")),
        Err(fault) => {
            let letter = line.get(fault.column().saturating_sub(1)..).and_then(|rest| rest.chars().next());
            Some(letter.map_or_else(|| fault.to_string(), |letter| unexpected(letter, &fault.to_string())))
        }
    }
}
