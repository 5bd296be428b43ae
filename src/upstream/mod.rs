//! Upstreams: named pools of endpoints, and the choice of one for each attempt of a request.
//!
//! | file | what |
//! |---|---|
//! | `spec` | the settings an upstream is made from |
//! | `set`, `endpoint`, `peer`, `tls` | the endpoints of the moment, their state and how they are reached |
//! | `pool`, `labels` | those that are chosen among: all, or a subset; the near ones first |
//! | `affinity` | the cookie that brings a client back to its endpoint |
//! | `balance/` | the algorithms |
//! | `outlier` | passive ejection, by the outcome of real requests |
//! | `health`, `probe` | active checks |
//! | `dns` | endpoints given by name |
//! | `retry` | the retry budget |
//! | `breaker`, `load`, `overload/` | refusing what would fail or be too much |
//! | `status` | what the admin API and metrics show |
//!
//! Settings belong to a snapshot; state (in flight, health, ejections, latencies, answers of DNS, the round robin's
//! place, the retry budget) belongs to the endpoint or upstream that is the same before and after a reload, and goes
//! on. On the way of a request there are no locks, and nothing is allocated.
//!
//! **Whoever sends a request**, be it the proxy or a call of the gateway's own, does the same three things: [`Upstream::pick`]
//! chooses an endpoint and counts the attempt as under way; [`Picked`] gives the peer and the Host to send it with, and ends
//! the count when it is dropped; [`Upstream::record`] says what came of it, once, as soon as the head of the answer is there
//! or the attempt has failed. Who tries again asks [`Upstream::budget`] first, and lists in [`Ask::tried`] where it has been.

mod affinity;
mod background;
mod balance;
mod breaker;
mod dns;
mod endpoint;
mod error;
mod grpc_probe;
mod health;
mod labels;
mod load;
mod outlier;
mod overload;
mod peer;
mod pool;
mod probe;
mod retry;
mod set;
mod spec;
mod status;
mod time;
mod tls;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use pingora_core::server::ShutdownWatch;

pub use affinity::{AffinityKey, AffinitySpec};
pub use background::Background;
pub use balance::hash_of;
pub use breaker::{BreakerSpec, BreakerState};
pub use dns::{Resolve, SystemResolver};
pub use endpoint::{Endpoint, EndpointId, FailureKind, Outcome, Picked};
pub use error::UpstreamError;
pub use labels::Labels;
pub use overload::{OverloadSpec, OverloadState};
pub use retry::{RetryBudget, RetryDecision};
pub use set::{Ask, NoEndpoint};
pub use spec::{
    Balance, CheckKind, ClientIdentity, EjectionSpec, EndpointSpec, Family, HashOn, HealthSpec, Host, Protocol,
    Timeouts, TlsSpec, Transport, UpstreamSpec, Verify, ZoneSpec,
};
pub use status::{CheckStatus, EndpointState, EndpointStatus, UnresolvedName, UpstreamStatus};
pub use time::{Clock, Millis};

use breaker::Admission;
use dns::Answers;
use load::Load;
use probe::Probe;
use set::{Blueprint, EndpointSet};
use tls::TlsPolicy;

/// Log target of everything upstreams say.
const LOG: &str = "tollgate::upstream";

/// Endpoints that may be written in one upstream: Pingora's ring numbers them with 16 bits.
const MOST_ENDPOINTS: usize = 10_000;

/// A pool of endpoints.
pub struct Upstream {
    spec: UpstreamSpec,
    tls: TlsPolicy,
    probe: Option<Probe>,
    set: ArcSwap<EndpointSet>,
    /// What is known of names; held while the set is rebuilt, so that rebuilds do not overtake each other.
    answers: Mutex<Answers>,
    cursor: Arc<AtomicUsize>,
    budget: Arc<RetryBudget>,
    load: Arc<Load>,
    /// Endpoints that a reload or DNS has taken out, while requests at them are under way.
    leaving: Mutex<Vec<Arc<Endpoint>>>,
    /// Held while one core decides on an ejection, so that two cannot both take the last place.
    ejecting: Mutex<()>,
}

