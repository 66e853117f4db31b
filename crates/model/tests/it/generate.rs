//! Makes random values of any type that can be deserialised, by being a deserialiser that makes its input up.
//!
//! The same seed makes the same value. Options are sometimes none, enums any of their variants, texts full of what
//! JSON has to escape; below [`DEPTH_MAX`] nothing optional is made, so that recursive types end.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::value::{Error, StrDeserializer};
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess,
    SeqAccess, Visitor,
};
use serde::forward_to_deserialize_any;

const DEPTH_MAX: usize = 12;
const ITEMS_MAX: u64 = 3;
const CHARS_MAX: u64 = 6;
const ALPHABET: &[&str] = &[
    "a", "Z", "0", " ", "\"", "\\", "/", "\n", "\u{1}", "\u{7f}", "%", "+", "&", "=", "ä", "\u{2028}", "漢",
    "🙂", "e\u{301}",
];

pub(crate) fn generate<T: DeserializeOwned>(seed: u64) -> T {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    T::deserialize(Generator { random: &mut random, depth: 0 }).expect("a type that cannot be made up")
}

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: u64) -> u64 {
        (self.next() >> 11) % limit
    }

    fn text(&mut self) -> String {
        let length = self.below(CHARS_MAX + 1);
        (0..length).map(|_| ALPHABET[self.below(ALPHABET.len() as u64) as usize]).collect()
    }

    /// Small, large and in between, so that all widths are seen.
    fn integer(&mut self) -> i64 {
        let shift = self.below(64);
        (self.next() as i64) >> shift
    }
}

struct Generator<'r> {
    random: &'r mut Random,
    depth: usize,
}

impl Generator<'_> {
    fn within(&mut self) -> Generator<'_> {
        Generator { random: &mut *self.random, depth: self.depth + 1 }
    }

    fn items(&mut self) -> Items<'_> {
        let left = if self.depth >= DEPTH_MAX { 0 } else { self.random.below(ITEMS_MAX + 1) };
        Items { generator: self.within(), left }
    }
}

impl<'de> Deserializer<'de> for Generator<'_> {
    type Error = Error;

    /// Only attribute values ask for this: a list of texts, or one by itself.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.random.below(4) == 0 {
            return visitor.visit_string(self.random.text());
        }
        let texts: Vec<String> = (0..self.random.below(ITEMS_MAX + 1)).map(|_| self.random.text()).collect();
        texts.into_deserializer().deserialize_any(visitor)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_bool(self.random.below(2) == 0)
    }

    fn deserialize_i32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_i32(self.random.integer() as i32)
    }

    fn deserialize_i64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_i64(self.random.integer())
    }

    /// Finite: JSON has no other numbers.
    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let any = f64::from_bits(self.random.next());
        visitor.visit_f64(if any.is_finite() { any } else { 0.0 })
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_string(self.random.text())
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_string(self.random.text())
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        if self.depth >= DEPTH_MAX || self.random.below(3) == 0 {
            return visitor.visit_none();
        }
        visitor.visit_some(self.within())
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        if name == "Blob" {
            let text = STANDARD.encode(self.random.text());
            return visitor.visit_newtype_struct(text.into_deserializer());
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(self.items())
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_map(self.items())
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_map(Fields { generator: self.within(), fields })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        let variant = variants[self.random.below(variants.len() as u64) as usize];
        visitor.visit_enum(Variant(variant))
    }

    forward_to_deserialize_any! {
        i8 i16 i128 u8 u16 u32 u64 u128 f32 char bytes byte_buf unit unit_struct tuple tuple_struct identifier
        ignored_any
    }
}

struct Items<'r> {
    generator: Generator<'r>,
    left: u64,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(self.generator.within()).map(Some)
    }
}

impl<'de> MapAccess<'de> for Items<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        self.next_element_seed(seed)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(self.generator.within())
    }
}

struct Fields<'r> {
    generator: Generator<'r>,
    fields: &'static [&'static str],
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Error> {
        let Some((field, rest)) = self.fields.split_first() else { return Ok(None) };
        self.fields = rest;
        seed.deserialize(StrDeserializer::new(field)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(self.generator.within())
    }
}

struct Variant(&'static str);

impl<'de> EnumAccess<'de> for Variant {
    type Error = Error;
    type Variant = UnitVariant;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, UnitVariant), Error> {
        Ok((seed.deserialize(StrDeserializer::new(self.0))?, UnitVariant))
    }
}

/// All enums of the model are closed lists of texts.
struct UnitVariant;

impl<'de> serde::de::VariantAccess<'de> for UnitVariant {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _seed: T) -> Result<T::Value, Error> {
        Err(Error::custom("a variant with content"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> Result<V::Value, Error> {
        Err(Error::custom("a variant with content"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Error> {
        Err(Error::custom("a variant with content"))
    }
}
