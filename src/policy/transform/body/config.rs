//! Changes to bodies as they are written.

use crate::value::{Named, OneOrMany, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Changes to JSON by pointer (RFC 6901), in this order: `rename`, `move`, `remove`, `set`. `*` stands for every member or
/// element, `-` for the place behind a list's last.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct JsonConfig {
    /// New names of members, by pointers to them: `{ /order/no: number }`.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub rename: Named<Spanned<String>>,
    /// Where to, by where from: `{ /a/b: /c }`.
    #[serde(rename = "move", skip_serializing_if = "Named::is_empty")]
    pub moves: Named<Spanned<String>>,
    /// What goes.
    #[serde(skip_serializing_if = "is_none")]
    pub remove: OneOrMany<Spanned<String>>,
    /// Values of any kind; texts may hold variables.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub set: Named<Spanned<serde_json::Value>>,
}

impl JsonConfig {
    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

fn is_none<T>(list: &OneOrMany<T>) -> bool {
    list.0.is_empty()
}
