//! `batch:`, many requests in one.

use crate::value::form::{short_form, with_short_form};
use crate::value::{ByteSize, Invalid, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// The most requests of a batch that can be allowed.
pub const MOST_BATCHED: u32 = 1_000;

/// Many requests to routes of this gateway in one: each is routed, authenticated, limited and answered by itself.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "BatchConfig", deny_unknown_fields)]
#[schemars(transform = with_short_form("How many requests, alone."))]
pub struct BatchConfig {
    /// The most requests in one batch, from 1 to 1000.
    pub requests: Spanned<u32>,
    /// How many of them are under way at a time, from 1 to 64. Default 4.
    #[serde(default = "at_once")]
    pub at_once: Spanned<u32>,
    /// The longest batch that is read. Default 1MiB.
    #[serde(default = "mebibyte")]
    pub max_body: ByteSize,
    /// The longest answer to one request. Default 1MiB.
    #[serde(default = "mebibyte")]
    pub max_answer: ByteSize,
    /// The longest answers to all requests together. Default 8MiB.
    #[serde(default = "answers")]
    pub max_answers: ByteSize,
    /// Fields of the batch that each request gets which has no such field of its own: `[Authorization]`. Default
    /// `[Accept-Language, User-Agent]`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forward: Option<Vec<Spanned<String>>>,
}

fn at_once() -> Spanned<u32> {
    Spanned::nowhere(4)
}

fn mebibyte() -> ByteSize {
    ByteSize::new(1 << 20)
}

fn answers() -> ByteSize {
    ByteSize::new(8 << 20)
}

impl FromStr for BatchConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let requests = text.parse().map_err(|_| {
            Invalid::new(format!("`{text}` is no number of requests"))
                .hint("write `batch: 20`, or a map with `requests`")
        })?;
        Ok(Self {
            requests: Spanned::nowhere(requests),
            at_once: at_once(),
            max_body: mebibyte(),
            max_answer: mebibyte(),
            max_answers: answers(),
            forward: None,
        })
    }
}
short_form!(BatchConfig, "a number of requests, or a map with `requests`", |batch, place| batch.requests.place = place);
