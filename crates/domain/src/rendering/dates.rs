//! Dates by the patterns of Java's `SimpleDateFormat`: shown and read.

use std::borrow::Cow;
use std::fmt::Write;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{Offset, TimeZone};
use jiff::{Span, ZonedDateTime};

use super::helpers::Reason;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
/// Letters of an abbreviated month or weekday.
const SHORT_NAME: usize = 3;
/// Digits that a number takes at most while reading.
const DIGITS_MAX: usize = 9;

/// A piece of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'p> {
    /// A letter and how often it is repeated.
    Field(char, usize),
    Literal(&'p str),
}

/// Shows an instant; `pattern` may also be full, long, medium or short (spec/40-templates.md §5).
pub(super) fn format(pattern: &str, at: &ZonedDateTime) -> Result<String, Reason> {
    let pattern = match pattern {
        "full" => "EEEE, MMMM d, yyyy",
        "long" => "MMMM d, yyyy",
        // The guide's example abbreviates September to four letters.
        "medium" if at.month() == 9 => "'Sept' d, yyyy",
        "medium" => "MMM d, yyyy",
        "short" => "M/d/yy",
        pattern => pattern,
    };
    let mut text = String::with_capacity(pattern.len() + 16);
    for piece in pieces(pattern)? {
        match piece {
            Piece::Literal(literal) => text.push_str(literal),
            Piece::Field(letter, width) => write_field(&mut text, letter, width, at)?,
        }
    }
    Ok(text)
}

/// Splits a pattern; text in single quotes is literal, two quotes are one, there too.
fn pieces(pattern: &str) -> Result<Vec<Piece<'_>>, Reason> {
    let mut pieces = Vec::new();
    let mut rest = pattern;
    let mut is_quoted = false;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("''") {
            pieces.push(Piece::Literal("'"));
            2
        } else if first == '\'' {
            is_quoted = !is_quoted;
            1
        } else if first.is_ascii_alphabetic() && !is_quoted {
            let length = rest.find(|letter| letter != first).unwrap_or(rest.len());
            pieces.push(Piece::Field(first, length));
            length
        } else {
            let is_end = |letter: char| letter == '\'' || (letter.is_ascii_alphabetic() && !is_quoted);
            let length = rest.find(is_end).unwrap_or(rest.len());
            pieces.push(Piece::Literal(&rest[..length]));
            length
        };
        rest = &rest[length..];
    }
    if is_quoted {
        return Err(Cow::Borrowed("a quote in the date format is not closed"));
    }
    Ok(pieces)
}

fn write_field(text: &mut String, letter: char, width: usize, at: &ZonedDateTime) -> Result<(), Reason> {
    let (date, time) = (at.date(), at.time());
    let number = match letter {
        'M' | 'L' if width >= SHORT_NAME => {
            text.push_str(name(MONTHS[at.month() as usize - 1], width));
            return Ok(());
        }
        'E' => {
            text.push_str(name(WEEKDAYS[weekday(date) as usize - 1], width));
            return Ok(());
        }
        'G' => {
            text.push_str(if at.year() > 0 { "AD" } else { "BC" });
            return Ok(());
        }
        'a' => {
            text.push_str(if time.hour() < 12 { "AM" } else { "PM" });
            return Ok(());
        }
        'z' => {
            text.push_str(at.time_zone().to_offset_info(at.timestamp()).abbreviation());
            return Ok(());
        }
        'Z' => return write_offset(text, at, 2),
        'X' if at.offset().is_zero() => {
            text.push('Z');
            return Ok(());
        }
        'X' => return write_offset(text, at, width),
        'y' => shortened(i64::from(at.year()), width),
        'Y' => shortened(i64::from(week_end(date).year()), width),
        'w' => i64::from((week_end(date).day_of_year() - 1) / 7 + 1),
        'W' => i64::from((date.day() + weekday(date.first_of_month()) % 7 - 1) / 7 + 1),
        'M' | 'L' => i64::from(at.month()),
        'd' => i64::from(at.day()),
        'D' => i64::from(date.day_of_year()),
        'F' => i64::from((date.day() - 1) / 7 + 1),
        'u' => i64::from(weekday(date)),
        'H' => i64::from(time.hour()),
        'k' => i64::from((time.hour() + 23) % 24 + 1),
        'K' => i64::from(time.hour() % 12),
        'h' => i64::from((time.hour() + 11) % 12 + 1),
        'm' => i64::from(time.minute()),
        's' => i64::from(time.second()),
        'S' => i64::from(time.millisecond()),
        other => return Err(Cow::Owned(format!("date format has an unknown letter {other:?}"))),
    };
    // Writing to a text cannot fail.
    let _ = write!(text, "{number:0width$}", width = width.min(DIGITS_MAX));
    Ok(())
}

/// Two letters show the last two digits of a year.
fn shortened(year: i64, width: usize) -> i64 {
    if width == 2 { year.rem_euclid(100) } else { year }
}

