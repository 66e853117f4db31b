use std::collections::BTreeMap;

use super::*;
use crate::endpoints::{Demographic, Invalid, Location};
use crate::ids::{EndpointId, RequestId};

const NOW: Timestamp = Timestamp(1_790_000_000_000);

fn plan(json: &str) -> Result<Plan, Invalid> {
    Plan::parse(&serde_json::from_str(json).unwrap())
}

/// A campaign with these messages and templates.
fn saying(messages: &str) -> Result<Plan, Invalid> {
    plan(&format!(r#"{{"Name":"n","SegmentId":"s","Schedule":{{"StartTime":"IMMEDIATE"}},{messages}}}"#))
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
        address: Some("a@b.c".into()),
        user_id: None,
        attributes: BTreeMap::default(),
        metrics: BTreeMap::default(),
        demographic: Demographic::default(),
        location: Location::default(),
        loose_user_attributes: BTreeMap::default(),
        last_effective_date: None,
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
    let template = plan.treatments[2].email.as_ref().unwrap().template.clone().unwrap();
    assert_eq!(template.version, TemplateVersion::Number(2));
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
    changed.channel_type = None;
    assert_eq!(status(&plan, &changed, &fresh), SendStatus::MissingChannel);
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
    received.count("c", &plan.limits, NOW.minus(Duration::from_hours(30)));
    received.count("other", &plan.limits, NOW);
    received.count("unlimited", &Limits::default(), NOW);
    received.count("c", &plan.limits, NOW);
    assert_eq!(received.recent.len(), 3, "what is older than a day is forgotten");
    let totals = |received: &Received| received.totals.clone();
    let counted = |campaign: &str, total: u32| (campaign.to_owned(), total);
    assert_eq!(totals(&received), [counted("c", 2), counted("other", 1)], "nothing asks for the third");
    received.forget(|campaign| campaign == "other");
    assert_eq!(totals(&received), [counted("c", 2)]);
    assert_eq!(status(&plan, &endpoint(0), &received), SendStatus::Success);
    received.count("c", &plan.limits, NOW);
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
    somewhere.demographic.timezone = Some("Asia/Tokyo".into());
    assert_eq!(status(&plan, &somewhere, &Received::default()), SendStatus::QuietTime);
    assert_eq!(status(&plan, &endpoint(0), &Received::default()), SendStatus::Success);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (json, reason) in [
        ("{}".to_owned(), "Missing Name"),
        (r#"{"Name":"n"}"#.to_owned(), "Missing SegmentId"),
        (r#"{"Name":"n","SegmentId":"s"}"#.to_owned(), "Missing Schedule"),
        (r#"{"Name":"n","SegmentId":"s","Schedule":{"StartTime":"soon"}}"#.to_owned(), "StartTime"),
        (
            r#"{"Name":"n","SegmentId":"s","Schedule":{"StartTime":"2026-12-01T10:00:00Z","EndTime":"2026-12-01T10:00:00Z"}}"#
                .to_owned(),
            "EndTime must lie after StartTime",
        ),
        (
            request(r#","AdditionalTreatments":[{"SizePercent":10}]"#),
            "Each treatment needs a message",
        ),
        (
            request(r#","AdditionalTreatments":[{"SizePercent":10,"MessageConfiguration":{"SMSMessage":{}}}]"#),
            "Each treatment needs a message",
        ),
        (request(r#","HoldoutPercent":101"#), "HoldoutPercent"),
        (request(r#","Limits":{"Daily":101}"#), "Daily"),
        (request(r#","Limits":{"Daily":-1}"#), "Daily"),
        (request(r#","Limits":{"MessagesPerSecond":-1}"#), "MessagesPerSecond"),
        (request(r#","Limits":{"MessagesPerSecond":20001}"#), "MessagesPerSecond"),
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

#[test]
fn a_start_that_comes_to_nothing_is_refused() {
    let minutes = |minutes: u64| NOW.plus(Duration::from_mins(minutes));
    let plan = Plan { end: Some(minutes(30)), ..plan(&request("")).unwrap() };
    assert_eq!(plan.check_start(minutes(20), NOW), Ok(()));
    assert_eq!(plan.check_start(NOW.minus(START_GRACE), NOW), Ok(()));
    let earlier = NOW.minus(START_GRACE).minus(Duration::from_millis(1));
    assert_eq!(plan.check_start(earlier, NOW), Err(Invalid::new("StartTime lies too far in the past")));
    for (due, now) in [(minutes(30), NOW), (NOW, minutes(30))] {
        assert_eq!(plan.check_start(due, now), Err(Invalid::new("EndTime lies in the past")));
    }
    let mut impatient = Plan { end: None, ..plan };
    impatient.limits.maximum_duration_seconds = Some(60);
    assert!(impatient.check_start(NOW, minutes(2)).is_err());
}

#[test]
fn what_is_mailed_comes_from_the_message_the_template_or_the_default() {
    let default = r#""DefaultMessage":{"Title":"dt","Body":"db"}"#;
    let template = r#""TemplateConfiguration":{"EmailTemplate":{"Name":"x"}}"#;
    for (messages, expected) in [
        (format!(r#""MessageConfiguration":{{{default}}}"#), [None, Some("dt"), None, Some("db")]),
        (
            format!(r#""MessageConfiguration":{{{default},"EmailMessage":{{"FromAddress":"f"}}}}"#),
            [Some("f"), Some("dt"), None, Some("db")],
        ),
        (
            format!(r#""MessageConfiguration":{{{default},"EmailMessage":{{"Title":"t","HtmlBody":"h"}}}}"#),
            [None, Some("t"), Some("h"), None],
        ),
        (
            format!(r#""MessageConfiguration":{{{default},"EmailMessage":{{"Body":"b"}}}}"#),
            [None, Some("dt"), None, Some("b")],
        ),
        (
            r#""MessageConfiguration":{"DefaultMessage":{"Body":"db"},"EmailMessage":{}}"#.to_owned(),
            [None, None, None, Some("db")],
        ),
        // The template is for mail, the default for all: it gives way.
        (format!(r#""MessageConfiguration":{{{default}}},{template}"#), [None; 4]),
        (
            format!(r#""MessageConfiguration":{{"EmailMessage":{{"FromAddress":"f"}}}},{template}"#),
            [Some("f"), None, None, None],
        ),
    ] {
        let plan = saying(&messages).unwrap_or_else(|refusal| panic!("{messages}: {refusal}"));
        let EmailContent { from, subject, html, text, .. } = plan.treatments[0].email.as_ref().unwrap();
        assert_eq!([from, subject, html, text].map(Option::as_deref), expected, "{messages}");
    }
    let incomplete = saying(r#""MessageConfiguration":{"EmailMessage":{"Title":"t"}}"#).unwrap_err();
    assert!(incomplete.0.contains("HtmlBody or Body"), "{incomplete}");
    let header =
        r#""MessageConfiguration":{"EmailMessage":{"Body":"b","Headers":[{"Name":"Bcc","Value":"x"}]}}"#;
    assert!(saying(header).unwrap_err().0.contains("Bcc"));
}

#[test]
fn a_channel_with_a_message_that_cannot_be_sent_is_unsupported() {
    let fresh = Received::default();
    for (messages, channel, expected) in [
        (
            r#""MessageConfiguration":{"SMSMessage":{"Body":"b"}}"#,
            ChannelType::Sms,
            SendStatus::UnsupportedChannel,
        ),
        (
            r#""MessageConfiguration":{"SMSMessage":{"Body":"b"}}"#,
            ChannelType::Email,
            SendStatus::ChannelMismatch,
        ),
        (
            r#""MessageConfiguration":{"SMSMessage":{"Body":"b"}}"#,
            ChannelType::Gcm,
            SendStatus::ChannelMismatch,
        ),
        (
            r#""MessageConfiguration":{"DefaultMessage":{"Body":"b"}}"#,
            ChannelType::Sms,
            SendStatus::UnsupportedChannel,
        ),
        (
            r#""MessageConfiguration":{"DefaultMessage":{"Body":"b"}}"#,
            ChannelType::Email,
            SendStatus::Success,
        ),
        (
            r#""MessageConfiguration":{"DefaultMessage":{"RawContent":"{}"}}"#,
            ChannelType::Email,
            SendStatus::ChannelMismatch,
        ),
        (
            r#""MessageConfiguration":{"APNSMessage":{"Body":"b"}}"#,
            ChannelType::ApnsVoipSandbox,
            SendStatus::UnsupportedChannel,
        ),
        (
            r#""TemplateConfiguration":{"PushTemplate":{"Name":"x"}}"#,
            ChannelType::Baidu,
            SendStatus::UnsupportedChannel,
        ),
        (
            r#""TemplateConfiguration":{"PushTemplate":{"Name":"x"}}"#,
            ChannelType::Sms,
            SendStatus::ChannelMismatch,
        ),
        (
            r#""MessageConfiguration":{"CustomMessage":{"Data":"d"}},
               "CustomDeliveryConfiguration":{"DeliveryUri":"f","EndpointTypes":["EMAIL"]}"#,
            ChannelType::Email,
            SendStatus::UnsupportedChannel,
        ),
    ] {
        let plan = saying(messages).unwrap_or_else(|refusal| panic!("{messages}: {refusal}"));
        let changed = Endpoint { channel_type: Some(channel), ..endpoint(0) };
        assert_eq!(status(&plan, &changed, &fresh), expected, "{messages} {channel}");
    }
    // An endpoint of an app has no address.
    let in_app = saying(r#""MessageConfiguration":{"InAppMessage":{"Layout":"CAROUSEL"}}"#).unwrap();
    let changed = Endpoint { channel_type: Some(ChannelType::InApp), address: None, ..endpoint(0) };
    assert_eq!(status(&in_app, &changed, &fresh), SendStatus::UnsupportedChannel);
    for nothing in [
        r#""MessageConfiguration":{}"#,
        r#""MessageConfiguration":{"EmailMessage":{},"DefaultMessage":{}},"TemplateConfiguration":{"EmailTemplate":{}}"#,
        r#""TemplateConfiguration":{"VoiceTemplate":{"Name":"x"}}"#,
    ] {
        assert!(saying(nothing).unwrap_err().0.contains("Each treatment needs a message"), "{nothing}");
    }
}

#[test]
fn a_zero_is_a_limit_that_says_none_or_a_number_that_says_nothing() {
    let zeros = r#","Limits":{"Daily":0,"Total":0,"MessagesPerSecond":0,"MaximumDuration":0}"#;
    let own = plan(&request(zeros)).unwrap().limits;
    let silent = plan(&request("")).unwrap().limits;
    let defaults = Limits {
        daily: Some(1),
        total: Some(2),
        messages_per_second: Some(3),
        maximum_duration_seconds: Some(60),
        daily_is_shared: false,
    };
    let rates = |limits: &Limits| (limits.messages_per_second, limits.maximum_duration_seconds);
    let in_force = own.or_defaults(&defaults);
    assert_eq!((in_force.daily, in_force.total, in_force.daily_is_shared), (None, None, false));
    assert_eq!(rates(&in_force), (Some(3), Some(60)));
    let in_force = silent.or_defaults(&defaults);
    assert_eq!((in_force.daily, in_force.total, in_force.daily_is_shared), (Some(1), Some(2), true));
    // An application whose own limits are zeros has none.
    let in_force = silent.or_defaults(&own);
    assert_eq!(in_force, Limits::default());
}

#[test]
fn a_hook_that_filters_is_refused_and_an_empty_one_is_none() {
    let hook = |json: &str| serde_json::from_str::<model::pinpoint::CampaignHook>(json).unwrap();
    let (lambda, url) = (r#""LambdaFunctionName":"f""#, r#""WebUrl":"https://x""#);
    for (json, is_taken) in [
        ("{}".to_owned(), true),
        (r#"{"Mode":"FILTER"}"#.to_owned(), true),
        (r#"{"Mode":"FILTER","LambdaFunctionName":"","WebUrl":""}"#.to_owned(), true),
        (format!(r#"{{"Mode":"DELIVERY",{lambda}}}"#), true),
        (format!(r#"{{"Mode":"FILTER",{lambda}}}"#), false),
        (format!(r#"{{"Mode":"FILTER",{url}}}"#), false),
        // It filters unless it says otherwise.
        (format!("{{{lambda}}}"), false),
    ] {
        let parsed = plan(&request(&format!(r#","Hook":{json}"#)));
        assert_eq!(parsed.is_ok(), is_taken, "{json}");
        if let Err(refusal) = parsed {
            assert!(refusal.0.contains("not supported yet in this version"), "{refusal}");
        }
        assert_eq!(check_inherited_hook(None, Some(&hook(&json))).is_ok(), is_taken, "{json}");
        assert_eq!(check_inherited_hook(Some(&hook("{}")), Some(&hook(&json))).is_ok(), is_taken, "{json}");
    }
    // The campaign's own hook stands in place of the application's.
    let own = hook(&format!(r#"{{"Mode":"DELIVERY",{lambda}}}"#));
    let filters = hook(&format!(r#"{{"Mode":"FILTER",{lambda}}}"#));
    assert_eq!(check_inherited_hook(Some(&own), Some(&filters)), Ok(()));
}

#[test]
fn a_treatment_may_repeat_the_campaigns_schedule() {
    let with = |own: &str, of_treatment: &str| {
        plan(&format!(
            r#"{{"Name":"n","SegmentId":"s","Schedule":{{{own}}},
                "MessageConfiguration":{{"EmailMessage":{{"Body":"b"}}}},
                "AdditionalTreatments":[{{"SizePercent":10,"Schedule":{{{of_treatment}}},
                    "MessageConfiguration":{{"EmailMessage":{{"Body":"c"}}}}}}]}}"#
        ))
    };
    let sent = r#""StartTime":"2026-12-01T10:00:00Z""#;
    let filled_in = r#""StartTime":"2026-12-01T11:00:00+01:00","Timezone":"UTC","IsLocalTime":false,
        "QuietTime":{},"Frequency":"ONCE""#;
    for (own, of_treatment) in [(sent, sent), (filled_in, sent), (sent, filled_in)] {
        assert!(with(own, of_treatment).is_ok(), "{of_treatment}");
    }
    for other in [
        r#""StartTime":"2026-12-01T10:00:01Z""#,
        r#""StartTime":"IMMEDIATE""#,
        r#""StartTime":"2026-12-01T10:00:00Z","EndTime":"2026-12-02T10:00:00Z""#,
        r#""StartTime":"2026-12-01T10:00:00Z","QuietTime":{"Start":"20:00","End":"08:00"}"#,
        r#""StartTime":"2026-12-01T10:00:00Z","Timezone":"UTC+01""#,
    ] {
        let refusal = with(sent, other).unwrap_err();
        assert!(refusal.0.contains("Schedule of its own"), "{other}: {refusal}");
    }
}

#[test]
fn a_template_is_named_with_or_without_a_version() {
    for (version, expected) in [
        (None, Some(TemplateVersion::Active)),
        (Some(""), Some(TemplateVersion::Active)),
        (Some("latest"), Some(TemplateVersion::Latest)),
        (Some("LATEST"), Some(TemplateVersion::Latest)),
        (Some("7"), Some(TemplateVersion::Number(7))),
        (Some("newest"), None),
    ] {
        let template =
            model::pinpoint::Template { name: Some("x".to_owned()), version: version.map(str::to_owned) };
        assert_eq!(parse_template(&template).ok().map(|it| it.version), expected, "{version:?}");
    }
    assert!(parse_template(&model::pinpoint::Template::default()).is_err());
}
