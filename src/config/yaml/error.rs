//! What goes wrong while a tree is read, until it is a problem.

use crate::value::{Place, Problem, suggest};
use serde::de::{self, Expected, Unexpected};
use std::fmt;

/// Whether the problem is in the list already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// Not yet.
    No,
    /// Yes; the error only travels up.
    Yes,
}

/// A failure on its way up from the node it arose at.
#[derive(Debug)]
pub struct ReadError {
    pub place: Option<Place>,
    /// The node to leave out at the next attempt.
    pub node: Option<usize>,
    pub recorded: Recorded,
    pub missing: Missing,
    message: String,
    hint: Option<String>,
    related: Option<(Place, String)>,
}

/// Whether the failure is that a field is missing: that follows from leaving out one that was wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    No,
    Field,
}

impl ReadError {
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            place: None,
            node: None,
            recorded: Recorded::No,
            missing: Missing::No,
            message: message.into(),
            hint: None,
            related: None,
        }
    }

    fn hint(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    pub fn related(mut self, place: Place, note: &str) -> Self {
        self.related = Some((place, note.to_owned()));
        self
    }

    pub fn at(mut self, place: Place, node: usize) -> Self {
        if self.place.is_none() {
            self.place = Some(place);
        }
        self.node.get_or_insert(node);
        self
    }

    pub fn to_problem(&self) -> Problem {
        let mut problem = Problem::error(self.place, self.message.clone());
        problem.hint_if(self.hint.clone());
        if let Some((place, note)) = &self.related {
            problem.related(*place, note.clone());
        }
        problem
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ReadError {}

/// What was found, without its content: it might be a secret.
fn kind(found: &Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "a number",
        Unexpected::Char(_) | Unexpected::Str(_) | Unexpected::Bytes(_) => "text",
        Unexpected::Unit | Unexpected::Option => "nothing",
        Unexpected::Seq => "a list",
        Unexpected::Map | Unexpected::NewtypeStruct => "a map",
        _ => "something else",
    }
}

/// A number as it was found; numbers are no secrets.
fn number(found: &Unexpected<'_>) -> Option<String> {
    match found {
        Unexpected::Unsigned(value) => Some(value.to_string()),
        Unexpected::Signed(value) => Some(value.to_string()),
        Unexpected::Float(value) => Some(value.to_string()),
        _ => None,
    }
}

impl de::Error for ReadError {
    /// An [`crate::value::Invalid`] prints its hint on a second line.
    fn custom<T: fmt::Display>(message: T) -> Self {
        let text = message.to_string();
        match text.split_once('\n') {
            Some((first, hint)) => Self::new(first).hint(Some(hint.trim().to_owned())),
            None => Self::new(text),
        }
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("expected {expected}, found {}", kind(&found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = number(&found).unwrap_or_else(|| kind(&found).to_owned());
        Self::new(format!("expected {expected}, found {found}"))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("`{variant}` is not one of {}", list(expected))).hint(did_you_mean(variant, expected))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let hint = did_you_mean(field, expected).or_else(|| Some(format!("known here: {}", list(expected))));
        Self::new(format!("unknown field `{field}`")).hint(hint)
    }

    fn missing_field(field: &'static str) -> Self {
        Self { missing: Missing::Field, ..Self::new(format!("`{field}` is missing")) }
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(format!("`{field}` is written twice"))
    }
}

fn did_you_mean(word: &str, known: &[&str]) -> Option<String> {
    suggest(word, known.iter().copied()).map(|name| format!("did you mean `{name}`?"))
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
