//! The stored bytes of every type, and of every kind of record in the log: a layout that changes unseen would turn what users
//! have into something else.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use domain::audience::{Address, AppKey, AttributeKind, Ordinals, Summary};
use domain::campaigns::{Limits, QuietTime, Received, ReceivedRow};
use domain::channels::ChannelType;
use domain::endpoints::{Demographic, Endpoint, EndpointStatus, Location, OptOut, Text, User, Values};
use domain::events::EventNames;
use domain::records::{
    self, Body as RecordBody, CampaignRef, Deletion, EndpointItem, ImportPiece, KeptAnswer, Outcomes, Record,
    SendStatus,
};
use domain::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{accounts, audiences, campaigns, definitions, due, events, expiries, invocations, jobs, outbox};
use crate::Shard;
use crate::value::golden;

const AT: Timestamp = Timestamp(1_795_766_400_123);
const LATER: Timestamp = Timestamp(1_795_852_800_456);

fn app() -> AppKey {
    AppKey { account: "123456789012".into(), app: "0a1b2c".into() }
}

/// A value whose members are nobody else's business.
fn built<T: DeserializeOwned>(document: Value) -> T {
    serde_json::from_value(document).unwrap()
}

fn attributes() -> BTreeMap<Text, Values> {
    let values = |list: &[&str]| list.iter().copied().map(Text::from).collect::<Values>();
    [("plan".into(), values(&["pro"])), ("interests".into(), values(&["tea", "Müsli"]))].into()
}

#[test]
fn rows_of_an_audience() {
    let endpoint = Endpoint {
        id: "Endpoint-1".into(),
        ordinal: 300,
        cohort: 99,
        created: AT,
        effective_date: LATER,
        request_id: "request".into(),
        status: EndpointStatus::Inactive,
        opt_out: OptOut::All,
        channel_type: Some(ChannelType::Email),
        address: Some("jane@example.com".into()),
        user_id: Some("user".into()),
        attributes: attributes(),
        metrics: [("age".into(), 17.0), ("balance".into(), -5.25)].into(),
        demographic: Demographic {
            app_version: Some("1.0".into()),
            locale: Some("de_DE".into()),
            make: Some("maker".into()),
            model: None,
            model_version: Some("2".into()),
            platform: Some("android".into()),
            platform_version: Some("14".into()),
            timezone: Some("Europe/Berlin".into()),
        },
        location: Location {
            city: Some("Berlin".into()),
            country: Some("DE".into()),
            latitude: Some(52.5),
            longitude: Some(13.4),
            postal_code: None,
            region: Some("BE".into()),
        },
        loose_user_attributes: attributes(),
        last_effective_date: Some(LATER),
    };
    golden::check("endpoint", &endpoint);
    let endpoints = BTreeSet::from(["endpoint-1".to_owned(), "endpoint-2".to_owned()]);
    golden::check("user", &User { attributes: attributes(), endpoints });
    let mut summary = Summary {
        next_ordinal: 301,
        endpoints: 2,
        blocked: [(AttributeKind::User, BTreeSet::from(["old*".to_owned()]))].into(),
        deleted: true,
        ..Summary::default()
    };
    summary
        .names
        .extend([(AttributeKind::Endpoint, "plan".to_owned()), (AttributeKind::Metric, "age".to_owned())]);
    golden::check("summary", &summary);
    golden::check("ordinals", &built::<Ordinals>(json!({"ids": "endpoint-1b", "ends": [10, 10, 11]})));
    golden::check("endpoint_ref", &audiences::EndpointRef("endpoint-1".into()));
    golden::check("instant", &audiences::Instant(AT));
}

