//! A value and the place it was written at.

use super::Place;
use super::written::{Head, NODE, Node, ReadNode, read_node};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::{Borrow, Cow};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::marker::PhantomData;
use std::ops::Deref;

/// A value with its place. Equal and hashed by the value alone, so that the same text read from two files is equal.
#[derive(Clone, Copy, Default)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it is written.
    pub place: Place,
}

impl<T> Spanned<T> {
    /// A value that was written at `place`.
    pub fn new(value: T, place: Place) -> Spanned<T> {
        Spanned { value, place }
    }

    /// A value that stands in no file.
    pub fn nowhere(value: T) -> Spanned<T> {
        Spanned { value, place: Place::NOWHERE }
    }
}

impl Spanned<String> {
    /// Where that many characters of a text stand. A text in quotes begins behind the first; one over several lines, or
    /// with escapes in it, is only shown as a whole.
    pub fn within(&self, offset: usize) -> Place {
        let written = usize::try_from(self.place.len).unwrap_or(usize::MAX);
        match written.checked_sub(self.value.len()) {
            _ if !self.value.is_ascii() || self.value.contains('\n') => self.place,
            Some(0) => self.place.skip(offset),
            Some(2) => self.place.skip(offset + 1),
            Some(_) | None => self.place,
        }
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: PartialEq> PartialEq for Spanned<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Eq> Eq for Spanned<T> {}

impl<T: Hash> Hash for Spanned<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.value.hash(state);
    }
}

impl Borrow<str> for Spanned<String> {
    fn borrow(&self) -> &str {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: fmt::Display> fmt::Display for Spanned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Locate<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> ReadNode<'de> for Locate<T> {
            type Value = Spanned<T>;

            fn read<N: Node<'de>>(self, head: Head, mut node: N) -> Result<Spanned<T>, N::Error> {
                Ok(Spanned { value: node.value()?, place: head.place })
            }
        }
        read_node(deserializer, NODE, Locate(PhantomData))
    }
}

impl<T: Serialize> Serialize for Spanned<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

impl<T: JsonSchema> JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}
