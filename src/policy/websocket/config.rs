//! The written form of `websocket:`.

use crate::policy::cors::OriginPattern;
use crate::policy::limit::LimitKey;
use crate::value::form::{short_form, with_short_form};
use crate::value::{ByteRate, ByteSize, Duration, Invalid, OneOrMany, OrOff, Rate, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What WebSocket connections may do: `true`, or a map.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "WebSocketConfig", deny_unknown_fields, default)]
#[schemars(transform = with_short_form("`true`: as a map with nothing in it."))]
pub struct WebSocketConfig {
    /// Origins whose pages may connect, beside this one: `https://app.example`, `https://*.example`, `*`. Default: any,
    /// unless the handshake has a cookie; then this one alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origins: Option<OneOrMany<Spanned<OriginPattern>>>,
    /// Whether a token may come in `Sec-WebSocket-Protocol`, where `auth` is asked: as `bearer, <token>`, or in a name
    /// that begins with `base64url.bearer.authorization.`. Default true.
    pub protocol_token: bool,
    /// How many may be open at once: `5 per consumer`; several bounds hold together. Default: any number.
    pub connections: OneOrMany<ConnectionsConfig>,
    /// What may come from clients. Default: anything.
    pub from_client: FromSideConfig,
    /// What may come from upstreams. Default: anything.
    pub from_upstream: FromSideConfig,
    /// A connection without a message either way is closed after so long; `off` for never. Default 10m.
    pub idle: OrOff<Spanned<Duration>>,
    /// A side that has sent nothing for so long is sent a ping. Default off.
    pub ping: OrOff<Spanned<Duration>>,
    /// So long it has to send anything after that, or the connection is closed. Default 10s.
    pub pong: Spanned<Duration>,
    /// A connection is closed when it is that old; `off` for any age. Default off.
    pub life: OrOff<Spanned<Duration>>,
    /// What becomes of a connection whose caller's credentials expire. Default close.
    pub expiry: ExpiryConfig,
}

impl Default for WebSocketConfig {
    fn default() -> Self {
        let seconds = |seconds| Spanned::nowhere(Duration::from_secs(seconds));
        Self {
            origins: None,
            protocol_token: true,
            connections: OneOrMany::default(),
            from_client: FromSideConfig::default(),
            from_upstream: FromSideConfig::default(),
            idle: OrOff::On(seconds(600)),
            ping: OrOff::Off,
            pong: seconds(10),
            life: OrOff::Off,
            expiry: ExpiryConfig::Close,
        }
    }
}

impl FromStr for WebSocketConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "true" => Ok(Self::default()),
            _ => Err(Invalid::new(format!("`{text}` is neither on nor off")).hint("write `true`, `off`, or a map")),
        }
    }
}
short_form!(WebSocketConfig, "true, or a map with origins, connections, from_client, idle, ping and others");

/// What may come from one side of a connection.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FromSideConfig {
    /// The longest frame.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame: Option<Spanned<ByteSize>>,
    /// The longest message, as it is sent: compressed messages count compressed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Spanned<ByteSize>>,
    /// Messages, pings and pongs in a time: `20/s burst 50`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub messages: Option<Rate>,
    /// Bytes in a time, all counted as their frame begins: `64KiB/s burst 1MiB`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<Spanned<ByteRate>>,
}

/// How many connections may be open at once.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "ConnectionsConfig", deny_unknown_fields)]
#[schemars(transform = with_short_form("`5 per consumer`, `1000`."))]
pub struct ConnectionsConfig {
    /// How many.
    pub most: Spanned<u32>,
    /// What is counted by, as with `limit`. Default: everything together.
    #[serde(default)]
    pub per: OneOrMany<Spanned<LimitKey>>,
}

impl FromStr for ConnectionsConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let (most, per) = text.split_once(" per ").map_or((text, None), |(most, per)| (most, Some(per)));
        let wrong = || {
            Invalid::new(format!("`{text}` is no number of connections"))
                .hint("write `5 per consumer`, `20 per client` or `1000`")
        };
        let most = most.trim().parse().map_err(|_| wrong())?;
        let per = per.into_iter().flat_map(|per| per.split(" and ")).map(|key| key.trim().parse());
        let per = per.collect::<Result<Vec<LimitKey>, _>>()?;
        Ok(Self { most: Spanned::nowhere(most), per: OneOrMany(per.into_iter().map(Spanned::nowhere).collect()) })
    }
}
impl fmt::Display for ConnectionsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.most.value)?;
        for (place, key) in self.per.iter().enumerate() {
            write!(f, " {} {}", if place == 0 { "per" } else { "and" }, key.value)?;
        }
        Ok(())
    }
}
short_form!(ConnectionsConfig, "a number such as `5 per consumer`, or a map", |connections, place| {
    connections.most.place = place;
    connections.per.0.iter_mut().for_each(|key| key.place = place);
});

/// What becomes of a connection whose caller's credentials expire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExpiryConfig {
    /// It is closed, with 1008.
    #[default]
    Close,
    /// Nothing.
    Ignore,
}