#[test]
fn rows_of_campaigns() {
    let limits = Limits {
        daily: Some(3),
        total: Some(0),
        messages_per_second: Some(50),
        maximum_duration_seconds: Some(3_600),
        daily_is_shared: true,
    };
    let state = campaigns::CampaignState {
        status: campaigns::Status::PendingNextRun,
        version: 2,
        is_paused: true,
        due: Some(LATER),
        run: Some("run".into()),
        runs: 7,
        default_limits: limits.clone(),
        default_quiet_time: Some(QuietTime { start_minute: 1_320, end_minute: 390 }),
        fault: Some("the segment is gone".into()),
    };
    golden::check("campaign_state", &state);
    let run = campaigns::Run {
        id: "run".into(),
        campaign: "campaign".into(),
        version: 2,
        scheduled: AT,
        started: LATER,
        expires: Timestamp::MAX,
        audience: 1_000_000,
        chunks: vec![0, 3],
        next_ordinal: 4_000,
        pages: 4,
        paged: 3_999,
    };
    golden::check("run", &run);
    golden::check("chunk", &campaigns::Chunk(vec![0, 1, 255]));
    let progress = campaigns::Progress {
        run: "run".into(),
        scheduled: AT,
        started: AT,
        ended: Some(LATER),
        audience: 100,
        done: 99,
        treatments: vec![BTreeMap::new(), [(SendStatus::Success, 98), (SendStatus::Holdout, 1)].into()],
    };
    golden::check("progress", &progress);
    let mut received = Received::default();
    received.count("campaign", &limits, AT);
    let row = ReceivedRow::default().with([(17, received)].into(), AT);
    golden::check("received_row", &row);
}

#[test]
fn rows_of_the_outbox() {
    let campaign = outbox::Source::Campaign { campaign: "campaign".into(), version: 2, run: "run".into() };
    let recipients = vec![
        outbox::Recipient::Ordinal(300),
        outbox::Recipient::Endpoint { endpoint: "endpoint-1".into(), user: Some("user".into()) },
        outbox::Recipient::Address("jane@example.com".into()),
    ];
    let page = outbox::Page {
        id: "page.retry".into(),
        app: app(),
        lane: outbox::Lane::Campaign,
        source: campaign.clone(),
        attempt: 2,
        created: AT,
        expires: LATER,
        recipients: recipients.clone(),
    };
    golden::check("page", &page);
    let delivery = |recipient, skipped| outbox::Delivery {
        id: "delivery".into(),
        recipient,
        endpoint: "Endpoint-1".into(),
        ordinal: Some(300),
        address: "jane@example.com".into(),
        channel: Some(ChannelType::Email),
        treatment: 1,
        skipped,
        detail: "why".into(),
    };
    let skipped = [None, Some(SendStatus::Holdout), Some(SendStatus::Cancelled)];
    let intent = outbox::Intent {
        app: app(),
        page: "page".into(),
        from: 100,
        lane: outbox::Lane::Transactional,
        source: outbox::Source::Direct { request: "request".into() },
        attempt: 1,
        expires: LATER,
        at: AT,
        deliveries: recipients.into_iter().zip(skipped).map(|(it, skipped)| delivery(it, skipped)).collect(),
    };
    golden::check("intent", &intent);
    let outcome = outbox::Outcome {
        endpoint: "Endpoint-1".into(),
        address: "jane@example.com".into(),
        campaign: Some("campaign".into()),
        run: Some("run".into()),
        treatment: 1,
        status: SendStatus::Success,
        attempt: 2,
        code: Some(250),
        detail: "taken".into(),
        sent: AT,
    };
    golden::check("outcome", &outcome);
    golden::check("request", &outbox::Request("{\"Addresses\":{}}".into()));
    golden::check("claimed", &outbox::Claimed(300));
}

#[test]
fn rows_of_definitions_and_jobs() {
    let head = definitions::Head {
        id: "Segment".into(),
        created: AT,
        modified: LATER,
        latest: 3,
        active: 2,
        tags: [("team".to_owned(), "growth".to_owned())].into(),
    };
    golden::check("head", &head);
    let body = definitions::Body { version: 3, created: AT, modified: LATER, document: "{}".into() };
    golden::check("body", &body);
    let state = jobs::JobState {
        status: jobs::JobStatus::Failed,
        created: AT,
        completed: Some(LATER),
        pieces: 2,
        processed: 1_998,
        failed: 2,
        failures: vec!["line 3: no address".into()],
        channels: vec![("EMAIL".into(), 1_998)],
    };
    golden::check("job_state", &state);
    let tasks = [
        due::Task::CampaignStart { campaign: "campaign".into() },
        due::Task::CampaignStep { campaign: "campaign".into(), run: "run".into() },
        due::Task::ImportJob { job: "job".into() },
        due::Task::ExportJob { job: "job".into() },
        due::Task::PurgeApp,
        due::Task::EraseApp { record: 300, from: vec![1, 2] },
    ];
    for (number, task) in tasks.into_iter().enumerate() {
        golden::check(&format!("due_{number}"), &due::Due { app: app(), task, scheduled: AT });
    }
}

