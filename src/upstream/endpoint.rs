//! One endpoint: an address with its prebuilt peer, and its state in atomics. The state outlives a reload; the settings
//! around it are new.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http::HeaderValue;
use pingora_core::upstreams::peer::HttpPeer;

use super::affinity::Ticket;
use super::balance::Latency;
use super::breaker::{Admission, Breaker, BreakerSpec, BreakerState};
use super::health::Active;
use super::labels::Labels;
use super::load::Slot;
use super::outlier::Passive;
use super::spec::{EndpointSpec, Protocol};
use super::time::Millis;

/// Names an endpoint within one process: a digest of address, protocol, transport and label. Equal endpoints of two
/// snapshots have equal ids, which is how state is carried over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EndpointId(u64);

impl EndpointId {
    pub(super) fn of(address: SocketAddr, written: &EndpointSpec, label: &str) -> EndpointId {
        let mut hasher = DefaultHasher::new();
        (address, written.protocol, written.transport, label).hash(&mut hasher);
        EndpointId(hasher.finish())
    }
}

/// What became of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The endpoint answered, and well.
    Success {
        /// From sending the request to the response head.
        latency: Duration,
    },
    /// The endpoint is to blame.
    Failure(FailureKind),
    /// Nothing to be learnt about the endpoint: the client went away, the gateway gave up.
    Neutral,
}

/// How an endpoint failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// No connection: refused, unreachable.
    Connect,
    /// No TLS: handshake or certificate.
    Tls,
    /// Nothing within the time allowed.
    Timeout,
    /// The connection broke.
    Reset,
    /// What came was not HTTP.
    Invalid,
    /// A status that counts as failure.
    Status(u16),
}

impl FailureKind {
    /// Statuses are themselves, the rest is below 100; 0 is free for "none".
    fn code(self) -> u16 {
        match self {
            Self::Connect => 1,
            Self::Tls => 2,
            Self::Timeout => 3,
            Self::Reset => 4,
            Self::Invalid => 5,
            Self::Status(status) => status.max(100),
        }
    }

    fn from_code(code: u16) -> Option<FailureKind> {
        Some(match code {
            1 => Self::Connect,
            2 => Self::Tls,
            3 => Self::Timeout,
            4 => Self::Reset,
            5 => Self::Invalid,
            100.. => Self::Status(code),
            _ => return None,
        })
    }
}

/// What changes with every request. On cache lines of its own, away from the settings that every core reads.
#[repr(align(64))]
#[derive(Default)]
pub(super) struct State {
    in_flight: AtomicU32,
    last_failure: AtomicU16,
    attempts: AtomicU64,
    failures: AtomicU64,
    passive: Passive,
    latency: Latency,
    active: Active,
    breaker: Breaker,
    /// Since when it is new, or back from failing checks: [`Millis`], 0 for not at all, [`UNSEEN`] for the first look.
    fresh: AtomicU64,
}

/// New, and never looked at yet.
const UNSEEN: u64 = u64::MAX;
/// The share of its requests that a fresh endpoint begins with.
const COLD: f64 = 0.1;

/// The settings an endpoint is built with.
pub(super) struct Settings {
    pub(super) label: String,
    pub(super) host_header: HeaderValue,
    pub(super) peer: HttpPeer,
    pub(super) signals: Signals,
    pub(super) breaker: Option<BreakerSpec>,
    pub(super) slow_start: Option<Duration>,
    pub(super) ticket: Option<Ticket>,
}

/// Which kinds of bad news take an endpoint out: those that are configured. State of the other kind may be left over
/// from an earlier snapshot, or belong to one that is being replaced, and is ignored rather than wiped.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Signals {
    /// Active checks.
    pub(super) active: bool,
    /// Ejection.
    pub(super) passive: bool,
}

/// One address that requests can be sent to.
pub struct Endpoint {
    id: EndpointId,
    address: SocketAddr,
    weight: u32,
    protocol: Protocol,
    signals: Signals,
    breaker: Option<BreakerSpec>,
    slow_start: Option<Duration>,
    zone: Option<Box<str>>,
    labels: Labels,
    ticket: Option<Box<Ticket>>,
    state: Arc<State>,
    label: String,
    host_header: HeaderValue,
    peer: HttpPeer,
}

impl Endpoint {
    /// `before`: the equal endpoint of an earlier set, whose state goes on.
    pub(super) fn new(
        address: SocketAddr,
        written: &EndpointSpec,
        settings: Settings,
        before: Option<&Endpoint>,
    ) -> Endpoint {
        let Settings { label, host_header, peer, signals, breaker, slow_start, ticket } = settings;
        Endpoint {
            id: EndpointId::of(address, written, &label),
            address,
            weight: written.weight.get(),
            protocol: written.protocol,
            signals,
            breaker,
            slow_start,
            zone: written.zone.clone(),
            labels: written.labels.clone(),
            ticket: ticket.map(Box::new),
            state: before.map(|endpoint| Arc::clone(&endpoint.state)).unwrap_or_default(),
            label,
            host_header,
            peer,
        }
    }

