//! `combine:`, one answer out of the answers of several upstreams.

use super::{CalledConfig, RetriesConfig};
use crate::cache::{CacheConfig, VaryOn};
use crate::policy::limit::LimitConfig;
use crate::policy::transform::JqConfig;
use crate::value::form::{short_form, with_short_form};
use crate::value::written::{Head, NODE, Node, ReadNode, Shape, read_node};
use crate::value::{ByteSize, Duration, Invalid, Named, OneOrMany, Spanned};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;
use std::str::FromStr;

/// What a route answers out of several calls. In short the parts alone, by name; the long form is told by `parts`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CombineConfig {
    /// The parts, by name.
    pub parts: Named<PartConfig>,
    /// How the answers are put together where no `shape` says so. Default `named`.
    pub merge: MergeConfig,
    /// The answer, as a template with references to parts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<Spanned<serde_json::Value>>,
    /// The answer, by a program that sees an object with each part's answer under its name, hidden ones too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jq: Option<Spanned<JqConfig>>,
    /// Where the answer tells of optional parts that are missing. Default `header`.
    pub mark_partial: MarkConfig,
    /// Which fields of the client's request every part gets. Default `[Accept-Language, User-Agent]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward: Option<Vec<Spanned<String>>>,
}

/// How answers are put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MergeConfig {
    /// An object that has each part's answer under the part's name.
    #[default]
    Named,
    /// One object of the members of all; of two of a name that of the later part stays. What is no object stands under
    /// its part's name.
    Root,
}

/// Where an answer tells that it is not complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MarkConfig {
    /// In `Tollgate-Partial` alone.
    #[default]
    Header,
    /// There, and in the member `partial` of the body.
    Body,
}

/// The long form as it is read.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Long {
    /// The parts, by name.
    parts: Named<PartConfig>,
    /// How the answers are put together where no `shape` says so: `named` or `root`. Default `named`.
    merge: MergeConfig,
    /// The answer, as a template with references to parts.
    shape: Option<Spanned<serde_json::Value>>,
    /// The answer, by a program in jq that sees an object with each part's answer under its name, hidden ones too.
    jq: Option<Spanned<JqConfig>>,
    /// Where the answer tells of optional parts that are missing: `header`, or `body` too. Default `header`.
    mark_partial: MarkConfig,
    /// Which fields of the client's request every part gets. Default `[Accept-Language, User-Agent]`.
    forward: Option<Vec<Spanned<String>>>,
}

#[derive(Deserialize)]
struct HasParts {
    parts: Option<serde::de::IgnoredAny>,
}

impl<'de> Deserialize<'de> for CombineConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Forms;
        impl<'de> ReadNode<'de> for Forms {
            type Value = CombineConfig;

            fn read<N: Node<'de>>(self, head: Head, mut node: N) -> Result<CombineConfig, N::Error> {
                let is_long = head.shape == Shape::Map && node.value::<HasParts>()?.parts.is_some();
                if !is_long {
                    return node.value().map(|parts| CombineConfig { parts, ..CombineConfig::default() });
                }
                let Long { parts, merge, shape, jq, mark_partial, forward } = node.value()?;
                Ok(CombineConfig { parts, merge, shape, jq, mark_partial, forward })
            }
        }
        read_node(deserializer, NODE, Forms)
    }
}

impl JsonSchema for CombineConfig {
    fn schema_name() -> Cow<'static, str> {
        "CombineConfig".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (short, long) = (generator.subschema_for::<Named<PartConfig>>(), generator.subschema_for::<Long>());
        schemars::json_schema!({
            "description": "One answer out of several calls: the parts by name, or a map with `parts` and how they are put together.",
            "anyOf": [short, long],
        })
    }
}

/// One part: a call to an upstream. Exactly one method.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PartConfig {
    /// `upstream:/path` or a URL, with references: `orders:/orders/{id}`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub get: Option<Spanned<String>>,
    /// The same, with POST.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post: Option<Spanned<String>>,
    /// The same, with PUT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub put: Option<Spanned<String>>,
    /// The same, with PATCH.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub patch: Option<Spanned<String>>,
    /// The same, with DELETE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete: Option<Spanned<String>>,
    /// The same, with the method that stands beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ask: Option<Spanned<String>>,
    /// The method of `ask`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<Spanned<String>>,
    /// Who is asked, where the target is a path alone: an upstream's name or URL, or a map with `upstream` and `subset`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Spanned<CalledConfig>>,
    /// Header fields of the call, with references.
    pub headers: Named<Spanned<String>>,
    /// Its body as JSON, with references; `"{body}"` for the client's as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Spanned<serde_json::Value>>,
    /// Asked once for each item of a list: `"{order.items}"`; the item is `{item}` then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub each: Option<Spanned<String>>,
    /// The most items of the list. Default 100; more fail the part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub each_most: Option<Spanned<u32>>,
    /// How many of them are asked about at a time. Default 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub each_at_once: Option<Spanned<u32>>,
    /// Whether the answer stands without it. Default false.
    pub optional: bool,
    /// What stands in its place when it fails, with references.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Spanned<serde_json::Value>>,
    /// How long it may take. Default: as long as the route.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// When another attempt is made. Default: as the route says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<RetriesConfig>,
    /// How much of it may be asked, as `limit` of a route: each call counts. Over it the part fails (429).
    pub limit: OneOrMany<LimitConfig>,
    /// Answers from memory, as `cache` of a route: how long, or a map.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<Spanned<PartCacheConfig>>,
    /// The longest answer that is taken. Default 1MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most: Option<ByteSize>,
    /// The place within its answer that is taken, as a JSON Pointer: `/data`. Default: all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub take: Option<Spanned<String>>,
    /// Whether the items of lists within the list become its own. Default false.
    pub flatten: bool,
    /// The members that are kept, of an object or of each object in a list. Default: all.
    pub pick: Vec<Spanned<String>>,
    /// The members that are left out.
    pub drop: Vec<Spanned<String>>,
    /// New names of members, by the old ones.
    pub rename: Named<Spanned<String>>,
    /// Whether it is asked only for others to refer to. Default false.
    pub hidden: bool,
}

/// What is kept of a part's answers.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "PartCacheConfig", deny_unknown_fields, default)]
#[schemars(transform = with_short_form("How long answers are kept: `30s`."))]
pub struct PartCacheConfig {
    /// How long an answer is kept whose upstream does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
    /// Whether what the upstream says goes before `ttl`. Default true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub respect: Option<bool>,
    /// What answers differ by beside the call: `consumer`, `header X-Name`.
    pub vary: OneOrMany<Spanned<VaryOn>>,
    /// Names by which they are purged together.
    pub tags: OneOrMany<Spanned<String>>,
}

impl FromStr for PartCacheConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(Self { ttl: Some(text.parse()?), ..Self::default() })
    }
}
short_form!(PartCacheConfig, "a duration such as `30s`, or a map");

impl PartCacheConfig {
    /// The same as a route says it.
    pub fn to_route(&self) -> CacheConfig {
        let CacheConfig { respect, .. } = CacheConfig::default();
        CacheConfig {
            ttl: self.ttl,
            respect: self.respect.unwrap_or(respect),
            vary: self.vary.clone(),
            tags: self.tags.clone(),
            ..CacheConfig::default()
        }
    }
}
