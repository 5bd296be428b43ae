//! The file as a whole, and what belongs to the process.

use super::defaults::RouteDefaults;
use super::{ApiConfig, ConnectionLimits, ConsumerConfig, ListenerConfig, Routes, UpstreamConfig};
use crate::cache::CacheStoreConfig;
use crate::policy::auth::AuthConfig;
use crate::policy::limit::PlanConfig;
use crate::shared_state::SharedStateConfig;
use crate::value::form::{short_form, with_short_form};
use crate::value::written::{each, recovering};
use crate::value::{Address, ByteSize, Duration, Invalid, Named, Network, OneOrMany, OrOff, SecretConfig, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// The configuration of a gateway.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Short for plain listeners: `:8080`, or several.
    #[serde(deserialize_with = "recovering", skip_serializing_if = "is_empty")]
    pub listen: OneOrMany<Spanned<Address>>,
    /// Listeners with protocols, TLS and limits, by name.
    pub listeners: Named<ListenerConfig>,
    /// The admin API: metrics, health, explain, reload.
    #[serde(deserialize_with = "recovering", skip_serializing_if = "Option::is_none")]
    pub admin: Option<AdminConfig>,
    /// Proxies in front whose `X-Forwarded-*` are believed.
    #[serde(deserialize_with = "each")]
    pub trusted_proxies: Vec<Spanned<Network>>,
    /// The access log.
    #[serde(deserialize_with = "recovering")]
    pub access_log: AccessLogConfig,
    /// The process: threads, user, files, draining.
    #[serde(deserialize_with = "recovering")]
    pub server: ServerConfig,
    /// Bounds of the connections of every listener.
    #[serde(deserialize_with = "recovering")]
    pub limits: ConnectionLimits,
    /// Where answers are kept that routes give from memory. Default 256MiB of memory.
    #[serde(deserialize_with = "recovering")]
    pub cache: CacheStoreConfig,
    /// What gateways share: counts of limits, in a Redis. Default: nothing.
    #[serde(deserialize_with = "recovering", skip_serializing_if = "Option::is_none")]
    pub shared_state: Option<Spanned<SharedStateConfig>>,
    /// Policies for every route; an api or a route replaces them by name.
    #[serde(deserialize_with = "recovering")]
    pub defaults: RouteDefaults,
    /// Ways to establish the caller, by name; routes ask for them with `auth:`.
    pub auth: Named<AuthConfig>,
    /// Known callers, by name.
    pub consumers: Named<ConsumerConfig>,
    /// Files with more of them, which are watched: a map like `consumers` (`.yaml`), or one key a line (`.csv`).
    #[serde(deserialize_with = "recovering", skip_serializing_if = "is_empty")]
    pub consumers_from: OneOrMany<Spanned<String>>,
    /// What consumers may use, by name; consumers are on one by `plan:`.
    pub plans: Named<PlanConfig>,
    /// Pools of endpoints, by name.
    pub upstreams: Named<UpstreamConfig>,
    /// Published APIs, by name.
    pub apis: Named<ApiConfig>,
    /// Routes outside of any api.
    pub routes: Routes,
    /// Bodies of the gateway's own replies, by reason or `default`.
    pub replies: Named<ReplyTemplate>,
    /// Environment variables that values may name: `{env.REGION}`.
    #[serde(deserialize_with = "each", skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<Spanned<String>>,
    /// Other files whose upstreams, apis, routes and replies are merged into this one: `teams/*.yaml`.
    #[serde(deserialize_with = "each")]
    pub include: Vec<Spanned<String>>,
    /// Whether the files are watched and reloaded when they change. Default false.
    pub watch: bool,
}

fn is_empty<T>(list: &OneOrMany<T>) -> bool {
    list.is_empty()
}

