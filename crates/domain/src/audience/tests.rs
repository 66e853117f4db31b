use serde_json::json;

use super::*;
use crate::endpoints::{ENDPOINT_BYTES_MAX, EndpointStatus, EndpointUpdate, Invalid, document};
use crate::ids::{EndpointId, RequestId};

/// An audience of which everything is in memory: what is not there does not exist.
struct World {
    audience: Audience,
    key: AppKey,
    now: Timestamp,
    may_create: bool,
}

impl World {
    fn new() -> Self {
        let key = AppKey { account: "123456789012".into(), app: "app".into() };
        Self { audience: Audience::default(), key, now: Timestamp(1_000), may_create: true }
    }

    fn load(&mut self, missing: NotLoaded) {
        for row in missing.0 {
            self.audience.load(row.absent());
        }
    }

    fn update(&mut self, id: &str, json: &str) -> Result<(), Invalid> {
        let parsed = EndpointUpdate::parse(json)?;
        parsed.check()?;
        let arrival = self.arrival();
        self.fold(|audience, key| update(audience, key, &EndpointId::new(id), &mut parsed.clone(), &arrival))
    }

    fn touch(&mut self, id: &str) -> Result<(), Invalid> {
        let arrival = self.arrival();
        self.fold(|audience, key| touch(audience, key, &EndpointId::new(id), &arrival))
    }

    fn arrival(&mut self) -> Arrival {
        self.now.0 += 1;
        let request_id = RequestId::new(format!("r{}", self.now.0));
        Arrival { at: self.now, request_id, may_create: self.may_create }
    }

    fn fold(
        &mut self,
        decide: impl Fn(&mut Audience, &AppKey) -> Result<Result<(), Invalid>, NotLoaded>,
    ) -> Result<(), Invalid> {
        loop {
            match decide(&mut self.audience, &self.key) {
                Ok(outcome) => return outcome,
                Err(missing) => self.load(missing),
            }
        }
    }

    fn get(&self, id: &str) -> &Endpoint {
        self.audience.endpoints.get(id).unwrap()
    }

    fn show(&self, id: &str) -> serde_json::Value {
        let endpoint = self.get(id);
        let user = endpoint.user_id.as_ref().and_then(|user| self.audience.users.get(user.as_str()));
        document(&self.key.app, endpoint, user.map(|user| &**user))
    }
}

#[test]
fn members_merge_by_name_and_value_lists_are_replaced() {
    let mut world = World::new();
    world
        .update(
            "E1",
            r#"{"Address":"a@b.c","ChannelType":"EMAIL","Attributes":{"Ride":["Bus","Tram"],"Bare":"x","Gone":["y"]},
                "Metrics":{"m":1.5},"Demographic":{"Make":"A","Model":"M"},"Location":{"Latitude":47.61,"City":"S"}}"#,
        )
        .unwrap();
    world
        .update(
            "e1",
            r#"{"Attributes":{"Ride":["Car"],"Gone":[]},"Metrics":{"n":2},"Demographic":{"Make":"B"},"Location":{"City":"T"}}"#,
        )
        .unwrap();
    let shown = world.show("e1");
    assert_eq!(shown["Id"], "E1");
    assert_eq!(shown["Attributes"], serde_json::json!({"Ride": ["Car"], "Bare": ["x"]}));
    assert_eq!(shown["Metrics"], serde_json::json!({"m": 1.5, "n": 2.0}));
    assert_eq!(shown["Demographic"], serde_json::json!({"Make": "B", "Model": "M"}));
    assert_eq!(shown["Location"], serde_json::json!({"City": "T", "Latitude": 47.6}));
    assert_eq!(shown["User"], serde_json::json!({}));
    assert_eq!(shown["OptOut"], "NONE");
    assert_eq!(world.audience.summary.endpoints, 1);
}

