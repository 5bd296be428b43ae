//! The written form of `shared_state:`.

use super::address::{Node, RedisUrl};
use crate::value::form::{short_form, with_short_form};
use crate::value::{Duration, Invalid, OneOrMany, SecretConfig, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What gateways share.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SharedStateConfig {
    /// The Redis (from 5) or Valkey that holds it.
    pub redis: Spanned<RedisConfig>,
}

/// Where the Redis is, and how it is asked.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "RedisConfig", deny_unknown_fields, default)]
#[schemars(transform = with_short_form("The URL of one server: `redis://127.0.0.1:6379`."))]
pub struct RedisConfig {
    /// One server. This, `sentinel` or `cluster`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Spanned<RedisUrl>>,
    /// A server that Sentinel chooses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sentinel: Option<SentinelConfig>,
    /// Some nodes of a cluster; the others are learnt from them.
    #[serde(skip_serializing_if = "is_empty")]
    pub cluster: OneOrMany<Spanned<Node>>,
    /// The user (ACL) to log in as. Default: the server's default user.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<Spanned<String>>,
    /// Its password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretConfig>,
    /// Encrypted connections, where no `rediss://` says so already. Default: as the URL says, else plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<Spanned<RedisTlsConfig>>,
    /// How long a request waits for an answer. Default 20ms.
    pub timeout: Duration,
    /// What every key begins with: gateways with the same prefix share their counts. Default `tollgate:`.
    pub prefix: Spanned<String>,
    /// What decides while the store is out of reach, where a limit says nothing else. Default local.
    pub on_store_failure: OnStoreFailure,
}

impl Default for RedisConfig {
    fn default() -> Self {
        Self {
            url: None,
            sentinel: None,
            cluster: OneOrMany::default(),
            username: None,
            password: None,
            tls: None,
            timeout: Duration::from_millis(20),
            prefix: Spanned::nowhere("tollgate:".to_owned()),
            on_store_failure: OnStoreFailure::Local,
        }
    }
}

impl FromStr for RedisConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(Self { url: Some(Spanned::nowhere(text.parse()?)), ..Self::default() })
    }
}
short_form!(RedisConfig, "a URL such as `redis://127.0.0.1:6379`, or a map", |redis, place| {
    redis.url.iter_mut().for_each(|url| url.place = place);
});

/// Sentinels, and the name they know the server by.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SentinelConfig {
    /// The name of the master.
    pub master: Spanned<String>,
    /// The sentinels.
    pub nodes: OneOrMany<Spanned<Node>>,
    /// The user to log in to the sentinels as.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// The password of the sentinels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<SecretConfig>,
    /// The number of the database on the server. Default 0.
    #[serde(default)]
    pub database: u16,
}

/// How connections are encrypted.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RedisTlsConfig {
    /// The authorities that are believed (PEM). Default: the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<Spanned<String>>,
    /// The gateway's own certificate (PEM), where the server asks for one; with `key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<Spanned<String>>,
    /// Its key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Spanned<String>>,
    /// The name the server's certificate is for, where it is not the host of the URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_name: Option<Spanned<String>>,
}

/// What decides while the store is out of reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnStoreFailure {
    /// Each gateway counts for itself: at most gateways times the limit passes.
    #[default]
    Local,
    /// Everything passes.
    Open,
    /// Nothing passes: 503.
    Closed,
}

fn is_empty(nodes: &OneOrMany<Spanned<Node>>) -> bool {
    nodes.0.is_empty()
}
