//! The endpoints of an upstream at one time, with the tables to choose among them. Built off the request path and
//! swapped whole: at a reload, and when a name's addresses change.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use super::balance::{Balancer, Candidates, Scope, Warming, in_panic};
use super::dns::Answers;
use super::endpoint::{Endpoint, EndpointId, Settings, Signals};
use super::error::UpstreamError;
use super::peer;
use super::spec::{Balance, EndpointSpec, Host, UpstreamSpec, ZoneSpec};
use super::time::Millis;
use super::tls::TlsPolicy;
use crate::value::Priority;

/// What one attempt asks for. Made as `Ask { now, random, ..Ask::default() }` with what else is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ask<'a> {
    /// Digest of what the request is hashed by, from [`super::hash_of`]; only `hash` balancing looks at it.
    pub hash: Option<u64>,
    /// Endpoints this request tried before: avoided while there is another.
    pub tried: &'a [EndpointId],
    /// The present moment.
    pub now: Millis,
    /// 64 random bits.
    pub random: u64,
    /// How much the request matters when not all can be sent.
    pub priority: Priority,
    /// Whether how long it takes is not the upstream's doing, but that of a client who is still sending.
    pub untimed: bool,
}

/// Why there is no endpoint to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoEndpoint {
    /// Every endpoint is given by name, and DNS never answered.
    Unresolved,
    /// No endpoint is available and panic is switched off (threshold 0).
    Unavailable,
    /// The breaker is open; it may be worth asking again after that.
    BreakerOpen(Duration),
    /// As many attempts are under way as the upstream may have.
    Busy,
    /// The upstream takes longer and longer to answer, and requests of this priority are turned away.
    Overloaded,
}

/// What a set is built from.
pub(super) struct Blueprint<'a> {
    pub(super) spec: &'a UpstreamSpec,
    pub(super) tls: &'a TlsPolicy,
    pub(super) answers: &'a Answers,
    pub(super) cursor: &'a Arc<AtomicUsize>,
}

/// The endpoints and their tables.
pub(super) struct EndpointSet {
    endpoints: Box<[Arc<Endpoint>]>,
    balancer: Balancer,
    panic_threshold: f64,
    warming: Warming,
    near: Option<Near>,
}

/// The endpoints of the preferred zone, where some are elsewhere.
struct Near {
    endpoints: Box<[Arc<Endpoint>]>,
    balancer: Balancer,
    spill_below: f64,
}

impl EndpointSet {
    /// State goes on from equal endpoints of `before`. An endpoint that is there twice is there once, with both
    /// weights.
    pub(super) fn build(of: &Blueprint<'_>, before: Option<&EndpointSet>) -> Result<EndpointSet, UpstreamError> {
        let signals = Signals { active: of.spec.health.is_some(), passive: of.spec.ejection.is_some() };
        let old: ahash::AHashMap<EndpointId, &Arc<Endpoint>> =
            before.into_iter().flat_map(EndpointSet::endpoints).map(|endpoint| (endpoint.id(), endpoint)).collect();
        let mut seen = ahash::AHashMap::new();
        let mut unique: Vec<Placed> = Vec::new();
        for placed in of.spec.endpoints.iter().flat_map(|written| placements(written, of.answers)) {
            let next = unique.len();
            let at = *seen.entry(placed.id).or_insert(next);
            match unique.get_mut(at) {
                Some(twin) => twin.written.weight = twin.written.weight.saturating_add(placed.written.weight.get()),
                None => unique.push(placed),
            }
        }
        let endpoints: Vec<Arc<Endpoint>> = unique
            .into_iter()
            .map(|placed| {
                let settings = Settings {
                    host_header: peer::host_header(&placed.written)?,
                    peer: peer::build(placed.address, &placed.written, of.spec, of.tls),
                    label: placed.label,
                    signals,
                    breaker: of.spec.endpoint_breaker.clone(),
                    slow_start: of.spec.slow_start.filter(|span| !span.is_zero()),
                };
                let before = old.get(&placed.id).map(|endpoint| &***endpoint);
                let endpoint = Endpoint::new(placed.address, &placed.written, settings, before);
                if before.is_none() && !old.is_empty() {
                    endpoint.joins();
                }
                Ok(Arc::new(endpoint))
            })
            .collect::<Result<_, UpstreamError>>()?;
        let balancer = Balancer::new(&of.spec.balance, &endpoints, of.cursor);
        let panic_threshold = of.spec.panic_threshold;
        let keyed = matches!(of.spec.balance, Balance::Hash(_));
        let warming = if of.spec.slow_start.is_some() && !keyed { Warming::Slowly } else { Warming::AtOnce };
        let near = of.spec.zone.as_ref().and_then(|zone| Near::of(&endpoints, zone, of));
        Ok(EndpointSet { endpoints: endpoints.into_boxed_slice(), balancer, panic_threshold, warming, near })
    }

