//! Keys of maps, as serde reads them.

use super::error::ReadError;
use super::node::Key;
use super::read::Given;
use crate::value::written::{Head, NODE, Shape};
use serde::de::value::BytesDeserializer;
use serde::de::{DeserializeSeed, Deserializer, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

/// A key, which may be asked for its place.
#[derive(Clone, Copy)]
pub struct KeyAt<'n>(pub &'n Key);

impl<'de> Deserializer<'de> for KeyAt<'de> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_str(&self.0.text)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match name {
            NODE => visitor.visit_seq(KeyAttempt { key: self.0, head: Given::No }),
            _ => visitor.visit_newtype_struct(self),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq
        tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct KeyAttempt<'n> {
    key: &'n Key,
    head: Given,
}

impl<'de> SeqAccess<'de> for KeyAttempt<'de> {
    type Error = ReadError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReadError> {
        if self.head == Given::Yes {
            return seed.deserialize(KeyAt(self.key)).map(Some);
        }
        self.head = Given::Yes;
        let head = Head { place: self.key.place, shape: Shape::Scalar }.to_bytes();
        seed.deserialize(BytesDeserializer::<ReadError>::new(&head)).map(Some)
    }
}
