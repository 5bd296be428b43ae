//! The two ways written types are spelled: scalars as text, and settings in a short and a long form.

use super::written::{Head, NODE, Node, ReadNode, Shape, read_node};
use super::{OneOrMany, Place, Spanned};
use schemars::{Schema, json_schema};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

/// Reads a scalar by its `FromStr`; `expected` completes "expected …" where something else than a scalar stands.
pub(crate) fn from_text<'de, D, T>(deserializer: D, expected: &'static str) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
    T::Err: fmt::Display,
{
    struct Text<T>(&'static str, PhantomData<T>);
    impl<T> Visitor<'_> for Text<T>
    where
        T: FromStr,
        T::Err: fmt::Display,
    {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str(self.0)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            text.parse().map_err(E::custom)
        }
    }
    deserializer.deserialize_str(Text(expected, PhantomData))
}

/// Gives a scalar its serde and schema from `FromStr` and `Display`:
/// `text_form!(Duration, "a duration such as `30s`", { "pattern": …, "examples": … })`.
macro_rules! text_form {
    ($type:ident, $expected:literal, { $($key:literal: $value:expr),* $(,)? }) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::value::form::from_text(deserializer, $expected)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($type).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "description": $expected, $($key: $value),* })
            }
        }
    };
}
pub(crate) use text_form;

/// A type with a long form (its derived one) and a short one (its `FromStr`).
pub(crate) trait ShortForm<'de>: FromStr<Err: fmt::Display> {
    /// Completes "expected …": both forms in a few words.
    const EXPECTED: &'static str;

    /// Reads the long form.
    fn long<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;

    /// Gives what the short form sets the place it is written at.
    fn locate(&mut self, place: Place);
}

/// Reads the short form where a scalar stands, and the long form where a map does.
pub(crate) fn short_or_long<'de, D: Deserializer<'de>, T: ShortForm<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Forms<T>(PhantomData<T>);
    impl<'de, T: ShortForm<'de>> ReadNode<'de> for Forms<T> {
        type Value = T;

        fn read<N: Node<'de>>(self, head: Head, mut node: N) -> Result<T, N::Error> {
            match head.shape {
                Shape::Map => node.value::<Long<T>>().map(|long| long.0),
                _ => node.value::<Short<T>>().map(|mut short| {
                    short.0.locate(head.place);
                    short.0
                }),
            }
        }
    }
    read_node(deserializer, NODE, Forms(PhantomData))
}

struct Long<T>(T);

impl<'de, T: ShortForm<'de>> Deserialize<'de> for Long<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::long(deserializer).map(Long)
    }
}

struct Short<T>(T);

impl<'de, T: ShortForm<'de>> Deserialize<'de> for Short<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_text(deserializer, T::EXPECTED).map(Short)
    }
}

/// Gives a type that derives serde with `#[serde(remote = "ItsOwnName")]` (so that the derived functions are the long
/// form) its short form: `short_form!(AdminConfig, "an address, or a map with `address`", |admin, place| …)`, where the
/// closure gives what the short form sets the place it is written at.
macro_rules! short_form {
    ($type:ident, $expected:literal) => {
        $crate::value::form::short_form!($type, $expected, |_value, _place| {});
    };
    ($type:ident, $expected:literal, |$value:ident, $place:ident| $locate:expr) => {
        impl<'de> $crate::value::form::ShortForm<'de> for $type {
            const EXPECTED: &'static str = $expected;

            fn long<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $type::deserialize(deserializer)
            }

            fn locate(&mut self, $place: $crate::value::Place) {
                let $value = self;
                $locate
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::value::form::short_or_long(deserializer)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $type::serialize(self, serializer)
            }
        }
    };
}
pub(crate) use short_form;

/// A type with a long form (its derived one) and a short one: an element, or a list of them.
pub(crate) trait ListForm<'de>: Sized {
    /// What the list holds.
    type Element: Deserialize<'de>;

    /// Reads the long form.
    fn long<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error>;

    /// The value that the short form means.
    fn short(list: Spanned<OneOrMany<Self::Element>>) -> Self;
}

/// Reads the long form where a map stands, and the short form where a list or a single element does.
pub(crate) fn list_or_long<'de, D: Deserializer<'de>, T: ListForm<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Forms<T>(PhantomData<T>);
    impl<'de, T: ListForm<'de>> ReadNode<'de> for Forms<T> {
        type Value = T;

        fn read<N: Node<'de>>(self, head: Head, mut node: N) -> Result<T, N::Error> {
            match head.shape {
                Shape::Map => node.value::<LongOfList<T>>().map(|long| long.0),
                _ => node.value().map(T::short),
            }
        }
    }
    read_node(deserializer, NODE, Forms(PhantomData))
}

struct LongOfList<T>(T);

impl<'de, T: ListForm<'de>> Deserialize<'de> for LongOfList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        T::long(deserializer).map(LongOfList)
    }
}

/// Gives a type that derives serde with `#[serde(remote = "ItsOwnName")]` a list of elements as its short form:
/// `list_form!(IpConfig, Spanned<Network>, |list| …)`, where the closure makes the value the list means.
macro_rules! list_form {
    ($type:ident, $element:ty, |$list:ident| $short:expr) => {
        impl<'de> $crate::value::form::ListForm<'de> for $type {
            type Element = $element;

            fn long<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $type::deserialize(deserializer)
            }

            fn short($list: $crate::value::Spanned<$crate::value::OneOrMany<$element>>) -> Self {
                $short
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::value::form::list_or_long(deserializer)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $type::serialize(self, serializer)
            }
        }
    };
}
pub(crate) use list_form;

/// For `#[schemars(transform)]`: adds a short form that is an element or a list of them.
pub(crate) fn with_list_form(short: &'static str) -> impl Fn(&mut Schema) {
    beside(json_schema!({ "type": ["string", "array"], "items": { "type": "string" }, "description": short }))
}

/// For `#[schemars(transform)]`: adds `true` as the short form.
pub(crate) fn with_true(short: &'static str) -> impl Fn(&mut Schema) {
    beside(json_schema!({ "const": true, "description": short }))
}

/// For `#[schemars(transform)]`: adds the short form to the schema of the long one.
pub(crate) fn with_short_form(short: &'static str) -> impl Fn(&mut Schema) {
    beside(json_schema!({ "type": ["string", "number"], "description": short }))
}

fn beside(short: Schema) -> impl Fn(&mut Schema) {
    move |schema| {
        let mut long = std::mem::take(schema);
        let description = long.remove("description");
        *schema = json_schema!({ "anyOf": [short, long] });
        if let Some(description) = description {
            schema.insert("description".to_owned(), description);
        }
    }
}
