//! What all workers of a gateway share: the running snapshot, and what outlives every snapshot.

use super::Store;
use crate::cache::Cache;
use crate::exchange::call::Calls;
use crate::fetch::Fetcher;
use crate::listener::pressure::Pressure;
use crate::observe::access_log::AccessLog;
use crate::observe::metrics::Metrics;
use crate::policy::limit::LimitStore;
use crate::upstream::Clock;
use crate::websocket::Sockets;
use std::sync::Arc;

/// What all workers of a gateway share.
pub struct Shared {
    /// The running snapshot.
    pub store: Store,
    /// Counters.
    pub metrics: Metrics,
    /// The access log.
    pub access_log: AccessLog,
    /// The gateway's own calls to others.
    pub fetcher: Arc<Fetcher>,
    /// The gateway's own calls to upstreams.
    pub calls: Arc<Calls>,
    /// The counts of all limits.
    pub limits: Arc<LimitStore>,
    /// Answers that are kept.
    pub cache: Arc<Cache>,
    /// The clock upstreams are timed by.
    pub clock: Clock,
    /// WebSockets that are open, of routes that look at them.
    pub sockets: Arc<Sockets>,
    /// Whether each worker keeps up.
    pub pressure: Box<[Pressure]>,
}
