//! Metrics: counted per worker without locks, gathered when somebody scrapes.
//!
//! Read in this order: [`names`] (what there is), [`route`] and [`upstream`] (what a request costs), [`text`] (how it
//! is shown). Handles such as [`RouteMetrics`] are resolved when a snapshot is compiled and kept in it, so that a
//! request never looks a label up.

mod cache;
mod cells;
mod grpc;
mod histogram;
mod keys;
mod labels;
mod limits;
mod listener;
mod names;
mod provider;
mod recent;
mod requests;
mod route;
mod series;
mod shared_state;
mod socket;
mod sources;
mod state;
mod stream;
mod text;
mod traffic;
mod upstream;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use prometheus::core::Collector;
use prometheus::process_collector::ProcessCollector;

pub use cache::{CacheLevels, CacheMetrics, DiskCounts};
pub use grpc::GrpcMetrics;
pub use keys::KeyMetrics;
pub use labels::{
    AttemptOutcome, AuthOutcome, BatchOutcome, CacheOutcome, ConnectionKind, ConnectionRefusal, DecidedBy,
    FallbackKind, FetchOutcome, HedgeOutcome, LimitDecision, Method, MirrorDifference, MirrorOutcome, Protocol,
    ReturnOutcome, SocketEnd, StreamEnd,
};
pub use limits::LimitMetrics;
pub use listener::{ListenerMetrics, OpenConnection};
pub use provider::ProviderMetrics;
pub use recent::Recent;
pub use route::{Finished, ReasonIndex, RouteMetrics};
pub use shared_state::{LeaseMetrics, SharedStateMetrics};
pub use socket::{OpenSocket, SocketMetrics};
pub use sources::{Ejection, EndpointSink, EndpointSource, EndpointState, Health};
pub use state::StateMetrics;
pub use stream::{OpenStream, StreamMetrics};
pub use traffic::{MirrorSlot, TrafficMetrics};
pub use upstream::{FinishedAttempt, UpstreamMetrics};

use self::series::Series;
use self::sources::Sources;
use self::text::{Text, label};
use super::Worker;
use super::worker::Padded;

/// The `Content-Type` of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The `route` of requests beyond the bound on routes. Route keys begin with a slash, a tilde or a method, so it cannot
/// be one.
const OTHER: &str = "other";
/// The bound on series of limits, for each route of the bound on routes.
const LIMITS_PER_ROUTE: usize = 8;
/// The `route` of requests for which there is none.
const UNROUTED: &str = "none";

/// How the metrics are made.
#[derive(Clone, Copy, Debug)]
pub struct MetricsSettings {
    /// How many workers count; more than that share cache lines.
    pub workers: usize,
    /// Routes of one snapshot with series of their own; the rest of them share the series `other`.
    pub max_routes: usize,
    /// The labels of `tollgate_refusals_total{reason}`; a [`ReasonIndex`] is a place in it.
    pub reasons: &'static [&'static str],
}

impl MetricsSettings {
    /// The usual bound on routes.
    pub const MAX_ROUTES: usize = 10_000;
}

/// All metrics of one gateway.
#[derive(Debug)]
pub struct Metrics {
    settings: MetricsSettings,
    routes: Series<RouteMetrics>,
    other: Arc<RouteMetrics>,
    unrouted: Arc<RouteMetrics>,
    upstreams: Series<UpstreamMetrics>,
    providers: Series<ProviderMetrics>,
    listeners: Series<ListenerMetrics>,
    keys: Series<KeyMetrics>,
    caches: Series<CacheMetrics>,
    leases: Series<LeaseMetrics>,
    shared_state: OnceLock<Arc<SharedStateMetrics>>,
    limits: Series<LimitMetrics>,
    traffic: Series<TrafficMetrics>,
    grpc: Series<GrpcMetrics>,
    sockets: Series<SocketMetrics>,
    streams: Series<StreamMetrics>,
    state: Arc<StateMetrics>,
    in_flight: Box<[Arc<Padded<()>>]>,
    sources: Sources,
    csrf_shadowed: Arc<AtomicU64>,
    access_log_dropped: Arc<AtomicU64>,
    process: OnceLock<ProcessCollector>,
}

impl Metrics {
    /// Metrics that have counted nothing yet.
    pub fn new(settings: MetricsSettings) -> Self {
        let MetricsSettings { workers, reasons, .. } = settings;
        Self {
            settings,
            routes: Series::default(),
            other: Arc::new(RouteMetrics::new(None, OTHER, workers, reasons)),
            unrouted: Arc::new(RouteMetrics::new(None, UNROUTED, workers, reasons)),
            upstreams: Series::default(),
            providers: Series::default(),
            listeners: Series::default(),
            keys: Series::default(),
            caches: Series::default(),
            leases: Series::default(),
            shared_state: OnceLock::new(),
            limits: Series::default(),
            traffic: Series::default(),
            grpc: Series::default(),
            sockets: Series::default(),
            streams: Series::default(),
            state: Arc::default(),
            in_flight: (0..workers.max(1)).map(|_| Arc::default()).collect(),
            sources: Sources::default(),
            csrf_shadowed: Arc::default(),
            access_log_dropped: Arc::default(),
            process: OnceLock::new(),
        }
    }

