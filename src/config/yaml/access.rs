//! The parts of lists, maps and choices, one after the other.

use super::deserialize::NodeReader;
use super::error::ReadError;
use super::reading::Reading;
use super::tree::{Entry, Kind, Node};
use crate::value::written::{Head, NODE, Shape};
use serde::de::value::{BytesDeserializer, StrDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

/// The elements of a list that are not set aside.
pub(super) struct Elements<'n> {
    rest: std::slice::Iter<'n, Node>,
    reading: &'n Reading,
}

impl<'n> Elements<'n> {
    pub fn new(elements: &'n [Node], reading: &'n Reading) -> Elements<'n> {
        Elements { rest: elements.iter(), reading }
    }
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = ReadError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReadError> {
        match self.rest.find(|node| !node.is_aside()) {
            Some(node) => seed.deserialize(NodeReader { node, reading: self.reading }).map(Some),
            None => Ok(None),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// The entries of a map that are not set aside.
pub(super) struct Entries<'n> {
    rest: std::slice::Iter<'n, Entry>,
    value: Option<&'n Node>,
    reading: &'n Reading,
}

impl<'n> Entries<'n> {
    pub fn new(entries: &'n [Entry], reading: &'n Reading) -> Entries<'n> {
        Entries { rest: entries.iter(), value: None, reading }
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = ReadError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReadError> {
        let Some(entry) = self.rest.find(|entry| !entry.value.is_aside()) else { return Ok(None) };
        self.value = Some(&entry.value);
        seed.deserialize(KeyReader(entry)).map(Some).map_err(|error| self.reading.settle_key(entry, error))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, ReadError> {
        match self.value.take() {
            Some(node) => seed.deserialize(NodeReader { node, reading: self.reading }),
            None => Err(ReadError::new("a value was asked for before its key", None)),
        }
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

/// A key: its text, and its place for those who ask.
#[derive(Clone, Copy)]
struct KeyReader<'n>(&'n Entry);

impl<'de> Deserializer<'de> for KeyReader<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_str(&self.0.key.text)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match name {
            NODE => visitor.visit_seq(KeyAttempts { key: self, head: Some(self.head()) }),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

impl KeyReader<'_> {
    fn head(self) -> [u8; 21] {
        Head { place: self.0.key.place, shape: Shape::Scalar }.to_bytes()
    }
}

/// What [`super::attempts::Attempts`] is for nodes; a key has nothing that could be set aside.
struct KeyAttempts<'n> {
    key: KeyReader<'n>,
    head: Option<[u8; 21]>,
}

impl<'de> SeqAccess<'de> for KeyAttempts<'_> {
    type Error = ReadError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReadError> {
        match self.head.take() {
            Some(head) => seed.deserialize(BytesDeserializer::new(&head)).map(Some),
            None => seed.deserialize(self.key).map(Some),
        }
    }
}

/// A choice written as its name alone.
pub(super) struct Unit<'n>(pub &'n str);

impl<'de, 'n> EnumAccess<'de> for Unit<'n> {
    type Error = ReadError;
    type Variant = Unit<'n>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Unit<'n>), ReadError> {
        let name: StrDeserializer<'_, ReadError> = self.0.into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl Unit<'_> {
    fn lacks_value(&self) -> ReadError {
        ReadError::new(format!("`{}` needs a value", self.0), Some(format!("write `{{ {}: … }}`", self.0)))
    }
}

impl<'de> VariantAccess<'de> for Unit<'_> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, _: S) -> Result<S::Value, ReadError> {
        Err(self.lacks_value())
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, ReadError> {
        Err(self.lacks_value())
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, ReadError> {
        Err(self.lacks_value())
    }
}

/// A choice written as a map of its name to its value.
pub(super) struct Variant<'n> {
    pub entry: &'n Entry,
    pub reading: &'n Reading,
}

impl<'n> Variant<'n> {
    fn value(&self) -> NodeReader<'n> {
        NodeReader { node: &self.entry.value, reading: self.reading }
    }
}

impl<'de, 'n> EnumAccess<'de> for Variant<'n> {
    type Error = ReadError;
    type Variant = Variant<'n>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Variant<'n>), ReadError> {
        let name = seed.deserialize(KeyReader(self.entry));
        Ok((name.map_err(|error| self.reading.settle_key(self.entry, error))?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        match self.entry.value.kind {
            Kind::Null => Ok(()),
            _ => {
                let name = &self.entry.key.text;
                let error = ReadError::new(format!("`{name}` takes no value"), Some(format!("write `{name}` alone")));
                Err(self.reading.settle_key(self.entry, error))
            }
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, ReadError> {
        seed.deserialize(self.value())
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, ReadError> {
        self.value().deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, ReadError> {
        self.value().deserialize_map(visitor)
    }
}
