//! A setting that can be switched off.

use super::written::{Head, NODE, Node, ReadNode, Shape, read_node};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::marker::PhantomData;

/// A value, or the word `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrOff<T> {
    /// Switched off.
    Off,
    /// In force, with this value.
    On(T),
}

impl<T> OrOff<T> {
    /// The value in force, if any.
    pub fn on(&self) -> Option<&T> {
        match self {
            OrOff::Off => None,
            OrOff::On(value) => Some(value),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for OrOff<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Switch<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> ReadNode<'de> for Switch<T> {
            type Value = OrOff<T>;

            fn read<N: Node<'de>>(self, head: Head, mut node: N) -> Result<OrOff<T>, N::Error> {
                if head.shape == Shape::Scalar && node.value::<String>()? == "off" {
                    return Ok(OrOff::Off);
                }
                node.value().map(OrOff::On)
            }
        }
        read_node(deserializer, NODE, Switch(PhantomData))
    }
}

impl<T: Serialize> Serialize for OrOff<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            OrOff::Off => serializer.serialize_str("off"),
            OrOff::On(value) => value.serialize(serializer),
        }
    }
}

impl<T: JsonSchema> JsonSchema for OrOff<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}_or_off", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let on = generator.subschema_for::<T>();
        schemars::json_schema!({ "anyOf": [{ "const": "off", "description": "Switched off." }, on] })
    }
}
