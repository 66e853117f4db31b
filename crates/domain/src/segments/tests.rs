use super::*;
use crate::audience::{AppKey, Arrival, Audience, NotLoaded, update};
use crate::endpoints::EndpointUpdate;
use crate::ids::{EndpointId, RequestId};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn endpoint(json: &str) -> (Endpoint, Option<User>) {
    let mut audience = Audience::default();
    let key = AppKey { account: "1".into(), app: "a".into() };
    let mut parsed = EndpointUpdate::parse(json).unwrap();
    let arrival = Arrival { at: NOW, request_id: RequestId::new("r"), may_create: true };
    while let Err(NotLoaded(rows)) = update(&mut audience, &key, &EndpointId::new("e"), &mut parsed, &arrival)
    {
        for row in rows {
            audience.load(row.absent());
        }
    }
    let endpoint = audience.endpoints.get("e").unwrap();
    let user = endpoint.user_id.as_ref().and_then(|id| audience.users.get(id.as_str()));
    (Endpoint::clone(endpoint), user.map(|user| User::clone(user)))
}

fn criteria(json: &str) -> Result<Criteria, crate::endpoints::Invalid> {
    let request: model::pinpoint::WriteSegmentRequest = serde_json::from_str(json).unwrap();
    Criteria::parse(request.dimensions.as_ref(), request.segment_groups.as_ref())
}

const PERSON: &str = r#"{"Address":"token","ChannelType":"APNS","Attributes":{"plan":["pro","team"],"born":["1990-05-01T10:00:00Z"],"odd":["x"]},
    "Metrics":{"orders":3},"Demographic":{"Platform":"ios","AppVersion":"2.1","Model":"iPhone"},
    "Location":{"Country":"DE","Latitude":52.5,"Longitude":13.4},
    "User":{"UserId":"u","UserAttributes":{"city":["Berlin"]}}}"#;

