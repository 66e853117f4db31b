use super::*;
use crate::endpoints::{Demographic, Invalid, Location};
use crate::ids::{EndpointId, RequestId};

const NOW: Timestamp = Timestamp(1_790_000_000_000);

fn plan(json: &str) -> Result<Plan, Invalid> {
    Plan::parse(&serde_json::from_str(json).unwrap())
}

fn request(more: &str) -> String {
    format!(
        r#"{{"Name":"n","SegmentId":"s","Schedule":{{"StartTime":"IMMEDIATE"}},
            "MessageConfiguration":{{"EmailMessage":{{"Title":"t","HtmlBody":"b"}}}}{more}}}"#
    )
}

fn endpoint(cohort: u8) -> Endpoint {
    Endpoint {
        id: EndpointId::new("e"),
        ordinal: 0,
        cohort,
        created: NOW,
        effective_date: NOW,
        request_id: RequestId::new("r"),
        status: EndpointStatus::Active,
        opt_out: OptOut::None,
        channel_type: Some(ChannelType::Email),
        address: Some("a@b.c".to_owned()),
        user_id: None,
        attributes: Default::default(),
        metrics: Default::default(),
        demographic: Demographic::default(),
        location: Location::default(),
        loose_user_attributes: Default::default(),
    }
}

fn status(plan: &Plan, endpoint: &Endpoint, received: &Received) -> SendStatus {
    match decide(plan, "c", Some(endpoint), received, |_| true, NOW) {
        Decision::Deliver { .. } => SendStatus::Success,
        Decision::Skip { status, .. } => status,
    }
}

#[test]
fn every_cohort_has_exactly_one_fate() {
    let treatments = r#","HoldoutPercent":10,"AdditionalTreatments":[
        {"SizePercent":25,"MessageConfiguration":{"EmailMessage":{"Title":"u","Body":"b"}}},
        {"SizePercent":15,"TemplateConfiguration":{"EmailTemplate":{"Name":"x","Version":"2"}}}]"#;
    let plan = plan(&request(treatments)).unwrap();
    let mut counts = [0; 4];
    for cohort in 0..100 {
        match plan.treatment_of(cohort) {
            None => counts[3] += 1,
            Some(treatment) => counts[usize::from(treatment)] += 1,
        }
    }
    assert_eq!(counts, [50, 25, 15, 10]);
    assert_eq!(plan.treatments[2].email.as_ref().unwrap().template.as_ref().unwrap().version, Some(2));
}

