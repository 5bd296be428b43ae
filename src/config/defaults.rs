//! The policies that every level may set: gateway (`defaults:`), api and route. The most specific replaces the others
//! whole.

use super::{EventsConfig, FallbackConfig, HedgeConfig, MirrorConfig};
use crate::cache::CacheConfig;
use crate::policy::allow::{AllowConfig, DefaultConfig};
use crate::policy::auth::RouteAuthConfig;
use crate::policy::compress::CompressConfig;
use crate::policy::cors::CorsConfig;
use crate::policy::csrf::CsrfConfig;
use crate::policy::errors::ErrorsConfig;
use crate::policy::fault::FaultConfig;
use crate::policy::ip::IpConfig;
use crate::policy::limit::{LimitConfig, PlanUse};
use crate::policy::maintenance::MaintenanceConfig;
use crate::policy::security_headers::SecurityHeadersConfig;
use crate::policy::transform::{RequestConfig, ResponseConfig};
use crate::policy::websocket::WebSocketConfig;
use crate::value::form::{short_form, with_short_form};
use crate::value::{ByteSize, Duration, GrpcCode, Invalid, OneOrMany, OrOff, Percent, Priority, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Declares a written type that has, beside its own fields, those that every level may set. They are repeated rather than
/// flattened: serde's `flatten` forgets where things are written.
macro_rules! with_defaults {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields, default)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
            /// The deadline of the whole exchange, all attempts together; `off` for none. Default 30s.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub timeout: Option<$crate::value::OrOff<$crate::value::Duration>>,
            /// When a request is tried again, at another endpoint. Default: once, if no connection came about.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub retries: Option<$crate::config::RetriesConfig>,
            /// A field that tells upstreams when the caller stops waiting, in milliseconds since 1970 (UTC), such as
            /// `X-Request-Deadline`; the same field of a trusted proxy shortens `timeout`. Default off.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub deadline_header: Option<$crate::value::OrOff<$crate::value::Spanned<String>>>,
            /// How much its requests matter when not all can be served: `critical`, `normal` or `background`. Default normal.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub priority: Option<$crate::value::Priority>,
            /// The largest request body; `off` for any. Default 10MiB.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub body_limit: Option<$crate::value::OrOff<$crate::value::ByteSize>>,
            /// Whether the upstream sees the Host that the client named rather than its own. Default false.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub preserve_host: Option<bool>,
            /// Whether `%2F` and `%5C` in a path are refused, or kept as they are. Default refuse.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub encoded_slash: Option<$crate::config::EncodedSlashConfig>,
            /// Whether the `Forwarded` header (RFC 7239) is sent beside `X-Forwarded-*`. Default false.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub forwarded: Option<bool>,
            /// Who may call: a provider under `auth:`, several of which one is enough, or `off`. Default off.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub auth: Option<$crate::value::OrOff<$crate::policy::auth::RouteAuthConfig>>,
            /// What the caller must be or have; `off` for any caller. Default off.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub allow: Option<$crate::value::OrOff<$crate::value::Spanned<$crate::policy::allow::AllowConfig>>>,
            /// Which addresses may call; `off` for any. Default off.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub ip: Option<$crate::value::OrOff<$crate::value::Spanned<$crate::policy::ip::IpConfig>>>,
            /// Which pages of other origins may call (CORS). Default off.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub cors: Option<$crate::value::OrOff<$crate::value::Spanned<$crate::policy::cors::CorsConfig>>>,
            /// Protection of cookie-borne identity against pages of other sites. Default off.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub csrf: Option<$crate::value::OrOff<$crate::policy::csrf::CsrfConfig>>,
            /// Who may open WebSockets, and what may be done on them: `true`, or a map. Default: anybody anything.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub websocket: Option<$crate::value::OrOff<$crate::value::Spanned<$crate::policy::websocket::WebSocketConfig>>>,
            /// How much may pass: `100/s per consumer`; several limits hold together. Default off.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub limit: Option<$crate::value::OrOff<$crate::value::OneOrMany<$crate::policy::limit::LimitConfig>>>,
            /// Answers from memory: how long, or a map. Default off.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub cache: Option<$crate::value::OrOff<$crate::cache::CacheConfig>>,
            /// Whether the plan of the caller holds. Default on.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub plan: Option<$crate::policy::limit::PlanUse>,
            /// How many requests may be under way at once, through all routes of the level together; `off` for any
            /// number. Default off.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub max_in_flight: Option<$crate::value::OrOff<$crate::value::Spanned<u32>>>,
            /// A copy of requests for another upstream: its name, or a map. Default off.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub mirror: Option<$crate::value::OrOff<$crate::config::MirrorConfig>>,
            /// A second attempt, at another endpoint, where the first takes longer than a time or `p95`; the first answer wins.
            /// Idempotent requests only. Default off.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub hedge: Option<$crate::value::OrOff<$crate::config::HedgeConfig>>,
            /// What becomes of streams of server-sent events: `true`, how often they are kept alive, or a map. Default off.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub events: Option<$crate::value::OrOff<$crate::value::Spanned<$crate::config::EventsConfig>>>,
            /// What stands in for an upstream that is out: another upstream, or a map with `stale`, `to`, `respond`. Default off.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub fallback: Option<$crate::value::OrOff<$crate::value::Spanned<$crate::config::FallbackConfig>>>,
            /// Faults that a share of the requests meets, for tests of clients. Default off.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub fault: Option<$crate::value::OrOff<$crate::policy::fault::FaultConfig>>,
            /// Answers 503, with that sentence. Default off.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub maintenance: Option<$crate::value::OrOff<$crate::policy::maintenance::MaintenanceConfig>>,
            /// Header fields that tell browsers to be careful. Default off.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub security_headers: Option<$crate::value::OrOff<$crate::policy::security_headers::SecurityHeadersConfig>>,
            /// What is changed about requests on their way up: rules, made one after the other. Default off.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub request: Option<$crate::value::OrOff<$crate::value::OneOrMany<$crate::value::Spanned<$crate::policy::transform::RequestConfig>>>>,
            /// What is changed about answers on their way down: rules, made one after the other. Default off.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub response: Option<$crate::value::OrOff<$crate::value::OneOrMany<$crate::value::Spanned<$crate::policy::transform::ResponseConfig>>>>,
            /// How errors of upstreams are told: the first rule for a status decides; `off` lets them pass. Default off.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub errors: Option<$crate::value::OrOff<$crate::value::OneOrMany<$crate::value::Spanned<$crate::policy::errors::ErrorsConfig>>>>,
            /// Which answers are compressed; `off` for none. Default off.
            #[serde(skip_serializing_if = "Option::is_none")]
            pub compress: Option<$crate::value::OrOff<$crate::policy::compress::CompressConfig>>,
        }

        impl $name {
            /// The policies this level sets.
            pub fn policies(&self) -> $crate::config::defaults::Policies<'_> {
                $crate::config::defaults::Policies {
                    timeout: self.timeout.as_ref(),
                    retries: self.retries.as_ref(),
                    deadline_header: self.deadline_header.as_ref(),
                    priority: self.priority,
                    body_limit: self.body_limit.as_ref(),
                    preserve_host: self.preserve_host,
                    encoded_slash: self.encoded_slash,
                    forwarded: self.forwarded,
                    auth: self.auth.as_ref(),
                    allow: self.allow.as_ref(),
                    default: None,
                    ip: self.ip.as_ref(),
                    cors: self.cors.as_ref(),
                    csrf: self.csrf.as_ref(),
                    websocket: self.websocket.as_ref(),
                    limit: self.limit.as_ref(),
                    cache: self.cache.as_ref(),
                    plan: self.plan,
                    max_in_flight: self.max_in_flight.as_ref(),
                    mirror: self.mirror.as_ref(),
                    hedge: self.hedge.as_ref(),
                    events: self.events.as_ref(),
                    fallback: self.fallback.as_ref(),
                    fault: self.fault.as_ref(),
                    maintenance: self.maintenance.as_ref(),
                    security_headers: self.security_headers.as_ref(),
                    request: self.request.as_ref(),
                    response: self.response.as_ref(),
                    errors: self.errors.as_ref(),
                    compress: self.compress.as_ref(),
                }
            }
        }
    };
}
pub(crate) use with_defaults;

