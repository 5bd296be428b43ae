//! A call: what is asked of which upstream.

use super::{Flow, Retries};
use crate::observe::TraceContext;
use crate::observe::metrics::UpstreamMetrics;
use crate::reply::Reply;
use crate::upstream::{EndpointId, Upstream};
use async_trait::async_trait;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method};
use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// Who is called: an upstream with its counters.
#[derive(Clone)]
pub struct Callee {
    /// The upstream.
    pub upstream: Arc<Upstream>,
    /// The number of the subset of it that is meant; `None` for all endpoints.
    pub subset: Option<usize>,
    /// Its counters.
    pub metrics: Arc<UpstreamMetrics>,
}

impl fmt::Display for Callee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let spec = self.upstream.spec();
        f.write_str(&spec.name)?;
        match self.subset.and_then(|number| spec.subsets.get(number)) {
            Some(labels) => write!(f, " where {labels}"),
            None => Ok(()),
        }
    }
}

/// What tells of the client in the head of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Marking {
    /// The call writes it: `X-Forwarded-*`, request id, trace, `Via`, the caller's identity.
    ByTheCall,
    /// It stands in the fields already.
    Done,
}

/// What is asked of an upstream.
pub struct Call {
    /// Who is asked.
    pub to: Callee,
    /// The method; whether it is idempotent decides about retries (RFC 9110 §9.2.2).
    pub method: Method,
    /// Path and query.
    pub target: PathAndQuery,
    /// The header fields. Those of one connection, `Host`, `Content-Length` and `Transfer-Encoding` are left out of what is
    /// sent: they are the call's to write.
    pub fields: HeaderMap,
    /// The Host; `None` for the endpoint's own.
    pub host: Option<HeaderValue>,
    /// Who writes what tells of the client.
    pub marking: Marking,
    /// The body.
    pub body: CallBody,
    /// When another attempt is made.
    pub retries: Arc<Retries>,
    /// An endpoint that is being asked for the same already: another one is preferred, and this is no further request.
    pub after: Option<EndpointId>,
    /// The trace with a span of its own; `None` for one that is made when it is sent.
    pub trace: Option<TraceContext>,
    /// When whoever asks gives up, where that is before the request's deadline.
    pub until: Option<Instant>,
    /// How long the answer may take, where that is not as the request it is made for.
    pub flow: Option<Flow>,
    /// Whether a switch to WebSocket is asked for, by the fields that go with it (RFC 6455 §4.1), rather than an answer.
    pub upgrade: bool,
}

impl Call {
    /// A call without a body and without retries, in which the gateway tells who it is made for.
    pub fn new(to: Callee, method: Method, target: PathAndQuery, fields: HeaderMap) -> Self {
        let (host, body, retries) = (None, CallBody::None, Arc::default());
        let (marking, after, flow, trace, until) = (Marking::ByTheCall, None, None, None, None);
        let upgrade = false;
        Self { to, method, target, fields, host, marking, body, retries, after, trace, until, flow, upgrade }
    }
}

impl Call {
    /// Whether its body is short enough to be sent again.
    pub(super) fn is_short(&self) -> bool {
        match &self.body {
            CallBody::Whole(body) => body.len() as u64 <= self.retries.replay,
            // Of one in pieces none has been taken, or it could not be sent at all.
            CallBody::None | CallBody::Stream { .. } => true,
        }
    }
}

/// The body of a call.
#[derive(Default)]
pub enum CallBody {
    /// None.
    #[default]
    None,
    /// All of it; sent again with another attempt.
    Whole(Bytes),
    /// In pieces, as they come: with HTTP/2 while the answer comes, with HTTP/1 before it. Once a piece has been taken
    /// there is no other attempt.
    Stream {
        /// Its length where it is known; it must be right.
        length: Option<u64>,
        /// The pieces; taken when the attempt that sends them begins.
        pieces: Option<Box<dyn Pieces>>,
    },
}

impl CallBody {
    /// A body in pieces.
    pub fn stream(length: Option<u64>, pieces: Box<dyn Pieces>) -> Self {
        Self::Stream { length, pieces: Some(pieces) }
    }

    /// Whether the body, as it stands, can be sent.
    pub(super) fn is_sendable(&self) -> bool {
        !matches!(self, Self::Stream { pieces: None, .. })
    }
}

/// Pieces of a body, as they come.
#[async_trait]
pub trait Pieces: Send {
    /// The next piece; `None` after the last.
    ///
    /// # Errors
    /// The body breaks off: what it was sent for fails with this.
    async fn next(&mut self) -> Result<Option<Bytes>, Box<Reply>>;
}
