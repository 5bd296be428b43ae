//! Values in JSON that are made of a request.

use super::json::quoted;
use crate::policy::Setup;
use crate::policy::transform::value::{Place, Scope, Value};
use crate::policy::transform::variable::Facts;
use crate::value::Spanned;

/// A value to set: as written, or with variables in its texts.
#[derive(Clone, Debug, PartialEq)]
pub enum Made {
    /// As it is written.
    Fixed(Box<str>),
    /// A text with variables.
    Text(Value),
    /// A list.
    List(Box<[Made]>),
    /// An object; its names in quotes.
    Object(Box<[(Box<str>, Made)]>),
}

impl Made {
    /// Compiles what is written; problems are recorded at that place.
    pub fn compile(
        written: &serde_json::Value,
        at: crate::value::Place,
        cx: (&Scope<'_>, &mut Setup<'_>),
    ) -> Option<Self> {
        let (scope, setup) = cx;
        Some(match written {
            serde_json::Value::String(text) => {
                let value = Value::compile(&Spanned::new(text.clone(), at), scope, setup)?;
                match value.constant() {
                    Some(text) => Self::Fixed(quoted(text).into()),
                    None => Self::Text(value),
                }
            }
            serde_json::Value::Array(list) => {
                let all: Option<Vec<Self>> =
                    list.iter().map(|value| Self::compile(value, at, (scope, &mut *setup))).collect();
                Self::List(all?.into())
            }
            serde_json::Value::Object(members) => {
                let all: Option<Vec<(Box<str>, Self)>> = members
                    .iter()
                    .map(|(name, value)| Some((quoted(name).into(), Self::compile(value, at, (scope, &mut *setup))?)))
                    .collect();
                Self::Object(all?.into())
            }
            scalar => Self::Fixed(scalar.to_string().into()),
        })
    }

    /// Its JSON for a request; `None` where a variable has no text.
    pub fn make(&self, facts: &Facts<'_>) -> Option<String> {
        Some(match self {
            Self::Fixed(json) => json.to_string(),
            Self::Text(value) => quoted(&value.expand(facts, Place::Text)?),
            Self::List(list) => {
                let all: Option<Vec<String>> = list.iter().map(|value| value.make(facts)).collect();
                format!("[{}]", all?.join(","))
            }
            Self::Object(members) => {
                let all: Option<Vec<String>> =
                    members.iter().map(|(name, value)| Some(format!("{name}:{}", value.make(facts)?))).collect();
                format!("{{{}}}", all?.join(","))
            }
        })
    }

    /// Its JSON for a request, with `null` for each text that has a variable without one.
    pub fn fill(&self, facts: &Facts<'_>, out: &mut String) {
        match self {
            Self::Fixed(json) => out.push_str(json),
            Self::Text(value) => match value.expand(facts, Place::Text) {
                Some(text) => out.push_str(&quoted(&text)),
                None => out.push_str("null"),
            },
            Self::List(list) => {
                out.push('[');
                for (number, value) in list.iter().enumerate() {
                    out.push_str(if number > 0 { "," } else { "" });
                    value.fill(facts, out);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (number, (name, value)) in members.iter().enumerate() {
                    out.push_str(if number > 0 { "," } else { "" });
                    out.push_str(name);
                    out.push(':');
                    value.fill(facts, out);
                }
                out.push('}');
            }
        }
    }

    /// Its JSON where nothing in it depends on a request.
    pub fn constant(&self) -> Option<String> {
        match self {
            Self::Fixed(json) => Some(json.to_string()),
            Self::Text(_) => None,
            Self::List(list) => {
                let all: Option<Vec<String>> = list.iter().map(Self::constant).collect();
                Some(format!("[{}]", all?.join(",")))
            }
            Self::Object(members) => {
                let all: Option<Vec<String>> =
                    members.iter().map(|(name, value)| Some(format!("{name}:{}", value.constant()?))).collect();
                Some(format!("{{{}}}", all?.join(",")))
            }
        }
    }
}
