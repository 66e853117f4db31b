//! Lenient reading of `map<string, list<string>>`: attributes of endpoints and users, and substitutions of messages.
//!
//! SDKs send lists, but AWS's own guide and the clients written after it send `{"FirstName": "Wang"}`. A bare value
//! counts as a list of one, `null` as an empty list; numbers and booleans become their JSON text.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, de};

type Attributes = BTreeMap<String, Vec<String>>;

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Attributes>, D::Error> {
    let attributes = Option::<BTreeMap<String, Values>>::deserialize(deserializer)?;
    Ok(attributes.map(|map| map.into_iter().map(|(name, Values(values))| (name, values)).collect()))
}

struct Values(Vec<String>);

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut values = Vec::new();
        let place = Place { values: &mut values, in_list: false };
        de::DeserializeSeed::deserialize(place, deserializer)?;
        Ok(Self(values))
    }
}

/// Reads one value and appends it: a scalar as one text, `null` as none, a list (but not one in a list) item by item.
struct Place<'v> {
    values: &'v mut Vec<String>,
    in_list: bool,
}

impl<'de> de::DeserializeSeed<'de> for Place<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> de::Visitor<'de> for Place<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.in_list { "a string" } else { "a list of strings" })
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        if self.in_list {
            return Err(de::Error::invalid_type(de::Unexpected::Seq, &self));
        }
        while items.next_element_seed(Place { values: &mut *self.values, in_list: true })?.is_some() {}
        Ok(())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        self.values.push(value.to_owned());
        Ok(())
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.values.push(value.to_string());
        Ok(())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.values.push(value.to_string());
        Ok(())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.values.push(value.to_string());
        Ok(())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.values.push(value.to_string());
        Ok(())
    }

    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }
}