/// The policies one level sets, borrowed from it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Policies<'a> {
    /// Deadline.
    pub timeout: Option<&'a OrOff<Duration>>,
    /// Retries.
    pub retries: Option<&'a RetriesConfig>,
    /// Deadlines told to upstreams.
    pub deadline_header: Option<&'a OrOff<Spanned<String>>>,
    /// How much it matters.
    pub priority: Option<Priority>,
    /// Largest body.
    pub body_limit: Option<&'a OrOff<ByteSize>>,
    /// The client's Host.
    pub preserve_host: Option<bool>,
    /// Encoded slashes.
    pub encoded_slash: Option<EncodedSlashConfig>,
    /// RFC 7239.
    pub forwarded: Option<bool>,
    /// Providers.
    pub auth: Option<&'a OrOff<RouteAuthConfig>>,
    /// Authorisation.
    pub allow: Option<&'a OrOff<Spanned<AllowConfig>>>,
    /// Where no authorisation is written.
    pub default: Option<DefaultConfig>,
    /// Addresses.
    pub ip: Option<&'a OrOff<Spanned<IpConfig>>>,
    /// Other origins.
    pub cors: Option<&'a OrOff<Spanned<CorsConfig>>>,
    /// Other sites.
    pub csrf: Option<&'a OrOff<CsrfConfig>>,
    /// WebSockets.
    pub websocket: Option<&'a OrOff<Spanned<WebSocketConfig>>>,
    /// Limits.
    pub limit: Option<&'a OrOff<OneOrMany<LimitConfig>>>,
    /// Answers from memory.
    pub cache: Option<&'a OrOff<CacheConfig>>,
    /// The caller's plan.
    pub plan: Option<PlanUse>,
    /// Requests under way.
    pub max_in_flight: Option<&'a OrOff<Spanned<u32>>>,
    /// Copies for another upstream.
    pub mirror: Option<&'a OrOff<MirrorConfig>>,
    /// Streams of events.
    pub events: Option<&'a OrOff<Spanned<EventsConfig>>>,
    /// A second attempt.
    pub hedge: Option<&'a OrOff<HedgeConfig>>,
    /// What stands in for an upstream.
    pub fallback: Option<&'a OrOff<Spanned<FallbackConfig>>>,
    /// Faults for tests.
    pub fault: Option<&'a OrOff<FaultConfig>>,
    /// Out of service.
    pub maintenance: Option<&'a OrOff<MaintenanceConfig>>,
    /// Browsers.
    pub security_headers: Option<&'a OrOff<SecurityHeadersConfig>>,
    /// Changes on the way up.
    pub request: Option<&'a OrOff<OneOrMany<Spanned<RequestConfig>>>>,
    /// Changes on the way down.
    pub response: Option<&'a OrOff<OneOrMany<Spanned<ResponseConfig>>>>,
    /// Errors of upstreams.
    pub errors: Option<&'a OrOff<OneOrMany<Spanned<ErrorsConfig>>>>,
    /// Compression.
    pub compress: Option<&'a OrOff<CompressConfig>>,
}

