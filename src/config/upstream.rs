//! Upstreams as they are written.

use super::AffinityConfig;
use crate::value::form::{short_form, text_form, with_short_form};
use crate::value::{Duration, Invalid, Named, OrOff, Percent, Scheme, Spanned, Url};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// A pool of endpoints.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamConfig {
    /// Where requests may go.
    pub endpoints: Vec<Spanned<EndpointConfig>>,
    /// Endpoints found under a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discover: Option<Spanned<DiscoverConfig>>,
    /// How one of several is chosen. Default round_robin.
    pub balance: BalanceConfig,
    /// Session affinity: a cookie that brings a client back to the endpoint that has served it. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Spanned<AffinityConfig>>,
    /// Active health checks. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub health: Option<HealthConfig>,
    /// Passive ejection of endpoints that keep failing; `off` for none. On by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ejection: Option<OrOff<EjectionConfig>>,
    /// When nothing is sent for a while because too much fails. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker: Option<Spanned<BreakerConfig>>,
    /// The most requests under way at once. Default no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_in_flight: Option<Spanned<u32>>,
    /// Turning requests away, the least important first, when answers take longer because there are too many; `off` for
    /// none. On by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overload: Option<OrOff<Spanned<OverloadConfig>>>,
    /// When fewer than this share of the endpoints are healthy, all are used: a few must not drown. Default 50%.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub panic: Option<Percent>,
    /// How long an endpoint that is new, or back again, is given less than its share, which grows all the while. Default:
    /// it gets its share at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow_start: Option<Duration>,
    /// The zone whose endpoints are preferred. Default: the gateway's own, `server.zone`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// When fewer than this share of the endpoints in the preferred zone are healthy, others take part. Default 70%.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spill_below: Option<Percent>,
    /// TLS towards the endpoints.
    pub tls: UpstreamTlsConfig,
    /// For a connection to be made. Default 2s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connect_timeout: Option<Duration>,
    /// Without a byte of the answer. Default: the route's timeout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_timeout: Option<Duration>,
    /// For one write. Default 30s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_timeout: Option<Duration>,
    /// How long an unused connection is kept; less than what the service itself keeps it. Default 55s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_timeout: Option<Duration>,
    /// HTTP/2 streams at once over one connection. Default 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub h2_streams: Option<u16>,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "EndpointConfig", deny_unknown_fields)]
#[schemars(transform = with_short_form("The URL alone."))]
pub struct EndpointConfig {
    /// http, https, h2 (HTTP/2 over TLS), h2c, grpc (as h2c), grpcs (as h2), ws (as http) or wss (as https); host; port.
    pub url: Url,
    /// Its share of requests, 1 to 1000. Default 1.
    #[serde(default = "one")]
    pub weight: Spanned<u32>,
    /// The zone it is in. Those in the gateway's own zone are preferred.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// What tells it from its neighbours, for `subset` of routes.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub labels: Named<String>,
}

fn one() -> Spanned<u32> {
    Spanned::nowhere(1)
}

impl FromStr for EndpointConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        Ok(Self { url: text.parse()?, weight: one(), zone: None, labels: Named::default() })
    }
}
short_form!(EndpointConfig, "a URL, or a map with url and weight");

/// Endpoints found under a DNS name: every address it has.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscoverConfig {
    /// The name.
    pub dns: String,
    /// The port.
    pub port: u16,
    /// How they are spoken to. Default http.
    #[serde(default = "http")]
    pub scheme: Scheme,
    /// How often it is looked up. Default 10s.
    #[serde(default = "ten_seconds")]
    pub interval: Spanned<Duration>,
}

fn http() -> Scheme {
    Scheme::Http
}

fn ten_seconds() -> Spanned<Duration> {
    Spanned::nowhere(Duration::from_secs(10))
}

/// How one of several endpoints is chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BalanceConfig {
    /// In turn, by weight, evenly mixed.
    #[default]
    RoundRobin,
    /// At random, by weight.
    Random,
    /// Of two drawn at random, the one with fewer requests under way.
    LeastRequests,
    /// Of two drawn at random, the one that answers faster.
    PeakEwma,
    /// The same endpoint for the same `client`, `path`, `header NAME` or `cookie NAME`.
    Hash(HashConfig),
}

/// What a request is hashed by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashConfig {
    /// The client's address.
    Client,
    /// The path.
    Path,
    /// A header.
    Header(String),
    /// A cookie.
    Cookie(String),
}

impl FromStr for HashConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text.split_once(' ').map(|(kind, name)| (kind, name.trim())) {
            None if text == "client" => Ok(Self::Client),
            None if text == "path" => Ok(Self::Path),
            Some(("header", name)) if http::HeaderName::from_str(name).is_ok() => Ok(Self::Header(name.to_owned())),
            Some(("cookie", name)) if !name.is_empty() => Ok(Self::Cookie(name.to_owned())),
            _ => Err(Invalid::new(format!("`{text}` is nothing to hash by"))
                .hint("write `client`, `path`, `header X-Name` or `cookie name`")),
        }
    }
}

impl std::fmt::Display for HashConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Client => f.write_str("client"),
            Self::Path => f.write_str("path"),
            Self::Header(name) => write!(f, "header {name}"),
            Self::Cookie(name) => write!(f, "cookie {name}"),
        }
    }
}
text_form!(HashConfig, "client, path, header NAME or cookie NAME", {});

