//! What a policy may do at a moment of a request: small traits, one per moment.
//!
//! They are synchronous. A hook that must ask another service answers [`Decision::Wait`] with a future that holds what it
//! needs and borrows nothing of the request: the request goes on where it stopped once the future has its answer, and
//! routes and requests that need not wait never pay for one.

use crate::reply::{Fixed, Reply};
use crate::request::{RequestCx, RequestView, ResponseView};
use std::fmt;
use std::future::Future;
use std::pin::Pin;

/// What a hook decides. A refusal is a decision, not an error.
#[must_use]
#[derive(Debug)]
pub enum Decision {
    /// Go on with the next policy.
    Continue,
    /// Refuse with this, and ask nobody else.
    Reply(Box<Reply>),
    /// Answer this, which is no refusal: a redirect, an answer to a preflight.
    Answer(Box<Fixed>),
    /// Ask somebody first; the answer decides.
    Wait(Wait),
}

/// What goes on once the wait is over: it sees the request again, and decides for the hook that waited.
pub type Resume = Box<dyn FnOnce(&mut RequestCx, &mut RequestView<'_>) -> Decision + Send>;

/// A question to another service, under way. It must bound its own time; the deadline of the route bounds it too.
pub struct Wait(Pin<Box<dyn Future<Output = Resume> + Send>>);

impl Wait {
    /// Waits for that future.
    pub fn new(future: impl Future<Output = Resume> + Send + 'static) -> Self {
        Self(Box::pin(future))
    }

    /// The future itself.
    pub fn into_future(self) -> Pin<Box<dyn Future<Output = Resume> + Send>> {
        self.0
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wait")
    }
}

impl Decision {
    /// Refuses with that reply.
    pub fn reply(reply: impl Into<Reply>) -> Self {
        Self::Reply(Box::new(reply.into()))
    }

    /// Answers with that.
    pub fn answer(fixed: Fixed) -> Self {
        Self::Answer(Box::new(fixed))
    }

    /// Whether the next policy is asked.
    pub fn is_continue(&self) -> bool {
        matches!(self, Self::Continue)
    }

    /// The refusal, if it is one.
    pub fn refusal(&self) -> Option<&Reply> {
        match self {
            Self::Reply(reply) => Some(reply),
            Self::Continue | Self::Answer(_) | Self::Wait(_) => None,
        }
    }
}

/// When the head of the request is known and nothing has been asked of an upstream.
pub trait OnRequest: Send + Sync {
    /// Decides on the head. May set or remove header fields. Tells `cx.note` why, for `explain`.
    fn on_request(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) -> Decision;

    /// The policy and its setting in one line of the plan that `explain` prints; never a secret.
    fn describe(&self) -> String;
}

/// What a hook on the body decides: by then there is nobody to wait for and nothing to answer but a refusal.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub enum BodyDecision {
    /// Pass the piece on.
    Continue,
    /// Refuse with this, unless the upstream's answer has begun.
    Reply(Box<Reply>),
}

/// For each piece of the request's body on its way up.
pub trait OnRequestBody: Send + Sync {
    /// Decides on a piece; `cx.body_bytes` already counts it.
    fn on_request_body(&self, cx: &mut RequestCx, piece: BodyPiece<'_>) -> BodyDecision;
}

/// A piece of the request's body.
#[derive(Clone, Copy, Debug)]
pub struct BodyPiece<'a> {
    /// Its bytes; there may be none.
    pub bytes: &'a [u8],
    /// Whether none follow. It may be said more than once.
    pub last: bool,
}

/// When the head of an answer is about to go to the client, the upstream's or the gateway's own.
pub trait OnResponse: Send + Sync {
    /// Changes the head.
    fn on_response(&self, cx: &mut RequestCx, response: &mut ResponseView<'_>);

    /// The policy in one line of the plan, where it has no hook on the request that says so.
    fn describe_response(&self) -> Option<String> {
        None
    }
}

/// When a request is refused that is to cost nothing ([`crate::reply::Reason::costs_nothing`]), before the refusal is
/// written.
pub trait OnRefusal: Send + Sync {
    /// Takes back what the request has cost so far.
    fn on_refusal(&self, cx: &mut RequestCx);
}

/// On which of the gateway's own replies a response hook is run. It runs on every answer of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// On those made by its own stage or a later one: the reply unwinds what the request has passed.
    Unwinding,
    /// On all of them: a browser that may not read a refusal cannot tell it from a broken network.
    Always,
}
