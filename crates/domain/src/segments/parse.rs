//! The wire document of a segment, read into criteria; what cannot be meant is refused with the reason.

use std::collections::BTreeMap;
use std::time::Duration;

use model::pinpoint as wire;

use super::{
    Combine, Criteria, DIMENSIONS_MAX, Field, GPS_RANGE_KILOMETERS, Group, MetricOperator, Predicate, Source,
    ValueTest,
};
use crate::endpoints::{Invalid, Text};
use crate::ids::SegmentId;
use crate::time::Timestamp;

impl Criteria {
    /// Reads `Dimensions` or `SegmentGroups`, of which at most one may be there; neither selects everybody (spec/30 §1).
    pub fn parse(
        dimensions: Option<&wire::SegmentDimensions>,
        groups: Option<&wire::SegmentGroupList>,
    ) -> Result<Self, Invalid> {
        let criteria = match (dimensions, groups) {
            (Some(_), Some(_)) => {
                return Err(Invalid::new("A segment has either Dimensions or SegmentGroups, not both"));
            }
            (None, None) => Self::default(),
            (Some(dimensions), None) => {
                let group = Group { dimensions: vec![parse_dimensions(dimensions)?], ..Group::default() };
                Self { groups: vec![group], include: Combine::All }
            }
            (None, Some(list)) => {
                let groups = list.groups.iter().flatten().map(parse_group).collect::<Result<_, _>>()?;
                let include = match list.include {
                    None | Some(wire::Include::All) => Combine::All,
                    Some(wire::Include::Any) => Combine::Any,
                    Some(wire::Include::None) => Combine::None,
                };
                Self { groups, include }
            }
        };
        let count: usize = criteria.groups.iter().flat_map(|group| &group.dimensions).map(Vec::len).sum();
        if count > DIMENSIONS_MAX {
            return Err(Invalid::new(format!("A segment has at most {DIMENSIONS_MAX} dimensions")));
        }
        Ok(criteria)
    }
}

fn parse_group(group: &wire::SegmentGroup) -> Result<Group, Invalid> {
    let sources = group.source_segments.iter().flatten().map(parse_source).collect::<Result<_, _>>()?;
    let dimensions = group.dimensions.iter().flatten().map(parse_dimensions).collect::<Result<_, _>>()?;
    let source_type = match group.source_type {
        None | Some(wire::SourceType::All) => Combine::All,
        Some(wire::SourceType::Any) => Combine::Any,
        Some(wire::SourceType::None) => Combine::None,
    };
    let dimensions_type = match group.r#type {
        None | Some(wire::Type::All) => Combine::All,
        Some(wire::Type::Any) => Combine::Any,
        Some(wire::Type::None) => Combine::None,
    };
    Ok(Group { sources, source_type, dimensions, dimensions_type })
}

fn parse_source(source: &wire::SegmentReference) -> Result<Source, Invalid> {
    let version = source.version.map(u32::try_from).transpose();
    let version = version.map_err(|_| Invalid::new("Version of a source segment is negative"))?;
    Ok(Source { segment: SegmentId::new(&source.id), version })
}

fn parse_dimensions(dimensions: &wire::SegmentDimensions) -> Result<Vec<Predicate>, Invalid> {
    let wire::SegmentDimensions { attributes, behavior, demographic, location, metrics, user_attributes } =
        dimensions;
    let mut predicates = Vec::new();
    push_attributes(&mut predicates, attributes.as_ref(), Field::Attribute)?;
    push_attributes(&mut predicates, user_attributes.as_ref(), Field::UserAttribute)?;
    for (name, metric) in metrics.iter().flatten() {
        predicates.push(parse_metric(name, metric)?);
    }
    if let Some(recency) = behavior.as_ref().and_then(|behavior| behavior.recency.as_ref()) {
        predicates.push(parse_recency(recency));
    }
    if let Some(demographic) = demographic {
        let wire::SegmentDemographics { app_version, channel, device_type, make, model, platform } =
            demographic;
        for (field, set) in [
            (Field::AppVersion, app_version),
            (Field::Channel, channel),
            // No endpoint field holds a device type: the model is compared (spec/30 §3).
            (Field::Model, device_type),
            (Field::Make, make),
            (Field::Model, model),
            (Field::Platform, platform),
        ] {
            push_set(&mut predicates, field, set.as_ref())?;
        }
    }
    if let Some(location) = location {
        push_set(&mut predicates, Field::Country, location.country.as_ref())?;
        if let Some(point) = &location.gps_point {
            predicates.push(parse_point(point)?);
        }
    }
    Ok(predicates)
}

