//! Routes and apis as they are written.

use super::defaults::with_defaults;
use super::{BatchConfig, CombineConfig, GrpcConfig, MessageConfig, ReplyTemplate, Routes, SocketConfig, TargetConfig};
use crate::policy::allow::DefaultConfig;
use crate::policy::answer::{MockConfig, RespondConfig};
use crate::value::form::{short_form, with_short_form};
use crate::value::{Named, OneOrMany, Spanned, Sticky};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::str::FromStr;

with_defaults! {
    /// A published API: what its routes share.
    ApiConfig {
        /// The host, or hosts, it is published at; `*.example.com` for all below. Default: any.
        pub host: OneOrMany<Spanned<String>>,
        /// The path all its routes stand below, stripped before the upstream unless `strip: false`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub base: Option<Spanned<String>>,
        /// Whether the base is stripped. Default true.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub strip: Option<bool>,
        /// What becomes of requests to its routes for which no `allow` is in force: `allow` or `deny`. Default allow.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub default: Option<DefaultConfig>,
        /// Bodies of the gateway's own replies, by reason or `default`.
        pub replies: Named<ReplyTemplate>,
        /// Its routes; their paths stand below the base.
        pub routes: Routes,
    }
}

with_defaults! {
    /// What is done with the requests a route takes. Exactly one of `to`, `combine`, `batch`, `redirect`, `respond` and
    /// `mock`.
    RouteConfig {
        /// What must hold beside method and path.
        #[serde(rename = "match")]
        pub matches: MatchConfig,
        /// The upstream: its name, a URL, a list of URLs, or a list with weights.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub to: Option<Spanned<TargetConfig>>,
        /// What keeps a request at one of several upstreams of `to`, whatever is drawn for others: `consumer`, `client`,
        /// `header NAME`, or `cookie NAME for 30d`, issued where none came. Default: each request is drawn anew.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub sticky: Option<Spanned<Sticky>>,
        /// Sends the client elsewhere.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub redirect: Option<Spanned<RedirectConfig>>,
        /// Answers as written here; texts may hold variables such as `{id}`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub respond: Option<Spanned<RespondConfig>>,
        /// Answers as a service would that is not there yet: as `respond`, with examples by media type and a delay.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub mock: Option<Spanned<MockConfig>>,
        /// One answer out of several calls.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub combine: Option<Spanned<CombineConfig>>,
        /// Calls a method of the upstream in `to`, which speaks gRPC, with what a request of HTTP and JSON says.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub grpc: Option<Spanned<GrpcConfig>>,
        /// Talks WebSocket to the upstream in `to`: a request with a body is one message, its answer the reply; a GET waits for
        /// a message, or gets all of them as events.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub message: Option<Spanned<MessageConfig>>,
        /// Takes WebSockets for the upstream in `to`, which speaks plain HTTP: each message is a request, the body of its answer
        /// the message that comes back; or `events` of the upstream are the messages.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub socket: Option<Spanned<SocketConfig>>,
        /// Many requests to routes of this gateway in one POST: how many at most, or a map.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub batch: Option<Spanned<BatchConfig>>,
        /// The path the upstream sees, with captures: `/v2/{id}`, `/new/{**}`.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub rewrite: Option<Spanned<String>>,
        /// Whether the api's base is stripped. Default: as the api says.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub strip: Option<Spanned<bool>>,
        /// Bodies of the gateway's own replies, by reason or `default`.
        pub replies: Named<ReplyTemplate>,
    }
}

/// What must hold beside method and path: all of it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MatchConfig {
    /// One of these hosts; `*.example.com` for all below.
    pub host: OneOrMany<Spanned<String>>,
    /// Headers, by name.
    pub header: Named<ValueMatch>,
    /// Query parameters, by name.
    pub query: Named<ValueMatch>,
    /// Cookies, by name.
    pub cookie: Named<ValueMatch>,
    /// Parts of the body, by JSON pointer: `/order/type`. Of a form the fields: `/type`. Bodies up to 64KiB are read; for
    /// larger ones, and for those that are not what their type says, none of this holds.
    pub body: Named<ValueMatch>,
}

/// What a value must be: exactly one of these.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "ValueMatch", deny_unknown_fields, default)]
#[schemars(transform = with_short_form("The exact value."))]
pub struct ValueMatch {
    /// This.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exact: Option<String>,
    /// Something that begins with this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Something that this regular expression matches as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<Spanned<String>>,
    /// Anything (true), or nothing at all (false).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub present: Option<bool>,
}

impl FromStr for ValueMatch {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self { exact: Some(text.to_owned()), ..Self::default() })
    }
}
short_form!(ValueMatch, "a value, or a map with exact, prefix, regex or present");

/// A redirect.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "RedirectConfig", deny_unknown_fields)]
#[schemars(transform = with_short_form("Where to."))]
pub struct RedirectConfig {
    /// A path or URL with variables: `/new/{**}?from={host}`; none in the scheme or the host. The query goes along unless
    /// this has one.
    pub to: Spanned<String>,
    /// 301, 302, 303, 307 or 308. Default 308.
    #[serde(default = "permanent")]
    pub status: Spanned<u16>,
}

fn permanent() -> Spanned<u16> {
    Spanned::nowhere(308)
}

impl FromStr for RedirectConfig {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self { to: Spanned::nowhere(text.to_owned()), status: permanent() })
    }
}
short_form!(RedirectConfig, "a path or URL, or a map", |redirect, place| redirect.to.place = place);