impl Upstream {
    /// Builds an upstream. State goes on from `previous`, the upstream of that name in the running snapshot, where it
    /// is about the same endpoint; nothing is changed in `previous`, so a snapshot that is refused leaves no trace.
    ///
    /// `seed`: where round robin begins when there is no `previous`; random, so that gateways do not go in step.
    pub fn new(spec: UpstreamSpec, previous: Option<&Upstream>, seed: u64) -> Result<Arc<Upstream>, UpstreamError> {
        if spec.endpoints.is_empty() {
            return Err(UpstreamError::NoEndpoints);
        }
        if spec.endpoints.len() > MOST_ENDPOINTS {
            return Err(UpstreamError::TooManyEndpoints { limit: MOST_ENDPOINTS });
        }
        let tls = TlsPolicy::new(&spec.tls)?;
        for endpoint in &spec.endpoints {
            peer::check_server_name(endpoint, &tls)?;
            peer::host_header(endpoint)?;
        }
        let probe = spec.health.as_ref().map(Probe::new).transpose()?;
        let answers = Answers::of(&spec, previous.map(|previous| previous.answers.lock()).as_deref());
        let cursor =
            previous.map_or_else(|| Arc::new(AtomicUsize::new(seed as usize)), |previous| Arc::clone(&previous.cursor));
        let budget = previous.map(|previous| Arc::clone(&previous.budget)).unwrap_or_default();
        let load = previous.map(|previous| Arc::clone(&previous.load)).unwrap_or_default();
        let blueprint = Blueprint { spec: &spec, tls: &tls, answers: &answers, cursor: &cursor };
        let before = previous.map(|previous| previous.set.load_full());
        let set = EndpointSet::build(&blueprint, before.as_deref())?;
        let mut leaving = previous.map(|previous| previous.leaving.lock().clone()).unwrap_or_default();
        leaving.extend(before.iter().flat_map(|before| set.without(before)));
        leaving.retain(|endpoint| endpoint.in_flight() > 0);
        Ok(Arc::new(Upstream {
            set: ArcSwap::from_pointee(set),
            answers: Mutex::new(answers),
            spec,
            tls,
            probe,
            cursor,
            budget,
            load,
            leaving: Mutex::new(leaving),
            ejecting: Mutex::new(()),
        }))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Its settings.
    pub fn spec(&self) -> &UpstreamSpec {
        &self.spec
    }

    /// Its retry budget.
    pub fn budget(&self) -> &RetryBudget {
        &self.budget
    }

    /// Chooses an endpoint for one attempt, unless the upstream is overloaded, its breaker is open, or too many attempts
    /// are under way. What came of it is told by [`Self::record`].
    pub fn pick(&self, ask: &Ask<'_>) -> Result<Picked, NoEndpoint> {
        let slot = self.load.enter(self.spec.max_in_flight).ok_or(NoEndpoint::Busy)?;
        let slot = match &self.spec.overload {
            Some(_) => slot.wait(ask).ok_or(NoEndpoint::Overloaded)?,
            None => slot,
        };
        if let Some(spec) = &self.spec.breaker
            && let Admission::Refuse(wait) = self.load.breaker.admit(spec, ask.now)
        {
            return Err(NoEndpoint::BreakerOpen(wait));
        }
        let set = self.set.load();
        let endpoint = set.choose(ask)?;
        endpoint.probe(ask.now);
        Ok(Picked::begin(Arc::clone(endpoint), slot))
    }

    /// Whether there is an available endpoint that a request did not try, within a subset or among all.
    pub fn has_other(&self, tried: &[EndpointId], subset: Option<usize>, now: Millis) -> bool {
        self.set.load().has_other(tried, subset, now)
    }

    /// Attempts under way at all its endpoints.
    pub fn in_flight(&self) -> u32 {
        self.load.in_flight()
    }

    /// Where its breaker stands; `None` where it has none.
    pub fn breaker(&self) -> Option<BreakerState> {
        self.spec.breaker.as_ref().map(|_| self.load.breaker.state())
    }

    fn record_in_breakers(&self, endpoint: &Endpoint, outcome: Outcome, now: Millis) {
        let failed = match outcome {
            Outcome::Neutral => return,
            Outcome::Success { .. } => false,
            Outcome::Failure(_) => true,
        };
        if let Some(state) = endpoint.record_in_breaker(failed, now) {
            let (name, label, state) = (&self.spec.name, endpoint.label(), state.as_str().replace('_', " "));
            log::warn!(target: LOG, "upstream {name}: the breaker of {label} is {state}");
        }
        let Some(spec) = &self.spec.breaker else { return };
        if let Some(state) = self.load.breaker.record(failed, spec, now) {
            log::warn!(target: LOG, "upstream {}: the breaker is {}", self.spec.name, state.as_str().replace('_', " "));
        }
    }

    /// Takes in what became of an attempt: when the head of the answer is there, or nothing comes any more; and once more
    /// if the answer breaks off after its head. Of one that is dropped without it, nothing is learnt.
    pub fn record(&self, picked: &Picked, outcome: Outcome, now: Millis) {
        if let Some(spec) = &self.spec.overload
            && let Some(change) = picked.slot().answered(outcome, spec, now)
        {
            self.announce_limit(change);
        }
        // An answer that breaks off after its head has counted as a success, which forgave the failures before it.
        match outcome {
            Outcome::Success { .. } => picked.slot().forgive(picked.passive().failures()),
            Outcome::Failure(_) => picked.passive().recalls(picked.slot().recall()),
            Outcome::Neutral => {}
        }
        self.report(picked, outcome, now);
    }

    fn announce_limit(&self, change: Option<u32>) {
        let name = &self.spec.name;
        match change {
            Some(limit) => {
                log::warn!(target: LOG, "upstream {name}: overloaded; at most {limit} requests wait at once")
            }
            None => log::info!(target: LOG, "upstream {name}: no longer overloaded"),
        }
    }

    /// What its overload control does; `None` where it has none.
    pub fn overload(&self) -> Option<OverloadState> {
        self.spec.overload.as_ref().map(|_| self.load.overload.state())
    }

    /// What an attempt tells about an endpoint, which may be of an earlier set or snapshot: its state is shared.
    fn report(&self, endpoint: &Endpoint, outcome: Outcome, now: Millis) {
        self.record_in_breakers(endpoint, outcome, now);
        let averages = self.spec.balance == Balance::PeakEwma;
        match outcome {
            Outcome::Neutral => {}
            Outcome::Success { latency } => {
                endpoint.passive().succeeded();
                if averages {
                    endpoint.latency().answered(latency, now);
                }
            }
            Outcome::Failure(kind) => {
                endpoint.count_failure(kind);
                if averages {
                    endpoint.latency().failed(now);
                }
                self.consider_ejection(endpoint, now);
            }
        }
    }

    /// Counts a failure, and ejects where it was one too many. Nobody waits here: an endpoint found due while another
    /// core decides stays due, and its next failure asks again.
    fn consider_ejection(&self, endpoint: &Endpoint, now: Millis) {
        let Some(spec) = &self.spec.ejection else { return };
        if !endpoint.passive().failed(spec, now) {
            return;
        }
        let Some(_deciding) = self.ejecting.try_lock() else { return };
        let set = self.set.load();
        if let Some(span) = outlier::eject(endpoint, set.endpoints(), spec, now) {
            let (upstream, label, after) = (&self.spec.name, endpoint.label(), spec.after.max(1));
            log::warn!(target: LOG, "upstream {upstream}: {label} is out for {span:?} after {after} failures in a row");
        }
    }

    /// Replaces the set after a change of addresses. `answers` is this upstream's own, locked.
    fn rebuild(&self, answers: &Answers) {
        let blueprint = Blueprint { spec: &self.spec, tls: &self.tls, answers, cursor: &self.cursor };
        let before = self.set.load();
        match EndpointSet::build(&blueprint, Some(&before)) {
            Ok(set) => {
                let mut leaving = self.leaving.lock();
                leaving.extend(set.without(&before));
                leaving.retain(|endpoint| endpoint.in_flight() > 0);
                self.set.store(Arc::new(set));
            }
            Err(error) => log::error!(target: LOG, "upstream {}: endpoints not changed: {error}", self.spec.name),
        }
    }
}

/// Waits until a watch says stop or nobody is left to say it.
async fn stopped(mut shutdown: ShutdownWatch) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}