fn push_attributes(
    predicates: &mut Vec<Predicate>,
    attributes: Option<&BTreeMap<String, wire::AttributeDimension>>,
    field: impl Fn(Text) -> Field,
) -> Result<(), Invalid> {
    for (name, dimension) in attributes.into_iter().flatten() {
        let test = parse_test(name, dimension)?;
        predicates.push(Predicate::Values { field: field(name.into()), test });
    }
    Ok(())
}

fn parse_test(name: &str, dimension: &wire::AttributeDimension) -> Result<ValueTest, Invalid> {
    let values = &dimension.values;
    if values.is_empty() {
        return Err(Invalid::new(format!("Dimension {name} needs at least one value")));
    }
    let instants = || {
        let parse = |value: &String| {
            Timestamp::parse(value)
                .ok_or_else(|| Invalid::new(format!("Dimension {name}: {value:?} is not an ISO 8601 date")))
        };
        values.iter().map(parse).collect::<Result<Vec<_>, _>>()
    };
    Ok(match dimension.attribute_type.unwrap_or_default() {
        wire::AttributeType::Inclusive => ValueTest::Inclusive(texts(values)),
        wire::AttributeType::Exclusive => ValueTest::Exclusive(texts(values)),
        wire::AttributeType::Contains => ValueTest::Contains(texts(values)),
        wire::AttributeType::Before => ValueTest::Before(instants()?),
        wire::AttributeType::After => ValueTest::After(instants()?),
        wire::AttributeType::On => ValueTest::On(instants()?),
        wire::AttributeType::Between => match instants()?.as_slice() {
            [from, to] => ValueTest::Between(*from, *to),
            _ => return Err(Invalid::new(format!("Dimension {name}: BETWEEN needs two values"))),
        },
    })
}

fn texts(values: &[String]) -> Vec<Text> {
    values.iter().map(Text::from).collect()
}

fn push_set(
    predicates: &mut Vec<Predicate>,
    field: Field,
    set: Option<&wire::SetDimension>,
) -> Result<(), Invalid> {
    let Some(set) = set else { return Ok(()) };
    if set.values.is_empty() {
        return Err(Invalid::new(format!("Dimension {field:?} needs at least one value")));
    }
    let test = match set.dimension_type.unwrap_or_default() {
        wire::DimensionType::Inclusive => ValueTest::Inclusive(texts(&set.values)),
        wire::DimensionType::Exclusive => ValueTest::Exclusive(texts(&set.values)),
    };
    predicates.push(Predicate::Values { field, test });
    Ok(())
}

fn parse_metric(name: &str, metric: &wire::MetricDimension) -> Result<Predicate, Invalid> {
    let operator = match metric.comparison_operator.as_str() {
        "GREATER_THAN" => MetricOperator::GreaterThan,
        "LESS_THAN" => MetricOperator::LessThan,
        "GREATER_THAN_OR_EQUAL" => MetricOperator::GreaterThanOrEqual,
        "LESS_THAN_OR_EQUAL" => MetricOperator::LessThanOrEqual,
        "EQUAL" => MetricOperator::Equal,
        other => return Err(Invalid::new(format!("Metric {name}: unknown ComparisonOperator {other:?}"))),
    };
    Ok(Predicate::Metric { name: name.into(), operator, value: metric.value })
}

fn parse_recency(recency: &wire::RecencyDimension) -> Predicate {
    const DAY: Duration = Duration::from_hours(24);
    let within = match recency.duration {
        wire::Duration::Hr24 => DAY,
        wire::Duration::Day7 => DAY * 7,
        wire::Duration::Day14 => DAY * 14,
        wire::Duration::Day30 => DAY * 30,
    };
    Predicate::Recency { within, active: recency.recency_type == wire::RecencyType::Active }
}

fn parse_point(point: &wire::GPSPointDimension) -> Result<Predicate, Invalid> {
    let wire::GPSCoordinates { latitude, longitude } = point.coordinates;
    let range_kilometers = point.range_in_kilometers.unwrap_or(GPS_RANGE_KILOMETERS);
    if !(-90.0..=90.0).contains(&latitude) || !(-180.0..=180.0).contains(&longitude) || range_kilometers < 0.0
    {
        return Err(Invalid::new("GPSPoint lies outside of the earth"));
    }
    Ok(Predicate::Gps { latitude, longitude, range_kilometers })
}
