//! Segments: who belongs to an audience (spec/30-segments.md §3, §4).
//!
//! [`Criteria::parse`] turns the wire document into what is evaluated; the same parse answers 400. [`Criteria::matches`] judges
//! one endpoint: it is what triggers use, and the reference for the columnar audience index.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::channels::ChannelType;
use crate::endpoints::{Endpoint, Text, User, Values};
use crate::ids::SegmentId;
use crate::time::Timestamp;

mod parse;
#[cfg(test)]
mod tests;

/// Dimensions of a segment, over all its groups (spec/95-limits.md §2).
pub const DIMENSIONS_MAX: usize = 100;
/// How deep segments may be built on segments.
pub const SOURCE_DEPTH_MAX: usize = 16;
/// Segments that one segment is built on, with those that they are built on: each is read when it is written or evaluated.
pub const SOURCES_MAX: usize = 1_000;
/// The range of a GPS dimension that names none.
pub const GPS_RANGE_KILOMETERS: f64 = 10.0;

/// How members of a list are combined.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Combine {
    #[default]
    All,
    Any,
    None,
}

impl Combine {
    /// Combines verdicts. An empty list restricts nothing.
    pub fn over(self, mut verdicts: impl ExactSizeIterator<Item = bool>) -> bool {
        if verdicts.len() == 0 {
            return true;
        }
        match self {
            Self::All => verdicts.all(|verdict| verdict),
            Self::Any => verdicts.any(|verdict| verdict),
            Self::None => !verdicts.any(|verdict| verdict),
        }
    }
}

/// What a segment selects by. Without groups: everybody.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Criteria {
    pub groups: Vec<Group>,
    pub include: Combine,
}

/// A base (source segments; none: everybody), narrowed by dimensions.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Group {
    pub sources: Vec<Source>,
    pub source_type: Combine,
    pub dimensions: Vec<Vec<Predicate>>,
    pub dimensions_type: Combine,
}

/// A segment that another is built on; without a version the newest.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    pub segment: SegmentId,
    pub version: Option<u32>,
}

/// A list-valued or text-valued property of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Field {
    Attribute(Text),
    UserAttribute(Text),
    Channel,
    AppVersion,
    Make,
    Model,
    Platform,
    Country,
}

/// One condition. The predicates of a dimension are joined by "and".
#[derive(Debug, Clone, PartialEq)]
pub enum Predicate {
    Values {
        field: Field,
        test: ValueTest,
    },
    Metric {
        name: Text,
        operator: MetricOperator,
        value: f64,
    },
    /// The last activity lies within the duration, or does not.
    Recency {
        within: Duration,
        active: bool,
    },
    Gps {
        latitude: f64,
        longitude: f64,
        range_kilometers: f64,
    },
}

/// A condition on the values of a field.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueTest {
    /// Some value equals some of these.
    Inclusive(Vec<Text>),
    /// No value equals any of these; holds where there is no value.
    Exclusive(Vec<Text>),
    /// Some value has some of these as a part, with case.
    Contains(Vec<Text>),
    Before(Vec<Timestamp>),
    After(Vec<Timestamp>),
    /// On the same UTC day.
    On(Vec<Timestamp>),
    Between(Timestamp, Timestamp),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricOperator {
    GreaterThan,
    LessThan,
    GreaterThanOrEqual,
    LessThanOrEqual,
    Equal,
}

/// An endpoint as segments see it.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'a> {
    pub endpoint: &'a Endpoint,
    pub user: Option<&'a User>,
    /// The latest activity: an update or an event.
    pub last_active: Timestamp,
}

impl Criteria {
    /// Whether the endpoint belongs. `in_source` answers for the segments that this one is built on.
    pub fn matches(
        &self,
        candidate: &Candidate<'_>,
        now: Timestamp,
        in_source: &dyn Fn(&Source) -> bool,
    ) -> bool {
        self.include.over(self.groups.iter().map(|group| group.matches(candidate, now, in_source)))
    }

    /// Every segment that this one is built on.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.groups.iter().flat_map(|group| &group.sources)
    }
}

impl Group {
    fn matches(
        &self,
        candidate: &Candidate<'_>,
        now: Timestamp,
        in_source: &dyn Fn(&Source) -> bool,
    ) -> bool {
        let in_dimension =
            |dimension: &Vec<Predicate>| dimension.iter().all(|predicate| predicate.matches(candidate, now));
        self.source_type.over(self.sources.iter().map(in_source))
            && self.dimensions_type.over(self.dimensions.iter().map(in_dimension))
    }
}

impl Predicate {
    /// Whether the endpoint meets the condition.
    pub fn matches(&self, candidate: &Candidate<'_>, now: Timestamp) -> bool {
        match self {
            Self::Values { field, test } => test.matches(&field.values(candidate)),
            Self::Metric { name, operator, value } => {
                candidate.endpoint.metrics.get(name).is_some_and(|metric| operator.holds(*metric, *value))
            }
            Self::Recency { within, active } => recency_holds(candidate.last_active, now, *within, *active),
            Self::Gps { latitude, longitude, range_kilometers } => {
                let location = &candidate.endpoint.location;
                let place = location.latitude.zip(location.longitude);
                place.is_some_and(|place| kilometers(place, (*latitude, *longitude)) <= *range_kilometers)
            }
        }
    }
}

