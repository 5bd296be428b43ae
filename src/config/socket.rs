//! `socket:`, a face of WebSocket for a service that speaks plain HTTP.

use crate::value::form::{short_form, with_short_form};
use crate::value::{ByteSize, Invalid, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Takes WebSockets for the upstream: each message is a request, the body of its answer the message that comes back.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "SocketConfig", deny_unknown_fields, default)]
#[schemars(transform = with_short_form("`each` alone: `request` or `events`."))]
pub struct SocketConfig {
    /// What is made of messages: each is a `request`; or the upstream is asked once for a stream of `events`, each of which is
    /// a message for the client. Default request.
    pub each: EachConfig,
    /// The method of a request. Default POST.
    pub method: Spanned<String>,
    /// Its path. Default: that of the handshake.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<Spanned<String>>,
    /// The type of the body that a text is. Default application/json.
    pub content_type: Spanned<String>,
    /// The longest message, either way. Default 1MiB.
    pub most: Spanned<ByteSize>,
}

impl Default for SocketConfig {
    fn default() -> Self {
        Self {
            each: EachConfig::Request,
            method: Spanned::nowhere("POST".to_owned()),
            path: None,
            content_type: Spanned::nowhere("application/json".to_owned()),
            most: Spanned::nowhere(ByteSize::new(1 << 20)),
        }
    }
}

/// What is made of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EachConfig {
    /// Each of the client's is a request, its answer the one that comes back.
    #[default]
    Request,
    /// Each event of one stream is one for the client.
    Events,
}

impl FromStr for SocketConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let each = match text {
            "true" | "request" => EachConfig::Request,
            "events" => EachConfig::Events,
            _ => {
                let wrong = Invalid::new(format!("`{text}` is nothing to make of messages"));
                return Err(wrong.hint("write `request`, `events`, or a map"));
            }
        };
        Ok(Self { each, ..Self::default() })
    }
}
short_form!(SocketConfig, "`request`, `events`, or a map with each, method, path, content_type or most");
