//! `message:`, a face of plain HTTP for a service that speaks WebSocket.

use crate::value::form::{short_form, with_short_form};
use crate::value::{ByteSize, Duration, Invalid, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Talks WebSocket to the upstream: a request with a body is one message, its answer the reply; a GET waits for a message.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "MessageConfig", deny_unknown_fields, default)]
#[schemars(transform = with_short_form("`reply` alone: `next`, or `/id`."))]
pub struct MessageConfig {
    /// Which message is the reply: `next`, or the one with the same value at a place in its JSON, `/id`. Default next.
    pub reply: Spanned<String>,
    /// The path of the handshake. Default: that of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Spanned<String>>,
    /// The subprotocol that is asked for. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<Spanned<String>>,
    /// The longest message, either way. Default 1MiB.
    pub most: Spanned<ByteSize>,
    /// How many connections may be open to the upstream. Default 64.
    pub connections: Spanned<u32>,
    /// How long a connection waits for its caller's next request. Default 30s.
    pub idle: Duration,
    /// How long a GET waits for a message before it is answered 204. Default 25s.
    pub wait: Duration,
}

impl Default for MessageConfig {
    fn default() -> Self {
        Self {
            reply: Spanned::nowhere("next".to_owned()),
            path: None,
            protocol: None,
            most: Spanned::nowhere(ByteSize::new(1 << 20)),
            connections: Spanned::nowhere(64),
            idle: Duration::from_secs(30),
            wait: Duration::from_secs(25),
        }
    }
}

impl FromStr for MessageConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        match text {
            "true" => Ok(Self::default()),
            _ => Ok(Self { reply: Spanned::nowhere(text.to_owned()), ..Self::default() }),
        }
    }
}
short_form!(
    MessageConfig,
    "`next`, a place such as `/id`, or a map with reply, path, connections and others",
    |message, place| {
        message.reply.place = place;
    }
);
