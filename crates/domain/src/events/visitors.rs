//! Serde visitors that check a batch and keep nothing that is not needed.
//!
//! Building maps of attributes would cost two and a half times as much as checking them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    EVENT_BYTES_MAX, EVENT_KEY_CHARACTERS_MAX, EVENT_KEYS_MAX, EVENT_VALUE_CHARACTERS_MAX, EndpointItem,
    EventBatch, EventFault, EventItem,
};
use crate::time::Timestamp;

pub(super) fn batch(body: &str) -> Result<EventBatch<'_>, serde_json::Error> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Body<'a> {
        #[serde(borrow)]
        batch_item: Items<'a>,
    }
    let Body { batch_item: Items(items) } = serde_json::from_str(body)?;
    Ok(EventBatch { items })
}

/// Marks events above the size limit. Runs only on bodies that are large enough to hold one.
pub(super) fn mark_too_large(body: &str, batch: &mut EventBatch<'_>) {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Body<'a> {
        #[serde(borrow)]
        batch_item: BTreeMap<Text<'a>, Item<'a>>,
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Item<'a> {
        #[serde(borrow)]
        events: BTreeMap<Text<'a>, &'a RawValue>,
    }
    let Ok(sized) = serde_json::from_str::<Body<'_>>(body) else { return };
    for item in &mut batch.items {
        let Some(raw) = sized.batch_item.get(&Text(item.id.clone())) else { continue };
        for event in &mut item.events {
            let bytes = raw.events.get(&Text(event.id.clone())).map_or(0, |raw| raw.get().len());
            if bytes > EVENT_BYTES_MAX {
                event.fault = Some(EventFault::TooLarge);
            }
        }
    }
}

/// A text that is borrowed unless it holds an escape.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Borrow;
        impl<'de> Visitor<'de> for Borrow {
            type Value = Text<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
            fn visit_string<E>(self, text: String) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text)))
            }
        }
        deserializer.deserialize_str(Borrow)
    }
}

/// `BatchItem`: the items by endpoint id, in the order sent.
struct Items<'a>(Vec<EndpointItem<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Items<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ItemsVisitor;
        impl<'de> Visitor<'de> for ItemsVisitor {
            type Value = Items<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map of endpoint ids")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Items<'de>, A::Error> {
                #[derive(serde::Deserialize)]
                #[serde(rename_all = "PascalCase")]
                struct Item<'a> {
                    #[serde(borrow, default)]
                    endpoint: Option<&'a RawValue>,
                    #[serde(borrow)]
                    events: Events<'a>,
                }
                let mut items: Vec<EndpointItem<'de>> = Vec::new();
                while let Some(Text(id)) = map.next_key()? {
                    let Item { endpoint, events: Events(events) } = map.next_value()?;
                    let endpoint = endpoint.filter(|raw| raw.get() != "null");
                    items.push(EndpointItem { id, endpoint, events });
                }
                Ok(Items(items))
            }
        }
        deserializer.deserialize_map(ItemsVisitor)
    }
}

/// `Events`: by event id, in the order sent.
struct Events<'a>(Vec<EventItem<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Events<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EventsVisitor;
        impl<'de> Visitor<'de> for EventsVisitor {
            type Value = Events<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map of event ids")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Events<'de>, A::Error> {
                let mut events = Vec::new();
                while let Some(Text(id)) = map.next_key()? {
                    let event: CheckedEvent<'de> = map.next_value()?;
                    let fault = event.fault();
                    let timestamp = event.timestamp.flatten().unwrap_or_default();
                    let event_type = event.event_type.unwrap_or_default();
                    events.push(EventItem { id, event_type, timestamp, fault });
                }
                Ok(Events(events))
            }
        }
        deserializer.deserialize_map(EventsVisitor)
    }
}

/// An event while it is read: what is needed, and what was found wrong.
#[derive(Default)]
struct CheckedEvent<'a> {
    event_type: Option<Cow<'a, str>>,
    /// `Some(None)`: sent, and not a date.
    timestamp: Option<Option<Timestamp>>,
    keys: KeyCheck,
    empty_sdk_version: bool,
    session_fault: Option<EventFault>,
}

impl CheckedEvent<'_> {
    fn fault(&self) -> Option<EventFault> {
        match &self.event_type {
            None => return Some(EventFault::MissingType),
            Some(name) if name.is_empty() => return Some(EventFault::MissingType),
            Some(name) if is_longer(name, EVENT_KEY_CHARACTERS_MAX) => return Some(EventFault::TypeTooLong),
            Some(_) => {}
        }
        match self.timestamp {
            None => return Some(EventFault::MissingTimestamp),
            Some(None) => return Some(EventFault::BadTimestamp),
            Some(Some(_)) => {}
        }
        if self.keys.count > EVENT_KEYS_MAX {
            return Some(EventFault::TooManyKeys);
        }
        if self.keys.key_too_long {
            return Some(EventFault::KeyTooLong);
        }
        if self.keys.value_too_long {
            return Some(EventFault::ValueTooLong);
        }
        if self.empty_sdk_version {
            return Some(EventFault::EmptySdkVersion);
        }
        self.session_fault
    }
}

