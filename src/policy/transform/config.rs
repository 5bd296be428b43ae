//! `request:` and `response:` as they are written.

use super::body::{Format, JqConfig, JsonConfig, ReplaceConfig, TemplateConfig};
use crate::value::{ByteSize, Named, OneOrMany, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Changes to fields, parameters or cookies, in this order: `rename`, `remove`, `set`, `add`, `append`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ChangesConfig {
    /// New names, by the old ones.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub rename: Named<Spanned<String>>,
    /// Names that go.
    #[serde(skip_serializing_if = "is_none")]
    pub remove: OneOrMany<Spanned<String>>,
    /// Values in the place of all there are.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub set: Named<Spanned<String>>,
    /// Values where there is none yet.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub add: Named<Spanned<String>>,
    /// One value more.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub append: Named<Spanned<String>>,
}

impl ChangesConfig {
    /// Whether nothing is changed.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What is changed about requests on their way up. `rename`, `remove`, `set`, `add` and `append` are for header fields, in
/// this order; values may hold variables such as `{consumer}`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RequestConfig {
    /// Only for requests for which this expression in CEL holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Spanned<String>>,
    /// New names of header fields, by the old ones.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub rename: Named<Spanned<String>>,
    /// Header fields that go; `X-Internal-*` for all that begin so.
    #[serde(skip_serializing_if = "is_none")]
    pub remove: OneOrMany<Spanned<String>>,
    /// Header fields in the place of all of their name.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub set: Named<Spanned<String>>,
    /// Header fields where there is none of their name.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub add: Named<Spanned<String>>,
    /// One header field more.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub append: Named<Spanned<String>>,
    /// Changes to parameters of the query.
    #[serde(skip_serializing_if = "ChangesConfig::is_empty")]
    pub query: ChangesConfig,
    /// Changes to cookies.
    #[serde(skip_serializing_if = "ChangesConfig::is_empty")]
    pub cookies: ChangesConfig,
    /// The method the upstream sees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Spanned<String>>,
    /// The path the upstream sees, with variables: `/v2/{id}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Spanned<String>>,
    /// Changes to a body in JSON by pointer.
    #[serde(skip_serializing_if = "JsonConfig::is_empty")]
    pub json: JsonConfig,
    /// A program in jq that makes another body of one in JSON, after `json`: one value, within 2s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jq: Option<Spanned<JqConfig>>,
    /// A template that writes another body of one in JSON, XML or a form, which it sees as `body`; after `json` and `jq`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<Spanned<TemplateConfig>>,
    /// Texts in the place of others, in bodies of text as they pass.
    #[serde(skip_serializing_if = "is_none")]
    pub replace: OneOrMany<Spanned<ReplaceConfig>>,
    /// The format the body gets, from JSON, XML or a form: `json`, `xml`, `form`; one of the two is JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Format>,
    /// Whether a coded body (`Content-Encoding`) is decoded on its way. Default: only where it is changed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub decompress: bool,
    /// The largest body that is changed or decoded. Default 10MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_body: Option<ByteSize>,
}

/// What is changed about answers on their way down. `rename`, `remove`, `set`, `add` and `append` are for header fields, in
/// this order; values may hold variables such as `{status}`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResponseConfig {
    /// Only for requests for which this expression in CEL holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<Spanned<String>>,
    /// Only for these statuses: `404`, `5xx`, `400-403`.
    #[serde(skip_serializing_if = "is_none")]
    pub status: OneOrMany<Spanned<String>>,
    /// Only for these media types: `application/json`, `text/*`, `*+json`.
    #[serde(skip_serializing_if = "is_none")]
    pub content_type: OneOrMany<Spanned<String>>,
    /// New names of header fields, by the old ones.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub rename: Named<Spanned<String>>,
    /// Header fields that go; `X-Internal-*` for all that begin so.
    #[serde(skip_serializing_if = "is_none")]
    pub remove: OneOrMany<Spanned<String>>,
    /// Header fields in the place of all of their name.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub set: Named<Spanned<String>>,
    /// Header fields where there is none of their name.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub add: Named<Spanned<String>>,
    /// One header field more.
    #[serde(skip_serializing_if = "Named::is_empty")]
    pub append: Named<Spanned<String>>,
    /// Changes to the cookies that are set; a value may have attributes behind it: `a; Path=/; HttpOnly`.
    #[serde(skip_serializing_if = "ChangesConfig::is_empty")]
    pub cookies: ChangesConfig,
    /// Changes to a body in JSON by pointer.
    #[serde(skip_serializing_if = "JsonConfig::is_empty")]
    pub json: JsonConfig,
    /// A program in jq that makes another body of one in JSON, after `json`: one value, within 2s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jq: Option<Spanned<JqConfig>>,
    /// A template that writes another body of one in JSON, XML or a form, which it sees as `body`; after `json` and `jq`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<Spanned<TemplateConfig>>,
    /// Texts in the place of others, in bodies of text as they pass.
    #[serde(skip_serializing_if = "is_none")]
    pub replace: OneOrMany<Spanned<ReplaceConfig>>,
    /// The format the body gets, from JSON, XML or a form: `json`, `xml`, `form`; one of the two is JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Format>,
    /// The largest body that is changed. Default 10MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_body: Option<ByteSize>,
}

fn is_none<T>(list: &OneOrMany<T>) -> bool {
    list.0.is_empty()
}
