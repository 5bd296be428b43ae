//! What is asked of others beside the calls of parts: limits of a part's own, what memory knows, programs.

use crate::exchange::Incoming;
use crate::exchange::call::{Call, Origin};
use crate::reply::Reply;
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderMap, StatusCode};

/// Limits of a part.
pub trait Admission: Send + Sync {
    /// Whether so many calls may be made for a request; may have to ask somebody.
    ///
    /// An error is what the part fails with.
    fn admit(&self, request: &Incoming, calls: usize) -> BoxFuture<'static, Result<(), Box<Reply>>>;

    /// What they are, in lines of the plan that `explain` prints.
    fn describe(&self) -> Vec<String>;
}

/// Makes the answer by a program.
pub trait Shaper: Send + Sync {
    /// What it makes of an object, in JSON, that has the value of each part under its name.
    ///
    /// An error is what the request is answered with.
    fn shape(&self, parts: Bytes, request: &Incoming) -> BoxFuture<'static, Result<Bytes, Box<Reply>>>;

    /// The program, in a line of the plan.
    fn describe(&self) -> String;
}

/// Answers to calls of a part, kept.
pub trait Memory: Send + Sync {
    /// What is kept for a call.
    fn recall(&self, call: &Call, origin: &Origin) -> BoxFuture<'static, Recall>;

    /// What is kept how long, in a line of the plan.
    fn describe(&self) -> String;
}

/// What memory says to a call.
pub enum Recall {
    /// The answer.
    Known(Recalled),
    /// There is none; one that comes may be kept by this.
    Unknown(Box<dyn Remember>),
    /// The call goes past it.
    Past,
}

/// An answer that was kept.
pub struct Recalled {
    /// Its fields, its age among them.
    pub headers: HeaderMap,
    /// Its body, without a coding.
    pub body: Bytes,
}

/// Takes an answer in.
#[async_trait]
pub trait Remember: Send {
    /// Keeps it, if it may be.
    async fn remember(self: Box<Self>, status: StatusCode, headers: &HeaderMap, body: &Bytes);
}