#[test]
fn an_update_activates_unless_it_says_otherwise() {
    let mut world = World::new();
    world.update("e", r#"{"Address":"1","ChannelType":"SMS"}"#).unwrap();
    world.update("e", r#"{"EndpointStatus":"INACTIVE"}"#).unwrap();
    assert_eq!(world.get("e").status, EndpointStatus::Inactive);
    assert_eq!(world.get("e").address.as_deref(), Some("1"));
    world.update("e", r#"{"Attributes":{"a":["b"]}}"#).unwrap();
    assert_eq!(world.get("e").status, EndpointStatus::Active);
}

#[test]
fn an_empty_update_activates_and_a_touch_does_not() {
    let mut world = World::new();
    world.update("e", r#"{"Address":"1","ChannelType":"SMS"}"#).unwrap();
    world.update("e", r#"{"EndpointStatus":"INACTIVE"}"#).unwrap();
    let before = world.get("e").clone();
    world.touch("E").unwrap();
    assert_eq!(*world.get("e"), before);
    assert_eq!(world.audience.activity[&before.ordinal], world.now);
    world.update("e", "{}").unwrap();
    let expected = Endpoint {
        status: EndpointStatus::Active,
        effective_date: world.now,
        request_id: RequestId::new(format!("r{}", world.now.0)),
        ..before
    };
    assert_eq!(*world.get("e"), expected);
    world.touch("new").unwrap();
    assert_eq!(world.get("new").created, world.now);
}

#[test]
fn nobody_becomes_inactive_by_an_older_date() {
    let mut world = World::new();
    let dated = |day: u32| format!(r#"{{"EffectiveDate":"2026-09-{day:02}T00:00:00Z"}}"#);
    let day = |day: u32| Timestamp::parse(&format!("2026-09-{day:02}T00:00:00Z")).unwrap();
    // The first date is the only one there was, whenever it came.
    world.update("e", &dated(3)).unwrap();
    assert_eq!((world.get("e").effective_date, world.get("e").last_active()), (day(3), day(3)));
    for (given, last) in [(9, 9), (5, 9), (7, 9), (12, 12), (1, 12)] {
        world.update("e", &dated(given)).unwrap();
        let endpoint = world.get("e");
        assert_eq!((endpoint.effective_date, endpoint.last_active()), (day(given), day(last)), "{given}");
    }
}

#[test]
fn an_account_at_its_quota_makes_no_endpoint_and_changes_those_that_exist() {
    let mut world = World::new();
    world.update("a", r#"{"Address":"1","ChannelType":"SMS"}"#).unwrap();
    world.may_create = false;
    for refusal in [world.update("b", "{}"), world.touch("b")] {
        assert_eq!(refusal.unwrap_err().0, TOO_MANY_ENDPOINTS);
    }
    assert_eq!(world.audience.summary.endpoints, 1);
    assert!(world.audience.new_ordinals.len() == 1 && world.audience.endpoints.get("b").is_none());
    world.update("A", r#"{"Address":"2"}"#).unwrap();
    world.touch("a").unwrap();
    assert_eq!(world.get("a").address.as_deref(), Some("2"));
}

#[test]
fn the_newest_claim_on_an_address_wins() {
    let mut world = World::new();
    world.update("a", r#"{"Address":"+1","ChannelType":"SMS"}"#).unwrap();
    world.update("b", r#"{"Address":"+1","ChannelType":"SMS"}"#).unwrap();
    world.update("c", r#"{"Address":"+1","ChannelType":"VOICE"}"#).unwrap();
    assert_eq!(world.get("a").status, EndpointStatus::Inactive);
    assert_eq!(world.get("b").status, EndpointStatus::Active);
    assert_eq!(world.get("c").status, EndpointStatus::Active);
    world.update("b", r#"{"Address":"+2"}"#).unwrap();
    world.update("a", r#"{"EndpointStatus":"ACTIVE"}"#).unwrap();
    assert_eq!(world.get("a").status, EndpointStatus::Active);
    assert_eq!(world.get("b").status, EndpointStatus::Active);
}

#[test]
fn mail_addresses_are_claimed_in_any_case_and_shown_as_sent() {
    let mut world = World::new();
    world.update("a", r#"{"Address":"Ann@Example.com","ChannelType":"EMAIL"}"#).unwrap();
    world.update("b", r#"{"Address":"ann@example.COM","ChannelType":"EMAIL"}"#).unwrap();
    assert_eq!(world.get("a").status, EndpointStatus::Inactive);
    assert_eq!(world.get("a").address.as_deref(), Some("Ann@Example.com"));
    assert_eq!(world.get("b").address.as_deref(), Some("ann@example.COM"));
    // Another spelling of the own address is no other address.
    world.update("b", r#"{"Address":"ANN@example.com"}"#).unwrap();
    assert_eq!(world.get("b").status, EndpointStatus::Active);
    assert_eq!(world.audience.addresses.len(), 1);
    delete_endpoint(&mut world.audience, &"b".into()).unwrap().unwrap();
    assert!(
        world.audience.settle(1).addresses.iter().all(|row| row.value.is_none()),
        "nobody holds it any more"
    );
    // A device's token is another one in other letters.
    world.update("c", r#"{"Address":"Token","ChannelType":"GCM"}"#).unwrap();
    world.update("d", r#"{"Address":"token","ChannelType":"GCM"}"#).unwrap();
    assert_eq!(world.get("c").status, EndpointStatus::Active);
}

#[test]
fn user_attributes_are_shared_and_loose_ones_move_to_the_user() {
    let mut world = World::new();
    world.update("a", r#"{"User":{"UserAttributes":{"Age":["30"]}}}"#).unwrap();
    assert_eq!(world.show("a")["User"], serde_json::json!({"UserAttributes": {"Age": ["30"]}}));
    world.update("a", r#"{"User":{"UserId":"u"}}"#).unwrap();
    world.update("b", r#"{"User":{"UserId":"u","UserAttributes":{"City":["Ulm"]}}}"#).unwrap();
    for id in ["a", "b"] {
        let user = &world.show(id)["User"];
        assert_eq!(
            *user,
            serde_json::json!({"UserId": "u", "UserAttributes": {"Age": ["30"], "City": ["Ulm"]}}),
            "{id}"
        );
    }
    world.update("b", r#"{"User":{"UserId":""}}"#).unwrap();
    assert_eq!(world.show("b")["User"], serde_json::json!({}));
    assert_eq!(world.audience.users.get("u").unwrap().endpoints.len(), 1);
}

#[test]
fn the_sixteenth_endpoint_of_a_user_is_refused_or_displaces_the_oldest_push_endpoint() {
    let mut world = World::new();
    for number in 0..15 {
        let channel = if number == 3 || number == 7 { "GCM" } else { "EMAIL" };
        let json = format!(r#"{{"Address":"{number}","ChannelType":"{channel}","User":{{"UserId":"u"}}}}"#);
        world.update(&format!("e{number}"), &json).unwrap();
    }
    let refused = world.update("x", r#"{"Address":"x","ChannelType":"EMAIL","User":{"UserId":"u"}}"#);
    assert_eq!(refused.unwrap_err().0, "Exceeded maximum endpoint per user count: 15");
    assert!(world.audience.endpoints.get("x").is_none(), "a refusal makes nothing");
    let sandbox = world.update("x", r#"{"Address":"x","ChannelType":"APNS_SANDBOX","User":{"UserId":"u"}}"#);
    assert!(sandbox.is_err());
    world.update("y", r#"{"Address":"y","ChannelType":"APNS","User":{"UserId":"u"}}"#).unwrap();
    assert_eq!(world.get("e3").status, EndpointStatus::Inactive);
    assert_eq!(world.get("e3").user_id, None);
    assert_eq!(world.audience.users.get("u").unwrap().endpoints.len(), 15);
    // The one that gave way comes back with another token; whoever has its old one now takes nothing from it.
    world.update("e3", r#"{"Address":"new","ChannelType":"GCM"}"#).unwrap();
    world.update("z", r#"{"Address":"3","ChannelType":"GCM"}"#).unwrap();
    assert_eq!(world.get("e3").status, EndpointStatus::Active);
    assert_eq!(world.get("z").status, EndpointStatus::Active);
}

#[test]
fn what_is_missing_is_named() {
    let mut world = World::new();
    assert_eq!(world.update("e", r#"{"Address":"a"}"#).unwrap_err().0, "Missing ChannelType");
    assert_eq!(
        world.update("e", r#"{"OptOut":"ALL","ChannelType":"EMAIL"}"#).unwrap_err().0,
        "Missing Address"
    );
    assert!(world.update("e", r#"{"OptOut":"NONE","ChannelType":"IN_APP"}"#).is_ok());
    assert!(world.update("e", r#"{"ChannelType":"FAX"}"#).unwrap_err().0.contains("unknown ChannelType"));
    assert!(world.update("e", r#"{"EndpointStatus":"SLEEPING"}"#).is_err());
}

#[test]
fn an_application_keeps_at_most_250_names_and_blocked_names_are_not_captured() {
    let mut world = World::new();
    block_attributes(&mut world.audience, AttributeKind::Endpoint, &["secret*".to_owned()]).unwrap();
    world.update("e", r#"{"Attributes":{"secret_pin":["1"],"open":["2"]}}"#).unwrap();
    assert_eq!(world.show("e")["Attributes"], serde_json::json!({"open": ["2"]}));
    for number in 0..249 {
        world.update("e", &format!(r#"{{"Metrics":{{"m{number}":1}}}}"#)).unwrap();
    }
    assert!(world.update("e", r#"{"Metrics":{"one_more":1}}"#).unwrap_err().0.starts_with("Too many custom"));
    assert!(world.update("e", r#"{"Metrics":{"m1":5}}"#).is_ok());
    // A blocked name is counted no longer; its like of another kind is.
    let before = world.get("e").metrics.clone();
    world.audience.settle(1);
    block_attributes(&mut world.audience, AttributeKind::Metric, &["m1".to_owned(), "m20*".to_owned()])
        .unwrap();
    assert!(world.audience.names_changed);
    assert_eq!(world.audience.summary.names.len(), 250 - 12);
    assert_eq!(world.get("e").metrics, before, "values stay");
    for number in 0..12 {
        world.update("e", &format!(r#"{{"Attributes":{{"m{number}":"x"}}}}"#)).unwrap();
    }
    assert!(world.update("e", r#"{"Metrics":{"one_more":1}}"#).is_err());
    assert!(world.update("e", r#"{"Metrics":{"m1":7,"m200":7}}"#).is_ok(), "blocked, so not captured");
    assert_eq!(world.get("e").metrics, before);
}

#[test]
fn an_endpoint_has_a_size_and_an_update_adds_at_most_its_own() {
    let values = |count: usize| vec!["x".repeat(100); count];
    let mut world = World::new();
    world.update("e", "{}").unwrap();
    let updates = [
        json!({"Attributes": {"list": values(50)}, "Address": "a@b.c", "ChannelType": "EMAIL"}),
        json!({"Metrics": {"m": 1, "n": 2}, "Location": {"City": "Ulm", "Latitude": 48.4}}),
        json!({"Demographic": {"Make": "M".repeat(1_000), "Locale": "de_DE"}}),
        json!({"User": {"UserAttributes": {"loose": values(40)}}}),
        json!({"Attributes": {"list": values(10)}}),
        json!({"User": {"UserId": "somebody", "UserAttributes": {"more": values(50)}}}),
        json!({"User": {"UserId": "", "UserAttributes": {"loose": values(50)}}}),
    ];
    for update in updates {
        let before = world.get("e").bytes();
        let parsed = EndpointUpdate::parse(&update.to_string()).unwrap();
        world.update("e", &update.to_string()).unwrap();
        let after = world.get("e").bytes();
        assert!(after <= before + parsed.bytes(), "{before} + {} < {after}: {update}", parsed.bytes());
    }
    let text = "x".repeat(ENDPOINT_BYTES_MAX);
    for too_large in [
        json!({"Attributes": {"a": values(50), "b": values(50), "c": values(50)}}),
        json!({"User": {"UserAttributes": {"a": values(50), "b": values(50), "c": values(10)}}}),
        json!({"Demographic": {"Model": text}}),
        json!({"Location": {"City": text}}),
        json!({"Address": text}),
    ] {
        let before = world.get("e").clone();
        let refusal = world.update("e", &too_large.to_string()).unwrap_err();
        assert_eq!(refusal.0, "Endpoint is larger than 15360 bytes");
        assert_eq!(*world.get("e"), before);
    }
}

#[test]
fn deleting_frees_the_address_and_the_user() {
    let mut world = World::new();
    world.update("a", r#"{"Address":"1","ChannelType":"SMS","User":{"UserId":"u"}}"#).unwrap();
    world.update("b", r#"{"Address":"2","ChannelType":"SMS","User":{"UserId":"u"}}"#).unwrap();
    let removed = delete_endpoint(&mut world.audience, &"a".into()).unwrap().unwrap();
    assert_eq!(removed.id.as_str(), "a");
    assert_eq!(delete_endpoint(&mut world.audience, &"a".into()).unwrap(), None);
    assert_eq!(delete_user(&mut world.audience, "u").unwrap(), 1);
    assert!(world.audience.users.is_loaded("u") && world.audience.users.get("u").is_none());
    assert!(world.audience.settle(1).addresses.iter().all(|row| row.value.is_none()));
    assert_eq!(world.audience.summary.endpoints, 0);
    world.update("a", "{}").unwrap();
    assert_eq!(world.get("a").ordinal, 2, "ordinals are never given out again");
}

#[test]
fn cohorts_are_spread_evenly() {
    let key = World::new().key;
    let mut counts = [0u32; 100];
    for number in 0..20_000 {
        counts[usize::from(cohort(&key, &format!("endpoint-{number}"), Timestamp(number)))] += 1;
    }
    assert!(counts.iter().all(|&count| (130..=270).contains(&count)), "{counts:?}");
}

#[test]
fn globs_match_as_expected() {
    for (pattern, name, matches) in [
        ("*", "", true),
        ("a*c", "abbc", true),
        ("a*c", "abb", false),
        ("a?c", "abc", true),
        ("a?c", "ac", false),
        ("*a*b*", "xxaxxbxx", true),
        ("", "a", false),
    ] {
        assert_eq!(glob_matches(pattern, name), matches, "{pattern} {name}");
    }
}

#[test]
fn the_rows_that_one_update_changes_are_bounded_and_counted() {
    let mut world = World::new();
    // As large as rows can be: many short values, which cost their lengths too, and long ids.
    let attributes = |prefix: &str| {
        let values = vec!["v"; crate::endpoints::ATTRIBUTE_VALUES_MAX];
        let names = (0..80).map(|number| (format!("{prefix}{number}"), serde_json::json!(values)));
        serde_json::Value::Object(names.collect())
    };
    let id =
        |number: usize| format!("{number}{}", "ä".repeat(crate::endpoints::ENDPOINT_ID_CHARACTERS_MAX - 2));
    let mut fat = serde_json::json!({"ChannelType": "GCM", "Attributes": attributes("a")});
    fat["User"] = serde_json::json!({"UserId": "one", "UserAttributes": attributes("u")});
    for number in 0..crate::endpoints::ENDPOINTS_PER_USER_MAX {
        fat["Address"] = format!("{number}{}", "x".repeat(8_000)).into();
        world.update(&id(number), &fat.to_string()).unwrap();
    }
    fat["User"] = serde_json::json!({"UserId": "two", "UserAttributes": attributes("u")});
    fat["Address"] = "other".into();
    world.update(&id(90), &fat.to_string()).unwrap();
    world.audience.settle(1);
    // Moves to the user of the others, one of which gives way, and takes the address of another.
    let moves = serde_json::json!({"User": {"UserId": "one"}, "Address": format!("7{}", "x".repeat(8_000))});
    world.update(&id(90), &moves.to_string()).unwrap();
    let bytes = world.audience.dirty_bytes();
    assert!((UPDATE_BYTES_MAX / 4..=UPDATE_BYTES_MAX).contains(&bytes), "{bytes}");
    // Once more changes the same rows: they are counted once.
    world.update(&id(90), r#"{"OptOut":"ALL"}"#).unwrap();
    assert_eq!(world.audience.dirty_bytes(), bytes);
    world.audience.settle(1);
    assert_eq!(world.audience.dirty_bytes(), 0);
}

#[test]
fn a_user_has_a_size_too() {
    let mut world = World::new();
    let names =
        |prefix: &str| (0..80).map(|number| (format!("{prefix}{number}"), "x".repeat(100).into())).collect();
    let update = |prefix: &str| {
        let attributes = serde_json::Value::Object(names(prefix));
        serde_json::json!({"User": {"UserId": "u", "UserAttributes": attributes}}).to_string()
    };
    world.update("e", &update("a")).unwrap();
    world.update("e", &update("a")).unwrap();
    let Invalid(message) = world.update("e", &update("b")).unwrap_err();
    assert!(message.starts_with("User attributes are larger than 15360 bytes"), "{message}");
}

#[test]
fn a_deleted_application_is_not_changed_any_more() {
    let mut world = World::new();
    world.update("e", r#"{"Address":"a@b.c","ChannelType":"EMAIL","User":{"UserId":"u"}}"#).unwrap();
    world.audience.settle(1);
    Arc::make_mut(&mut world.audience.summary).deleted = true;
    assert!(world.update("e", r#"{"OptOut":"ALL"}"#).is_err());
    assert_eq!(delete_endpoint(&mut world.audience, &"e".into()).unwrap(), None);
    assert_eq!(delete_user(&mut world.audience, "u").unwrap(), 0);
    block_attributes(&mut world.audience, AttributeKind::Endpoint, &["*".to_owned()]).unwrap();
    assert_eq!(world.audience.dirty_bytes(), 0);
    assert!(!world.audience.summary_dirty && world.audience.summary.blocked.is_empty());
}

#[test]
fn what_is_blocked_has_a_size_too() {
    let mut world = World::new();
    let patterns =
        |from: usize| (from..from + 100).map(|number| format!("{number}{}", "x".repeat(100))).collect();
    let mut block =
        |patterns: Vec<String>| block_attributes(&mut world.audience, AttributeKind::Metric, &patterns);
    block(patterns(100)).unwrap();
    block(patterns(100)).unwrap();
    let Invalid(message) = block(patterns(200)).unwrap_err();
    assert!(message.starts_with("Too many attributes are removed"), "{message}");
    assert_eq!(world.audience.summary.blocked[&AttributeKind::Metric].len(), 100);
}
