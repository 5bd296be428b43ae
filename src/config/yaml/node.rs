//! A YAML document as a tree in which every key and value knows its place.

use crate::value::{Place, Problem, SourceId};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Location, Spanned};
use std::fmt;

/// Longest file read, in bytes.
const LONGEST: usize = 16 << 20;
/// Deepest nesting.
const DEEPEST: usize = 64;

/// A value and its place.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where it stands.
    pub place: Place,
    /// What it is.
    pub kind: Kind,
}

/// What stands at a node.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Nothing, or `null`.
    Null,
    /// A scalar as it is written, without quotes, and what YAML takes it for.
    Scalar(String, Scalar),
    /// A list.
    Seq(Vec<Node>),
    /// A map, duplicate keys included.
    Map(Vec<(Key, Node)>),
}

/// What YAML's core schema takes a scalar for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Scalar {
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number,
    /// Anything else.
    Text,
}

/// A key and its place.
#[derive(Clone, Debug)]
pub struct Key {
    /// Where it stands.
    pub place: Place,
    /// What it says.
    pub text: String,
}

/// Reads a document.
///
/// # Errors
/// The first place where it is not YAML, or not within the bounds: 16 MiB, 64 levels, a million nodes.
pub fn parse(source: SourceId, text: &str) -> Result<Node, Problem> {
    if text.len() > LONGEST {
        return Err(Problem::error(None, "the file is longer than 16 MiB"));
    }
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        strict_booleans: true,
        with_snippet: false,
        budget: serde_saphyr::budget! { max_depth: DEEPEST, max_nodes: 1_000_000, max_events: 3_000_000 },
    };
    let document = Document { source, text };
    if text.trim_start_matches('\u{feff}').trim().is_empty() {
        return Ok(Node { place: Place::NOWHERE, kind: Kind::Map(Vec::new()) });
    }
    match serde_saphyr::from_str_with_options::<Option<Spanned<Raw>>>(text, options) {
        Ok(Some(raw)) => Ok(document.node(raw)),
        Ok(None) => Ok(Node { place: Place::NOWHERE, kind: Kind::Map(Vec::new()) }),
        Err(error) => {
            let place = error.location().map(|location| document.place(location, 1));
            let message = error.without_snippet().to_string();
            let message = message.lines().next().unwrap_or_default().to_owned();
            Err(Problem::error(place, format!("this is not YAML: {message}")))
        }
    }
}

struct Document<'t> {
    source: SourceId,
    text: &'t str,
}

impl Document<'_> {
    fn place(&self, location: Location, len: usize) -> Place {
        let narrow = |wide: u64| u32::try_from(wide).unwrap_or(u32::MAX);
        Place {
            source: self.source,
            line: narrow(location.line()),
            column: narrow(location.column()),
            len: u32::try_from(len).unwrap_or(u32::MAX).max(1),
            offset: narrow(location.span().byte_offset().unwrap_or(0)),
        }
    }

    /// The scalar at a location as it is written, quotes and all: up to the end of its span, on one line.
    fn written(&self, location: Location) -> &str {
        let span = location.span();
        let start = span.byte_offset().and_then(|offset| usize::try_from(offset).ok()).unwrap_or(usize::MAX);
        let length = span.byte_len().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
        let slice = self.text.get(start..start.saturating_add(length)).unwrap_or_default();
        slice.lines().next().unwrap_or_default().trim_end()
    }

    fn node(&self, raw: Spanned<Raw>) -> Node {
        let written = self.written(raw.referenced);
        let place = self.place(raw.referenced, written.chars().count());
        let own = self.written(raw.defined);
        let kind = match raw.value {
            Raw::Null => Kind::Null,
            Raw::Bool(value) => Kind::Scalar(value.to_string(), Scalar::Bool(value)),
            // The spelling is kept: `1.10` is a version, not 1.1.
            Raw::Number(text) if own.is_empty() || own.contains(['"', '\'']) => Kind::Scalar(text, Scalar::Number),
            Raw::Number(_) => Kind::Scalar(own.to_owned(), Scalar::Number),
            Raw::Text(text) => Kind::Scalar(text, Scalar::Text),
            Raw::Seq(elements) => Kind::Seq(elements.into_iter().map(|element| self.node(element)).collect()),
            Raw::Map(entries) => {
                Kind::Map(entries.into_iter().map(|(key, value)| (self.key(key), self.node(value))).collect())
            }
        };
        Node { place, kind }
    }

    fn key(&self, raw: Spanned<Raw>) -> Key {
        let written = self.written(raw.referenced);
        let place = self.place(raw.referenced, written.chars().count());
        let text = match raw.value {
            Raw::Text(text) => text,
            Raw::Bool(value) => value.to_string(),
            Raw::Number(text) => {
                if written.is_empty() {
                    text
                } else {
                    written.to_owned()
                }
            }
            Raw::Null | Raw::Seq(_) | Raw::Map(_) => written.to_owned(),
        };
        Key { place, text }
    }
}

/// A value as serde-saphyr hands it over.
enum Raw {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    Seq(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<Raw>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Raw;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value")
            }

            fn visit_unit<E: Error>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }

            fn visit_none<E: Error>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Raw, E> {
                Ok(Raw::Bool(value))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Raw, E> {
                Ok(Raw::Number(value.to_string()))
            }

            fn visit_u64<E: Error>(self, value: u64) -> Result<Raw, E> {
                Ok(Raw::Number(value.to_string()))
            }

            fn visit_i128<E: Error>(self, value: i128) -> Result<Raw, E> {
                Ok(Raw::Number(value.to_string()))
            }

            fn visit_u128<E: Error>(self, value: u128) -> Result<Raw, E> {
                Ok(Raw::Number(value.to_string()))
            }

            fn visit_f64<E: Error>(self, value: f64) -> Result<Raw, E> {
                Ok(Raw::Number(value.to_string()))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Raw, E> {
                Ok(Raw::Text(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
                let mut elements = Vec::new();
                while let Some(element) = seq.next_element()? {
                    elements.push(element);
                }
                Ok(Raw::Seq(elements))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Raw::Map(entries))
            }
        }
        deserializer.deserialize_any(Any)
    }
}
