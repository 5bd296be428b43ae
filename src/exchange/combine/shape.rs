//! A JSON value with references in its strings: the shape of an answer, the body of a call, a fallback.

use super::facts::{Facts, Missing};
use super::reference::{BadText, Piece, Reference, Scope, Text};
use crate::value::json::Json;

/// A template of a JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// As it stands.
    Plain(Json),
    /// A string that is one reference, whose value keeps its type; or a text of several.
    Text(Text),
    /// An array.
    Array(Vec<Shape>),
    /// An object.
    Object(Vec<(Box<str>, Shape)>),
}

impl Shape {
    /// Reads a template.
    ///
    /// # Errors
    /// The first string in it that is no text with references.
    pub fn parse(value: &serde_json::Value, scope: Scope<'_>) -> Result<Self, BadText> {
        Ok(match value {
            serde_json::Value::String(text) => {
                let text = Text::parse(text, scope)?;
                match text.pieces.as_slice() {
                    [] => Self::Plain(Json::text("")),
                    [Piece::Plain(plain)] => Self::Plain(Json::Text(plain.clone())),
                    _ => Self::Text(text),
                }
            }
            serde_json::Value::Array(items) => {
                Self::Array(items.iter().map(|item| Self::parse(item, scope)).collect::<Result<_, _>>()?)
            }
            serde_json::Value::Object(members) => {
                let member = |(name, value): (&String, &serde_json::Value)| {
                    Self::parse(value, scope).map(|shape| (name.as_str().into(), shape))
                };
                Self::Object(members.iter().map(member).collect::<Result<_, _>>()?)
            }
            plain => Self::Plain(Json::from(plain)),
        })
    }

    /// All references in it.
    pub fn references(&self) -> Vec<&Reference> {
        match self {
            Self::Plain(_) => Vec::new(),
            Self::Text(text) => text.references().collect(),
            Self::Array(items) => items.iter().flat_map(Self::references).collect(),
            Self::Object(members) => members.iter().flat_map(|(_, shape)| shape.references()).collect(),
        }
    }

    /// The value. What a reference alone does not find is `null`; within a longer text it is an error.
    ///
    /// # Errors
    /// A value that cannot stand within a text.
    pub fn fill(&self, facts: &Facts<'_>) -> Result<Json, Missing> {
        Ok(match self {
            Self::Plain(value) => value.clone(),
            Self::Text(text) => match text.only() {
                Some(reference) => facts.value(reference).map(|value| value.into_owned()).unwrap_or_default(),
                None => Json::Text(facts.text(text)?.into()),
            },
            Self::Array(items) => Json::Array(items.iter().map(|item| item.fill(facts)).collect::<Result<_, _>>()?),
            Self::Object(members) => {
                let member = |(name, shape): &(Box<str>, Self)| shape.fill(facts).map(|value| (name.clone(), value));
                Json::Object(members.iter().map(member).collect::<Result<_, _>>()?)
            }
        })
    }
}
