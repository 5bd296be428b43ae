//! `events:`, what becomes of streams of server-sent events.

use crate::value::form::{short_form, with_short_form};
use crate::value::{ByteRate, Duration, Invalid, OrOff, Rate, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// What becomes of streams of server-sent events: `true`, how often they are kept alive, or a map.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "EventsConfig", deny_unknown_fields, default)]
#[schemars(transform = with_short_form("`true`, or `heartbeat` alone: `15s`."))]
pub struct EventsConfig {
    /// After so long a silence of the upstream the client is sent a comment; `off` for none. Default 15s.
    pub heartbeat: OrOff<Spanned<Duration>>,
    /// What browsers are told to wait before they connect again. Default: what the upstream says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<Duration>,
    /// Events in a time, on each stream; the upstream is held back: `10/s burst 100`. Default: any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events: Option<Rate>,
    /// Bytes in a time, on each stream; the upstream is held back: `64KiB/s burst 1MiB`. Default: any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<ByteRate>,
    /// A stream is ended when it is that old, between two events; `off` for any age. Default off.
    pub life: OrOff<Spanned<Duration>>,
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self {
            heartbeat: OrOff::On(Spanned::nowhere(Duration::from_secs(15))),
            retry: None,
            events: None,
            bytes: None,
            life: OrOff::Off,
        }
    }
}

impl FromStr for EventsConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "true" => Ok(Self::default()),
            _ => Ok(Self { heartbeat: OrOff::On(Spanned::nowhere(text.parse()?)), ..Self::default() }),
        }
    }
}
short_form!(
    EventsConfig,
    "true, a duration, or a map with heartbeat, retry, events, bytes or life",
    |events, place| {
        if let OrOff::On(heartbeat) = &mut events.heartbeat {
            heartbeat.place = place;
        }
    }
);