#[test]
fn each_reason_not_to_send_is_named_in_order() {
    let plan = plan(&request(r#","HoldoutPercent":10,"Limits":{"Daily":2,"Total":3}"#)).unwrap();
    let fresh = Received::default();
    assert_eq!(status(&plan, &endpoint(0), &fresh), SendStatus::Success);
    assert_eq!(status(&plan, &endpoint(95), &fresh), SendStatus::Holdout);
    let mut changed = endpoint(95);
    changed.opt_out = OptOut::All;
    assert_eq!(status(&plan, &changed, &fresh), SendStatus::OptOut);
    let mut changed = endpoint(0);
    changed.status = EndpointStatus::Inactive;
    assert_eq!(status(&plan, &changed, &fresh), SendStatus::Inactive);
    let mut changed = endpoint(0);
    changed.address = None;
    assert_eq!(status(&plan, &changed, &fresh), SendStatus::MissingAddress);
    let mut changed = endpoint(0);
    changed.channel_type = Some(ChannelType::Sms);
    assert_eq!(status(&plan, &changed, &fresh), SendStatus::ChannelMismatch);
    assert_eq!(
        decide(&plan, "c", Some(&endpoint(0)), &fresh, |_| false, NOW),
        Decision::Skip { treatment: 0, status: SendStatus::UnsupportedChannel }
    );
    assert_eq!(
        decide(&plan, "c", None, &fresh, |_| true, NOW),
        Decision::Skip { treatment: 0, status: SendStatus::EndpointDeleted }
    );
}

#[test]
fn caps_count_what_was_received() {
    let plan = plan(&request(r#","Limits":{"Daily":2,"Total":3}"#)).unwrap();
    let mut received = Received::default();
    received.count("c", NOW.minus(Duration::from_hours(30)));
    received.count("other", NOW);
    received.count("c", NOW);
    assert_eq!(received.recent.len(), 2, "what is older than a day is forgotten");
    assert_eq!(status(&plan, &endpoint(0), &received), SendStatus::Success);
    received.count("c", NOW);
    assert_eq!(status(&plan, &endpoint(0), &received), SendStatus::CampaignCap);
    let mut only_daily = plan.clone();
    only_daily.limits.total = None;
    assert_eq!(status(&only_daily, &endpoint(0), &received), SendStatus::DailyCap);
    let mut shared = only_daily.clone();
    shared.limits = Limits { daily: Some(3), daily_is_shared: true, ..Limits::default() };
    assert_eq!(status(&shared, &endpoint(0), &received), SendStatus::DailyCap, "all campaigns count");
}

#[test]
fn quiet_time_is_local_and_wraps_midnight() {
    let quiet = QuietTime::parse(Some("22:00"), Some("06:30")).unwrap().unwrap();
    let at = |text: &str| Timestamp::parse(text).unwrap();
    for (zone, instant, holds) in [
        (Some("Europe/Berlin"), "2026-07-01T20:00:00Z", true),
        (Some("Europe/Berlin"), "2026-07-01T19:59:00Z", false),
        (Some("Europe/Berlin"), "2026-01-01T20:30:00Z", false),
        (Some("Europe/Berlin"), "2026-07-02T04:30:59Z", true),
        (Some("Europe/Berlin"), "2026-07-02T04:31:00Z", false),
        (Some("Mars/Base"), "2026-07-01T22:00:00Z", false),
        (None, "2026-07-01T22:00:00Z", false),
    ] {
        assert_eq!(quiet.holds(zone, at(instant)), holds, "{zone:?} {instant}");
    }
    let all_day = QuietTime::parse(Some("00:00"), Some("23:59")).unwrap();
    let plan = Plan { quiet_time: all_day, ..plan(&request("")).unwrap() };
    let mut somewhere = endpoint(0);
    somewhere.demographic.timezone = Some("Asia/Tokyo".to_owned());
    assert_eq!(status(&plan, &somewhere, &Received::default()), SendStatus::QuietTime);
    assert_eq!(status(&plan, &endpoint(0), &Received::default()), SendStatus::Success);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (json, reason) in [
        (r#"{}"#.to_owned(), "Missing Name"),
        (r#"{"Name":"n"}"#.to_owned(), "Missing SegmentId"),
        (r#"{"Name":"n","SegmentId":"s"}"#.to_owned(), "Missing Schedule"),
        (
            r#"{"Name":"n","SegmentId":"s","Schedule":{"StartTime":"soon"}}"#.to_owned(),
            "Either MessageConfiguration",
        ),
        (request(r#","HoldoutPercent":101"#), "HoldoutPercent"),
        (request(r#","Limits":{"Daily":101}"#), "Daily"),
        (request(r#","Limits":{"MessagesPerSecond":0}"#), "MessagesPerSecond"),
        (request(r#","Limits":{"MaximumDuration":59}"#), "MaximumDuration"),
        (
            request(
                r#","HoldoutPercent":60,"AdditionalTreatments":[{"SizePercent":41,"MessageConfiguration":{"EmailMessage":{"Body":"b"}}}]"#,
            ),
            "more than 100",
        ),
    ] {
        let refusal = plan(&json).unwrap_err();
        assert!(refusal.0.contains(reason), "{json}: {refusal}");
    }
}

#[test]
fn a_late_run_starts_within_its_grace() {
    let plan = plan(&request("")).unwrap();
    assert!(plan.may_start(NOW, NOW.plus(START_GRACE)));
    assert!(!plan.may_start(NOW, NOW.plus(START_GRACE).plus(Duration::from_millis(1))));
    assert_eq!(plan.expires(NOW), Timestamp::MAX);
}
