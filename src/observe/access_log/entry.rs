//! One finished request as the access log sees it: borrowed facts, grouped by what they tell.

use std::net::IpAddr;
use std::time::Duration;

use crate::observe::{SpanId, TraceId, UnixMillis};

/// One line of the access log.
///
/// Facts that come from the client are bytes: they may be anything, are cut to a bound and escaped. What is `None` does
/// not apply and is left out of the line.
#[derive(Clone, Copy, Debug)]
pub struct AccessEntry<'a> {
    /// When the request's head had arrived.
    pub time: UnixMillis,
    /// Names under which the request can be found elsewhere.
    pub ids: Ids<'a>,
    /// Who asked, and over what connection.
    pub who: Who<'a>,
    /// What was asked for.
    pub what: What<'a>,
    /// What in the configuration took the request.
    pub matched: Matched<'a>,
    /// How it ended.
    pub outcome: Outcome<'a>,
    /// How long it took.
    pub timings: Timings,
    /// Who answered; `None` if no upstream was asked.
    pub upstream: Option<Answer<'a>>,
    /// What its parts came to, where the answer was made of several.
    pub parts: &'a [Part<'a>],
}

/// Names under which a request can be found elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Ids<'a> {
    /// What `X-Request-Id` says upstream and to the client.
    pub request: &'a [u8],
    /// The trace the request belongs to.
    pub trace: Option<TraceId>,
    /// The request id of the batch that it is part of.
    pub batch: Option<&'a [u8]>,
}

/// Who asked, and over what connection.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// The client, after trusted proxies; `None` on a Unix socket.
    pub client: Option<IpAddr>,
    /// The listener's name.
    pub listener: &'a str,
    /// `HTTP/1.1`, `HTTP/2.0` …
    pub protocol: &'a str,
    /// The TLS version, such as `TLSv1.3`; `None` without TLS.
    pub tls: Option<&'a str>,
    /// The consumer established for this request.
    pub consumer: Option<&'a str>,
    /// `User-Agent`.
    pub user_agent: Option<&'a [u8]>,
}

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub struct What<'a> {
    /// The method.
    pub method: &'a [u8],
    /// The host, from `Host` or `:authority`.
    pub host: &'a [u8],
    /// The path, normalised if that could be done.
    pub path: &'a [u8],
    /// The query, without its `?`.
    pub query: Option<&'a [u8]>,
}

/// What in the configuration took the request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Matched<'a> {
    /// The api's name.
    pub api: Option<&'a str>,
    /// The route key.
    pub route: Option<&'a str>,
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a> {
    /// The status sent, or 499 if the client left first.
    pub status: u16,
    /// Why the gateway answered itself, or what went wrong.
    pub reason: Option<&'a str>,
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the response's body.
    pub bytes_out: u64,
    /// What the cache did: `hit`, `miss` …
    pub cache: Option<&'a str>,
    /// What stood in for an upstream that was out.
    pub fallback: Option<&'a str>,
    /// What came of a WebSocket that was looked at.
    pub socket: Option<SocketOutcome>,
}

/// What came of a WebSocket.
#[derive(Clone, Copy, Debug)]
pub struct SocketOutcome {
    /// Messages from the client.
    pub messages_in: u64,
    /// Messages from the upstream.
    pub messages_out: u64,
    /// The code it was closed with (RFC 6455 §7.4); 1005 for none, 1006 where nobody has closed it.
    pub code: u16,
    /// Why it ended, or who ended it.
    pub ended: &'static str,
}

/// How long a request took.
#[derive(Clone, Copy, Debug)]
pub struct Timings {
    /// From the request's head to the last byte of the answer.
    pub total: Duration,
    /// The part of `total` not spent on upstreams.
    pub gateway: Duration,
    /// The part of `total` spent on upstreams, all attempts together.
    pub upstream: Option<Duration>,
}

/// Who answered.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The upstream's name.
    pub upstream: &'a str,
    /// The endpoint of the last attempt; `None` if none could be picked.
    pub endpoint: Option<&'a str>,
    /// How many attempts were made.
    pub attempts: u32,
}

/// A part of an answer that was made of several.
#[derive(Clone, Copy, Debug)]
pub struct Part<'a> {
    /// Its name.
    pub name: &'a str,
    /// The upstream's name.
    pub upstream: &'a str,
    /// What it answered, where it was one call.
    pub status: Option<u16>,
    /// From its beginning to its end.
    pub duration: Duration,
    /// `answered`, or why it was not.
    pub outcome: &'a str,
    /// The calls it asked for.
    pub calls: usize,
    /// The span of its call, where it was one.
    pub span: Option<SpanId>,
}

/// Bounds on what clients supply, in bytes. What is longer is cut and ends in `…`.
pub(super) mod bound {
    pub(in super::super) const REQUEST_ID: usize = 128;
    pub(in super::super) const METHOD: usize = 32;
    pub(in super::super) const HOST: usize = 255;
    pub(in super::super) const PATH: usize = 2_048;
    pub(in super::super) const QUERY: usize = 2_048;
    pub(in super::super) const USER_AGENT: usize = 512;
    /// For what configuration supplies, which nobody should make this long.
    pub(in super::super) const NAME: usize = 1_024;
}
