//! A node as serde's data format.

use super::access::{Elements, Entries, Unit, Variant};
use super::attempts::Attempts;
use super::error::{ReadError, describe};
use super::reading::Reading;
use super::tree::{Kind, Node, Plain, Style};
use crate::value::written::{NODE, SECRET_NODE};
use serde::de::{Deserializer, Visitor};
use serde::forward_to_deserialize_any;
use std::fmt::Display;

/// A node within a reading.
#[derive(Clone, Copy)]
pub(super) struct NodeReader<'n> {
    pub node: &'n Node,
    pub reading: &'n Reading,
}

impl NodeReader<'_> {
    /// Where an error arose within this node and nowhere deeper, this node is where it is.
    fn settle<T>(self, result: Result<T, ReadError>) -> Result<T, ReadError> {
        result.map_err(|error| self.reading.settle(self.node, error))
    }

    fn mismatch<T>(self, expected: &dyn Display) -> Result<T, ReadError> {
        let mut error = ReadError::expected(expected, &describe(self.node, self.reading.hides(self.node)));
        if let (Kind::Null, ReadError::Fresh(fresh)) = (&self.node.kind, &mut error) {
            fresh.hint = Some("write a value, or remove the line".to_owned());
        }
        self.settle(Err(error))
    }

    fn bool<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let Kind::Scalar(text, style) = &self.node.kind else { return self.mismatch(&"`true` or `false`") };
        let hint = match (style, Plain::of(text)) {
            (Style::Plain, Plain::Bool(value)) => return self.settle(visitor.visit_bool(value)),
            (_, Plain::Bool(_)) => Some(format!("write `{text}` without quotes")),
            _ => match text.to_ascii_lowercase().as_str() {
                "yes" | "y" | "on" => Some("write `true`".to_owned()),
                "no" | "n" | "off" => Some("write `false`".to_owned()),
                _ => None,
            },
        };
        let found = describe(self.node, self.reading.hides(self.node));
        self.settle(Err(ReadError::new(format!("expected `true` or `false`, found {found}"), hint)))
    }

    fn integer<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        let Kind::Scalar(text, style) = &self.node.kind else { return self.mismatch(&Expecting(&visitor)) };
        match (style, Plain::of(text)) {
            (Style::Plain, Plain::Unsigned(number)) => self.settle(visitor.visit_u64(number)),
            (Style::Plain, Plain::Signed(number)) => self.settle(visitor.visit_i64(number)),
            (Style::Quoted, Plain::Unsigned(_)) => {
                let hint = Some(format!("write `{text}` without quotes"));
                self.settle(Err(ReadError::new(format!("expected a whole number, found the text `{text}`"), hint)))
            }
            _ => self.mismatch(&Expecting(&visitor)),
        }
    }

    fn text<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.kind {
            // Whatever it looks like: `007` and `1.20` are kept as they are written.
            Kind::Scalar(text, _) => self.settle(visitor.visit_str(text)),
            _ => self.mismatch(&Expecting(&visitor)),
        }
    }

    fn list<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.kind {
            Kind::List(elements, _) => self.settle(visitor.visit_seq(Elements::new(elements, self.reading))),
            _ => self.mismatch(&Expecting(&visitor)),
        }
    }

    fn map<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.kind {
            Kind::Map(entries, _) => self.settle(visitor.visit_map(Entries::new(entries, self.reading))),
            _ => self.mismatch(&Expecting(&visitor)),
        }
    }

    fn choice<'de, V: Visitor<'de>>(self, visitor: V, variants: &[&str]) -> Result<V::Value, ReadError> {
        let one_of = || variants.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        match &self.node.kind {
            Kind::Scalar(text, _) => self.settle(visitor.visit_enum(Unit(text))),
            Kind::Map(entries, _) => match entries.as_slice() {
                [entry] if entry.value.is_aside() => Err(ReadError::Recorded),
                [entry] => self.settle(visitor.visit_enum(Variant { entry, reading: self.reading })),
                _ => self.settle(Err(ReadError::new(format!("expected exactly one of {}", one_of()), None))),
            },
            _ => self.mismatch(&format!("one of {}", one_of())),
        }
    }
}

/// What a visitor expects, as text.
struct Expecting<'v, V>(&'v V);

impl<'de, V: Visitor<'de>> Display for Expecting<'_, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.expecting(f)
    }
}

/// Forwards serde's many ways of asking for one thing.
macro_rules! forward {
    ($($method:ident)* => $to:ident) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
            self.$to(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for NodeReader<'_> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.kind {
            Kind::Null => self.settle(visitor.visit_unit()),
            Kind::List(..) => self.list(visitor),
            Kind::Map(..) => self.map(visitor),
            Kind::Scalar(text, Style::Plain) => self.settle(match Plain::of(text) {
                Plain::Bool(value) => visitor.visit_bool(value),
                Plain::Unsigned(number) => visitor.visit_u64(number),
                Plain::Signed(number) => visitor.visit_i64(number),
                Plain::Float(number) => visitor.visit_f64(number),
                Plain::Text => visitor.visit_str(text),
            }),
            Kind::Scalar(text, _) => self.settle(visitor.visit_str(text)),
        }
    }

    /// Nothing written is no absent value: a line left without its value may have been meant to protect something.
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match name {
            SECRET_NODE => self.reading.hide(self.node),
            NODE => {}
            _ => return self.settle(visitor.visit_newtype_struct(self)),
        }
        let result = visitor.visit_seq(Attempts::new(self));
        self.settle(result)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        self.choice(visitor, variants)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    forward! { deserialize_bool => bool }
    forward! {
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 => integer
    }
    forward! { deserialize_str deserialize_string deserialize_char deserialize_identifier => text }
    forward! { deserialize_seq => list }
    forward! { deserialize_map => map }

    forward_to_deserialize_any! { f32 f64 bytes byte_buf unit unit_struct tuple tuple_struct }
}