impl<'a> Policies<'a> {
    /// The same with what a level that is no route says of routes without `allow`.
    #[must_use]
    pub fn with_default(self, default: Option<DefaultConfig>) -> Self {
        Self { default, ..self }
    }

    /// What holds when `outer` stands around these.
    #[must_use]
    pub fn within(self, outer: Policies<'a>) -> Policies<'a> {
        Policies {
            timeout: self.timeout.or(outer.timeout),
            retries: self.retries.or(outer.retries),
            deadline_header: self.deadline_header.or(outer.deadline_header),
            priority: self.priority.or(outer.priority),
            body_limit: self.body_limit.or(outer.body_limit),
            preserve_host: self.preserve_host.or(outer.preserve_host),
            encoded_slash: self.encoded_slash.or(outer.encoded_slash),
            forwarded: self.forwarded.or(outer.forwarded),
            auth: self.auth.or(outer.auth),
            allow: self.allow.or(outer.allow),
            default: self.default.or(outer.default),
            ip: self.ip.or(outer.ip),
            cors: self.cors.or(outer.cors),
            csrf: self.csrf.or(outer.csrf),
            websocket: self.websocket.or(outer.websocket),
            limit: self.limit.or(outer.limit),
            cache: self.cache.or(outer.cache),
            plan: self.plan.or(outer.plan),
            max_in_flight: self.max_in_flight.or(outer.max_in_flight),
            mirror: self.mirror.or(outer.mirror),
            hedge: self.hedge.or(outer.hedge),
            events: self.events.or(outer.events),
            fallback: self.fallback.or(outer.fallback),
            fault: self.fault.or(outer.fault),
            maintenance: self.maintenance.or(outer.maintenance),
            security_headers: self.security_headers.or(outer.security_headers),
            request: self.request.or(outer.request),
            response: self.response.or(outer.response),
            errors: self.errors.or(outer.errors),
            compress: self.compress.or(outer.compress),
        }
    }
}

with_defaults! {
    /// Policies for every route; an api or a route replaces them by name.
    RouteDefaults {
        /// What becomes of requests to routes for which no `allow` is in force: `allow` or `deny`. Default allow.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub default: Option<DefaultConfig>,
    }
}

/// What becomes of `%2F` and `%5C` in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EncodedSlashConfig {
    /// 400.
    Refuse,
    /// Passed on as it is.
    Keep,
}

