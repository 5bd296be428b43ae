//! From a tree to written types, with all problems: what is wrong is recorded and left out, and the rest is read again.

use super::error::{Missing, ReadError, Recorded};
use super::key::KeyAt;
use super::node::{Key, Kind, Node, Scalar};
use crate::value::written::{Head, NODE, SECRET_NODE, Shape};
use crate::value::{Place, Problem, Problems};
use serde::de::value::{BytesDeserializer, StrDeserializer};
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use std::cell::RefCell;
use std::collections::HashSet;

/// More problems than this are not worth reading.
const MOST_PROBLEMS: usize = 200;

/// What a reading finds beside the value.
#[derive(Default)]
pub struct Findings {
    /// What is wrong.
    pub problems: Problems,
    /// Where secrets stand that must not be shown in excerpts.
    pub hidden: Vec<Place>,
}

/// Reads a tree as a type. `None` when nothing can be made of it; what is wrong with parts of it is in the findings.
pub fn read<T: for<'de> Deserialize<'de>>(root: &Node) -> (Option<T>, Findings) {
    let reading = Reading::default();
    let mut attempts = Attempts { node: root, reading: &reading, head: Given::Yes };
    let value = loop {
        match attempts.attempt(std::marker::PhantomData::<T>) {
            Ok(Some(value)) => break Some(value),
            Ok(None) => {}
            Err(_) => break None,
        }
    };
    (value, reading.findings.into_inner())
}

#[derive(Default)]
struct Reading {
    findings: RefCell<Findings>,
    left_out: RefCell<HashSet<usize>>,
}

fn address(node: &Node) -> usize {
    std::ptr::from_ref(node).addr()
}

impl Reading {
    fn is_left_out(&self, node: &Node) -> bool {
        self.left_out.borrow().contains(&address(node))
    }

    fn record(&self, problem: Problem) {
        let mut findings = self.findings.borrow_mut();
        if findings.problems.len() < MOST_PROBLEMS {
            findings.problems.push(problem);
        }
    }

    fn is_full(&self) -> bool {
        self.findings.borrow().problems.len() >= MOST_PROBLEMS
    }
}

/// Whether the head of a node has been given.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Given {
    No,
    Yes,
}

/// A node that may be read several times; see [`crate::value::written`].
struct Attempts<'n> {
    node: &'n Node,
    reading: &'n Reading,
    head: Given,
}

impl<'n> Attempts<'n> {
    fn attempt<'de, S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReadError>
    where
        'n: 'de,
    {
        let mut error = match seed.deserialize(At { node: self.node, reading: self.reading }) {
            Ok(value) => return Ok(Some(value)),
            Err(error) => error.at(self.node.place, address(self.node)),
        };
        if error.recorded == Recorded::No {
            self.reading.record(error.to_problem());
            error.recorded = Recorded::Yes;
        }
        let own = address(self.node);
        match error.node {
            Some(inner)
                if inner != own && !self.reading.is_full() && self.reading.left_out.borrow_mut().insert(inner) =>
            {
                Ok(None)
            }
            _ => {
                error.node = Some(own);
                Err(error)
            }
        }
    }
}

impl<'de> SeqAccess<'de> for Attempts<'de> {
    type Error = ReadError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReadError> {
        if self.head == Given::Yes {
            return self.attempt(seed);
        }
        self.head = Given::Yes;
        let shape = match self.node.kind {
            Kind::Null => Shape::Nothing,
            Kind::Scalar(..) => Shape::Scalar,
            Kind::Seq(_) => Shape::List,
            Kind::Map(_) => Shape::Map,
        };
        let head = Head { place: self.node.place, shape }.to_bytes();
        seed.deserialize(BytesDeserializer::<ReadError>::new(&head)).map(Some)
    }
}

/// A node under a reading: what serde reads from.
#[derive(Clone, Copy)]
struct At<'n> {
    node: &'n Node,
    reading: &'n Reading,
}

impl<'n> At<'n> {
    fn place(self, error: ReadError) -> ReadError {
        error.at(self.node.place, address(self.node))
    }

    fn unexpected(self) -> Unexpected<'n> {
        match &self.node.kind {
            Kind::Null => Unexpected::Unit,
            Kind::Scalar(_, Scalar::Bool(value)) => Unexpected::Bool(*value),
            Kind::Scalar(text, Scalar::Number) => text.parse().map_or(Unexpected::Str(text), Unexpected::Float),
            Kind::Scalar(text, Scalar::Text) => Unexpected::Str(text),
            Kind::Seq(_) => Unexpected::Seq,
            Kind::Map(_) => Unexpected::Map,
        }
    }

    fn any<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError>
    where
        'n: 'de,
    {
        match &self.node.kind {
            Kind::Null => visitor.visit_unit(),
            Kind::Scalar(_, Scalar::Bool(value)) => visitor.visit_bool(*value),
            Kind::Scalar(text, Scalar::Number) => {
                if let Ok(value) = text.parse::<u64>() {
                    visitor.visit_u64(value)
                } else if let Ok(value) = text.parse::<i64>() {
                    visitor.visit_i64(value)
                } else if let Ok(value) = text.parse::<f64>() {
                    visitor.visit_f64(value)
                } else {
                    visitor.visit_str(text)
                }
            }
            Kind::Scalar(text, Scalar::Text) => visitor.visit_str(text),
            Kind::Seq(elements) => visitor.visit_seq(Elements { rest: elements.iter(), reading: self.reading }),
            Kind::Map(entries) => self.map(entries, visitor),
        }
    }

    fn map<'de, V: Visitor<'de>>(self, entries: &'n [(Key, Node)], visitor: V) -> Result<V::Value, ReadError>
    where
        'n: 'de,
    {
        refuse_duplicates(entries, self.reading);
        let access = Entries { rest: entries.iter(), value: None, reading: self.reading };
        visitor.visit_map(access).map_err(|mut error| {
            let something_left_out = entries.iter().any(|(_, value)| self.reading.is_left_out(value));
            if error.missing == Missing::Field && error.place.is_none() && something_left_out {
                error.recorded = Recorded::Yes;
            }
            error
        })
    }
}

