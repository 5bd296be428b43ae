//! A map from names to values that keeps order and the places of the names.

use super::written::Salvaged;
use super::{Place, Spanned};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::marker::PhantomData;

/// Values by name, in the order written. A name occurs once.
#[derive(Clone)]
pub struct Named<T> {
    entries: Vec<(Spanned<String>, T)>,
    index: HashMap<String, usize>,
}

impl<T> Named<T> {
    /// Adds a value; answers with the place of the earlier one, and leaves it, when the name is taken.
    pub fn insert(&mut self, name: Spanned<String>, value: T) -> Result<(), Place> {
        if let Some((first, _)) = self.index.get(&name.value).and_then(|at| self.entries.get(*at)) {
            return Err(first.place);
        }
        self.index.insert(name.value.clone(), self.entries.len());
        self.entries.push((name, value));
        Ok(())
    }

    /// The value of that name.
    pub fn get(&self, name: &str) -> Option<&T> {
        self.entry(name).map(|(_, value)| value)
    }

    /// The name, with its place, and the value.
    pub fn entry(&self, name: &str) -> Option<(&Spanned<String>, &T)> {
        self.index.get(name).and_then(|at| self.entries.get(*at)).map(|(name, value)| (name, value))
    }

    /// Names and values, in the order written.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Spanned<String>, &T)> {
        self.entries.iter().map(|(name, value)| (name, value))
    }

    /// Names and values, in the order written; the values may be changed.
    pub fn iter_mut(&mut self) -> impl ExactSizeIterator<Item = (&Spanned<String>, &mut T)> {
        self.entries.iter_mut().map(|(name, value)| (&*name, value))
    }

    /// The names, in the order written.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.value.as_str())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Named { entries: Vec::new(), index: HashMap::new() }
    }
}

impl<T: PartialEq> PartialEq for Named<T> {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl<T: fmt::Debug> fmt::Debug for Named<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<T> IntoIterator for Named<T> {
    type Item = (Spanned<String>, T);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Named<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Named<T>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a map of names")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Named<T>, A::Error> {
                let mut named = Named::default();
                while let Some((name, value)) = map.next_entry::<Spanned<String>, Salvaged<T>>()? {
                    if let Some(value) = value.0 {
                        // The reader has already refused the second of two equal names.
                        let _ = named.insert(name, value);
                    }
                }
                Ok(named)
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

impl<T: Serialize> Serialize for Named<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(&name.value, value)?;
        }
        map.end()
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Named_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let value = generator.subschema_for::<T>();
        schemars::json_schema!({ "type": "object", "additionalProperties": value })
    }
}
