//! `dateFormat` and `now`.

use std::borrow::Cow;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

use super::{Arguments, Item, Reason};
use crate::rendering::dates::{format, parse, zone};

/// `dateFormat value [format] [inputFormat=] [outputFormat=] [tz=]`. Without `inputFormat` the value is ISO 8601 or
/// seconds or milliseconds since 1970. A date without a time stays that date in every zone; a time without an offset is UTC.
pub(super) fn date_format<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    let text = arguments.text(0);
    let text = text.trim();
    if text.is_empty() {
        return Ok(Item::Missing);
    }
    let read = match arguments.option("inputFormat") {
        Some(pattern) => {
            let now = instant(arguments)?.to_zoned_datetime(TimeZone::UTC);
            let read = parse(&pattern.text(), text, now.year())?;
            match (read.zone, read.has_time) {
                (Some(zone), _) => Read::Instant(at(read.civil, &zone)?),
                (None, true) => Read::Instant(at(read.civil, &TimeZone::UTC)?),
                (None, false) => Read::Date(read.civil),
            }
        }
        None => read_iso(text)?,
    };
    let zone = output_zone(arguments)?;
    let shown = match read {
        Read::Instant(instant) => instant.to_zoned_datetime(zone),
        Read::Date(date) => at(date, &zone)?.to_zoned_datetime(zone),
    };
    let pattern = arguments
        .option("outputFormat")
        .or_else(|| arguments.item_or_option(1, "format"))
        .map_or(Cow::Borrowed("medium"), Item::text);
    Ok(Item::owned(format(&pattern, &shown)?))
}

/// `now ["format"] [tz=]`.
pub(super) fn now<'v>(arguments: &Arguments<'v>) -> Result<Item<'v>, Reason> {
    let shown: ZonedDateTime = instant(arguments)?.to_zoned_datetime(output_zone(arguments)?);
    let pattern = arguments.item_or_option(0, "format").map_or(Cow::Borrowed("medium"), Item::text);
    Ok(Item::owned(format(&pattern, &shown)?))
}

enum Read {
    Instant(Timestamp),
    Date(DateTime),
}

fn read_iso(text: &str) -> Result<Read, Reason> {
    /// As many digits are milliseconds, fewer are seconds; eight are a date.
    const MILLISECONDS_DIGITS_MIN: usize = 11;
    const DATE_DIGITS: usize = 8;
    let fault = || Cow::Owned(format!("{text:?} is not an ISO 8601 date; inputFormat= tells how to read it"));
    if text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() != DATE_DIGITS {
        let number: i64 = text.parse().map_err(|_| fault())?;
        let instant = if text.len() < MILLISECONDS_DIGITS_MIN {
            Timestamp::from_second(number)
        } else {
            Timestamp::from_millisecond(number)
        };
        return Ok(Read::Instant(instant.map_err(|_| fault())?));
    }
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(Read::Instant(instant));
    }
    let civil: DateTime = text.parse().map_err(|_| fault())?;
    if text.contains(':') || text.contains(['T', 't']) {
        return Ok(Read::Instant(at(civil, &TimeZone::UTC)?));
    }
    Ok(Read::Date(civil))
}

fn at(civil: DateTime, zone: &TimeZone) -> Result<Timestamp, Reason> {
    zone.to_timestamp(civil).map_err(|_| Cow::Owned(format!("{civil} is out of range")))
}

fn instant(arguments: &Arguments<'_>) -> Result<Timestamp, Reason> {
    let now = arguments.context.now.as_millis();
    Timestamp::from_millisecond(now).map_err(|_| Cow::Borrowed("the time of day is out of range"))
}

fn output_zone(arguments: &Arguments<'_>) -> Result<TimeZone, Reason> {
    match arguments.option("tz") {
        Some(name) => zone(&name.text()),
        None => Ok(TimeZone::UTC),
    }
}