    /// Its name within this process, for [`super::Ask::tried`].
    pub fn id(&self) -> EndpointId {
        self.id
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL as written; for endpoints given by name `url@address`.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Its share of requests relative to its neighbours; at least 1.
    pub fn weight(&self) -> u32 {
        self.weight
    }

    /// The HTTP version it speaks.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// The Host header it expects unless the client's is preserved.
    pub fn host_header(&self) -> &HeaderValue {
        &self.host_header
    }

    /// A peer for one attempt, with every timeout of the upstream save the read timeout, which is given: `None` waits
    /// without limit, as streams with a deadline of their own must (over HTTP/2 it counts while the client still
    /// uploads).
    pub fn peer(&self, read_timeout: Option<Duration>) -> Box<HttpPeer> {
        let mut peer = Box::new(self.peer.clone());
        peer.options.read_timeout = read_timeout;
        peer
    }

    /// The prebuilt peer, with the upstream's own read timeout.
    pub fn prebuilt(&self) -> &HttpPeer {
        &self.peer
    }

    /// Whether requests should go there: no active check holds it unhealthy, it is not ejected, and its breaker lets them. An endpoint that was
    /// never checked counts as healthy: a gateway that starts must serve before its first round of checks.
    pub fn is_available(&self, now: Millis) -> bool {
        let unhealthy = self.signals.active && self.state.active.is_unhealthy();
        let ejected = self.signals.passive && self.state.passive.is_ejected(now);
        !unhealthy && !ejected && !self.is_barred(now)
    }

    /// Whether its breaker refuses requests: then nothing goes there, whatever becomes of the others.
    pub fn is_barred(&self, now: Millis) -> bool {
        self.barred_for(now).is_some()
    }

    /// For how long its breaker refuses requests, if it does.
    pub(super) fn barred_for(&self, now: Millis) -> Option<Duration> {
        match self.state.breaker.outlook(self.breaker.as_ref()?, now) {
            Admission::Pass => None,
            Admission::Refuse(wait) => Some(wait),
        }
    }

    /// Counts a request that goes there as a probe, if its breaker is to be probed. Cores that choose at the same moment
    /// may send one more each.
    pub(super) fn probe(&self, now: Millis) {
        if let Some(spec) = &self.breaker {
            let _ = self.state.breaker.admit(spec, now);
        }
    }

    /// Takes an outcome into its breaker. Returns the state it changed to.
    pub(super) fn record_in_breaker(&self, failed: bool, now: Millis) -> Option<BreakerState> {
        self.state.breaker.record(failed, self.breaker.as_ref()?, now)
    }

    /// Where its own breaker stands; `None` where it has none.
    pub fn breaker(&self) -> Option<BreakerState> {
        self.breaker.as_ref().map(|_| self.state.breaker.state())
    }

    /// The zone it is in.
    pub fn zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }

    /// What tells it from its neighbours.
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// The `Set-Cookie` that brings a client back here, for a request over TLS or in clear text; `None` where there is no
    /// affinity, or the client has shown that cookie already.
    pub fn set_cookie(&self, shown: Option<&[u8]>, over_tls: bool) -> Option<&HeaderValue> {
        self.ticket.as_ref()?.renewed(shown, over_tls)
    }

    /// It has joined others that are in service already.
    pub(super) fn joins(&self) {
        self.state.fresh.store(UNSEEN, Relaxed);
    }

    /// It is back after failing checks.
    pub(super) fn returns(&self, now: Millis) {
        self.state.fresh.store(now.0, Relaxed);
    }

    /// The share of its usual requests that it should get: less than 1 for a while after it has come or come back.
    pub(super) fn warmth(&self, now: Millis) -> f64 {
        let Some(span) = self.slow_start else { return 1.0 };
        let mut since = self.state.fresh.load(Relaxed);
        if since == UNSEEN {
            since = now.0;
            self.state.fresh.store(since, Relaxed);
        }
        let since = since.max(self.state.passive.ended(now).0);
        if since == 0 {
            return 1.0;
        }
        (now.since(Millis(since)).as_secs_f64() / span.as_secs_f64().max(0.001)).clamp(COLD, 1.0)
    }

    /// Some 64 bits that are its own.
    pub(super) fn bits(&self) -> u64 {
        self.id.0
    }

    /// Attempts under way.
    pub fn in_flight(&self) -> u32 {
        self.state.in_flight.load(Relaxed)
    }

    /// Attempts begun so far.
    pub fn attempts(&self) -> u64 {
        self.state.attempts.load(Relaxed)
    }

    /// Attempts that failed so far.
    pub fn failures(&self) -> u64 {
        self.state.failures.load(Relaxed)
    }

    /// How it failed last, if ever.
    pub fn last_failure(&self) -> Option<FailureKind> {
        FailureKind::from_code(self.state.last_failure.load(Relaxed))
    }

    pub(super) fn signals(&self) -> Signals {
        self.signals
    }

    pub(super) fn passive(&self) -> &Passive {
        &self.state.passive
    }

    pub(super) fn active(&self) -> &Active {
        &self.state.active
    }

    pub(super) fn latency(&self) -> &Latency {
        &self.state.latency
    }

    /// Counts a failure; what follows from it is for ejection to decide.
    pub(super) fn count_failure(&self, kind: FailureKind) {
        self.state.failures.fetch_add(1, Relaxed);
        self.state.last_failure.store(kind.code(), Relaxed);
    }
}

/// An endpoint chosen for one attempt, which is in flight until this is dropped.
#[must_use]
pub struct Picked {
    endpoint: Arc<Endpoint>,
    /// Its place among the attempts of the upstream.
    slot: Slot,
}

impl Picked {
    pub(super) fn begin(endpoint: Arc<Endpoint>, slot: Slot) -> Picked {
        endpoint.state.in_flight.fetch_add(1, Relaxed);
        endpoint.state.attempts.fetch_add(1, Relaxed);
        Picked { endpoint, slot }
    }

    pub(super) fn slot(&self) -> &Slot {
        &self.slot
    }

    /// The endpoint.
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }
}

impl Deref for Picked {
    type Target = Endpoint;

    fn deref(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl Drop for Picked {
    fn drop(&mut self) {
        self.endpoint.state.in_flight.fetch_sub(1, Relaxed);
    }
}
