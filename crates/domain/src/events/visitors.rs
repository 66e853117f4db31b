//! Serde visitors that check a batch and keep nothing that is not needed.
//!
//! Building maps of attributes would cost two and a half times as much as checking them.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    EVENT_BYTES_MAX, EVENT_KEY_CHARACTERS_MAX, EVENT_KEYS_MAX, EVENT_VALUE_CHARACTERS_MAX, EndpointItem,
    EventBatch, EventFault, EventItem, Name, NameKind,
};
use crate::names::NameHashes;
use crate::time::Timestamp;

/// Reads a body. With `known`: collects names that are not among them.
pub(super) fn batch<'a>(
    body: &'a str,
    known: Option<&NameHashes>,
) -> Result<EventBatch<'a>, serde_json::Error> {
    let mut deserializer = serde_json::Deserializer::from_str(body);
    let items = BodySeed(known).deserialize(&mut deserializer)?;
    deserializer.end()?;
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
                event.new_names.clear();
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

/// The body: an object with a `BatchItem`.
struct BodySeed<'k>(Option<&'k NameHashes>);

impl<'de> DeserializeSeed<'de> for BodySeed<'_> {
    type Value = Vec<EndpointItem<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for BodySeed<'_> {
    type Value = Vec<EndpointItem<'de>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with a BatchItem")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut items = None;
        while let Some(Text(name)) = map.next_key()? {
            if name != "BatchItem" {
                map.next_value::<IgnoredAny>()?;
            } else if items.replace(map.next_value_seed(ItemsSeed(self.0))?).is_some() {
                return Err(A::Error::duplicate_field("BatchItem"));
            }
        }
        items.ok_or_else(|| A::Error::missing_field("BatchItem"))
    }
}

/// `BatchItem`: the items by endpoint id, in the order sent.
struct ItemsSeed<'k>(Option<&'k NameHashes>);

impl<'de> DeserializeSeed<'de> for ItemsSeed<'_> {
    type Value = Vec<EndpointItem<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ItemsSeed<'_> {
    type Value = Vec<EndpointItem<'de>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map of endpoint ids")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(Text(id)) = map.next_key()? {
            let (endpoint, events) = map.next_value_seed(ItemSeed(self.0))?;
            items.push(EndpointItem { id, endpoint, events });
        }
        Ok(items)
    }
}

/// What is said of one endpoint: its `Endpoint` and `Events`.
struct ItemSeed<'k>(Option<&'k NameHashes>);

impl<'de> DeserializeSeed<'de> for ItemSeed<'_> {
    type Value = (Option<&'de RawValue>, Vec<EventItem<'de>>);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ItemSeed<'_> {
    type Value = (Option<&'de RawValue>, Vec<EventItem<'de>>);

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object with Endpoint and Events")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut endpoint: Option<&'de RawValue> = None;
        let mut events = None;
        while let Some(Text(name)) = map.next_key()? {
            let is_twice = match &*name {
                "Endpoint" => endpoint.replace(map.next_value()?).is_some(),
                "Events" => events.replace(map.next_value_seed(EventsSeed(self.0))?).is_some(),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    false
                }
            };
            if is_twice {
                return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
            }
        }
        // Both must be there, if only as empty objects (spec/20-events.md §1).
        let endpoint = endpoint.ok_or_else(|| A::Error::missing_field("Endpoint"))?;
        let events = events.ok_or_else(|| A::Error::missing_field("Events"))?;
        Ok((Some(endpoint).filter(|raw| raw.get() != "null"), events))
    }
}

/// `Events`: by event id, in the order sent.
struct EventsSeed<'k>(Option<&'k NameHashes>);

impl<'de> DeserializeSeed<'de> for EventsSeed<'_> {
    type Value = Vec<EventItem<'de>>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EventsSeed<'_> {
    type Value = Vec<EventItem<'de>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map of event ids")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut events = Vec::new();
        while let Some(Text(id)) = map.next_key()? {
            events.push(map.next_value_seed(EventSeed(self.0))?.item(id));
        }
        Ok(events)
    }
}

/// An event while it is read: what is needed, and what was found wrong.
#[derive(Default)]
struct CheckedEvent<'a> {
    event_type: Option<Cow<'a, str>>,
    /// `None`: not sent.
    timestamp: Option<Result<Timestamp, EventFault>>,
    keys: KeyCheck<'a>,
    empty_sdk_version: bool,
    session_fault: Option<EventFault>,
}

