//! On whose behalf a call is made.

use super::{Ledger, moment_after};
use crate::observe::{TraceContext, Worker};
use crate::request::{Caller, Client, Forwarding, Marks, Scheme, mark};
use crate::value::Priority;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::sync::Arc;
use std::time::Instant;

/// How long an answer may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Flow {
    /// It is complete by the deadline.
    #[default]
    Bounded,
    /// Events, gRPC streams and WebSockets last as long as they last; only silence is bounded.
    Streaming,
}

/// The request of a client that calls are made for: who sent it, under which names it is found again, how long there is
/// time. One for each request, shared by its calls.
pub struct Origin {
    /// Who sent it.
    pub client: Client,
    /// The caller that was established, if any.
    pub caller: Option<Arc<Caller>>,
    /// How it came.
    pub scheme: Scheme,
    /// The Host the client named, as sent.
    pub host: Option<HeaderValue>,
    /// The port of the listener it came in at.
    pub port: HeaderValue,
    /// Whether RFC 7239's field is written too.
    pub rfc7239: bool,
    /// What a trusted proxy in front said of its origin; empty where the peer is none.
    pub said: HeaderMap,
    /// `X-Request-Id`.
    pub request_id: HeaderValue,
    /// The trace it belongs to, with this gateway's span.
    pub trace: Option<TraceContext>,
    /// When the whole exchange must be over; `None` where there is no limit.
    pub deadline: Option<Instant>,
    /// Whether that is the caller's own deadline, before the route's.
    pub impatient: bool,
    /// The field that tells upstreams of it.
    pub deadline_header: Option<HeaderName>,
    /// Whether that goes for the answer too, or only for its beginning.
    pub flow: Flow,
    /// How much it matters when not all can be served.
    pub priority: Priority,
    /// The worker it is served on.
    pub worker: Worker,
    /// What its calls come to.
    pub ledger: Ledger,
}

impl Origin {
    /// The same client and caller, for another call that is not over with the request: with a deadline and a count of its
    /// own.
    #[must_use]
    pub fn again(&self, deadline: Option<Instant>) -> Self {
        Self {
            client: self.client,
            caller: self.caller.clone(),
            scheme: self.scheme,
            host: self.host.clone(),
            port: self.port.clone(),
            rfc7239: self.rfc7239,
            said: self.said.clone(),
            request_id: self.request_id.clone(),
            trace: self.trace,
            deadline,
            impatient: false,
            deadline_header: self.deadline_header.clone(),
            flow: self.flow,
            priority: self.priority,
            worker: self.worker,
            ledger: Ledger::default(),
        }
    }

    /// Writes into the head of a call who it is made for: what a request tells that is passed on by the proxy.
    pub(super) fn mark(&self, headers: &mut HeaderMap, trace: Option<&TraceContext>, until: Option<Instant>) {
        for (name, value) in &self.said {
            if !headers.contains_key(name) {
                headers.append(name, value.clone());
            }
        }
        let forwarding = Forwarding {
            client: self.client,
            scheme: self.scheme,
            host: self.host.as_ref(),
            port: &self.port,
            prefix: None,
            rfc7239: self.rfc7239,
        };
        mark(headers, &Marks { forwarding, request_id: &self.request_id, trace });
        if let Some(name) = &self.deadline_header {
            headers.remove(name);
            let deadline = self.deadline.into_iter().chain(until).min();
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            headers.extend(left.and_then(moment_after).map(|moment| (name.clone(), moment)));
        }
        if let Some(caller) = &self.caller {
            for (name, _) in &caller.fields {
                headers.remove(name);
            }
            caller.tell(headers);
        }
    }
}
