//! `respond:` and `mock:` as they are written.

use crate::value::{Duration, Named, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An answer of the gateway's own. Texts may hold variables such as `{id}` and `{header.X-Tenant|none}`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RespondConfig {
    /// Its status. Default 200.
    #[serde(default = "ok")]
    pub status: Spanned<u16>,
    /// Its headers. One whose variable is not there is left out.
    #[serde(default)]
    pub headers: Named<Spanned<String>>,
    /// Its body as text. What is put in is written for its `Content-Type`: JSON, HTML and XML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Spanned<String>>,
    /// Or as JSON. A text whose variable is not there is null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Spanned<serde_json::Value>>,
}

/// An answer in the place of a service that is not there yet.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MockConfig {
    /// Its status. Default 200.
    #[serde(default = "ok")]
    pub status: Spanned<u16>,
    /// Its headers.
    #[serde(default)]
    pub headers: Named<Spanned<String>>,
    /// Its body as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Spanned<String>>,
    /// Or as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub json: Option<Spanned<serde_json::Value>>,
    /// Or answers by media type, of which `Accept` chooses; the first where it likes none.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub examples: Named<Spanned<ExampleConfig>>,
    /// How long an answer takes; the route's timeout goes on meanwhile. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay: Option<Duration>,
}

/// One of several answers.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ExampleConfig {
    /// Its status. Default: that of the mock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Spanned<u16>>,
    /// Its headers, beside those of the mock.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub headers: Named<Spanned<String>>,
    /// Its body as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Spanned<String>>,
    /// Or as JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json: Option<Spanned<serde_json::Value>>,
}

fn ok() -> Spanned<u16> {
    Spanned::nowhere(200)
}
