//! Quiet time: hours in which nobody is messaged, in the endpoint's own zone (spec/50-campaigns.md §4).

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use crate::endpoints::Invalid;
use crate::time::Timestamp;

/// From `start` to `end`, both included, in minutes of the local day; wraps midnight when `end` lies before `start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuietTime {
    pub start_minute: u16,
    pub end_minute: u16,
}

impl QuietTime {
    /// Reads `HH:MM` twice. `None` where neither is given.
    pub fn parse(start: Option<&str>, end: Option<&str>) -> Result<Option<Self>, Invalid> {
        match (start.filter(|text| !text.is_empty()), end.filter(|text| !text.is_empty())) {
            (None, None) => Ok(None),
            (Some(start), Some(end)) => {
                Ok(Some(Self { start_minute: minute(start)?, end_minute: minute(end)? }))
            }
            _ => Err(Invalid::new("QuietTime needs both Start and End")),
        }
    }

    /// Whether it is quiet for an endpoint in `zone` at `now`. Without a valid zone it never is (spec/50 §4).
    pub fn holds(&self, zone: Option<&str>, now: Timestamp) -> bool {
        let Some(zone) = zone.and_then(|name| TimeZone::get(name).ok()) else { return false };
        let Ok(instant) = jiff::Timestamp::from_millisecond(now.as_millis()) else { return false };
        let local = zone.to_datetime(instant);
        let minute = local.hour() as u16 * 60 + local.minute() as u16;
        if self.start_minute <= self.end_minute {
            (self.start_minute..=self.end_minute).contains(&minute)
        } else {
            minute >= self.start_minute || minute <= self.end_minute
        }
    }
}

fn minute(text: &str) -> Result<u16, Invalid> {
    let refusal = || Invalid::new(format!("QuietTime must be HH:MM, not {text:?}"));
    let (hours, minutes) = text.split_once(':').ok_or_else(refusal)?;
    let is_number = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(hours) || !is_number(minutes) {
        return Err(refusal());
    }
    let hours: u16 = hours.parse().map_err(|_| refusal())?;
    let minutes: u16 = minutes.parse().map_err(|_| refusal())?;
    if hours > 23 || minutes > 59 {
        return Err(refusal());
    }
    Ok(hours * 60 + minutes)
}