#[test]
fn rows_of_the_directory() {
    let key = accounts::AccessKey {
        account: "123456789012".into(),
        name: "phone".into(),
        sealed_secret: vec![1, 2, 255],
        policy: Some("{\"Statement\":[]}".into()),
        created: AT,
        disabled: true,
    };
    golden::check("access_key", &key);
    golden::check("account", &accounts::Account { created: AT });
    golden::check("answer", &invocations::Answer { status: 201, body: b"{}".to_vec(), expires: LATER });
    golden::check("count", &events::Count(300));
    golden::check("cursor", &events::Cursor { next: 300, window_start: 200 });
    golden::check(
        "event_names",
        &built::<EventNames>(json!([["cart_updated"], ["screen"], ["price", "tax"]])),
    );
}

/// The bytes of a record in the log, by its kind.
fn check_record(name: &str, body: RecordBody<'_>) {
    let record = Record { account: "123456789012", app: "0a1b2c", request_id: "request", body };
    let bytes = record.encode();
    golden::check_bytes(&format!("record_{name}"), bytes[0], &bytes);
    assert_eq!(Record::decode(&bytes).unwrap(), record, "{name}");
}

#[test]
fn records_of_the_log() {
    check_record("events", RecordBody::Events { json: "{\"BatchItem\":{}}" });
    check_record("events_of_known", RecordBody::EventsOfKnown { json: "{}" });
    check_record("endpoints", RecordBody::Endpoints { items: vec![EndpointItem { id: "E", json: "{}" }] });
    check_record("endpoint_deleted", RecordBody::EndpointDeleted { endpoint: "endpoint-1" });
    check_record("user_deleted", RecordBody::UserDeleted { user: "user" });
    let answer = KeptAnswer { row: b"row", status: 202, body: b"{}", expires: LATER };
    let of = Deletion::Endpoint("endpoint-1");
    check_record("endpoint_deletion_answered", RecordBody::AnsweredDeletion { of, answer: answer.clone() });
    let of = Deletion::User("user");
    check_record("user_deletion_answered", RecordBody::AnsweredDeletion { of, answer });
    let patterns = vec!["old*", "plan"];
    check_record(
        "attributes_blocked",
        RecordBody::AttributesBlocked { kind: AttributeKind::Metric, patterns },
    );
    check_record("app_deleted", RecordBody::AppDeleted);
    let piece = ImportPiece {
        job: "job",
        number: 2,
        segment: Some(("segment", 1)),
        endpoints: vec![EndpointItem { id: "E", json: "{}" }],
        users: vec!["user"],
        register: true,
        failed: 1,
        failures: vec!["line 3"],
        last: Some(false),
    };
    check_record("import", RecordBody::Import { piece: piece.clone() });
    check_record("import_of_known", RecordBody::ImportOfKnown { piece });
    let outcome = records::Outcome {
        delivery_id: "delivery",
        endpoint: "Endpoint-1",
        ordinal: Some(300),
        address: "jane@example.com",
        channel: Some(ChannelType::Email),
        treatment: 1,
        status: SendStatus::Deferred,
        attempt: 2,
        code: Some(451),
        detail: "later",
        sent: AT,
        retry_at: Some(LATER),
    };
    let campaign = Some(CampaignRef { campaign: "campaign", version: 2, run: "run" });
    let outcomes = Outcomes { page: "page", from: 100, campaign, items: vec![outcome] };
    check_record("outcomes", RecordBody::Outcomes { outcomes });
}