    /// The endpoints of an earlier set that are not in this one.
    pub(super) fn without(&self, before: &EndpointSet) -> Vec<Arc<Endpoint>> {
        let kept: ahash::AHashSet<EndpointId> = self.endpoints.iter().map(|endpoint| endpoint.id()).collect();
        before.endpoints.iter().filter(|endpoint| !kept.contains(&endpoint.id())).cloned().collect()
    }

    pub(super) fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    pub(super) fn choose<'a>(&'a self, ask: &'a Ask<'a>) -> Result<&'a Arc<Endpoint>, NoEndpoint> {
        if self.endpoints.is_empty() {
            return Err(NoEndpoint::Unresolved);
        }
        if let Some(near) = &self.near {
            let candidates = Candidates::new(&near.endpoints, ask, Scope::Near(near.spill_below), self.warming);
            if let Some(endpoint) = near.balancer.choose(&candidates) {
                return Ok(endpoint);
            }
        }
        let candidates = Candidates::new(&self.endpoints, ask, Scope::All(self.panic_threshold), self.warming);
        self.balancer.choose(&candidates).ok_or_else(|| self.why_nobody(ask.now))
    }

    fn why_nobody(&self, now: Millis) -> NoEndpoint {
        let waits: Option<Vec<Duration>> = self.endpoints.iter().map(|endpoint| endpoint.barred_for(now)).collect();
        waits.and_then(|waits| waits.into_iter().min()).map_or(NoEndpoint::Unavailable, NoEndpoint::BreakerOpen)
    }

    /// Whether an endpoint that a request did not try is available.
    pub(super) fn has_other(&self, tried: &[EndpointId], now: Millis) -> bool {
        self.endpoints.iter().any(|endpoint| !tried.contains(&endpoint.id()) && endpoint.is_available(now))
    }

    /// Whether so few endpoints are available that all are used.
    pub(super) fn in_panic(&self, now: Millis) -> bool {
        let available = self.endpoints.iter().filter(|endpoint| endpoint.is_available(now)).count();
        in_panic(available, self.endpoints.len(), self.panic_threshold)
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

/// A written endpoint at one of its addresses.
struct Placed {
    id: EndpointId,
    address: SocketAddr,
    label: String,
    written: EndpointSpec,
}

fn placements<'a>(written: &'a EndpointSpec, answers: &'a Answers) -> impl Iterator<Item = Placed> + 'a {
    let addresses: Vec<SocketAddr> = match &written.host {
        Host::Ip(address) => vec![SocketAddr::new(*address, written.port)],
        Host::Name(name) => answers.addresses(name, written.port).to_vec(),
    };
    addresses.into_iter().map(move |address| {
        let label = match written.host {
            Host::Ip(_) => written.label.clone(),
            Host::Name(_) => format!("{}@{address}", written.label),
        };
        Placed { id: EndpointId::of(address, written, &label), address, label, written: written.clone() }
    })
}