/// +02 in one letter, +0200 in two, +02:00 in three.
fn write_offset(text: &mut String, at: &ZonedDateTime, width: usize) -> Result<(), Reason> {
    let minutes = at.offset().seconds() / 60;
    let sign = if minutes < 0 { '-' } else { '+' };
    let (hours, minutes) = (minutes.abs() / 60, minutes.abs() % 60);
    let _ = match width {
        1 => write!(text, "{sign}{hours:02}"),
        2 => write!(text, "{sign}{hours:02}{minutes:02}"),
        3 => write!(text, "{sign}{hours:02}:{minutes:02}"),
        _ => return Err(Cow::Borrowed("date format has more than three X")),
    };
    Ok(())
}

fn name(long: &'static str, width: usize) -> &'static str {
    if width > SHORT_NAME { long } else { &long[..SHORT_NAME] }
}

/// 1 is Monday.
fn weekday(date: Date) -> i8 {
    date.weekday().to_monday_one_offset()
}

/// The Saturday of the date's week: the week belongs to its year, as in the United States.
fn week_end(date: Date) -> Date {
    date.saturating_add(Span::new().days(date.weekday().until(Weekday::Saturday)))
}

/// What was read of a text.
#[derive(Debug)]
pub(super) struct Parsed {
    pub civil: DateTime,
    /// The pattern asks for a time of day.
    pub has_time: bool,
    pub zone: Option<TimeZone>,
}

/// Reads a text by a pattern; what follows the pattern's end is ignored, as in Java. `this_year` places two-digit years:
/// at most 80 years back and 20 ahead.
pub(super) fn parse(pattern: &str, text: &str, this_year: i16) -> Result<Parsed, Reason> {
    let pieces = pieces(pattern)?;
    let mut fields = Fields { this_year, ..Fields::default() };
    let mut rest = text;
    for (place, piece) in pieces.iter().enumerate() {
        let after = match *piece {
            Piece::Literal(literal) => rest.strip_prefix(literal),
            Piece::Field(letter, width) => {
                // Only a number that touches the next one has a fixed width.
                let touches =
                    matches!(pieces.get(place + 1), Some(Piece::Field(next, _)) if is_numeric(*next));
                fields.read(rest, letter, width, touches)?
            }
        };
        rest = after.ok_or_else(|| Cow::Owned(format!("{text:?} is not a date of the form {pattern:?}")))?;
    }
    fields.finish().ok_or_else(|| Cow::Owned(format!("{text:?} is not a date")))
}

fn is_numeric(letter: char) -> bool {
    "yYMLdDFuHkKhmsSwW".contains(letter)
}

#[derive(Default)]
struct Fields {
    this_year: i16,
    year: Option<i16>,
    month: Option<i8>,
    day: Option<i8>,
    day_of_year: Option<i16>,
    hour: Option<i8>,
    /// Of a twelve-hour clock.
    is_afternoon: Option<bool>,
    minute: Option<i8>,
    second: Option<i8>,
    millisecond: Option<i16>,
    zone: Option<TimeZone>,
    has_time: bool,
}

impl Fields {
    /// Takes one field from the start of `text`; answers what follows, or `None` where it does not fit.
    fn read<'t>(
        &mut self,
        text: &'t str,
        letter: char,
        width: usize,
        touches: bool,
    ) -> Result<Option<&'t str>, Reason> {
        match letter {
            'M' | 'L' if width >= SHORT_NAME => {
                let found = take_name(text, &MONTHS);
                return Ok(found.map(|(index, rest)| {
                    self.month = Some(index as i8 + 1);
                    rest
                }));
            }
            'E' => return Ok(take_name(text, &WEEKDAYS).map(|(_, rest)| rest)),
            'G' => return Ok(take_word(text, &["AD", "BC"]).map(|(_, rest)| rest)),
            'a' => {
                return Ok(take_word(text, &["AM", "PM"]).map(|(index, rest)| {
                    self.is_afternoon = Some(index == 1);
                    rest
                }));
            }
            'z' | 'Z' | 'X' => {
                let is_end = |letter: char| !(letter.is_ascii_alphanumeric() || "+-:/_".contains(letter));
                let length = text.find(is_end).unwrap_or(text.len());
                self.zone = Some(zone(&text[..length])?);
                return Ok(Some(&text[length..]));
            }
            letter if !is_numeric(letter) => {
                return Err(Cow::Owned(format!("inputFormat has an unknown letter {letter:?}")));
            }
            _ => {}
        }
        let most = if touches { width.min(DIGITS_MAX) } else { DIGITS_MAX };
        let digits = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
        let Ok(number) = text[..digits].parse::<i32>() else { return Ok(None) };
        Ok(self.set(letter, width, digits, number).map(|()| &text[digits..]))
    }

    fn set(&mut self, letter: char, width: usize, digits: usize, number: i32) -> Option<()> {
        let small = i8::try_from(number).ok();
        self.has_time |= "HkKhmsS".contains(letter);
        match letter {
            'y' | 'Y' if width <= 2 && digits == 2 => {
                let base = i32::from(self.this_year) - 80;
                self.year = i16::try_from(base + (number - base).rem_euclid(100)).ok();
            }
            'y' | 'Y' => self.year = Some(i16::try_from(number).ok()?),
            'M' | 'L' => self.month = Some(small?),
            'd' => self.day = Some(small?),
            'D' => self.day_of_year = Some(i16::try_from(number).ok()?),
            'H' | 'K' => self.hour = Some(small?),
            'k' => self.hour = Some(small? % 24),
            'h' => self.hour = Some(small? % 12),
            'm' => self.minute = Some(small?),
            's' => self.second = Some(small?),
            'S' => self.millisecond = Some(i16::try_from(number).ok()?),
            // Weeks and weekdays add nothing to a date.
            _ => {}
        }
        Some(())
    }

    fn finish(self) -> Option<Parsed> {
        let year = self.year.unwrap_or(1970);
        let mut date = Date::new(year, self.month.unwrap_or(1), self.day.unwrap_or(1)).ok()?;
        if let Some(day) = self.day_of_year {
            date = date.with().day_of_year(day).build().ok()?;
        }
        let hour = self.hour.unwrap_or(0);
        let hour = match self.is_afternoon {
            Some(true) if hour < 12 => hour + 12,
            _ => hour,
        };
        let nanoseconds = i32::from(self.millisecond.unwrap_or(0)).checked_mul(1_000_000)?;
        let time = Time::new(hour, self.minute.unwrap_or(0), self.second.unwrap_or(0), nanoseconds).ok()?;
        Some(Parsed { civil: date.to_datetime(time), has_time: self.has_time, zone: self.zone })
    }
}

