//! The state of one request between Pingora's callbacks.

use super::bodies::Bodies;
use super::early_request_filter::Slash;
use super::fallback::StandIn;
use super::mirror::Mirroring;
use super::read_ahead::Ahead;
use super::request_cache_filter::CacheState;
pub use crate::exchange::call::Flow;
use crate::exchange::call::Origin;
use crate::exchange::grpc_web::Translation;
use crate::observe::metrics::{ConnectionKind, InFlight};
use crate::observe::{TraceContext, Worker};
use crate::policy::Progress;
use crate::reply::{Reason, Reply};
use crate::request::{Moment, RequestCx};
use crate::routing::Captures;
use crate::snapshot::{Route, Shared, Snapshot};
use crate::upstream::{EndpointId, Millis, Picked};
use http::HeaderValue;
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// The state of one request.
pub struct ProxyCtx {
    /// The configuration it began with and ends with.
    pub snapshot: Arc<Snapshot>,
    /// What policies see.
    pub cx: RequestCx,
    /// The names under which it is found again.
    pub ids: Ids,
    /// What routing made of it.
    pub matched: Matched,
    /// What happens between the gateway and the upstream.
    pub exchange: Exchange,
    /// What the cache has to do with it, where its route caches and it has come so far.
    pub cache: Option<Box<CacheState>>,
    /// What came of it.
    pub outcome: Outcome,
    /// Counts the request as in flight while it lives.
    _in_flight: InFlight,
}

/// The names under which a request is found again.
pub struct Ids {
    /// `X-Request-Id`; empty until the head has been read.
    pub request: HeaderValue,
    /// The trace it belongs to, with this gateway's span.
    pub trace: Option<TraceContext>,
}

/// What routing made of a request.
#[derive(Default)]
pub struct Matched {
    /// The route's number.
    pub route: Option<usize>,
    /// Where its captures lie in the path.
    pub captures: Captures,
    /// The host, in normal form.
    pub host: Box<str>,
    /// Where the route depends on the body: whether an encoded slash stands in the path, for when it is known.
    pub undecided: Option<Slash>,
    /// The refusal to answer once answering is possible.
    pub refusal: Option<Box<Reply>>,
    /// How far the route's policies have come.
    pub progress: Progress,
    /// What it is for.
    pub purpose: Purpose,
}

/// What a request is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Purpose {
    /// An answer for its client.
    #[default]
    Answer,
    /// A new answer in place of a kept one, for nobody in particular.
    Renewal,
    /// Taking out what is kept at its URL.
    Purge,
}

/// What happens between the gateway and the upstream.
pub struct Exchange {
    /// Which of the route's upstreams was chosen.
    pub choice: Option<usize>,
    /// The endpoint of the attempt under way.
    pub picked: Option<Picked>,
    /// Endpoints tried before.
    pub tried: SmallVec<[EndpointId; 4]>,
    /// Attempts begun.
    pub attempts: u32,
    /// Attempts whose outcome is recorded.
    pub finished: u32,
    /// When the attempt under way began.
    pub attempt_began: Instant,
    /// Whether its connection is a new one.
    pub connection: Option<ConnectionKind>,
    /// Time spent waiting for upstreams.
    pub spent: Duration,
    /// Bounded or streaming.
    pub flow: Flow,
    /// When a trusted proxy says that its caller gives up, from the beginning of the request.
    pub hurry: Option<Duration>,
    /// The wait before the next attempt.
    pub pause: Duration,
    /// Interim answers so far (RFC 9110 §15.2), over all attempts.
    pub interim: u32,
    /// Between a gRPC-Web client and a gRPC service; begun anew with each attempt.
    pub grpc_web: Translation,
    /// What policies do to the bodies.
    pub bodies: Bodies,
    /// What was read of the body before its route was known.
    pub ahead: Option<Box<Ahead>>,
    /// What stands in for the upstream.
    pub standin: StandIn,
    /// The copy of it for another upstream.
    pub mirror: Mirroring,
    /// On whose behalf calls are made, where the route's answer is made of them.
    pub origin: Option<Arc<Origin>>,
}

/// What came of a request.
#[derive(Default)]
pub struct Outcome {
    /// The last failure, or the reply's reason.
    pub reason: Option<Reason>,
    /// Whether the head of an upstream's answer has been passed on.
    pub answered: bool,
    /// Bytes of the response's body.
    pub bytes_out: u64,
}

impl ProxyCtx {
    /// The state of a request whose head has just arrived.
    pub fn new(shared: &Shared, worker: Worker) -> Self {
        let now = Instant::now();
        Self {
            snapshot: shared.store.load(),
            cx: RequestCx::new(Moment { started: now, wall: SystemTime::now() }),
            ids: Ids { request: HeaderValue::from_static(""), trace: None },
            matched: Matched::default(),
            exchange: Exchange::new(now),
            cache: None,
            outcome: Outcome::default(),
            _in_flight: shared.metrics.begin(worker),
        }
    }

    /// The route that took the request.
    pub fn route(&self) -> Option<&Route> {
        self.matched.route.and_then(|number| self.snapshot.routes.get(number))
    }

    /// What is left until the deadline; `None` where there is none.
    pub fn remaining(&self, now: Instant) -> Option<Duration> {
        Some(self.timeout()?.saturating_sub(now.duration_since(self.cx.time.started)))
    }

    /// How long the exchange may take: as the route says, or less where the caller does not wait that long.
    pub fn timeout(&self) -> Option<Duration> {
        [self.route()?.timeout, self.exchange.hurry].into_iter().flatten().min()
    }

    /// Whether the time is up for the caller alone.
    pub fn is_hurried(&self, now: Instant) -> bool {
        let own = self.route().and_then(|route| route.timeout).unwrap_or(Duration::MAX);
        self.exchange.hurry.is_some_and(|hurry| hurry < own && now.duration_since(self.cx.time.started) >= hurry)
    }

    /// The request id as text.
    pub fn request_id(&self) -> &str {
        self.ids.request.to_str().unwrap_or_default()
    }
}

impl Exchange {
    fn new(now: Instant) -> Self {
        Self {
            choice: None,
            picked: None,
            tried: SmallVec::new(),
            attempts: 0,
            finished: 0,
            attempt_began: now,
            connection: None,
            spent: Duration::ZERO,
            flow: Flow::Bounded,
            hurry: None,
            pause: Duration::ZERO,
            interim: 0,
            grpc_web: Translation::Off,
            bodies: Bodies::default(),
            ahead: None,
            standin: StandIn::default(),
            mirror: Mirroring::Undecided,
            origin: None,
        }
    }

    /// Notes what kind of connection the attempt got.
    pub fn connected(&mut self, reused: bool) {
        self.connection = Some(if reused { ConnectionKind::Reused } else { ConnectionKind::New });
    }
}

/// Milliseconds since the epoch, for ids and log lines.
pub fn unix_millis() -> crate::observe::UnixMillis {
    SystemTime::now().into()
}

/// The present on an upstream's clock.
pub fn now(shared: &Shared) -> Millis {
    shared.clock.now()
}
