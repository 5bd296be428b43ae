//! A YAML document as a tree in which everything knows its place.

use crate::value::Place;
use std::cell::Cell;

/// A value: what it is and where it stands.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Where it stands: a scalar's whole text, a collection's first character.
    pub place: Place,
    /// The key it is the value of; its own place where it has none.
    pub owner: Place,
    /// Whether it is wrong, and left out of further attempts to read what is around it.
    aside: Cell<bool>,
}

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// No value: nothing written, `null` or `~`.
    Null,
    /// A scalar: its text, and how it is written.
    Scalar(String, Style),
    /// A list.
    List(Vec<Node>, Style),
    /// A map.
    Map(Vec<Entry>, Style),
}

/// How a node is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A scalar without quotes; a collection on lines of its own.
    Plain,
    /// A scalar in quotes or as a block of lines: text, whatever it looks like.
    Quoted,
    /// A collection in brackets.
    Flow,
}

/// A key of a map and its value.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The key.
    pub key: Key,
    /// The value.
    pub value: Node,
}

/// A key of a map.
#[derive(Clone, Debug)]
pub struct Key {
    /// Its text, as written: `8080` and `true` are names as good as any.
    pub text: String,
    /// How it is written.
    pub style: Style,
    /// Where it stands.
    pub place: Place,
}

impl Node {
    /// The entries of a map; none where it is not one.
    pub fn entries(&self) -> &[Entry] {
        match &self.kind {
            Kind::Map(entries, _) => entries,
            _ => &[],
        }
    }

    /// A node at a place, with no key as yet.
    pub fn new(kind: Kind, place: Place) -> Node {
        Node { kind, place, owner: place, aside: Cell::new(false) }
    }

    /// The place to point at when the whole node is wrong: for what has no text of its own, the key.
    pub fn blame(&self) -> Place {
        match self.kind {
            Kind::Scalar(..) => self.place,
            Kind::Null | Kind::List(..) | Kind::Map(..) => self.owner,
        }
    }

    /// Leaves the node out from now on. Whether it was not left out before.
    pub fn set_aside(&self) -> bool {
        !self.aside.replace(true)
    }

    /// Whether it is left out.
    pub fn is_aside(&self) -> bool {
        self.aside.get()
    }
}

/// What a plain scalar is beside text, by the core schema (YAML 1.2.2 §10.3) in its JSON spellings: `yes`, `0x10`, `007`
/// and `1_000` are text.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Plain {
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text,
}

impl Plain {
    /// Looks at the text of a plain scalar.
    pub fn of(text: &str) -> Plain {
        match text {
            "true" | "True" | "TRUE" => return Plain::Bool(true),
            "false" | "False" | "FALSE" => return Plain::Bool(false),
            _ => {}
        }
        let digits = text.strip_prefix('-').unwrap_or(text);
        let whole = digits.split(['.', 'e', 'E']).next().unwrap_or_default();
        let leading_zero = whole.len() > 1 && whole.starts_with('0');
        if whole.is_empty() || leading_zero || !whole.bytes().all(|b| b.is_ascii_digit()) {
            return Plain::Text;
        }
        if let Ok(number) = text.parse() {
            return Plain::Unsigned(number);
        }
        if let Ok(number) = text.parse() {
            return Plain::Signed(number);
        }
        text.parse().ok().filter(|number: &f64| number.is_finite()).map_or(Plain::Text, Plain::Float)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_plain_text_for_what_json_would() {
        for (text, plain) in [
            ("true", Plain::Bool(true)),
            ("yes", Plain::Text),
            ("off", Plain::Text),
            ("0", Plain::Unsigned(0)),
            ("8080", Plain::Unsigned(8080)),
            ("-3", Plain::Signed(-3)),
            ("1.5", Plain::Float(1.5)),
            ("1e3", Plain::Float(1000.0)),
            ("1e999", Plain::Text),
            ("007", Plain::Text),
            ("0x10", Plain::Text),
            ("1_000", Plain::Text),
            ("+1", Plain::Text),
            ("-", Plain::Text),
            ("", Plain::Text),
            (".5", Plain::Text),
            ("1.2.3", Plain::Text),
            ("10.0.0.1", Plain::Text),
            ("30s", Plain::Text),
        ] {
            assert_eq!(Plain::of(text), plain, "{text}");
        }
    }
}
