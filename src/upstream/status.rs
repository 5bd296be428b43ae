//! An upstream as the admin API shows it and as metrics are collected from it, at the moment of asking.

use serde::Serialize;

use super::Upstream;
use super::breaker::BreakerState;
use super::endpoint::{Endpoint, FailureKind};
use super::health::Verdict;
use super::set::EndpointSet;
use super::spec::{Balance, EjectionSpec, UpstreamSpec};
use super::time::{Millis, whole};

/// One upstream.
#[derive(Clone, Debug, Serialize)]
pub struct UpstreamStatus {
    /// Its name.
    pub name: String,
    /// Its algorithm, as written.
    pub balance: &'static str,
    /// Whether so few endpoints are available that all are used.
    pub panic: bool,
    /// Attempts under way at all endpoints.
    pub in_flight: u32,
    /// What its overload control does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overload: Option<OverloadStatus>,
    /// Where its breaker stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker: Option<&'static str>,
    /// Names that DNS does not answer at present.
    pub unresolved: Vec<UnresolvedName>,
    /// Its endpoints, in the order written, the addresses of a name in numerical order.
    pub endpoints: Vec<EndpointStatus>,
}

/// What the overload control of an upstream does.
#[derive(Clone, Debug, Serialize)]
pub struct OverloadStatus {
    /// Requests of normal priority that may wait for an answer at once; absent while there is no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Requests that wait for an answer.
    pub waiting: u32,
    /// The latency that is usual, milliseconds: half of the requests stays below it.
    pub usual_ms: f64,
    /// Requests turned away so far.
    pub shed: u64,
}

/// A name that DNS does not answer at present. Addresses from an earlier answer are still in use.
#[derive(Clone, Debug, Serialize)]
pub struct UnresolvedName {
    /// The name.
    pub name: String,
    /// What the resolver said.
    pub error: String,
}

/// One endpoint.
#[derive(Clone, Debug, Serialize)]
pub struct EndpointStatus {
    /// The URL as written; for endpoints given by name `url@address`.
    pub endpoint: String,
    /// Address and port.
    pub address: String,
    /// Its weight.
    pub weight: u32,
    /// What tells it from its neighbours, `name=value`, separated by commas.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub labels: String,
    /// The zone it is in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Where it stands.
    pub state: EndpointState,
    /// Where its own breaker stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub breaker: Option<&'static str>,
    /// Whether requests go there outside of panic.
    pub available: bool,
    /// Attempts under way.
    pub in_flight: u32,
    /// Attempts begun so far.
    pub attempts: u64,
    /// Attempts that failed so far.
    pub failures: u64,
    /// Failures since the last success.
    pub consecutive_failures: u32,
    /// How it failed last, if ever.
    pub last_failure: Option<String>,
    /// What is left of its ejection, milliseconds.
    pub ejected_for_ms: u64,
    /// Ejections in a row that are not forgiven.
    pub times_ejected: u32,
    /// The latest active check, if any.
    pub last_check: Option<CheckStatus>,
    /// Moving average of its latency, milliseconds; only kept for `peak_ewma`.
    pub ewma_ms: Option<f32>,
}

impl EndpointStatus {
    /// Whether it is no longer among the endpoints.
    pub fn is_draining(&self) -> bool {
        self.state == EndpointState::Draining
    }
}

/// Where an endpoint stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EndpointState {
    /// Nothing speaks against it.
    Healthy,
    /// Active checks fail.
    Unhealthy,
    /// Out for a while because real requests failed.
    Ejected,
    /// Active checks are configured, and none has come to a verdict. Used like a healthy one.
    Unknown,
    /// Its own breaker refuses requests.
    Barred,
    /// It is fresh and gets less than its share.
    Warming,
    /// It is no longer among the endpoints; requests there are under way.
    Draining,
}

/// One active check.
#[derive(Clone, Debug, Serialize)]
pub struct CheckStatus {
    /// What was seen.
    pub result: String,
    /// How long ago, milliseconds.
    pub ago_ms: u64,
}

