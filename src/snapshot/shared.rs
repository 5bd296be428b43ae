//! What all workers of a gateway share: the running snapshot, and what outlives every snapshot.

use super::Store;
use crate::observe::access_log::AccessLog;
use crate::observe::metrics::Metrics;
use crate::upstream::Clock;

/// What all workers of a gateway share.
pub struct Shared {
    /// The running snapshot.
    pub store: Store,
    /// Counters.
    pub metrics: Metrics,
    /// The access log.
    pub access_log: AccessLog,
    /// The clock upstreams are timed by.
    pub clock: Clock,
}
