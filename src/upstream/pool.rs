//! Endpoints that are chosen among: all of a set, or those of a subset. Those of the preferred zone come first.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::balance::{Balancer, Candidates, Scope, Warming};
use super::endpoint::Endpoint;
use super::set::{Ask, Blueprint};
use super::spec::ZoneSpec;

/// Endpoints with the tables to choose among them.
pub(super) struct Pool {
    endpoints: Box<[Arc<Endpoint>]>,
    balancer: Balancer,
    near: Option<Near>,
}

/// The endpoints of the preferred zone, where some are elsewhere.
struct Near {
    endpoints: Box<[Arc<Endpoint>]>,
    balancer: Balancer,
    spill_below: f64,
}

/// By what rules a pool is chosen from.
#[derive(Clone, Copy)]
pub(super) struct Rules {
    pub(super) panic_threshold: f64,
    pub(super) warming: Warming,
}

impl Pool {
    /// `cursor`: where round robin stands.
    pub(super) fn new(endpoints: Vec<Arc<Endpoint>>, of: &Blueprint<'_>, cursor: &Arc<AtomicUsize>) -> Pool {
        let balancer = Balancer::new(&of.spec.balance, &endpoints, cursor);
        let near = of.spec.zone.as_ref().and_then(|zone| Near::of(&endpoints, zone, of));
        Pool { endpoints: endpoints.into_boxed_slice(), balancer, near }
    }

    pub(super) fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// One of them; none where nobody may be chosen.
    pub(super) fn choose<'a>(&'a self, ask: &'a Ask<'a>, rules: Rules) -> Option<&'a Arc<Endpoint>> {
        if let Some(near) = &self.near {
            let candidates = Candidates::new(&near.endpoints, ask, Scope::Near(near.spill_below), rules.warming);
            if let Some(endpoint) = near.balancer.choose(&candidates) {
                return Some(endpoint);
            }
        }
        let candidates = Candidates::new(&self.endpoints, ask, Scope::All(rules.panic_threshold), rules.warming);
        self.balancer.choose(&candidates)
    }
}

impl Near {
    /// `None` where all endpoints are in the zone, or none.
    fn of(endpoints: &[Arc<Endpoint>], zone: &ZoneSpec, of: &Blueprint<'_>) -> Option<Near> {
        let near: Vec<_> = endpoints.iter().filter(|endpoint| endpoint.zone() == Some(&*zone.own)).cloned().collect();
        if near.is_empty() || near.len() == endpoints.len() {
            return None;
        }
        // With the cursor of all, turns among these would be in step with turns among those.
        let balancer = Balancer::new(&of.spec.balance, &near, &Arc::default());
        Some(Near { endpoints: near.into_boxed_slice(), balancer, spill_below: zone.spill_below })
    }
}
