//! What a policy may do at a moment of a request: small traits, one per moment.
//!
//! They are synchronous: a hook that must wait for another service gets a trait of its own beside these, so that routes
//! without one never pay for a future.

use crate::reply::Reply;
use crate::request::{RequestCx, RequestView};

/// What a hook decides. A refusal is a decision, not an error.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Go on with the next policy.
    Continue,
    /// Answer this, and ask nobody else.
    Reply(Box<Reply>),
}

impl Decision {
    /// Answers with that reply.
    pub fn reply(reply: impl Into<Reply>) -> Self {
        Self::Reply(Box::new(reply.into()))
    }
}

/// When the head of the request is known and nothing has been asked of an upstream.
pub trait OnRequest: Send + Sync {
    /// Decides on the head. May set or remove header fields.
    fn on_request(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) -> Decision;
}

/// For each piece of the request's body on its way up.
pub trait OnRequestBody: Send + Sync {
    /// Decides on a piece of `bytes` length; `cx.body_bytes` already counts it.
    fn on_request_body(&self, cx: &mut RequestCx, bytes: usize) -> Decision;
}
