//! Requests as clients really send them, decoded by hand-written expectation.

use std::borrow::Cow;
use std::collections::BTreeMap;

use model::pinpoint::{
    CampaignStatus, ChannelType, CreateApp, CreateCampaign, CreateSegment, DayOfWeek, Duration,
    GetApplicationDateRangeKpi, GetEndpoint, ListTagsForResource, SendMessages, TagResource, UntagResource,
    UpdateEmailTemplate, UpdateEndpoint, UpdateGcmChannel,
};
use model::sms_voice_v2::{
    DescribePhoneNumbers, DescribePhoneNumbersRequest, PutKeyword, RequestPhoneNumber,
    RequestPhoneNumberResult,
};
use model::{Operation, RequestParts};

#[test]
fn body_is_the_payload_itself() {
    let input = decode::<CreateApp>(&[], "", r#"{"Name": "x", "tags": {"stage": "test"}}"#).unwrap();
    let request = input.create_application_request;
    assert_eq!(request.name, "x");
    assert_eq!(request.tags, Some(BTreeMap::from([("stage".to_owned(), "test".to_owned())])));
}

#[test]
fn wrapped_body_is_refused() {
    let body = r#"{"CreateApplicationRequest": {"Name": "x"}}"#;
    assert!(error::<CreateApp>(&[], "", body).starts_with("missing field `Name`"));
}

#[test]
fn upper_case_tags_are_unknown_members() {
    let input = decode::<CreateApp>(&[], "", r#"{"Name": "x", "Tags": {"a": "b"}}"#).unwrap();
    assert_eq!(input.create_application_request.tags, None);
}

#[test]
fn missing_body_and_bad_json_are_told() {
    assert_eq!(error::<CreateApp>(&[], "", ""), "request body is required");
    assert!(error::<CreateApp>(&[], "", r#"{"Name": "#).starts_with("EOF while parsing"));
    assert!(
        error::<CreateApp>(&[], "", r#"{"Name": 1}"#)
            .starts_with("invalid type: integer `1`, expected a string")
    );
}

#[test]
fn missing_label_is_an_error_not_an_empty_text() {
    assert_eq!(error::<CreateCampaign>(&[], "", "{}"), "missing path label `application-id`");
}

#[test]
fn null_is_none_and_unknown_enum_values_are_refused() {
    let labels = [("application-id", "a"), ("endpoint-id", "e")];
    let input = decode::<UpdateEndpoint>(&labels, "", r#"{"ChannelType": null, "User": null}"#).unwrap();
    assert_eq!(input.endpoint_request.channel_type, None);
    let message = error::<UpdateEndpoint>(&labels, "", r#"{"ChannelType": "PIGEON"}"#);
    assert!(message.starts_with("unknown variant `PIGEON`, expected one of `PUSH`"), "{message}");
}

#[test]
fn attribute_values_may_be_bare() {
    let body = r#"{"Attributes": {"list": ["a", "b"], "bare": "a", "number": 1.5, "count": 3, "negative": -3,
        "flag": true, "none": null, "mixed": ["a", 1, null]}, "User": {"UserAttributes": {"FirstName": "Wang"}}}"#;
    let labels = [("application-id", "a"), ("endpoint-id", "e")];
    let endpoint = decode::<UpdateEndpoint>(&labels, "", body).unwrap().endpoint_request;
    let attributes = endpoint.attributes.unwrap();
    assert_eq!(attributes["list"], ["a", "b"]);
    assert_eq!(attributes["bare"], ["a"]);
    assert_eq!(attributes["number"], ["1.5"]);
    assert_eq!(attributes["count"], ["3"]);
    assert_eq!(attributes["negative"], ["-3"]);
    assert_eq!(attributes["flag"], ["true"]);
    assert!(attributes["none"].is_empty());
    assert_eq!(attributes["mixed"], ["a", "1"]);
    assert_eq!(endpoint.user.unwrap().user_attributes.unwrap()["FirstName"], ["Wang"]);

    let message = error::<UpdateEndpoint>(&labels, "", r#"{"Attributes": {"nested": [["a"]]}}"#);
    assert!(message.starts_with("invalid type: sequence, expected a string"), "{message}");
    let message = error::<UpdateEndpoint>(&labels, "", r#"{"Attributes": {"nested": {"a": "b"}}}"#);
    assert!(message.starts_with("invalid type: map, expected a list of strings"), "{message}");
    let none = decode::<UpdateEndpoint>(&labels, "", r#"{"Attributes": null}"#).unwrap().endpoint_request;
    assert_eq!(none.attributes, None);
}

#[test]
fn labels_are_taken_as_they_are() {
    let labels = [("application-id", "a"), ("endpoint-id", "eq/b3+x y%2F")];
    assert_eq!(decode::<GetEndpoint>(&labels, "", "").unwrap().endpoint_id, "eq/b3+x y%2F");
    let arn = "arn:aws:mobiletargeting:eu-west-1:123456789012:apps/abc";
    assert_eq!(decode::<ListTagsForResource>(&[("resource-arn", arn)], "", "").unwrap().resource_arn, arn);
}

#[test]
fn query_values_have_types_and_lists_repeat() {
    let labels = [("resource-arn", "arn")];
    let input = decode::<UntagResource>(&labels, "tagKeys=a&other=x&tagKeys=b", "").unwrap();
    assert_eq!(input.tag_keys, ["a", "b"]);

    let labels = [("template-name", "t")];
    let input = decode::<UpdateEmailTemplate>(&labels, "create-new-version=true&version=2", "{}").unwrap();
    assert_eq!(input.create_new_version, Some(true));
    assert_eq!(input.version.as_deref(), Some("2"));
    let message = error::<UpdateEmailTemplate>(&labels, "create-new-version=maybe", "{}");
    assert_eq!(message, "invalid value for `create-new-version`: `maybe`");

    let labels = [("application-id", "a"), ("kpi-name", "k")];
    let input = decode::<GetApplicationDateRangeKpi>(&labels, "start-time=2026-01-01T00:00:00Z", "").unwrap();
    assert_eq!(input.start_time.unwrap().0, "2026-01-01T00:00:00Z");
    assert_eq!(input.end_time, None);
}

#[test]
fn wire_names_that_are_not_pascal_case() {
    let body = r#"{"MessageRequest": 1, "Addresses": {"+1": {"ChannelType": "SMS"}}, "MessageConfiguration":
        {"APNSMessage": {"APNSPushType": "alert"}, "GCMMessage": {"Body": "b"}, "SMSMessage": {"Body": "s",
        "Substitutions": {"name": "Wang"}}}}"#;
    let input = decode::<SendMessages>(&[("application-id", "a")], "", body).unwrap();
    let messages = input.message_request.message_configuration;
    assert_eq!(messages.apns_message.unwrap().apns_push_type.as_deref(), Some("alert"));
    assert_eq!(messages.gcm_message.unwrap().body.as_deref(), Some("b"));
    let sms = messages.sms_message.unwrap();
    assert_eq!(sms.body.as_deref(), Some("s"));
    assert_eq!(sms.substitutions.unwrap()["name"], ["Wang"]);
    let addresses = input.message_request.addresses.unwrap();
    assert_eq!(addresses["+1"].channel_type, Some(ChannelType::Sms));

    let body = r#"{"Name": "s", "SegmentGroups": {"Include": "ANY", "Groups": [{"Dimensions": [{"Location":
        {"GPSPoint": {"Coordinates": {"Latitude": 1, "Longitude": -2.5}}}, "Behavior": {"Recency":
        {"Duration": "HR_24", "RecencyType": "ACTIVE"}}}]}]}}"#;
    let input = decode::<CreateSegment>(&[("application-id", "a")], "", body).unwrap();
    let groups = input.write_segment_request.segment_groups.unwrap().groups.unwrap();
    let dimensions = &groups[0].dimensions.as_ref().unwrap()[0];
    let location = dimensions.location.as_ref().unwrap();
    let coordinates = &location.gps_point.as_ref().unwrap().coordinates;
    assert!(coordinates.latitude > 0.5 && coordinates.longitude < -2.0);
    let recency = dimensions.behavior.as_ref().unwrap().recency.as_ref().unwrap();
    assert_eq!(recency.duration, Duration::Hr24);
}

#[test]
fn no_output_has_no_body() {
    assert_eq!(TagResource::encode(&model::NoOutput {}).unwrap(), b"");
    assert_eq!(TagResource::decode_output(b""), Ok(model::NoOutput {}));
}

#[test]
fn absent_members_are_not_written() {
    let labels = [("application-id", "a")];
    let input = decode::<UpdateGcmChannel>(&labels, "", r#"{"Enabled": true, "ApiKey": "k"}"#).unwrap();
    let request = UpdateGcmChannel::encode_input(&input).unwrap();
    assert_eq!(String::from_utf8_lossy(&request.body), r#"{"ApiKey":"k","Enabled":true}"#);
}

#[test]
fn enums_are_read_and_written_as_on_the_wire() {
    assert_eq!(ChannelType::ApnsVoipSandbox.as_str(), "APNS_VOIP_SANDBOX");
    assert_eq!(ChannelType::ALL.len(), 13);
    assert_eq!("PENDING_NEXT_RUN".parse(), Ok(CampaignStatus::PendingNextRun));
    assert_eq!(CampaignStatus::PendingNextRun.to_string(), "PENDING_NEXT_RUN");
    assert_eq!(DayOfWeek::default(), DayOfWeek::Monday);
    let unknown = "pigeon".parse::<ChannelType>().unwrap_err();
    assert_eq!(unknown.to_string(), "`pigeon` is not a value of ChannelType");
}

#[test]
fn json_1_0_reads_the_whole_body() {
    let body = r#"{"OriginationIdentity": "phone-1", "Keyword": "HELP", "KeywordMessage": "m", "KeywordAction": "OPT_OUT"}"#;
    let input = decode::<PutKeyword>(&[], "", body).unwrap();
    assert_eq!(input.keyword_action.unwrap().as_str(), "OPT_OUT");
    assert_eq!(decode::<DescribePhoneNumbers>(&[], "", "").unwrap(), DescribePhoneNumbersRequest::default());
    let created_timestamp = Some(model::EpochSeconds(1_645_568_542.5));
    let output = RequestPhoneNumberResult { created_timestamp, ..RequestPhoneNumberResult::default() };
    assert_eq!(RequestPhoneNumber::encode(&output).unwrap(), br#"{"CreatedTimestamp":1645568542.5}"#);
}

fn decode<O: Operation>(
    labels: &[(&'static str, &str)],
    query: &str,
    body: &str,
) -> Result<O::Input, model::DecodeError> {
    let labels = labels.iter().map(|(label, value)| (*label, (*value).to_owned())).collect();
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let query = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    O::decode(&RequestParts { labels, query, body: Cow::Borrowed(body.as_bytes()) })
}

fn error<O: Operation>(labels: &[(&'static str, &str)], query: &str, body: &str) -> String {
    decode::<O>(labels, query, body).expect_err("decoded what it should refuse").message
}