impl Upstream {
    /// Everything there is to show. Not for the request path: it allocates and takes the locks of the last checks.
    pub fn status(&self, now: Millis) -> UpstreamStatus {
        let set = self.set.load_full();
        UpstreamStatus {
            name: self.spec.name.clone(),
            balance: balance_name(&self.spec.balance),
            panic: set.in_panic(now),
            in_flight: self.in_flight(),
            overload: self.overload().map(|state| OverloadStatus {
                limit: state.limit,
                waiting: state.waiting,
                usual_ms: state.usual.as_secs_f64() * 1e3,
                shed: state.shed.iter().sum(),
            }),
            breaker: self.breaker().map(BreakerState::as_str),
            unresolved: self
                .answers
                .lock()
                .failures()
                .map(|(name, error)| UnresolvedName { name: name.to_owned(), error: error.to_owned() })
                .collect(),
            endpoints: self.endpoint_statuses(&set, now),
        }
    }

    /// The endpoints of the set, and those that left it while requests at them are under way.
    fn endpoint_statuses(&self, set: &EndpointSet, now: Millis) -> Vec<EndpointStatus> {
        let mut all: Vec<_> =
            set.endpoints().iter().map(|endpoint| endpoint_status(endpoint, &self.spec, now)).collect();
        let mut leaving = self.leaving.lock();
        leaving.retain(|endpoint| endpoint.in_flight() > 0);
        all.extend(leaving.iter().map(|endpoint| EndpointStatus {
            state: EndpointState::Draining,
            available: false,
            ..endpoint_status(endpoint, &self.spec, now)
        }));
        all
    }

    /// Calls `visit` with the label of each endpoint and whether it is available: for gauges, without allocating.
    pub fn each_endpoint(&self, now: Millis, mut visit: impl FnMut(&str, bool)) {
        let set = self.set.load();
        set.endpoints().iter().for_each(|endpoint| visit(endpoint.label(), endpoint.is_available(now)));
    }
}

fn endpoint_status(endpoint: &Endpoint, spec: &UpstreamSpec, now: Millis) -> EndpointStatus {
    let passive = endpoint.passive();
    let ejection = spec.ejection.as_ref();
    EndpointStatus {
        endpoint: endpoint.label().to_owned(),
        address: endpoint.address().to_string(),
        weight: endpoint.weight(),
        labels: endpoint.labels().to_string(),
        zone: endpoint.zone().map(str::to_owned),
        state: state(endpoint, now),
        breaker: endpoint.breaker().map(BreakerState::as_str),
        available: endpoint.is_available(now),
        in_flight: endpoint.in_flight(),
        attempts: endpoint.attempts(),
        failures: endpoint.failures(),
        consecutive_failures: passive.failures(),
        last_failure: endpoint.last_failure().map(failure_name),
        ejected_for_ms: ejection.map_or(0, |_| whole(passive.ejected_for(now))),
        times_ejected: ejection.map_or(0, |ejection: &EjectionSpec| passive.times(ejection, now)),
        last_check: spec
            .health
            .as_ref()
            .and_then(|_| endpoint.active().last())
            .map(|check| CheckStatus { ago_ms: whole(now.since(check.at)), result: check.text }),
        ewma_ms: endpoint.latency().estimate(now).filter(|_| spec.balance == Balance::PeakEwma).map(|us| us / 1e3),
    }
}

fn state(endpoint: &Endpoint, now: Millis) -> EndpointState {
    let signals = endpoint.signals();
    match endpoint.active().verdict() {
        Verdict::Unhealthy if signals.active => EndpointState::Unhealthy,
        _ if signals.passive && endpoint.passive().is_ejected(now) => EndpointState::Ejected,
        _ if endpoint.is_barred(now) => EndpointState::Barred,
        Verdict::Unknown if signals.active => EndpointState::Unknown,
        _ if endpoint.warmth(now) < 1.0 => EndpointState::Warming,
        _ => EndpointState::Healthy,
    }
}

fn balance_name(balance: &Balance) -> &'static str {
    match balance {
        Balance::RoundRobin => "round_robin",
        Balance::Random => "random",
        Balance::LeastRequests => "least_requests",
        Balance::PeakEwma => "peak_ewma",
        Balance::Hash(_) => "hash",
    }
}

fn failure_name(kind: FailureKind) -> String {
    match kind {
        FailureKind::Connect => "connect".into(),
        FailureKind::Tls => "tls".into(),
        FailureKind::Timeout => "timeout".into(),
        FailureKind::Reset => "reset".into(),
        FailureKind::Invalid => "invalid".into(),
        FailureKind::Status(status) => format!("status {status}"),
    }
}
