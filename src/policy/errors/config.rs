//! `errors:` as it is written.

use crate::value::{Named, OneOrMany, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes of errors of upstreams.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ErrorsConfig {
    /// Only these statuses of the upstream: `404`, `5xx`, `400-403`. Default `[4xx, 5xx]`.
    #[serde(skip_serializing_if = "is_none")]
    pub status: OneOrMany<Spanned<String>>,
    /// Lets them pass as they are: an exception from the rules that follow. Default false.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub pass: bool,
    /// The status of the answer. Default: the upstream's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Spanned<u16>>,
    /// The type of the problem, a URI (RFC 9457 §3.1.1). Default `urn:tollgate:problem:upstream-error`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<Spanned<String>>,
    /// Its title. Default: what the status is called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Spanned<String>>,
    /// What is wrong, in a sentence with variables; `{status}` is the upstream's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<Spanned<String>>,
    /// Members of the problem that are taken from the upstream's own JSON, by pointer: `{ code: /error/code }`.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub select: Named<Spanned<String>>,
    /// Header fields of the upstream's answer that are kept, beside `Retry-After`. Default none.
    #[serde(skip_serializing_if = "is_none")]
    pub keep: OneOrMany<Spanned<String>>,
}

fn is_none<T>(list: &OneOrMany<T>) -> bool {
    list.0.is_empty()
}