    /// Begins to resolve the handles of one snapshot.
    pub fn handles(&self) -> Handles<'_> {
        Handles { metrics: self, routes: HashMap::new() }
    }

    /// The counters of requests for which there is no route: `route="none"`.
    pub fn unrouted(&self) -> Arc<RouteMetrics> {
        Arc::clone(&self.unrouted)
    }

    /// The counters of a provider of callers, with all they have counted if a live snapshot has the provider already.
    pub fn provider(&self, name: &str) -> Arc<ProviderMetrics> {
        self.providers.resolve(name.to_owned(), || ProviderMetrics::new(name, self.settings.workers))
    }

    /// The counters of a listener, which go on over reloads as long as somebody holds them.
    pub fn listener(&self, name: &str) -> Arc<ListenerMetrics> {
        self.listeners.resolve(name.to_owned(), || ListenerMetrics::new(name))
    }

    /// The counters of the keys a provider fetches, which go on over reloads as long as somebody holds them.
    pub fn keys(&self, provider: &str) -> Arc<KeyMetrics> {
        self.keys.resolve(provider.to_owned(), || KeyMetrics::new(provider))
    }

    /// The counters of a route that caches, with all they have counted if a live snapshot has the route already.
    pub fn cache(&self, route: &str) -> Arc<CacheMetrics> {
        self.caches.resolve(route.to_owned(), || CacheMetrics::new(route, self.settings.workers))
    }

    /// Requests that memory answered, and all that it could have.
    pub fn cache_hits(&self) -> (u64, u64) {
        cache::hits(&self.caches.live())
    }

    /// The counters of the state that gateways share.
    pub fn shared_state(&self) -> Arc<SharedStateMetrics> {
        Arc::clone(self.shared_state.get_or_init(|| Arc::new(SharedStateMetrics::new(self.settings.workers))))
    }

    /// Publishes what a gateway leases of a limit at a time, for as long as somebody holds what is returned.
    #[must_use]
    pub fn lease(&self, level: &str, limit: &str, batch: u64) -> Arc<LeaseMetrics> {
        let lease = self.leases.resolve(format!("{level}\0{limit}"), || LeaseMetrics::new(level, limit));
        lease.set_batch(batch);
        lease
    }

    /// The counters of a limit on a route, with all they have counted if a live snapshot has them already. Beyond the
    /// bound on routes, those of one limit are counted together.
    pub fn limit(&self, route: &str, policy: &str) -> Arc<LimitMetrics> {
        let route = if self.limits.count() < self.settings.max_routes * LIMITS_PER_ROUTE { route } else { OTHER };
        // No name has a NUL in it.
        self.limits.resolve(format!("{route}\0{policy}"), || LimitMetrics::new(route, policy, self.settings.workers))
    }

    /// The counters of a route that mirrors, hedges or falls back, with all they have counted if a live snapshot has the
    /// route already. Beyond the bound on routes they are counted together.
    pub fn traffic(&self, route: &str) -> Arc<TrafficMetrics> {
        let route = if self.traffic.count() < self.settings.max_routes { route } else { OTHER };
        self.traffic.resolve(route.to_owned(), || TrafficMetrics::new(route, self.settings.workers))
    }

    /// The counters of a method of gRPC, `package.Service/Method`, with all they have counted if a live snapshot calls it
    /// already. Beyond the bound on routes they are counted together.
    pub fn grpc(&self, method: &str) -> Arc<GrpcMetrics> {
        let method = if self.grpc.count() < self.settings.max_routes { method } else { OTHER };
        self.grpc.resolve(method.to_owned(), || GrpcMetrics::new(method, self.settings.workers))
    }

    /// The counters of a route's WebSocket connections, with all they have counted if a live snapshot or a connection
    /// has them already. Beyond the bound on routes they are counted together.
    pub fn sockets(&self, route: &str) -> Arc<SocketMetrics> {
        let route = if self.sockets.count() < self.settings.max_routes { route } else { OTHER };
        self.sockets.resolve(route.to_owned(), || SocketMetrics::new(route, self.settings.workers))
    }

    /// The counters of a route's streams of events; as [`Self::sockets`].
    pub fn streams(&self, route: &str) -> Arc<StreamMetrics> {
        let route = if self.streams.count() < self.settings.max_routes { route } else { OTHER };
        self.streams.resolve(route.to_owned(), || StreamMetrics::new(route, self.settings.workers))
    }

    /// The counters of the file that quotas are kept in.
    pub fn state(&self) -> Arc<StateMetrics> {
        Arc::clone(&self.state)
    }

    /// Counts a request as in flight until what is returned is dropped.
    #[must_use]
    pub fn begin(&self, worker: Worker) -> InFlight {
        let token = self.in_flight.get(worker.0).or(self.in_flight.first());
        InFlight { _token: token.map(Arc::clone) }
    }

    /// Requests in flight now.
    pub fn in_flight(&self) -> usize {
        self.in_flight.iter().map(|token| Arc::strong_count(token) - 1).sum()
    }

    /// Requests in flight now on one worker.
    pub fn in_flight_on(&self, worker: Worker) -> usize {
        self.in_flight.get(worker.0).map_or(0, |token| Arc::strong_count(token) - 1)
    }

    /// Where endpoints are asked for during a scrape; replaces the one before.
    ///
    /// It is called on the thread that renders, and must not call back into these metrics.
    pub fn set_endpoint_source(&self, source: EndpointSource) {
        self.sources.set_endpoints(source);
    }

    /// The certificates in service and when they expire; replaces those before.
    pub fn set_certificates<'a>(&self, certificates: impl IntoIterator<Item = (&'a str, SystemTime)>) {
        self.sources.set_certificates(certificates);
    }

    /// A configuration was read and put into service as that revision.
    pub fn reload_succeeded(&self, revision: u64, at: SystemTime) {
        self.sources.reload_succeeded(revision, at);
    }

    /// A configuration was read and refused.
    pub fn reload_failed(&self, at: SystemTime) {
        self.sources.reload_failed(at);
    }

    /// The counter of requests that `csrf` would have refused, had it not been told to let them pass.
    pub fn csrf_shadowed(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.csrf_shadowed)
    }

    /// The counter of lost access log lines, to be given to the access log.
    pub fn access_log_dropped(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.access_log_dropped)
    }

    /// All metrics in the Prometheus text format, version 0.0.4 ([`CONTENT_TYPE`]).
    pub fn render(&self) -> String {
        const BYTES_PER_ROUTE: usize = 4_096;
        let mut routes = self.routes.live();
        routes.extend([Arc::clone(&self.other), Arc::clone(&self.unrouted)]);
        let mut text = Text::with_capacity(routes.len() * BYTES_PER_ROUTE);
        let version = label("version", env!("CARGO_PKG_VERSION"));
        text.family(&names::BUILD_INFO).labelled(format_args!("{version}"), 1);
        self.sources.write_config(&mut text);
        listener::write(self.listeners.live(), &mut text);
        text.family(&names::REQUESTS_IN_FLIGHT).single(self.in_flight() as u64);
        route::write(routes, &mut text);
        text.family(&names::CSRF_SHADOWED).single(self.csrf_shadowed.load(Ordering::Relaxed));
        provider::write(self.providers.live(), &mut text);
        limits::write(self.limits.live(), &mut text);
        self.state.write(&mut text);
        upstream::write(self.upstreams.live(), &mut text);
        self.sources.write_endpoints(&mut text);
        keys::write(self.keys.live(), &mut text);
        stream::write(self.streams.live(), &mut text);
        socket::write(self.sockets.live(), &mut text);
        traffic::write(self.traffic.live(), &mut text);
        grpc::write(self.grpc.live(), &mut text);
        cache::write(self.caches.live(), &mut text);
        if let Some(shared) = self.shared_state.get() {
            shared.write(self.leases.live(), &mut text);
        }
        text.family(&names::ACCESS_LOG_DROPPED).single(self.access_log_dropped.load(Ordering::Relaxed));
        text.append(&self.process());
        text.finish()
    }

    /// The families `process_*`. Made at the first scrape, since becoming a daemon changes the process's id.
    fn process(&self) -> String {
        let families = self.process.get_or_init(ProcessCollector::for_self).collect();
        prometheus::TextEncoder::new().encode_to_string(&families).unwrap_or_default()
    }
}

