use super::*;
use crate::endpoints::{EndpointStatus, EndpointUpdate, Invalid, document};
use crate::ids::{EndpointId, RequestId};

/// An audience of which everything is in memory: what is not there does not exist.
struct World {
    audience: Audience,
    key: AppKey,
    now: Timestamp,
}

impl World {
    fn new() -> Self {
        let key = AppKey { account: "123456789012".into(), app: "app".into() };
        Self { audience: Audience::default(), key, now: Timestamp(1_000) }
    }

    fn load(&mut self, missing: NotLoaded) {
        for row in missing.0 {
            match row {
                Row::Endpoint(id) => {
                    self.audience.endpoints.insert(id, Slot { value: None, dirty: false });
                }
                Row::User(id) => {
                    self.audience.users.insert(id, Slot { value: None, dirty: false });
                }
                Row::Address(channel, address) => {
                    self.audience.addresses.insert((channel, address), Slot { value: None, dirty: false });
                }
            }
        }
    }

    fn update(&mut self, id: &str, json: &str) -> Result<(), Invalid> {
        self.now.0 += 1;
        let parsed = EndpointUpdate::parse(json)?;
        parsed.check()?;
        let arrival = Arrival { at: self.now, request_id: RequestId::new("r") };
        loop {
            let outcome = update(&mut self.audience, &self.key, &EndpointId::new(id), &parsed, &arrival);
            match outcome {
                Ok(outcome) => return outcome,
                Err(missing) => self.load(missing),
            }
        }
    }

    fn get(&self, id: &str) -> &Endpoint {
        self.audience.endpoints[id].value.as_ref().unwrap()
    }

    fn show(&self, id: &str) -> serde_json::Value {
        let endpoint = self.get(id);
        let user =
            endpoint.user_id.as_ref().and_then(|user| self.audience.users[user.as_str()].value.as_ref());
        document(&self.key.app, endpoint, user)
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
    assert_eq!(world.audience.users["u"].value.as_ref().unwrap().endpoints.len(), 1);
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
    assert!(world.audience.endpoints["x"].value.is_none(), "a refusal makes nothing");
    let sandbox = world.update("x", r#"{"Address":"x","ChannelType":"APNS_SANDBOX","User":{"UserId":"u"}}"#);
    assert!(sandbox.is_err());
    world.update("y", r#"{"Address":"y","ChannelType":"APNS","User":{"UserId":"u"}}"#).unwrap();
    assert_eq!(world.get("e3").status, EndpointStatus::Inactive);
    assert_eq!(world.get("e3").user_id, None);
    assert_eq!(world.audience.users["u"].value.as_ref().unwrap().endpoints.len(), 15);
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
    block_attributes(&mut world.audience, AttributeKind::Endpoint, &["secret*".to_owned()]);
    world.update("e", r#"{"Attributes":{"secret_pin":["1"],"open":["2"]}}"#).unwrap();
    assert_eq!(world.show("e")["Attributes"], serde_json::json!({"open": ["2"]}));
    for number in 0..249 {
        world.update("e", &format!(r#"{{"Metrics":{{"m{number}":1}}}}"#)).unwrap();
    }
    assert!(world.update("e", r#"{"Metrics":{"one_more":1}}"#).unwrap_err().0.starts_with("Too many custom"));
    assert!(world.update("e", r#"{"Metrics":{"m1":5}}"#).is_ok());
}

#[test]
fn deleting_frees_the_address_and_the_user() {
    let mut world = World::new();
    world.update("a", r#"{"Address":"1","ChannelType":"SMS","User":{"UserId":"u"}}"#).unwrap();
    world.update("b", r#"{"Address":"2","ChannelType":"SMS","User":{"UserId":"u"}}"#).unwrap();
    let removed = delete_endpoint(&mut world.audience, "a").unwrap().unwrap();
    assert_eq!(removed.id.as_str(), "a");
    assert_eq!(delete_endpoint(&mut world.audience, "a").unwrap(), None);
    assert_eq!(delete_user(&mut world.audience, "u").unwrap(), 1);
    assert!(world.audience.users["u"].value.is_none());
    assert!(world.audience.addresses.values().all(|slot| slot.value.is_none()));
    assert_eq!(world.audience.summary.endpoints, 0);
    world.update("a", r#"{}"#).unwrap();
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
