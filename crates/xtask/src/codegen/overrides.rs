//! Where the printed Rust departs from the service model. Everything not listed here follows the model.

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

/// Operations that a policy authorises on another resource than the one that their path names. From the AWS developer guide,
/// page "permissions-actions" (June 2023), whose other entries follow the path.
const ARN_RESOURCES: &[(&str, &str)] = &[
    ("CreateImportJob", APP),
    ("CreateSegment", APP),
    ("GetApplicationSettings", APP),
    ("GetCampaignActivities", CAMPAIGN),
    ("GetCampaignVersion", CAMPAIGN),
    ("GetCampaignVersions", CAMPAIGN),
    ("GetCampaigns", APP),
    ("GetImportJobs", APP),
    ("GetSegmentImportJobs", SEGMENT),
    ("GetSegmentVersion", SEGMENT),
    ("GetSegmentVersions", SEGMENT),
    ("GetSegments", APP),
    ("SendUsersMessages", "apps/{application-id}/messages"),
    ("UpdateApplicationSettings", APP),
    ("UpdateEndpointsBatch", APP),
];
const APP: &str = "apps/{application-id}";
const CAMPAIGN: &str = "apps/{application-id}/campaigns/{campaign-id}";
const SEGMENT: &str = "apps/{application-id}/segments/{segment-id}";

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

/// The resource that an operation is authorised on, if it is not the one of its path.
pub(crate) fn arn_resource(operation: &str) -> Option<&'static str> {
    ARN_RESOURCES.iter().find(|(name, _)| *name == operation).map(|(_, resource)| *resource)
}

pub(crate) fn is_lenient_map(shape: &str) -> bool {
    LENIENT_MAPS.contains(&shape)
}