/// Active health checks.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "HealthConfig", deny_unknown_fields, default)]
#[schemars(transform = with_short_form("The path alone, or `grpc`."))]
pub struct HealthConfig {
    /// What is asked for by GET. Without it, or with tcp, a connection is enough.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Spanned<String>>,
    /// The service that the health service of gRPC is asked about; empty for the server as a whole, in short `grpc`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grpc: Option<Spanned<String>>,
    /// Whether only a connection is made. Default false.
    pub tcp: bool,
    /// From one check to the next. Default 5s.
    pub interval: Spanned<Duration>,
    /// For one check. Default 2s.
    pub timeout: Duration,
    /// Passes in a row that bring an endpoint back. Default 2.
    pub healthy_after: u32,
    /// Failures in a row that take it out. Default 3.
    pub unhealthy_after: u32,
    /// Statuses that pass. Default ["200-299"].
    pub statuses: Vec<StatusRange>,
    /// The Host that is asked for. Default: the endpoint's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Another port than the endpoint's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            path: None,
            grpc: None,
            tcp: false,
            interval: Spanned::nowhere(Duration::from_secs(5)),
            timeout: Duration::from_secs(2),
            healthy_after: 2,
            unhealthy_after: 3,
            statuses: vec![StatusRange { first: 200, last: 299 }],
            host: None,
            port: None,
        }
    }
}

impl FromStr for HealthConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        if text == "grpc" {
            return Ok(Self { grpc: Some(Spanned::nowhere(String::new())), ..Self::default() });
        }
        if !text.starts_with('/') {
            return Err(Invalid::new("a health check's path begins with `/`")
                .hint("write `/healthz`, `grpc`, or `{ tcp: true }`"));
        }
        Ok(Self { path: Some(Spanned::nowhere(text.to_owned())), ..Self::default() })
    }
}
short_form!(HealthConfig, "a path, `grpc`, or a map", |health, place| {
    for written in [&mut health.path, &mut health.grpc].into_iter().flatten() {
        written.place = place;
    }
});

/// One status, or a range of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusRange {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

impl FromStr for StatusRange {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        match (first.trim().parse(), last.trim().parse()) {
            (Ok(first), Ok(last)) if (100..=599).contains(&first) && first <= last && last <= 599 => {
                Ok(Self { first, last })
            }
            _ => {
                Err(Invalid::new(format!("`{text}` is no status and no range of them"))
                    .hint("write `200` or `200-399`"))
            }
        }
    }
}

impl std::fmt::Display for StatusRange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.first == self.last { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}
text_form!(StatusRange, "a status, or a range such as 200-399", {});

/// Passive ejection.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EjectionConfig {
    /// Failures in a row that eject an endpoint. Default 5.
    pub after: u32,
    /// For how long; twice as long the second time, and so on. Default 30s.
    #[serde(rename = "for")]
    pub lasting: Duration,
    /// At the longest. Default 5m.
    pub longest: Duration,
    /// The share of endpoints that may be out at once. Default 50%.
    pub at_most: Percent,
}

impl Default for EjectionConfig {
    fn default() -> Self {
        Self {
            after: 5,
            lasting: Duration::from_secs(30),
            longest: Duration::from_secs(300),
            at_most: Percent::new(50),
        }
    }
}

/// When requests are turned away because answers take longer and longer.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OverloadConfig {
    /// So many requests may always wait for their answers at once. Default 20.
    pub at_least: u32,
    /// How many times as long as usual answers may take before anything is done. Default 2.
    pub tolerance: f64,
}

impl Default for OverloadConfig {
    fn default() -> Self {
        Self { at_least: 20, tolerance: 2.0 }
    }
}

/// TLS towards endpoints.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamTlsConfig {
    /// The CA (PEM) that signs their certificates. Default: the system's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<Spanned<String>>,
    /// The certificate (PEM) shown to them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cert: Option<Spanned<String>>,
    /// Its key (PEM).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Spanned<String>>,
    /// The name asked for and verified, instead of the endpoint's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sni: Option<String>,
    /// Whether their certificates are verified. Default true.
    pub verify: bool,
}

impl Default for UpstreamTlsConfig {
    fn default() -> Self {
        Self { ca: None, cert: None, key: None, sni: None, verify: true }
    }
}

/// A circuit breaker.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BreakerConfig {
    /// The share of failed requests at which it opens. Default 50%.
    pub open_at: Percent,
    /// Fewer requests than this within the window decide nothing. Default 20.
    pub of_at_least: u32,
    /// How long it stays open. Default 10s.
    #[serde(rename = "for")]
    pub lasting: Duration,
    /// The time looked back on. Default 10s.
    pub window: Duration,
    /// Requests that are let through then, all of which must go well. Default 3.
    pub probes: u8,
    /// Whether the whole upstream has one, or each endpoint its own. Default upstream.
    pub per: BreakerScope,
}

/// What a breaker stands before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakerScope {
    /// The upstream: when it opens, requests are refused.
    #[default]
    Upstream,
    /// Each endpoint: when it opens, the others are asked, and requests are refused when all are open.
    Endpoint,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            open_at: Percent::new(50),
            of_at_least: 20,
            lasting: Duration::from_secs(10),
            window: Duration::from_secs(10),
            probes: 3,
            per: BreakerScope::Upstream,
        }
    }
}