/// Records every key that was written before in the same map, and leaves it out.
fn refuse_duplicates(entries: &[(Key, Node)], reading: &Reading) {
    let mut seen = std::collections::HashMap::with_capacity(entries.len());
    for (key, value) in entries {
        let Some(first) = seen.insert(key.text.as_str(), key.place) else { continue };
        seen.insert(key.text.as_str(), first);
        if reading.left_out.borrow_mut().insert(address(value)) {
            let error = ReadError::new(format!("`{}` is written twice", key.text))
                .at(key.place, address(value))
                .related(first, "first written here");
            reading.record(error.to_problem());
        }
    }
}

impl<'de> Deserializer<'de> for At<'de> {
    type Error = ReadError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.any(visitor).map_err(|error| self.place(error))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match self.node.kind {
            Kind::Null => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
        .map_err(|error| self.place(error))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        match &self.node.kind {
            Kind::Scalar(text, _) => visitor.visit_str(text),
            _ => Err(serde::de::Error::invalid_type(self.unexpected(), &visitor)),
        }
        .map_err(|error| self.place(error))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        self.deserialize_str(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        if name == SECRET_NODE {
            hide(self.node, self.reading);
        }
        if name == NODE || name == SECRET_NODE {
            return visitor.visit_seq(Attempts { node: self.node, reading: self.reading, head: Given::No });
        }
        visitor.visit_newtype_struct(self).map_err(|error| self.place(error))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        match &self.node.kind {
            Kind::Scalar(text, _) => visitor.visit_enum(StrDeserializer::new(text)),
            Kind::Map(entries) => match entries.as_slice() {
                [(key, value)] => visitor.visit_enum(Variant { key, value, reading: self.reading }),
                _ => Err(ReadError::new("expected a map with exactly one key")),
            },
            _ => Err(serde::de::Error::invalid_type(self.unexpected(), &visitor)),
        }
        .map_err(|error| self.place(error))
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ReadError> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char bytes byte_buf unit unit_struct seq tuple tuple_struct
        map struct identifier
    }
}

/// Every scalar of a secret's node that is no reference must not be shown.
fn hide(node: &Node, reading: &Reading) {
    match &node.kind {
        Kind::Scalar(text, _) if !text.starts_with('$') => reading.findings.borrow_mut().hidden.push(node.place),
        Kind::Map(entries) => entries.iter().for_each(|(_, value)| hide(value, reading)),
        Kind::Seq(elements) => elements.iter().for_each(|element| hide(element, reading)),
        Kind::Scalar(..) | Kind::Null => {}
    }
}

struct Elements<'n> {
    rest: std::slice::Iter<'n, Node>,
    reading: &'n Reading,
}

impl<'de> SeqAccess<'de> for Elements<'de> {
    type Error = ReadError;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReadError> {
        let reading = self.reading;
        let Some(node) = self.rest.find(|node| !reading.is_left_out(node)) else { return Ok(None) };
        let at = At { node, reading };
        seed.deserialize(at).map(Some).map_err(|error| at.place(error))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.rest.len())
    }
}

struct Entries<'n> {
    rest: std::slice::Iter<'n, (Key, Node)>,
    value: Option<&'n Node>,
    reading: &'n Reading,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = ReadError;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, ReadError> {
        let reading = self.reading;
        let Some((key, value)) = self.rest.find(|(_, value)| !reading.is_left_out(value)) else { return Ok(None) };
        self.value = Some(value);
        seed.deserialize(KeyAt(key)).map(Some).map_err(|mut error| {
            error.node = None; // the key is no node of its own: its entry is left out
            error.at(key.place, address(value))
        })
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, ReadError> {
        let Some(node) = self.value.take() else { return Err(ReadError::new("a value was asked for before its key")) };
        let at = At { node, reading: self.reading };
        seed.deserialize(at).map_err(|error| at.place(error))
    }
}

struct Variant<'n> {
    key: &'n Key,
    value: &'n Node,
    reading: &'n Reading,
}

impl<'de> EnumAccess<'de> for Variant<'de> {
    type Error = ReadError;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self), ReadError> {
        let variant =
            seed.deserialize(KeyAt(self.key)).map_err(|error| error.at(self.key.place, address(self.value)))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'de> {
    type Error = ReadError;

    fn unit_variant(self) -> Result<(), ReadError> {
        Err(ReadError::new(format!("`{}` takes no value", self.key.text)).at(self.key.place, address(self.value)))
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, ReadError> {
        seed.deserialize(At { node: self.value, reading: self.reading })
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, ReadError> {
        At { node: self.value, reading: self.reading }.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ReadError> {
        At { node: self.value, reading: self.reading }.deserialize_any(visitor)
    }
}
