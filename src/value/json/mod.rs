//! JSON whose numbers stay as they were written and whose members stay in their order (RFC 8259).
//!
//! What passes through the gateway and is only rearranged must not be changed by it: an identifier of 64 bits, a price of
//! `10.50`, a number of 40 digits. A tree of floating point numbers would change all three. Strings are decoded and
//! written again with the fewest escapes; a name that stands twice in an object is refused, because nobody can tell which
//! of its values another reader would take (§4).

mod parse;
mod pointer;
mod write;

#[cfg(test)]
mod tests;

pub use parse::{JsonBounds, JsonError};
pub use pointer::{Pointer, index};

/// A JSON value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Json {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written.
    Number(Box<str>),
    /// A string, decoded.
    Text(Box<str>),
    /// An array.
    Array(Vec<Json>),
    /// An object: its members in their order, no name twice.
    Object(Vec<(Box<str>, Json)>),
}

impl Json {
    /// A string.
    pub fn text(text: impl Into<Box<str>>) -> Self {
        Self::Text(text.into())
    }

    /// The value of a member; nothing where this is no object or has no such member.
    pub fn member(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(members) => members.iter().find(|(own, _)| **own == *name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Puts a member in: in the place of the one of that name, or last. Nothing happens where this is no object.
    pub fn insert(&mut self, name: &str, value: Self) {
        let Self::Object(members) = self else { return };
        match members.iter_mut().find(|(own, _)| **own == *name) {
            Some((_, old)) => *old = value,
            None => members.push((name.into(), value)),
        }
    }

    /// Takes a member out.
    pub fn take(&mut self, name: &str) -> Option<Self> {
        let Self::Object(members) = self else { return None };
        let at = members.iter().position(|(own, _)| **own == *name)?;
        Some(members.remove(at).1)
    }

    /// What kind of value it is, as problems name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::Text(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// About how many bytes of memory it takes.
    pub fn weight(&self) -> usize {
        let within = match self {
            Self::Null | Self::Bool(_) => 0,
            Self::Number(text) | Self::Text(text) => text.len(),
            Self::Array(items) => {
                let spare = items.capacity() - items.len();
                spare * size_of::<Self>() + items.iter().map(Self::weight).sum::<usize>()
            }
            Self::Object(members) => {
                let name = size_of::<(Box<str>, Self)>() - size_of::<Self>();
                let spare = (members.capacity() - members.len()) * size_of::<(Box<str>, Self)>();
                spare + members.iter().map(|(own, value)| name + own.len() + value.weight()).sum::<usize>()
            }
        };
        size_of::<Self>() + within
    }

    /// A scalar as text, as it is put into a path or a field; nothing for `null`, arrays and objects.
    pub fn scalar(&self) -> Option<&str> {
        match self {
            Self::Bool(true) => Some("true"),
            Self::Bool(false) => Some("false"),
            Self::Number(text) | Self::Text(text) => Some(text),
            Self::Null | Self::Array(_) | Self::Object(_) => None,
        }
    }
}

impl From<&serde_json::Value> for Json {
    /// What the configuration says as JSON.
    fn from(value: &serde_json::Value) -> Self {
        match value {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(value) => Self::Bool(*value),
            serde_json::Value::Number(number) => Self::Number(number.to_string().into()),
            serde_json::Value::String(text) => Self::text(text.as_str()),
            serde_json::Value::Array(items) => Self::Array(items.iter().map(Self::from).collect()),
            serde_json::Value::Object(members) => {
                Self::Object(members.iter().map(|(name, value)| (name.as_str().into(), Self::from(value))).collect())
            }
        }
    }
}
