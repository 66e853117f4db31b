//! Instants as signatures write them: `20150830T123600Z`, and the `Date` header of HTTP.

use domain::time::Timestamp;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Parses `20150830T123600Z` and nothing else.
pub(crate) fn parse_basic(text: &str) -> Option<Timestamp> {
    let shape_is_right = text.len() == "20150830T123600Z".len()
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 => byte == b'T',
            15 => byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
    if shape_is_right { Timestamp::parse(text) } else { None }
}

/// Parses the fixed form of an HTTP date, `Mon, 09 Sep 2011 23:36:00 GMT`, which older signers send as `Date`.
pub(crate) fn parse_http_date(text: &str) -> Option<Timestamp> {
    let (_weekday, text) = text.split_once(", ")?;
    let mut parts = text.split(' ');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let (time, zone) = (parts.next()?, parts.next()?);
    if zone != "GMT" || parts.next().is_some() {
        return None;
    }
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    Timestamp::parse(&format!("{year}-{month:02}-{day}T{time}Z"))
}

/// Writes an instant as `20150830T123600Z`; milliseconds are dropped.
pub(crate) fn basic(instant: Timestamp) -> String {
    let shown = instant.to_string();
    let seconds = shown.split('.').next().unwrap_or_default();
    let mut text: String = seconds.chars().filter(|character| !matches!(character, '-' | ':')).collect();
    text.push('Z');
    text
}