/// Whether an endpoint that was active last at `last_active` counts as active (or as inactive) at `now`.
pub fn recency_holds(last_active: Timestamp, now: Timestamp, within: Duration, active: bool) -> bool {
    (last_active >= now.minus(within)) == active
}

impl Field {
    /// The values that the endpoint has for this field.
    pub fn values<'a>(&self, candidate: &Candidate<'a>) -> Cow<'a, [Text]> {
        fn listed<'a>(attributes: &'a BTreeMap<Text, Values>, name: &str) -> Cow<'a, [Text]> {
            Cow::Borrowed(attributes.get(name).map_or(&[], Values::as_slice))
        }
        let endpoint = candidate.endpoint;
        match self {
            Self::Attribute(name) => listed(&endpoint.attributes, name),
            Self::UserAttribute(name) => listed(endpoint.user_attributes(candidate.user), name),
            Self::Channel => Cow::Owned(channel_values(endpoint.channel_type).into_vec()),
            Self::AppVersion => Cow::Borrowed(endpoint.demographic.app_version.as_slice()),
            Self::Make => Cow::Borrowed(endpoint.demographic.make.as_slice()),
            Self::Model => Cow::Borrowed(endpoint.demographic.model.as_slice()),
            Self::Platform => Cow::Borrowed(endpoint.demographic.platform.as_slice()),
            Self::Country => Cow::Borrowed(endpoint.location.country.as_slice()),
        }
    }
}

/// The names under which a channel is found: a push channel is also found as PUSH (spec/30 §3).
pub fn channel_values(channel: Option<ChannelType>) -> Values {
    let Some(channel) = channel else { return Values::new() };
    let mut values: Values = smallvec::smallvec![Text::const_new(channel.as_str())];
    if channel.is_push() && channel != ChannelType::Push {
        values.push(Text::const_new(ChannelType::Push.as_str()));
    }
    values
}

impl ValueTest {
    /// Whether a list of values passes. Values that are not dates never pass a test of dates.
    pub fn matches(&self, values: &[Text]) -> bool {
        let instants = || values.iter().filter_map(|value| Timestamp::parse(value));
        match self {
            Self::Inclusive(listed) => values.iter().any(|value| listed.contains(value)),
            Self::Exclusive(listed) => !values.iter().any(|value| listed.contains(value)),
            Self::Contains(listed) => {
                values.iter().any(|value| listed.iter().any(|part| value.contains(part.as_str())))
            }
            Self::Before(listed) => instants().any(|instant| listed.iter().any(|limit| instant < *limit)),
            Self::After(listed) => instants().any(|instant| listed.iter().any(|limit| instant > *limit)),
            Self::On(listed) => {
                instants().any(|instant| listed.iter().any(|limit| instant.day() == limit.day()))
            }
            Self::Between(from, to) => instants().any(|instant| *from <= instant && instant <= *to),
        }
    }
}

impl MetricOperator {
    /// Whether `metric <operator> value` holds.
    pub fn holds(self, metric: f64, value: f64) -> bool {
        match self {
            Self::GreaterThan => metric > value,
            Self::LessThan => metric < value,
            Self::GreaterThanOrEqual => metric >= value,
            Self::LessThanOrEqual => metric <= value,
            Self::Equal => metric.total_cmp(&value).is_eq() || (metric == 0.0 && value == 0.0),
        }
    }
}

/// The great-circle distance between two (latitude, longitude) in degrees.
pub fn kilometers(from: (f64, f64), to: (f64, f64)) -> f64 {
    const EARTH_RADIUS_KILOMETERS: f64 = 6_371.0;
    let latitude = (to.0 - from.0).to_radians();
    let longitude = (to.1 - from.1).to_radians();
    let half_chord = (latitude / 2.0).sin().powi(2)
        + from.0.to_radians().cos() * to.0.to_radians().cos() * (longitude / 2.0).sin().powi(2);
    2.0 * EARTH_RADIUS_KILOMETERS * half_chord.sqrt().min(1.0).asin()
}

/// A segment's document as it is stored: what the client wrote, or where an imported one came from.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Document {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<model::pinpoint::SegmentDimensions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment_groups: Option<model::pinpoint::SegmentGroupList>,
    /// Only of an imported segment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub import: Option<ImportOrigin>,
}

/// The import job that an imported segment's version came from.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ImportOrigin {
    pub job: String,
    pub format: model::pinpoint::Format,
    pub s3_url: String,
    pub role_arn: String,
    pub external_id: String,
}

impl Document {
    /// What the segment selects by; an imported one selects its members, not by criteria.
    pub fn criteria(&self) -> Result<Criteria, crate::endpoints::Invalid> {
        Criteria::parse(self.dimensions.as_ref(), self.segment_groups.as_ref())
    }
}
