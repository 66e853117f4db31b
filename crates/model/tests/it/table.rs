//! The operation tables are complete and can be routed on.

use std::collections::{BTreeMap, BTreeSet};

use model::{Operation, OperationSpec, OperationVisitor, Service, pinpoint, sms_voice_v2};

#[test]
fn every_operation_is_there() {
    assert_eq!(pinpoint::OPERATIONS.len(), 122);
    assert_eq!(sms_voice_v2::OPERATIONS.len(), 106);
}

#[test]
fn visitors_see_exactly_the_table() {
    #[derive(Default)]
    struct Seen(BTreeSet<&'static str>);
    impl OperationVisitor for Seen {
        fn visit<O: Operation>(&mut self) {
            assert!(self.0.insert(O::SPEC.name), "{} is visited twice", O::SPEC.name);
        }
    }
    let mut seen = Seen::default();
    pinpoint::visit_operations(&mut seen);
    assert_eq!(seen.0, names(pinpoint::OPERATIONS));
    let mut seen = Seen::default();
    sms_voice_v2::visit_operations(&mut seen);
    assert_eq!(seen.0, names(sms_voice_v2::OPERATIONS));
}

#[test]
fn names_are_sorted_and_unique() {
    for operations in [pinpoint::OPERATIONS, sms_voice_v2::OPERATIONS] {
        assert!(operations.is_sorted_by(|a, b| a.name < b.name));
    }
}

/// Two templates with labels in the same places would be the same route, whatever the labels are called.
#[test]
fn no_two_operations_share_a_route() {
    let mut routes = BTreeMap::new();
    for spec in pinpoint::OPERATIONS {
        let shape: Vec<&str> =
            spec.path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part }).collect();
        if let Some(other) = routes.insert((spec.method, shape), spec.name) {
            panic!("{} and {other} are the same route", spec.name);
        }
    }
}

#[test]
fn actions_carry_the_signing_name() {
    for spec in pinpoint::OPERATIONS.iter().chain(sms_voice_v2::OPERATIONS) {
        assert_eq!(spec.action, format!("{}:{}", spec.service.signing_name(), spec.name));
    }
    assert_eq!(Service::SmsVoiceV2.target_prefix(), Some("PinpointSMSVoiceV2"));
}

/// One line for each kind of row.
#[test]
fn rows_follow_the_model() {
    check("CreateApp", "POST /v1/apps 201 apps mutating");
    check("GetApps", "GET /v1/apps 200 apps");
    check(
        "UpdateEndpoint",
        "PUT /v1/apps/{application-id}/endpoints/{endpoint-id} 202 \
         apps/{application-id}/endpoints/{endpoint-id} mutating",
    );
    check("PutEvents", "POST /v1/apps/{application-id}/events 202 apps/{application-id}/events mutating");
    check(
        "DeleteInAppTemplate",
        "DELETE /v1/templates/{template-name}/inapp 202 templates/{template-name}/INAPP mutating",
    );
    check(
        "ListTemplateVersions",
        "GET /v1/templates/{template-name}/{template-type}/versions 200 \
         templates/{template-name}/{template-type}/versions",
    );
    check(
        "SendUsersMessages",
        "POST /v1/apps/{application-id}/users-messages 200 apps/{application-id}/messages mutating",
    );
    check("GetSegments", "GET /v1/apps/{application-id}/segments 200 apps/{application-id}");
    check("PhoneNumberValidate", "POST /v1/phone/number/validate 200 phone/number/validate mutating");
    check("UntagResource", "DELETE /v1/tags/{resource-arn} 204 {resource-arn} mutating");
    check("SendTextMessage", "POST / 200 * mutating");
    check("DescribePools", "POST / 200 *");
}

#[test]
fn error_codes_have_their_status() {
    let codes = pinpoint::ErrorCode::ALL.iter().map(|code| format!("{} {code}", code.status()));
    assert_eq!(
        codes.collect::<Vec<_>>(),
        [
            "400 BadRequestException",
            "409 ConflictException",
            "403 ForbiddenException",
            "500 InternalServerErrorException",
            "405 MethodNotAllowedException",
            "404 NotFoundException",
            "413 PayloadTooLargeException",
            "429 TooManyRequestsException",
        ]
    );
    for code in sms_voice_v2::ErrorCode::ALL {
        let expected = if code.name() == "InternalServerException" { 500 } else { 400 };
        assert_eq!(code.status(), expected, "{code}");
    }
    assert_eq!(sms_voice_v2::ErrorCode::ALL.len(), 7);
}

fn check(name: &str, expected: &str) {
    let mut specs = pinpoint::OPERATIONS.iter().chain(sms_voice_v2::OPERATIONS);
    let spec = specs.find(|spec| spec.name == name).expect("no such operation");
    let OperationSpec { service: _, name: _, method, path, status, action: _, resource, mutating } = spec;
    let mutating = if *mutating { " mutating" } else { "" };
    assert_eq!(format!("{method} {path} {status} {resource}{mutating}"), expected, "{name}");
}

fn names(operations: &[&OperationSpec]) -> BTreeSet<&'static str> {
    operations.iter().map(|spec| spec.name).collect()
}