/// Resolves the handles of one snapshot.
///
/// The bound on routes holds for each snapshot by itself, so that a reload which renames every route does not push
/// them into `other` while requests still run under the old names.
#[derive(Debug)]
pub struct Handles<'a> {
    metrics: &'a Metrics,
    routes: HashMap<String, Arc<RouteMetrics>>,
}

impl Handles<'_> {
    /// The counters of a route, with all they have counted if a live snapshot has the route already.
    ///
    /// Alternatives that share a key share their counters.
    pub fn route(&mut self, api: Option<&str>, key: &str) -> Arc<RouteMetrics> {
        // No name has a NUL in it.
        let name = format!("{}\0{key}", api.unwrap_or_default());
        if let Some(known) = self.routes.get(&name) {
            return Arc::clone(known);
        }
        let MetricsSettings { workers, max_routes, reasons } = self.metrics.settings;
        if self.routes.len() >= max_routes {
            return Arc::clone(&self.metrics.other);
        }
        let series = self.metrics.routes.resolve(name.clone(), || RouteMetrics::new(api, key, workers, reasons));
        self.routes.insert(name, Arc::clone(&series));
        series
    }

    /// The counters of an upstream, with all they have counted if a live snapshot has the upstream already.
    pub fn upstream(&self, name: &str) -> Arc<UpstreamMetrics> {
        let workers = self.metrics.settings.workers;
        self.metrics.upstreams.resolve(name.to_owned(), || UpstreamMetrics::new(name, workers))
    }
}

/// A request in flight. The count is the number of holders of its worker's token, so it is right however the request
/// ends, a panic included.
#[derive(Debug)]
pub struct InFlight {
    _token: Option<Arc<Padded<()>>>,
}
