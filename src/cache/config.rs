//! The written form: short (`30s`) and long.

use super::condition::Sign;
use super::disk::DiskConfig;
use crate::value::form::{short_form, text_form, with_short_form};
use crate::value::{ByteSize, Duration, Invalid, Named, Network, OneOrMany, Spanned};
use http::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Answers from memory.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "CacheConfig", deny_unknown_fields, default)]
#[schemars(transform = with_short_form("How long answers are kept: `30s`."))]
pub struct CacheConfig {
    /// How long an answer is kept whose upstream does not say. Default: by its `Last-Modified`, a tenth of its age.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl: Option<Duration>,
    /// Whether what the upstream says (`Cache-Control`, `Expires`) goes before `ttl`. Default true.
    pub respect: bool,
    /// What answers differ by beside their URL and what the upstream's `Vary` names: `consumer`, `header X-Name`,
    /// `cookie name`.
    pub vary: OneOrMany<Spanned<VaryOn>>,
    /// The query parameters that count; the others are kept from the upstream. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<OneOrMany<String>>,
    /// Methods that are answered from memory: GET, HEAD. Default both.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub methods: Option<OneOrMany<CacheMethod>>,
    /// How long answers of other statuses than 200, 203, 204, 300, 301, 308 are kept: `{ 404: 5s }`.
    pub statuses: Named<Duration>,
    /// The largest body that is kept. Default 8MiB.
    pub max_object: ByteSize,
    /// How long after its time an answer may be given while a new one is fetched, where the upstream does not say.
    /// Default 0s.
    pub stale_while_revalidate: Duration,
    /// How long after its time an answer may be given because the upstream fails, where it does not say. Default 0s.
    pub stale_if_error: Duration,
    /// Names by which the answers of this route are purged together.
    pub tags: OneOrMany<Spanned<String>>,
    /// The field of the upstream's answer with more of them, separated by spaces; the client does not see it. Default
    /// `Surrogate-Key`.
    pub tags_from: Spanned<String>,
    /// Requests with one of these go past the cache: `header X-Name`, `cookie name`, `query name`.
    pub bypass: OneOrMany<Spanned<Sign>>,
    /// What else must hold of an answer that is kept.
    pub store: StoreWhen,
    /// Whether clients may ask for newer answers by `Cache-Control`. Default false.
    pub honour_client: bool,
    /// How long a request waits for another that fetches the same before it goes to the upstream itself. Default 5s.
    pub wait: Duration,
    /// Whether `X-Cache: HIT` or `MISS` is sent beside `Cache-Status`. Default false.
    pub x_cache: bool,
    /// Who may purge by the method PURGE. Default nobody.
    pub purge_from: OneOrMany<Spanned<Network>>,
}

/// What else must hold of an answer that is kept.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StoreWhen {
    /// Its media type is one of these: `application/json`, `image/*`. Default: any.
    pub types: OneOrMany<String>,
    /// Whether it is kept though it sets cookies, which all clients then get. Default false.
    pub set_cookie: bool,
}

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            ttl: None,
            respect: true,
            vary: OneOrMany::default(),
            key: None,
            methods: None,
            statuses: Named::default(),
            max_object: ByteSize::new(8 << 20),
            stale_while_revalidate: Duration::from_secs(0),
            stale_if_error: Duration::from_secs(0),
            tags: OneOrMany::default(),
            tags_from: Spanned::nowhere("Surrogate-Key".to_owned()),
            bypass: OneOrMany::default(),
            store: StoreWhen::default(),
            honour_client: false,
            wait: Duration::from_secs(5),
            x_cache: false,
            purge_from: OneOrMany::default(),
        }
    }
}

impl FromStr for CacheConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(Self { ttl: Some(text.parse()?), ..Self::default() })
    }
}
short_form!(CacheConfig, "a duration such as `30s`, or a map");

/// A method that may be answered from memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum CacheMethod {
    /// GET.
    Get,
    /// HEAD.
    Head,
}

/// What answers differ by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VaryOn {
    /// The caller.
    Consumer,
    /// The values of a header field.
    Header(HeaderName),
    /// The value of a cookie.
    Cookie(Box<str>),
}

impl FromStr for VaryOn {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = || {
            Invalid::new(format!("`{text}` is nothing that answers differ by"))
                .hint("write consumer, `header X-Name` or `cookie name`; query parameters stand under `key`")
        };
        match text.split_once(' ').map(|(kind, name)| (kind, name.trim())) {
            None if text == "consumer" => Ok(Self::Consumer),
            Some(("header", name)) => name.parse().map(Self::Header).map_err(|_| wrong()),
            Some(("cookie", name)) if !name.is_empty() && !name.contains(' ') => Ok(Self::Cookie(name.into())),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for VaryOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Consumer => f.write_str("consumer"),
            Self::Header(name) => write!(f, "header {name}"),
            Self::Cookie(name) => write!(f, "cookie {name}"),
        }
    }
}
text_form!(VaryOn, "consumer, `header X-Name` or `cookie name`", { "examples": ["consumer", "header Accept-Language"] });

/// Where all routes keep their answers.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "CacheStoreConfig", deny_unknown_fields, default)]
#[schemars(transform = with_short_form("How much memory answers may take: `256MiB`."))]
pub struct CacheStoreConfig {
    /// How much memory answers may take. Default 256MiB.
    pub memory: ByteSize,
    /// A disk they are kept on too, so that they survive a restart. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk: Option<DiskConfig>,
}

impl Default for CacheStoreConfig {
    fn default() -> Self {
        Self { memory: ByteSize::new(256 << 20), disk: None }
    }
}

impl FromStr for CacheStoreConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(Self { memory: text.parse()?, disk: None })
    }
}
short_form!(CacheStoreConfig, "a size such as `256MiB`, or a map");