/// Words are stored by position: more may be added at the end, and nothing else.
#[test]
fn words_keep_their_positions() {
    let statuses = "Success FailurePermanent TransientFailure Deferred Unknown Holdout DailyCap CampaignCap QuietTime OptOut \
                    Inactive MissingAddress ChannelMismatch UnsupportedChannel Expired DuplicateAddress RenderingFailure \
                    EndpointDeleted Throttled MissingChannel Cancelled";
    check_positions(statuses, &SendStatus::ALL);
    let channels =
        "Push Gcm Apns ApnsSandbox ApnsVoip ApnsVoipSandbox Adm Sms Voice Email Baidu Custom InApp";
    check_positions(channels, &ChannelType::ALL);
}

fn check_positions<T: Serialize + Debug>(names: &str, words: &[T]) {
    for (position, name) in names.split_whitespace().enumerate() {
        assert_eq!(format!("{:?}", words[position]), name);
        assert_eq!(postcard::to_allocvec(&words[position]).unwrap(), [position as u8], "{name}");
    }
}

/// Where each row is: bytes of keys are as much a format as those of values.
#[test]
fn keys_keep_their_layout() {
    let (app, shard) = (app(), Shard(0));
    let queue = outbox::Queue { app: app.clone(), campaign: "campaign".into() };
    let address = Address { channel: ChannelType::Email, folded: "jane@example.com".into() };
    let long = Address { channel: ChannelType::Gcm, folded: "x".repeat(513).into() };
    let invocation = invocations::key("CPKA", "CreateApp", "invocation", 300);
    let apps = definitions::apps("123456789012");
    let keys = [
        ("account", accounts::account_key(&"123456789012".into())),
        ("access key", accounts::access_key_key("CPKA")),
        ("answer", invocation.clone()),
        ("expiry", expiries::key(AT, &invocation)),
        ("app", apps.head_key("0a1b2c")),
        ("app, a version", apps.body_key("0a1b2c", 2)),
        ("settings", definitions::settings("123456789012").head_key("0a1b2c")),
        ("channel", definitions::channels("123456789012", "0a1b2c").head_key("email")),
        ("template", definitions::templates("123456789012", "EMAIL").head_key("welcome")),
        ("segment", definitions::segments("123456789012", "0a1b2c").head_key("segment")),
        ("campaign", definitions::campaigns("123456789012", "0a1b2c").head_key("campaign")),
        ("job", definitions::jobs("123456789012", "0a1b2c", "import").head_key("job")),
        ("endpoint", audiences::endpoint_key(&app, "endpoint-1")),
        ("user", audiences::user_key(&app, "user")),
        ("address", audiences::address_key(&app, &address)),
        ("address, a long one", audiences::address_key(&app, &long)),
        ("ordinals", audiences::ordinals_key(&app, 300)),
        ("summary", audiences::summary_key(&app)),
        ("activity", audiences::activity_key(&app, 300)),
        ("cursor", events::cursor_key(shard)),
        ("event names", events::names_key(&app)),
        ("event count", events::count_key(&app, 20_784, "viewed")),
        ("campaign state", campaigns::state_key(&app, "campaign")),
        ("run", campaigns::run_key(&app, "run")),
        ("chunk", campaigns::chunk_key(&app, "run", 300)),
        ("progress", campaigns::progress_key(&app, "campaign", "run")),
        ("received", campaigns::received_key(&app, 300)),
        ("job state", jobs::state_key(&app, "import", "job")),
        ("member", jobs::member_key(&app, "segment", 2, 300)),
        ("member, a user", jobs::member_user_key(&app, "segment", 2, "user")),
        ("page", outbox::pages_of_queue(shard, outbox::Lane::Campaign, &queue).number(300).text("page")),
        ("request", outbox::request_key(shard, "request")),
        ("claimed", outbox::claimed_key(shard, "page")),
        ("intent", outbox::intent_key(shard, "page", 300)),
        ("outcome", outbox::outcome_key(&app, "endpoint-1", "delivery")),
        ("unknown", outbox::unknown_key(&app, "delivery")),
    ];
    let shown: String =
        keys.map(|(name, key)| format!("{name}: {}\n", key.as_bytes().escape_ascii())).concat();
    golden::check_text("keys", &shown);
}