/// The longest body that can be sent again, bytes: what Pingora keeps of one.
pub const MOST_REPLAYED: u64 = 64 * 1024;

/// When a request is tried again.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "RetriesConfig", deny_unknown_fields, default)]
#[schemars(transform = with_short_form("The number of retries."))]
pub struct RetriesConfig {
    /// Attempts after the first. Default 1.
    pub max: u32,
    /// After what: `connect`, `reset`, `timeout` or a status. All but `connect` only for idempotent methods. Default
    /// `[connect]`.
    pub on: Vec<RetryOn>,
    /// Retries as a share of requests, so that a failing service is not buried under them. Default 20%.
    pub budget: Percent,
    /// How long one attempt may take to begin its answer, and be silent after that; then it is given up and made anew, as
    /// with `timeout` in `on`. Default: the route's timeout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_try: Option<Spanned<Duration>>,
    /// The wait before a retry, at most: this before the first, twice that before the second, and so on up to ten times;
    /// how long of it is drawn at random. Default 25ms.
    pub backoff: OrOff<Duration>,
    /// The longest body that is sent again. Default 64KiB, which is also the most.
    pub replay: Spanned<ByteSize>,
}

impl Default for RetriesConfig {
    fn default() -> Self {
        Self {
            max: 1,
            on: vec![RetryOn::Connect],
            budget: Percent::new(20),
            per_try: None,
            backoff: OrOff::On(Duration::from_millis(25)),
            replay: Spanned::nowhere(ByteSize::new(MOST_REPLAYED)),
        }
    }
}

impl FromStr for RetriesConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let max = text.parse().map_err(|_| {
            Invalid::new("retries are a number or a map").hint("write `2`, or `{ max: 2, on: [connect, 503] }`")
        })?;
        Ok(Self { max, ..Self::default() })
    }
}
short_form!(RetriesConfig, "a number of retries, or a map");

/// After what a request is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryOn {
    /// No connection came about.
    Connect,
    /// The connection broke before the answer.
    Reset,
    /// No answer in time.
    Timeout,
    /// This status.
    Status(u16),
    /// This status of gRPC.
    Grpc(GrpcCode),
}

impl FromStr for RetryOn {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "connect" => Ok(Self::Connect),
            "reset" => Ok(Self::Reset),
            "timeout" => Ok(Self::Timeout),
            _ => match text.parse() {
                Ok(status @ 400..=599) => Ok(Self::Status(status)),
                _ => match text.parse() {
                    Ok(code) if code != GrpcCode::OK => Ok(Self::Grpc(code)),
                    _ => Err(Invalid::new(format!("`{text}` is nothing to retry on")).hint(
                        "write `connect`, `reset`, `timeout`, a status from 400 to 599, or one of gRPC such as `unavailable`",
                    )),
                },
            },
        }
    }
}

impl std::fmt::Display for RetryOn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Connect => f.write_str("connect"),
            Self::Reset => f.write_str("reset"),
            Self::Timeout => f.write_str("timeout"),
            Self::Status(status) => status.fmt(f),
            Self::Grpc(code) => code.fmt(f),
        }
    }
}
crate::value::form::text_form!(RetryOn, "connect, reset, timeout, or a status", {});