impl<'a> CheckedEvent<'a> {
    fn item(self, id: Cow<'a, str>) -> EventItem<'a> {
        let fault = self.fault();
        let timestamp = self.timestamp.and_then(Result::ok).unwrap_or_default();
        let event_type = self.event_type.unwrap_or_default();
        let new_names = if fault.is_none() { self.keys.new_names } else { Vec::new() };
        EventItem { id, event_type, timestamp, fault, new_names }
    }

    fn fault(&self) -> Option<EventFault> {
        match &self.event_type {
            None => return Some(EventFault::MissingType),
            Some(name) if name.is_empty() => return Some(EventFault::MissingType),
            Some(name) if is_longer(name, EVENT_KEY_CHARACTERS_MAX) => return Some(EventFault::TypeTooLong),
            Some(_) => {}
        }
        match self.timestamp {
            None => return Some(EventFault::MissingTimestamp),
            Some(Err(fault)) => return Some(fault),
            Some(Ok(_)) => {}
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

struct EventSeed<'k>(Option<&'k NameHashes>);

impl<'de> DeserializeSeed<'de> for EventSeed<'_> {
    type Value = CheckedEvent<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EventSeed<'_> {
    type Value = CheckedEvent<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an event")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut event = CheckedEvent::default();
        while let Some(Text(name)) = map.next_key()? {
            read_member(&mut event, self.0, &name, &mut map)?;
        }
        Ok(event)
    }
}

fn read_member<'de, A: MapAccess<'de>>(
    event: &mut CheckedEvent<'de>,
    known: Option<&NameHashes>,
    name: &str,
    map: &mut A,
) -> Result<(), A::Error> {
    match name {
        "EventType" => {
            event.event_type = map.next_value::<Option<Text<'de>>>()?.map(|text| text.0);
            if let Some(event_type) = &event.event_type {
                event.keys.name(known, NameKind::Type, event_type.clone());
            }
        }
        "Timestamp" => {
            let text = map.next_value::<Option<Text<'de>>>()?;
            event.timestamp = text.map(|text| Timestamp::parse(&text.0).ok_or(EventFault::BadTimestamp));
        }
        "Attributes" => map.next_value_seed(OrNull(AttributesSeed(&mut event.keys, known)))?,
        "Metrics" => map.next_value_seed(OrNull(MetricsSeed(&mut event.keys, known)))?,
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
struct KeyCheck<'a> {
    count: usize,
    key_too_long: bool,
    value_too_long: bool,
    /// Names that are not known, the type's among them.
    new_names: Vec<Name<'a>>,
}

impl<'a> KeyCheck<'a> {
    fn key(&mut self, known: Option<&NameHashes>, kind: NameKind, key: Cow<'a, str>) {
        self.count += 1;
        self.key_too_long |= is_longer(&key, EVENT_KEY_CHARACTERS_MAX);
        self.name(known, kind, key);
    }

    fn name(&mut self, known: Option<&NameHashes>, kind: NameKind, name: Cow<'a, str>) {
        // An event with more names is refused anyway.
        if self.new_names.len() <= EVENT_KEYS_MAX
            && known.is_some_and(|known| !known.contains(kind as u8, &name))
        {
            self.new_names.push((kind, name));
        }
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

struct AttributesSeed<'c, 'de>(&'c mut KeyCheck<'de>, Option<&'c NameHashes>);

impl<'de> DeserializeSeed<'de> for AttributesSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for AttributesSeed<'_, 'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map of strings")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(key)) = map.next_key()? {
            self.0.key(self.1, NameKind::AttributeKey, key);
            if let Some(Text(value)) = map.next_value::<Option<Text<'de>>>()? {
                self.0.value_too_long |= is_longer(&value, EVENT_VALUE_CHARACTERS_MAX);
            }
        }
        Ok(())
    }
}

struct MetricsSeed<'c, 'de>(&'c mut KeyCheck<'de>, Option<&'c NameHashes>);

impl<'de> DeserializeSeed<'de> for MetricsSeed<'_, 'de> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MetricsSeed<'_, 'de> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map of numbers")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(Text(key)) = map.next_key()? {
            self.0.key(self.1, NameKind::MetricKey, key);
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
