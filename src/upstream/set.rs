//! The endpoints of an upstream at one time, with the tables to choose among them. Built off the request path and
//! swapped whole: at a reload, and when a name's addresses change.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use super::affinity::{Ticket, codes};
use super::balance::{Warming, in_panic};
use super::dns::Answers;
use super::endpoint::{Endpoint, EndpointId, Settings, Signals};
use super::error::UpstreamError;
use super::labels::Labels;
use super::peer;
use super::pool::{Pool, Rules};
use super::spec::{Balance, EndpointSpec, Host, UpstreamSpec};
use super::time::Millis;
use super::tls::TlsPolicy;
use crate::value::Priority;

/// What one attempt asks for. Made as `Ask { now, random, ..Ask::default() }` with what else is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ask<'a> {
    /// Digest of what the request is hashed by, from [`super::hash_of`]; only `hash` balancing looks at it.
    pub hash: Option<u64>,
    /// What the client has shown to come back to an endpoint: the value of the cookie of [`super::AffinitySpec`].
    pub shown: Option<&'a [u8]>,
    /// The number of the subset it is for, in [`UpstreamSpec::subsets`]; `None` for all endpoints.
    pub subset: Option<usize>,
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
    all: Pool,
    /// By their numbers.
    subsets: Box<[(Labels, Pool)]>,
    /// Endpoints by the codes under which clients come back to them; empty without affinity.
    known: ahash::AHashMap<Box<[u8]>, usize>,
    rules: Rules,
}

impl EndpointSet {
    /// State goes on from equal endpoints of `before`. An endpoint that is there twice is there once, with both
    /// weights.
    pub(super) fn build(of: &Blueprint<'_>, before: Option<&EndpointSet>) -> Result<EndpointSet, UpstreamError> {
        let endpoints = endpoints(of, before)?;
        let keyed = matches!(of.spec.balance, Balance::Hash(_));
        let warming = if of.spec.slow_start.is_some() && !keyed { Warming::Slowly } else { Warming::AtOnce };
        let subset = |labels: &Labels| {
            let own = endpoints.iter().filter(|endpoint| endpoint.labels().has_all(labels)).cloned().collect();
            // With the cursor of all, turns among these would be in step with turns among those.
            (labels.clone(), Pool::new(own, of, &Arc::default()))
        };
        let subsets = of.spec.subsets.iter().map(subset).collect();
        let known = known(of.spec, &endpoints);
        let rules = Rules { panic_threshold: of.spec.panic_threshold, warming };
        Ok(EndpointSet { all: Pool::new(endpoints, of, of.cursor), subsets, known, rules })
    }

    /// The endpoints of an earlier set that are not in this one.
    pub(super) fn without(&self, before: &EndpointSet) -> Vec<Arc<Endpoint>> {
        let kept: ahash::AHashSet<EndpointId> = self.endpoints().iter().map(|endpoint| endpoint.id()).collect();
        before.endpoints().iter().filter(|endpoint| !kept.contains(&endpoint.id())).cloned().collect()
    }

    pub(super) fn endpoints(&self) -> &[Arc<Endpoint>] {
        self.all.endpoints()
    }

    /// Those of a subset, or all.
    fn pool(&self, subset: Option<usize>) -> Option<&Pool> {
        match subset {
            None => Some(&self.all),
            Some(number) => self.subsets.get(number).map(|(_, pool)| pool),
        }
    }

    pub(super) fn choose<'a>(&'a self, ask: &'a Ask<'a>) -> Result<&'a Arc<Endpoint>, NoEndpoint> {
        let Some(pool) = self.pool(ask.subset).filter(|pool| !pool.endpoints().is_empty()) else {
            return Err(NoEndpoint::Unresolved);
        };
        if let Some(endpoint) = ask.shown.and_then(|shown| self.returning(shown, ask)) {
            return Ok(endpoint);
        }
        pool.choose(ask, self.rules).ok_or_else(|| why_nobody(pool, ask.now))
    }

    /// The endpoint that a client comes back to, while nothing speaks against it.
    fn returning(&self, shown: &[u8], ask: &Ask<'_>) -> Option<&Arc<Endpoint>> {
        let endpoint = self.endpoints().get(*self.known.get(shown)?)?;
        let labels = ask.subset.and_then(|number| self.subsets.get(number)).map(|(labels, _)| labels);
        let within = labels.is_none_or(|labels| endpoint.labels().has_all(labels));
        (within && !ask.tried.contains(&endpoint.id()) && endpoint.is_available(ask.now)).then_some(endpoint)
    }

    /// Whether an endpoint that a request did not try is available, within a subset or among all.
    pub(super) fn has_other(&self, tried: &[EndpointId], subset: Option<usize>, now: Millis) -> bool {
        let mut endpoints = self.pool(subset).into_iter().flat_map(Pool::endpoints);
        endpoints.any(|endpoint| !tried.contains(&endpoint.id()) && endpoint.is_available(now))
    }

    /// Whether so few endpoints are available that all are used.
    pub(super) fn in_panic(&self, now: Millis) -> bool {
        let available = self.endpoints().iter().filter(|endpoint| endpoint.is_available(now)).count();
        in_panic(available, self.endpoints().len(), self.rules.panic_threshold)
    }
}

/// The endpoints of the moment, each once.
fn endpoints(of: &Blueprint<'_>, before: Option<&EndpointSet>) -> Result<Vec<Arc<Endpoint>>, UpstreamError> {
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
    unique
        .into_iter()
        .map(|placed| {
            let settings = Settings {
                host_header: peer::host_header(&placed.written)?,
                peer: peer::build(placed.address, &placed.written, of.spec, of.tls),
                signals,
                breaker: of.spec.endpoint_breaker.clone(),
                slow_start: of.spec.slow_start.filter(|span| !span.is_zero()),
                ticket: of.spec.affinity.as_ref().and_then(|own| Ticket::new(own, &of.spec.name, &placed.label)),
                label: placed.label,
            };
            let before = old.get(&placed.id).map(|endpoint| &***endpoint);
            let endpoint = Endpoint::new(placed.address, &placed.written, settings, before);
            if before.is_none() && !old.is_empty() {
                endpoint.joins();
            }
            Ok(Arc::new(endpoint))
        })
        .collect()
}

/// Endpoints by the codes under which clients come back to them.
fn known(spec: &UpstreamSpec, endpoints: &[Arc<Endpoint>]) -> ahash::AHashMap<Box<[u8]>, usize> {
    let codes = |(place, endpoint): (usize, &'_ Arc<Endpoint>)| -> Vec<(Box<[u8]>, usize)> {
        let own = spec.affinity.iter();
        own.flat_map(|own| codes(own, &spec.name, endpoint.label())).map(|code| (code, place)).collect()
    };
    endpoints.iter().enumerate().flat_map(codes).collect()
}

fn why_nobody(pool: &Pool, now: Millis) -> NoEndpoint {
    let waits: Option<Vec<Duration>> = pool.endpoints().iter().map(|endpoint| endpoint.barred_for(now)).collect();
    waits.and_then(|waits| waits.into_iter().min()).map_or(NoEndpoint::Unavailable, NoEndpoint::BreakerOpen)
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
