//! `mirror:`, a copy of requests for another upstream.

use super::CalledConfig;
use crate::value::form::{short_form, text_form, with_short_form};
use crate::value::{ByteSize, Duration, Invalid, OneOrMany, Percent, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// The longest body that can be copied, bytes.
pub const MOST_MIRRORED: u64 = 8 * 1024 * 1024;

/// A copy of requests for another upstream, whose answers reach nobody.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "MirrorConfig", deny_unknown_fields)]
#[schemars(transform = with_short_form("The upstream alone."))]
pub struct MirrorConfig {
    /// The upstream that gets the copies: its name, or the URL of one endpoint; or a map with `upstream` and `subset`.
    pub to: Spanned<CalledConfig>,
    /// How many of the requests are copied. Default 100%.
    #[serde(default = "all")]
    pub share: Percent,
    /// What of both answers is compared: `status`, `headers`, `json`, or several. Default nothing.
    #[serde(default)]
    pub compare: OneOrMany<CompareConfig>,
    /// What is left out of the comparison: names of header fields, and JSON Pointers, in which `*` is any name or index.
    /// Fields that always differ (`Date`, `Set-Cookie` …) are left out anyway.
    #[serde(default)]
    pub ignore: OneOrMany<Spanned<String>>,
    /// The longest body that is copied, and the longest that is compared; at most 8MiB. Default 64KiB.
    #[serde(default = "body")]
    pub max_body: Spanned<ByteSize>,
    /// Copies under way at once on this route; what is over it is not copied. Default 64.
    #[serde(default = "in_flight")]
    pub max_in_flight: Spanned<u32>,
    /// How long a copy may take. Default 10s.
    #[serde(default = "timeout")]
    pub timeout: Duration,
}

fn all() -> Percent {
    Percent::new(100)
}

fn body() -> Spanned<ByteSize> {
    Spanned::nowhere(ByteSize::new(64 * 1024))
}

fn in_flight() -> Spanned<u32> {
    Spanned::nowhere(64)
}

fn timeout() -> Duration {
    Duration::from_secs(10)
}

impl FromStr for MirrorConfig {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self {
            to: Spanned::nowhere(text.parse()?),
            share: all(),
            compare: OneOrMany::default(),
            ignore: OneOrMany::default(),
            max_body: body(),
            max_in_flight: in_flight(),
            timeout: timeout(),
        })
    }
}
short_form!(MirrorConfig, "an upstream, or a map with `to`", |mirror, place| {
    mirror.to.place = place;
    mirror.to.value.upstream.place = place;
});

/// What of two answers is compared: one thing, or several with commas between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompareConfig(pub Vec<Compared>);

/// A part of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// The status.
    Status,
    /// The header fields.
    Headers,
    /// The body, as JSON.
    Json,
}

impl FromStr for CompareConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let parts = text.split(',').map(|part| match part.trim() {
            "status" => Ok(Compared::Status),
            "headers" => Ok(Compared::Headers),
            "json" => Ok(Compared::Json),
            other => Err(Invalid::new(format!("`{other}` cannot be compared"))
                .hint("write `status`, `headers`, `json`, or a list of them")),
        });
        parts.collect::<Result<_, _>>().map(Self)
    }
}

impl fmt::Display for CompareConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, part) in self.0.iter().enumerate() {
            let between = if place > 0 { ", " } else { "" };
            let name = match part {
                Compared::Status => "status",
                Compared::Headers => "headers",
                Compared::Json => "json",
            };
            write!(f, "{between}{name}")?;
        }
        Ok(())
    }
}
text_form!(CompareConfig, "status, headers, json, or several with commas between", {
    "examples": ["status", "status, headers, json"],
});
