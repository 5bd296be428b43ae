//! What becomes of a route's requests beside the usual. Most routes have nothing of it.

use crate::exchange::mirror::Mirror;
use crate::observe::metrics::TrafficMetrics;
use std::sync::Arc;

/// What a route does beside passing requests on.
pub struct Traffic {
    /// Copies for another upstream.
    pub mirror: Option<Arc<Mirror>>,
    /// Its counters.
    pub metrics: Arc<TrafficMetrics>,
}

impl Traffic {
    /// What it does, in lines of the plan.
    pub fn describe(&self) -> Vec<String> {
        self.mirror.iter().map(|mirror| mirror.describe()).collect()
    }
}
