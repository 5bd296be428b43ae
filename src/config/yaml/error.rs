//! What serde says is wrong, until it has a place.

use super::tree::{Kind, Node, Plain, Style};
use crate::value::suggest;
use serde::de::{Error, Expected, Unexpected};
use std::fmt;

/// Why a node could not be read as a type.
#[derive(Debug)]
pub(super) enum ReadError {
    /// It arose just now; the innermost node it passes is where it is.
    Fresh(Box<Fresh>),
    /// It has been recorded, and what it arose at is set aside.
    Recorded,
}

/// An error without a place.
#[derive(Debug)]
pub(super) struct Fresh {
    pub message: String,
    pub hint: Option<String>,
    /// The field that is missing, where that is what is wrong.
    pub missing: Option<&'static str>,
}

impl ReadError {
    pub fn new(message: impl Into<String>, hint: Option<String>) -> ReadError {
        ReadError::Fresh(Box::new(Fresh { message: message.into(), hint, missing: None }))
    }

    /// Something else stands there than was expected; `found` describes it.
    pub fn expected(expected: &dyn fmt::Display, found: &str) -> ReadError {
        ReadError::new(format!("expected {}, found {found}", in_words(&expected.to_string())), None)
    }
}

/// What a node is, in words; its text only where that may be shown.
pub(super) fn describe(node: &Node, hidden: bool) -> String {
    match &node.kind {
        Kind::Null => "nothing".to_owned(),
        Kind::List(..) => "a list".to_owned(),
        Kind::Map(..) => "a map".to_owned(),
        Kind::Scalar(..) if hidden => "text".to_owned(),
        Kind::Scalar(text, Style::Plain) => match Plain::of(text) {
            Plain::Bool(_) => format!("`{text}`"),
            Plain::Text => format!("the text `{}`", shorten(text)),
            _ => format!("the number `{text}`"),
        },
        Kind::Scalar(text, _) => format!("the text `{}`", shorten(text)),
    }
}

/// At most 40 characters of a text.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// serde's names of types as people say them.
fn in_words(expected: &str) -> String {
    let whole = |largest: u64| format!("a whole number from 0 to {largest}");
    match expected {
        "u8" => whole(u8::MAX.into()),
        "u16" => whole(u16::MAX.into()),
        "u32" => whole(u32::MAX.into()),
        "u64" | "usize" => "a whole number".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        "a string" => "text".to_owned(),
        "a sequence" => "a list".to_owned(),
        other => match other.split_once(' ') {
            Some(("struct" | "enum" | "map", _)) => "a map".to_owned(),
            _ => other.to_owned(),
        },
    }
}

/// "did you mean", or all there is to choose from.
fn choose(written: &str, expected: &[&str], what: &str) -> Option<String> {
    if let Some(name) = suggest(written, expected.iter().copied()) {
        return Some(format!("did you mean `{name}`?"));
    }
    let names: Vec<String> = expected.iter().map(|name| format!("`{name}`")).collect();
    (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")))
}

impl Error for ReadError {
    /// A second line is the hint, as [`crate::value::Invalid`] writes it.
    fn custom<T: fmt::Display>(message: T) -> Self {
        let message = message.to_string();
        match message.split_once('\n') {
            Some((message, hint)) => ReadError::new(message, Some(hint.to_owned())),
            None => ReadError::new(message, None),
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        ReadError::expected(&expected, &found.to_string())
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Unsigned(number) => format!("`{number}`"),
            Unexpected::Signed(number) => format!("`{number}`"),
            other => other.to_string(),
        };
        ReadError::expected(&expected, &found)
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        ReadError::new(format!("unknown value `{}`", shorten(variant)), choose(variant, expected, "write one of"))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        ReadError::new(format!("unknown field `{}`", shorten(field)), choose(field, expected, "the fields here are"))
    }

    fn missing_field(field: &'static str) -> Self {
        ReadError::Fresh(Box::new(Fresh {
            message: format!("the field `{field}` is missing"),
            hint: None,
            missing: Some(field),
        }))
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Fresh(fresh) => f.write_str(&fresh.message),
            ReadError::Recorded => f.write_str("recorded"),
        }
    }
}

impl std::error::Error for ReadError {}
