//! Writes a CSV row as the JSON of an `EndpointBatchItem`.

use super::csv::Fields;
use super::plan::{Kind, List, Member, Members};
use super::{RowFault, endpoint_id};
use crate::channels::ChannelType;
use crate::time::Timestamp;

/// Appends the item to `output`; empty cells are left out.
pub(super) fn write_item(members: &Members, fields: &Fields, output: &mut String) -> Result<(), RowFault> {
    let cell =
        |column: Option<usize>| column.map(|column| fields.get(column)).filter(|text| !text.is_empty());
    let address = cell(members.address);
    let channel = cell(members.channel_type).map(|name| channel_type(name.trim())).transpose()?;
    let mut writer = Writer { output, needs_comma: false };
    writer.output.push('{');
    match cell(members.id) {
        Some(id) => writer.text("\"Id\"", id),
        None => writer.text("\"Id\"", &generated_id(channel, address)?),
    }
    if let Some(channel) = channel {
        writer.text("\"ChannelType\"", channel.as_str());
    }
    if let Some(address) = address {
        writer.text("\"Address\"", address);
    }
    writer.members(&members.top, fields)?;
    writer.object("\"Demographic\"", |writer| writer.members(&members.demographic, fields))?;
    writer.object("\"Location\"", |writer| writer.members(&members.location, fields))?;
    writer.object("\"Metrics\"", |writer| writer.members(&members.metrics, fields))?;
    writer.object("\"Attributes\"", |writer| writer.lists(&members.attributes, fields))?;
    writer.object("\"User\"", |writer| {
        if let Some(id) = cell(members.user_id) {
            writer.text("\"UserId\"", id);
        }
        writer.object("\"UserAttributes\"", |writer| writer.lists(&members.user_attributes, fields))
    })?;
    output.push('}');
    Ok(())
}

/// The channel of a cell.
pub(super) fn channel_type(name: &str) -> Result<ChannelType, RowFault> {
    ChannelType::parse(name).ok_or_else(|| RowFault(format!("unknown ChannelType {name:?}")))
}

/// The id of a row that has none.
pub(super) fn generated_id(channel: Option<ChannelType>, address: Option<&str>) -> Result<String, RowFault> {
    match (channel, address) {
        (Some(channel), Some(address)) => Ok(endpoint_id(channel, address)),
        _ => Err(RowFault("Address and ChannelType are required where there is no Id".to_owned())),
    }
}

/// Writes members of JSON objects.
struct Writer<'o> {
    output: &'o mut String,
    needs_comma: bool,
}

impl Writer<'_> {
    /// `key` is JSON already.
    fn key(&mut self, key: &str) {
        if self.needs_comma {
            self.output.push(',');
        }
        self.needs_comma = true;
        self.output.push_str(key);
        self.output.push(':');
    }

    fn text(&mut self, key: &str, text: &str) {
        self.key(key);
        push_text(self.output, text);
    }

    /// An object, unless it comes out empty.
    fn object(
        &mut self,
        key: &str,
        write: impl FnOnce(&mut Self) -> Result<(), RowFault>,
    ) -> Result<(), RowFault> {
        let (length, needed_comma) = (self.output.len(), self.needs_comma);
        self.key(key);
        self.output.push('{');
        let start = self.output.len();
        self.needs_comma = false;
        write(self)?;
        self.needs_comma = true;
        if self.output.len() == start {
            self.output.truncate(length);
            self.needs_comma = needed_comma;
        } else {
            self.output.push('}');
        }
        Ok(())
    }

    fn members(&mut self, members: &[Member], fields: &Fields) -> Result<(), RowFault> {
        for member in members {
            let text = fields.get(member.column);
            if text.is_empty() {
                continue;
            }
            match member.kind {
                Kind::Text => self.text(&member.key, text),
                Kind::Number => {
                    let number = number(&member.name, text)?;
                    self.key(&member.key);
                    // A finite number in Rust's notation is JSON.
                    self.output.push_str(&number.to_string());
                }
                Kind::Date => {
                    if Timestamp::parse(text).is_none() {
                        return Err(RowFault(format!("{} is not an ISO 8601 date: {text:?}", member.name)));
                    }
                    self.text(&member.key, text.trim());
                }
                Kind::OptOut => {
                    let text = text.trim();
                    if !matches!(text, "ALL" | "NONE") {
                        return Err(RowFault(format!("OptOut must be ALL or NONE, not {text:?}")));
                    }
                    self.text(&member.key, text);
                }
            }
        }
        Ok(())
    }

    #[expect(clippy::unnecessary_wraps, reason = "what fills an object may fail")]
    fn lists(&mut self, lists: &[List], fields: &Fields) -> Result<(), RowFault> {
        for list in lists {
            let mut values =
                list.columns.iter().map(|column| fields.get(*column)).filter(|value| !value.is_empty());
            let Some(first) = values.next() else { continue };
            self.key(&list.key);
            self.output.push('[');
            push_text(self.output, first);
            for value in values {
                self.output.push(',');
                push_text(self.output, value);
            }
            self.output.push(']');
        }
        Ok(())
    }
}

fn number(name: &str, text: &str) -> Result<f64, RowFault> {
    let number = text.trim().parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| RowFault(format!("{name} is not a number: {text:?}")))
}

/// Appends a JSON string. Most texts need no escapes, and then no serialiser.
fn push_text(output: &mut String, text: &str) {
    if text.bytes().any(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        output.push_str(&serde_json::Value::from(text).to_string());
    } else {
        output.push('"');
        output.push_str(text);
        output.push('"');
    }
}