#[test]
fn each_kind_of_dimension_selects_as_the_service_does() {
    let (endpoint, user) = endpoint(PERSON);
    let candidate = Candidate {
        endpoint: &endpoint,
        user: user.as_ref(),
        last_active: NOW.minus(Duration::from_hours(48)),
    };
    for (dimensions, belongs) in [
        ("{}", true),
        (r#"{"Attributes":{"plan":{"Values":["pro"]}}}"#, true),
        (r#"{"Attributes":{"plan":{"Values":["free","team"],"AttributeType":"INCLUSIVE"}}}"#, true),
        (r#"{"Attributes":{"plan":{"Values":["free"],"AttributeType":"EXCLUSIVE"}}}"#, true),
        (r#"{"Attributes":{"plan":{"Values":["pro"],"AttributeType":"EXCLUSIVE"}}}"#, false),
        (r#"{"Attributes":{"missing":{"Values":["pro"],"AttributeType":"EXCLUSIVE"}}}"#, true),
        (r#"{"Attributes":{"missing":{"Values":["pro"]}}}"#, false),
        (r#"{"Attributes":{"plan":{"Values":["ea"],"AttributeType":"CONTAINS"}}}"#, true),
        (r#"{"Attributes":{"plan":{"Values":["EA"],"AttributeType":"CONTAINS"}}}"#, false),
        (r#"{"Attributes":{"born":{"Values":["1990-05-01T23:59:59Z"],"AttributeType":"ON"}}}"#, true),
        (r#"{"Attributes":{"born":{"Values":["1990-05-02T00:00:00Z"],"AttributeType":"BEFORE"}}}"#, true),
        (r#"{"Attributes":{"born":{"Values":["1990-05-01T10:00:00Z"],"AttributeType":"AFTER"}}}"#, false),
        (
            r#"{"Attributes":{"born":{"Values":["1990-01-01T00:00:00Z","1991-01-01T00:00:00Z"],"AttributeType":"BETWEEN"}}}"#,
            true,
        ),
        (r#"{"Attributes":{"odd":{"Values":["1991-01-01T00:00:00Z"],"AttributeType":"BEFORE"}}}"#, false),
        (r#"{"UserAttributes":{"city":{"Values":["Berlin"]}}}"#, true),
        (r#"{"Metrics":{"orders":{"ComparisonOperator":"GREATER_THAN","Value":2}}}"#, true),
        (r#"{"Metrics":{"orders":{"ComparisonOperator":"EQUAL","Value":3}}}"#, true),
        (r#"{"Metrics":{"missing":{"ComparisonOperator":"LESS_THAN","Value":3}}}"#, false),
        (r#"{"Demographic":{"Channel":{"Values":["PUSH"]}}}"#, true),
        (r#"{"Demographic":{"Channel":{"Values":["APNS"]},"Platform":{"Values":["android"]}}}"#, false),
        (r#"{"Demographic":{"DeviceType":{"Values":["iPhone"]}}}"#, true),
        (r#"{"Location":{"Country":{"Values":["DE"],"DimensionType":"EXCLUSIVE"}}}"#, false),
        (
            r#"{"Location":{"GPSPoint":{"Coordinates":{"Latitude":52.4,"Longitude":13.1},"RangeInKilometers":30}}}"#,
            true,
        ),
        (
            r#"{"Location":{"GPSPoint":{"Coordinates":{"Latitude":48.1,"Longitude":11.6},"RangeInKilometers":400}}}"#,
            false,
        ),
        (r#"{"Behavior":{"Recency":{"Duration":"HR_24","RecencyType":"ACTIVE"}}}"#, false),
        (r#"{"Behavior":{"Recency":{"Duration":"HR_24","RecencyType":"INACTIVE"}}}"#, true),
        (r#"{"Behavior":{"Recency":{"Duration":"DAY_7","RecencyType":"ACTIVE"}}}"#, true),
    ] {
        let criteria = criteria(&format!(r#"{{"Dimensions":{dimensions}}}"#)).unwrap();
        assert_eq!(criteria.matches(&candidate, NOW, &|_| false), belongs, "{dimensions}");
    }
}

#[test]
fn groups_sources_and_types_combine() {
    let (endpoint, user) = endpoint(PERSON);
    let candidate = Candidate { endpoint: &endpoint, user: user.as_ref(), last_active: NOW };
    let yes = r#"{"Attributes":{"plan":{"Values":["pro"]}}}"#;
    let no = r#"{"Attributes":{"plan":{"Values":["free"]}}}"#;
    for (groups, belongs) in [
        (format!(r#"{{"Groups":[{{"Dimensions":[{yes},{no}],"Type":"ALL"}}]}}"#), false),
        (format!(r#"{{"Groups":[{{"Dimensions":[{yes},{no}],"Type":"ANY"}}]}}"#), true),
        (format!(r#"{{"Groups":[{{"Dimensions":[{no}],"Type":"NONE"}}]}}"#), true),
        (format!(r#"{{"Groups":[{{"Dimensions":[{no}]}},{{"Dimensions":[{yes}]}}],"Include":"ANY"}}"#), true),
        (
            format!(r#"{{"Groups":[{{"Dimensions":[{no}]}},{{"Dimensions":[{yes}]}}],"Include":"ALL"}}"#),
            false,
        ),
        (format!(r#"{{"Groups":[{{"Dimensions":[{no}]}}],"Include":"NONE"}}"#), true),
        (r#"{"Groups":[{"SourceSegments":[{"Id":"in"},{"Id":"out"}],"SourceType":"ANY"}]}"#.into(), true),
        (r#"{"Groups":[{"SourceSegments":[{"Id":"in"},{"Id":"out"}],"SourceType":"ALL"}]}"#.into(), false),
        (r#"{"Groups":[{"SourceSegments":[{"Id":"out"}],"SourceType":"NONE"}]}"#.into(), true),
        (r#"{"Groups":[{"SourceSegments":[{"Id":"in","Version":2}]}]}"#.into(), false),
        (r#"{"Groups":[]}"#.into(), true),
    ] {
        let criteria = criteria(&format!(r#"{{"SegmentGroups":{groups}}}"#)).unwrap();
        let in_source = |source: &Source| source.segment.as_str() == "in" && source.version.is_none();
        assert_eq!(criteria.matches(&candidate, NOW, &in_source), belongs, "{groups}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (json, reason) in [
        (r#"{"Dimensions":{},"SegmentGroups":{"Groups":[]}}"#, "not both"),
        (r#"{"Dimensions":{"Attributes":{"a":{"Values":[]}}}}"#, "at least one value"),
        (
            r#"{"Dimensions":{"Attributes":{"a":{"Values":["x"],"AttributeType":"ON"}}}}"#,
            "not an ISO 8601 date",
        ),
        (
            r#"{"Dimensions":{"Attributes":{"a":{"Values":["2026-01-01T00:00:00Z"],"AttributeType":"BETWEEN"}}}}"#,
            "two values",
        ),
        (
            r#"{"Dimensions":{"Metrics":{"m":{"ComparisonOperator":"ABOUT","Value":1}}}}"#,
            "unknown ComparisonOperator",
        ),
        (
            r#"{"Dimensions":{"Location":{"GPSPoint":{"Coordinates":{"Latitude":91,"Longitude":0}}}}}"#,
            "outside of the earth",
        ),
    ] {
        let refusal = criteria(json).unwrap_err();
        assert!(refusal.0.contains(reason), "{json}: {refusal}");
    }
    let many: Vec<String> = (0..101).map(|number| format!(r#""a{number}":{{"Values":["x"]}}"#)).collect();
    assert!(criteria(&format!(r#"{{"Dimensions":{{"Attributes":{{{}}}}}}}"#, many.join(","))).is_err());
}