/// Takes one of the names, whole or abbreviated, in any case.
fn take_name<'t>(text: &'t str, names: &[&str]) -> Option<(usize, &'t str)> {
    if let Some(whole) = take_word(text, names) {
        return Some(whole);
    }
    let short: Vec<&str> = names.iter().map(|name| &name[..SHORT_NAME]).collect();
    let (index, rest) = take_word(text, &short)?;
    // "Sept" is what the medium format shows.
    let is_september = short[index] == "Sep";
    Some((index, if is_september { rest.strip_prefix(['t', 'T']).unwrap_or(rest) } else { rest }))
}

/// Takes one of the words, in any case.
fn take_word<'t>(text: &'t str, words: &[&str]) -> Option<(usize, &'t str)> {
    words.iter().enumerate().find_map(|(index, word)| {
        let start = text.get(..word.len())?;
        start.eq_ignore_ascii_case(word).then(|| (index, &text[word.len()..]))
    })
}

/// A zone of the tz database, one of Java's short names, or an offset such as `GMT+2`, `+02:00`.
pub(super) fn zone(name: &str) -> Result<TimeZone, Reason> {
    let name = name.trim();
    let long = match name.to_ascii_uppercase().as_str() {
        "PST" | "PDT" | "PT" => "America/Los_Angeles",
        "MST" | "MDT" | "MT" => "America/Denver",
        "CST" | "CDT" | "CT" => "America/Chicago",
        "EST" | "EDT" | "ET" => "America/New_York",
        "AKST" | "AKDT" | "AST" => "America/Anchorage",
        "HST" => "Pacific/Honolulu",
        "BST" => "Europe/London",
        "ECT" | "CEST" => "Europe/Paris",
        "IST" => "Asia/Kolkata",
        "JST" => "Asia/Tokyo",
        "CTT" => "Asia/Shanghai",
        "AET" | "AEST" | "AEDT" => "Australia/Sydney",
        "NST" => "Pacific/Auckland",
        "Z" | "UTC" | "GMT" | "UT" => return Ok(TimeZone::UTC),
        _ => name,
    };
    let offset = long.strip_prefix("GMT").or_else(|| long.strip_prefix("UTC")).unwrap_or(long);
    if let Some(seconds) = offset_seconds(offset) {
        return Offset::from_seconds(seconds)
            .map(TimeZone::fixed)
            .map_err(|_| Cow::Owned(format!("offset {name:?} is out of range")));
    }
    TimeZone::get(long).map_err(|_| Cow::Owned(format!("there is no time zone {name:?}")))
}

/// The seconds of `+2`, `-0530`, `+05:30`.
fn offset_seconds(text: &str) -> Option<i32> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => return None,
    };
    let (hours, minutes) = match digits.split_once(':') {
        Some(parts) => parts,
        None if digits.is_ascii() && digits.len() == 4 => digits.split_at(2),
        None => (digits, "0"),
    };
    let number = |text: &str| {
        let is_short = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if is_short { text.parse::<i32>().ok() } else { None }
    };
    Some(sign * (number(hours)? * 3600 + number(minutes)? * 60))
}
