//! The keys of routes, and the ordered map that they make.

use super::RouteConfig;
use crate::value::written::Salvaged;
use crate::value::{OneOrMany, Place, Spanned};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// A route's key as written: `GET /orders/{id}`. What it means is compiled later.
pub type RouteKey = Spanned<String>;

/// Routes in the order they are written; one key may have several alternatives, told apart by what they match.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Routes {
    entries: Vec<(RouteKey, OneOrMany<RouteConfig>)>,
}

impl Routes {
    /// Every route with its key.
    pub fn iter(&self) -> impl Iterator<Item = (&RouteKey, &RouteConfig)> {
        self.entries.iter().flat_map(|(key, alternatives)| alternatives.iter().map(move |route| (key, route)))
    }

    /// Takes over the routes of another file.
    ///
    /// # Errors
    /// The places of keys that stand here already: the other's, and ours.
    pub fn merge(&mut self, other: Self) -> Vec<(String, Place, Place)> {
        let known: std::collections::HashMap<String, Place> =
            self.entries.iter().map(|(key, _)| (key.value.clone(), key.place)).collect();
        let mut twice = Vec::new();
        for (key, route) in other.entries {
            match known.get(&key.value) {
                Some(first) => twice.push((key.value.clone(), key.place, *first)),
                None => self.entries.push((key, route)),
            }
        }
        twice
    }
}

impl<'de> Deserialize<'de> for Routes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Routes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of routes")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Routes, A::Error> {
                let mut entries = Vec::with_capacity(map.size_hint().unwrap_or(0));
                while let Some((key, route)) = map.next_entry::<RouteKey, Salvaged<OneOrMany<RouteConfig>>>()? {
                    entries.extend(route.0.map(|route| (key, route)));
                }
                Ok(Routes { entries })
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

impl Serialize for Routes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.entries.len()))?;
        for (key, route) in &self.entries {
            map.serialize_entry(&key.value, route)?;
        }
        map.end()
    }
}

impl JsonSchema for Routes {
    fn schema_name() -> Cow<'static, str> {
        "Routes".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let route = generator.subschema_for::<OneOrMany<RouteConfig>>();
        json_schema!({
            "type": "object",
            "description": "Routes by key: optional methods and a path pattern, such as `GET /orders/{id}`, `/files/**`, `GET|HEAD /a/*`, or `~^/regex$`.",
            "additionalProperties": route,
        })
    }
}
