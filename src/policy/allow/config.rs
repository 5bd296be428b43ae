//! The written form.

use crate::value::{Named, OneOrMany, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the caller must be or have. Several keys at one level must all hold.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AllowConfig {
    /// Scopes of the credential: all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scope: Option<OneOrMany<Spanned<String>>>,
    /// Groups of the caller: any of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<OneOrMany<Spanned<String>>>,
    /// Names under `consumers:`: any of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumer: Option<OneOrMany<Spanned<String>>>,
    /// Claims of the token by dotted path: each has any of the values given for it, itself or in its list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claim: Option<Named<OneOrMany<Spanned<serde_json::Value>>>>,
    /// An expression in CEL over `request`, `caller`, `claims` and `now`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Spanned<String>>,
    /// Rules of which one must hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub any: Option<OneOrMany<Spanned<AllowConfig>>>,
    /// Rules that must all hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub all: Option<OneOrMany<Spanned<AllowConfig>>>,
    /// A rule that must not hold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not: Option<Box<Spanned<AllowConfig>>>,
}

/// What becomes of requests to routes for which no `allow` is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DefaultConfig {
    /// They pass.
    Allow,
    /// They are refused, whoever sends them.
    Deny,
}