/// The admin API.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "AdminConfig", deny_unknown_fields)]
#[schemars(transform = with_short_form("The address: `127.0.0.1:9901`."))]
pub struct AdminConfig {
    /// Where it listens. Default 127.0.0.1:9901.
    #[serde(default = "admin_address")]
    pub address: Spanned<Address>,
    /// The bearer token it asks for; required on any address that is not loopback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretConfig>,
}

fn admin_address() -> Spanned<Address> {
    Spanned::nowhere(Address::from(std::net::SocketAddr::from(([127, 0, 0, 1], 9901))))
}

impl FromStr for AdminConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(Self { address: Spanned::nowhere(text.parse()?), token: None })
    }
}
short_form!(AdminConfig, "an address, or a map", |admin, place| admin.address.place = place);

/// The access log: one line a request.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "AccessLogConfig", deny_unknown_fields, default)]
#[schemars(transform = with_short_form("`stdout`, `off`, or the path of a file."))]
pub struct AccessLogConfig {
    /// `stdout`, `off`, or the path of a file, which is opened anew on USR1. Default stdout.
    pub to: Spanned<String>,
    /// JSON, or text as Apache writes it. Default json.
    pub format: LogFormat,
    /// Query parameters whose values are not shown. Default: the usual names of credentials.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redact_query: Option<Vec<String>>,
}

impl Default for AccessLogConfig {
    fn default() -> Self {
        Self { to: Spanned::nowhere("stdout".into()), format: LogFormat::Json, redact_query: None }
    }
}

impl FromStr for AccessLogConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(Self { to: Spanned::nowhere(text.to_owned()), ..Self::default() })
    }
}
short_form!(AccessLogConfig, "stdout, off, a path, or a map", |log, place| log.to.place = place);

/// The form of the access log's lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// Apache's combined format.
    Text,
}

/// The process.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ServerConfig {
    /// Worker threads. Default: one per processor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<Spanned<u16>>,
    /// User to become, with `run -d`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Group to become, with `run -d`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Where the process id is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid_file: Option<Spanned<String>>,
    /// Where a successor takes the listening sockets over; in a folder that only the gateway's user may enter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upgrade_socket: Option<Spanned<String>>,
    /// The folder in which quotas are kept over restarts; one that the gateway's user may write. Default: they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_dir: Option<Spanned<String>>,
    /// Room for so many keys of limits at once, rates and quotas each; 26 bytes for each. Default 1000000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_keys: Option<Spanned<u32>>,
    /// How much memory the bodies may take that answers are made of (`combine`, `batch`), over all requests; from 1MiB. Over
    /// it 503. Default 256MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gathered: Option<Spanned<ByteSize>>,
    /// On TERM: how long readiness fails before the listeners close. Default 0s.
    pub drain: Duration,
    /// How long requests under way may take to finish after that. Default 30s.
    pub grace: Duration,
    /// The zone this gateway is in; endpoints in the same one are preferred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Turning requests away, the least important first, when the gateway itself cannot keep up; `off` for none. On by
    /// default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overload: Option<OrOff<Spanned<PressureConfig>>>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            threads: None,
            user: None,
            group: None,
            pid_file: None,
            upgrade_socket: None,
            state_dir: None,
            max_keys: None,
            gathered: None,
            drain: Duration::from_secs(0),
            grace: Duration::from_secs(30),
            zone: None,
            overload: None,
        }
    }
}

/// When the gateway turns requests away because it cannot keep up itself.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PressureConfig {
    /// How long work may wait for its turn on a worker before anything is done. Default 200ms.
    pub delay: Duration,
}

impl Default for PressureConfig {
    fn default() -> Self {
        Self { delay: Duration::from_millis(200) }
    }
}

/// The body of a reply that the gateway makes itself. `{status}`, `{title}`, `{detail}`, `{reason}`, `{type}` and
/// `{request_id}` are filled in.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplyTemplate {
    /// Its media type.
    pub content_type: Spanned<String>,
    /// The body itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Spanned<String>>,
    /// Or a file that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Spanned<String>>,
    /// A status instead of the reason's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Spanned<u16>>,
}