/// Longer than a number of characters; bytes bound characters from above, so most texts are not counted.
fn is_longer(text: &str, characters: usize) -> bool {
    text.len() > characters && text.chars().count() > characters
}

impl<'de: 'a, 'a> Deserialize<'de> for CheckedEvent<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EventVisitor;
        impl<'de> Visitor<'de> for EventVisitor {
            type Value = CheckedEvent<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an event")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<CheckedEvent<'de>, A::Error> {
                let mut event = CheckedEvent::default();
                while let Some(Text(name)) = map.next_key()? {
                    read_member(&mut event, &name, &mut map)?;
                }
                Ok(event)
            }
        }
        deserializer.deserialize_map(EventVisitor)
    }
}

fn read_member<'de, A: MapAccess<'de>>(
    event: &mut CheckedEvent<'de>,
    name: &str,
    map: &mut A,
) -> Result<(), A::Error> {
    match name {
        "EventType" => event.event_type = map.next_value::<Option<Text<'de>>>()?.map(|text| text.0),
        "Timestamp" => {
            let text = map.next_value::<Option<Text<'de>>>()?;
            event.timestamp = text.map(|text| Timestamp::parse(&text.0));
        }
        "Attributes" => map.next_value_seed(OrNull(AttributesSeed(&mut event.keys)))?,
        "Metrics" => map.next_value_seed(OrNull(MetricsSeed(&mut event.keys)))?,
        "Session" => {
            let session = map.next_value::<Option<Session<'de>>>()?;
            event.session_fault = session.and_then(|session| session.fault());
        }
        "ClientSdkVersion" => {
            let version = map.next_value::<Option<Text<'de>>>()?;
            event.empty_sdk_version = version.is_some_and(|version| version.0.is_empty());
        }
        "AppPackageName" | "AppTitle" | "AppVersionCode" | "SdkName" => {
            map.next_value::<Option<Text<'de>>>()?;
        }
        _ => {
            map.next_value::<IgnoredAny>()?;
        }
    }
    Ok(())
}

#[derive(Default)]
struct KeyCheck {
    count: usize,
    key_too_long: bool,
    value_too_long: bool,
}

impl KeyCheck {
    fn key(&mut self, key: &str) {
        self.count += 1;
        self.key_too_long |= is_longer(key, EVENT_KEY_CHARACTERS_MAX);
    }
}

/// Lets a map be null.
struct OrNull<S>(S);

impl<'de, S: DeserializeSeed<'de, Value = ()>> DeserializeSeed<'de> for OrNull<S> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        struct NullVisitor<S>(S);
        impl<'de, S: DeserializeSeed<'de, Value = ()>> Visitor<'de> for NullVisitor<S> {
            type Value = ();

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a map")
            }
            fn visit_none<E>(self) -> Result<(), E> {
                Ok(())
            }
            fn visit_unit<E>(self) -> Result<(), E> {
                Ok(())
            }
            fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
                self.0.deserialize(deserializer)
            }
        }
        deserializer.deserialize_option(NullVisitor(self.0))
    }
}

struct AttributesSeed<'c>(&'c mut KeyCheck);

impl<'de> DeserializeSeed<'de> for AttributesSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for AttributesSeed<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map of strings")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(key)) = map.next_key()? {
            self.0.key(&key);
            if let Some(Text(value)) = map.next_value::<Option<Text<'de>>>()? {
                self.0.value_too_long |= is_longer(&value, EVENT_VALUE_CHARACTERS_MAX);
            }
        }
        Ok(())
    }
}

struct MetricsSeed<'c>(&'c mut KeyCheck);

impl<'de> DeserializeSeed<'de> for MetricsSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MetricsSeed<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map of numbers")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(key)) = map.next_key()? {
            self.0.key(&key);
            map.next_value::<Option<f64>>()?;
        }
        Ok(())
    }
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Session<'a> {
    #[serde(borrow, default)]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    start_timestamp: Option<Text<'a>>,
    #[serde(borrow, default)]
    stop_timestamp: Option<Text<'a>>,
    #[serde(default)]
    duration: Option<i64>,
}

impl Session<'_> {
    fn fault(&self) -> Option<EventFault> {
        if self.id.as_ref().is_none_or(|id| id.0.is_empty()) {
            return Some(EventFault::MissingSessionId);
        }
        let Some(start) = &self.start_timestamp else { return Some(EventFault::MissingSessionStart) };
        let Some(start) = Timestamp::parse(&start.0) else { return Some(EventFault::BadSessionTimestamp) };
        let stop = match &self.stop_timestamp {
            None => None,
            Some(text) => match Timestamp::parse(&text.0) {
                None => return Some(EventFault::BadSessionTimestamp),
                parsed => parsed,
            },
        };
        match (stop, self.duration) {
            (Some(stop), Some(duration)) if stop.0 - start.0 != duration => {
                Some(EventFault::WrongSessionDuration)
            }
            _ => None,
        }
    }
}
