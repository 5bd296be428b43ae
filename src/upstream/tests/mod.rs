//! What the tests of this folder share: specs from a few words, an upstream to pick from, a resolver that says what it
//! is told. The certificates in `pem/` are for these tests only: `origin` (for `origin.test`) is signed by `authority`,
//! `other` by itself; they last for a hundred years.

mod carrying;
mod checks;
mod ejecting;
mod names;
mod peers;
mod preferring;

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, ready};
use parking_lot::Mutex;

use super::balance::mix;
use super::*;

/// An upstream of plain HTTP/1.1 endpoints, each `host:port` or `host:port weight`; no checks, no ejection.
pub(super) fn spec(endpoints: &[&str]) -> UpstreamSpec {
    UpstreamSpec {
        name: "orders".into(),
        endpoints: endpoints.iter().map(|text| endpoint(text)).collect(),
        subsets: Vec::new(),
        affinity: None,
        balance: Balance::RoundRobin,
        health: None,
        ejection: None,
        breaker: None,
        max_in_flight: None,
        overload: None,
        endpoint_breaker: None,
        slow_start: None,
        zone: None,
        panic_threshold: 0.5,
        tls: TlsSpec::default(),
        timeouts: Timeouts {
            connect: Duration::from_secs(1),
            total_connect: Duration::from_secs(2),
            read: Duration::from_secs(3),
            write: Duration::from_secs(4),
            idle: Duration::from_secs(5),
        },
        h2_streams: 100,
        dns_interval: Duration::from_secs(30),
        family: Family::PreferV4,
    }
}

/// One endpoint from `host:port` or `host:port weight`.
pub(super) fn endpoint(text: &str) -> EndpointSpec {
    let (address, weight) = text.split_once(' ').unwrap_or((text, "1"));
    let (host, port) = address.rsplit_once(':').unwrap();
    EndpointSpec {
        host: host.parse().map_or_else(|_| Host::Name(host.into()), Host::Ip),
        port: port.parse().unwrap(),
        protocol: Protocol::Http1,
        transport: Transport::Plain,
        weight: weight.parse().unwrap(),
        label: format!("http://{address}"),
        zone: None,
        labels: Labels::default(),
    }
}

/// Ejection at the first failure, of everyone if need be: the quick way to make endpoints unavailable.
pub(super) fn touchy() -> EjectionSpec {
    EjectionSpec { after: 1, base: Duration::from_secs(30), longest: Duration::from_secs(300), at_most: 1.0 }
}

/// An upstream with a stream of picks.
pub(super) struct Bench {
    pub(super) upstream: Arc<Upstream>,
    pub(super) now: Millis,
    random: u64,
}

impl Bench {
    pub(super) fn new(spec: UpstreamSpec) -> Bench {
        Bench { upstream: Upstream::new(spec, None, 0).unwrap(), now: Millis(1_000_000), random: 0 }
    }

    /// Picks with the next random number.
    pub(super) fn try_pick(&mut self, hash: Option<u64>, tried: &[EndpointId]) -> Result<Picked, NoEndpoint> {
        self.random += 1;
        self.upstream.pick(&Ask { hash, tried, now: self.now, random: mix(self.random), ..Ask::default() })
    }

    pub(super) fn pick(&mut self) -> Picked {
        self.try_pick(None, &[]).unwrap()
    }

    /// The addresses of so many picks, none of them held.
    pub(super) fn addresses(&mut self, count: usize) -> Vec<String> {
        (0..count).map(|_| self.pick().address().to_string()).collect()
    }

    /// How often each address comes up in so many picks, none of them held.
    pub(super) fn shares(&mut self, count: usize) -> HashMap<String, usize> {
        let mut shares = HashMap::new();
        self.addresses(count).into_iter().for_each(|address| *shares.entry(address).or_default() += 1);
        shares
    }

    /// The endpoint at an address.
    pub(super) fn endpoint(&self, address: &str) -> Arc<Endpoint> {
        let address: SocketAddr = address.parse().unwrap();
        let set = self.upstream.set.load_full();
        set.endpoints().iter().find(|endpoint| endpoint.address() == address).cloned().unwrap()
    }

    /// Reports a failure of the endpoint at an address.
    pub(super) fn fail(&self, address: &str) {
        self.upstream.report(&self.endpoint(address), Outcome::Failure(FailureKind::Connect), self.now);
    }

    /// Reports a success of the endpoint at an address.
    pub(super) fn succeed(&self, address: &str, latency: Duration) {
        self.upstream.report(&self.endpoint(address), Outcome::Success { latency }, self.now);
    }
}

/// A resolver that says what it is told, and fails where it was told nothing.
#[derive(Clone, Default)]
pub(super) struct Script(Arc<Mutex<HashMap<String, Vec<SocketAddr>>>>);

impl Script {
    pub(super) fn says(&self, name: &str, addresses: &[&str]) {
        self.0.lock().insert(name.into(), addresses.iter().map(|address| address.parse().unwrap()).collect());
    }

    pub(super) fn is_silent_on(&self, name: &str) {
        self.0.lock().remove(name);
    }
}

impl Resolve for Script {
    fn resolve<'a>(&'a self, name: &'a str, _port: u16) -> BoxFuture<'a, io::Result<Vec<SocketAddr>>> {
        ready(self.0.lock().get(name).cloned().ok_or_else(|| io::Error::other("no such name"))).boxed()
    }
}

/// Background work with that resolver.
pub(super) fn background(script: &Script) -> Background {
    Background::new(Clock::start(), 7, Box::new(script.clone()))
}
