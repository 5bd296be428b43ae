//! The admin API: health, readiness, metrics, the compiled plan, upstreams, reload, what is kept. Never a secret.
//!
//! It listens on loopback; on any other address a bearer token is required.

mod app;
mod cache;
mod door;
mod pages;

pub use app::{Admin, AdminPowers, Readiness};

use crate::observe::metrics::{Ejection, EndpointSink, EndpointState, Health};
use crate::snapshot::Shared;

/// Hands the state of all endpoints to the metrics.
pub fn collect_endpoints(shared: &Shared, sink: &mut EndpointSink) {
    let now = shared.clock.now();
    if shared.store.peek().caches {
        sink.cache(cache::counts(shared));
    }
    sink.gathered(shared.calls.room().used());
    for worker in &shared.pressure {
        sink.worker(worker.delay(), worker.shed());
    }
    for upstream in shared.store.load().upstreams.values() {
        sink.in_flight(upstream.name(), upstream.in_flight());
        if let Some(state) = upstream.overload() {
            sink.overload(upstream.name(), state.limit, state.shed);
        }
        if let Some(state) = upstream.breaker() {
            sink.breaker(upstream.name(), state.level());
        }
        for endpoint in upstream.status(now).endpoints.iter().filter(|endpoint| !endpoint.is_draining()) {
            sink.endpoint(EndpointState {
                upstream: upstream.name(),
                endpoint: &endpoint.endpoint,
                health: if endpoint.available { Health::Healthy } else { Health::Unhealthy },
                ejection: if endpoint.ejected_for_ms > 0 { Ejection::Ejected } else { Ejection::InService },
            });
        }
    }
}
