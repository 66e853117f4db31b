//! Where the printed Rust departs from the names of the service model. Everything not listed here follows the model.

/// Shapes that get another Rust name: because an operation has that name, or because AWS generated it.
const RENAMED: &[(&str, &str)] = &[
    ("CreateRecommenderConfiguration", "CreateRecommenderConfigurationShape"),
    ("UpdateRecommenderConfiguration", "UpdateRecommenderConfigurationShape"),
    ("__TimezoneEstimationMethodsElement", "TimezoneEstimationMethod"),
];

/// Enum values whose Rust name would be a keyword.
const VARIANTS: &[(&str, &str)] = &[("SELF", "SelfOwned")];

/// Enums that are printed as another enum with the same values.
const SAME: &[(&str, &str)] = &[("__EndpointTypesElement", "ChannelType")];

/// Maps whose values may also be bare on the wire; see `crates/model/src/attributes.rs`.
const LENIENT_MAPS: &[&str] = &["MapOfListOf__string"];

/// The Rust name of a shape.
pub(crate) fn rust_name(shape: &str) -> &str {
    RENAMED.iter().find(|(from, _)| *from == shape).map_or(shape, |(_, to)| to)
}

/// The Rust name of an enum value, if it is not made from the value.
pub(crate) fn variant(value: &str) -> Option<&'static str> {
    VARIANTS.iter().find(|(from, _)| *from == value).map(|(_, to)| *to)
}

/// The shape that is printed in this one's place.
pub(crate) fn same_as(shape: &str) -> &str {
    SAME.iter().find(|(from, _)| *from == shape).map_or(shape, |(_, to)| to)
}

pub(crate) fn is_lenient_map(shape: &str) -> bool {
    LENIENT_MAPS.contains(&shape)
}
