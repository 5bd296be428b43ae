//! Values that are not counted but asked for when somebody scrapes: endpoints, certificates, the configuration.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use super::cache::{self, CacheLevels};
use super::names;
use super::text::{Text, label};
use crate::value::Priority;

/// The state of one endpoint at the time of a scrape.
#[derive(Clone, Copy, Debug)]
pub struct EndpointState<'a> {
    /// The upstream's name.
    pub upstream: &'a str,
    /// The endpoint as operators know it, such as `10.0.0.1:8080`.
    pub endpoint: &'a str,
    /// What health checks say.
    pub health: Health,
    /// Whether it is left out for its failures.
    pub ejection: Ejection,
}

/// What health checks say of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// It is well, or is not checked.
    Healthy,
    /// It has failed its checks.
    Unhealthy,
}

/// Whether an endpoint is left out for its failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ejection {
    /// It takes part.
    InService,
    /// It is left out for a while.
    Ejected,
}

/// Takes the endpoints' states during a scrape.
#[derive(Debug, Default)]
pub struct EndpointSink {
    endpoints: Vec<(String, Health, Ejection)>,
    breakers: Vec<(String, u64)>,
    cache: Option<CacheLevels>,
    in_flight: Vec<(String, u64)>,
    limits: Vec<(String, u64)>,
    shed: Vec<(String, [u64; 3])>,
    delays: Vec<Duration>,
    gateway_shed: [u64; 3],
    gathered: u64,
}

impl EndpointSink {
    /// Reports one endpoint. Of several with the same names the first one counts.
    pub fn endpoint(&mut self, state: EndpointState<'_>) {
        let labels = format!("{},{}", label("upstream", state.upstream), label("endpoint", state.endpoint));
        self.endpoints.push((labels, state.health, state.ejection));
    }

    /// Reports the breaker of an upstream that has one: 0 closed, 1 half open, 2 open.
    pub fn breaker(&mut self, upstream: &str, level: u64) {
        self.breakers.push((label("upstream", upstream), level));
    }

    /// Reports what the cache holds, where there is one.
    pub fn cache(&mut self, levels: CacheLevels) {
        self.cache = Some(levels);
    }

    /// Reports the attempts under way at an upstream.
    pub fn in_flight(&mut self, upstream: &str, attempts: u32) {
        self.in_flight.push((label("upstream", upstream), attempts.into()));
    }

    /// Reports the overload control of an upstream: its limit, and requests turned away by [`Priority::index`].
    pub fn overload(&mut self, upstream: &str, limit: Option<u32>, shed: [u64; 3]) {
        self.limits.push((label("upstream", upstream), limit.map_or(0, u64::from)));
        self.shed.push((label("upstream", upstream), shed));
    }

    /// Reports the memory that bodies take which answers are made of, bytes.
    pub fn gathered(&mut self, bytes: usize) {
        self.gathered = bytes as u64;
    }

    /// Reports the next worker: how long work waits there, and requests it has turned away by [`Priority::index`].
    pub fn worker(&mut self, delay: Duration, shed: [u64; 3]) {
        self.delays.push(delay);
        self.gateway_shed.iter_mut().zip(shed).for_each(|(sum, count)| *sum += count);
    }

    fn write_load(&self, text: &mut Text) {
        for (family, rows) in [(&names::UPSTREAM_IN_FLIGHT, &self.in_flight), (&names::UPSTREAM_LIMIT, &self.limits)] {
            let mut samples = text.family(family);
            rows.iter().for_each(|(labels, value)| samples.labelled(format_args!("{labels}"), *value));
        }
        let mut samples = text.family(&names::UPSTREAM_SHED);
        for (upstream, counts) in &self.shed {
            for (priority, count) in Priority::ALL.iter().zip(counts) {
                samples.labelled(format_args!("{upstream},priority=\"{}\"", priority.as_str()), *count);
            }
        }
        text.family(&names::GATHERED_BYTES).single(self.gathered);
        let mut samples = text.family(&names::WORKER_DELAY);
        for (worker, delay) in self.delays.iter().enumerate() {
            samples.seconds(format_args!("worker=\"{worker}\""), *delay);
        }
        let mut samples = text.family(&names::GATEWAY_SHED);
        for (priority, count) in Priority::ALL.iter().zip(self.gateway_shed) {
            samples.labelled(format_args!("priority=\"{}\"", priority.as_str()), count);
        }
    }

    fn write(mut self, text: &mut Text) {
        self.write_load(text);
        self.endpoints.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        self.endpoints.dedup_by(|(b, ..), (a, ..)| a == b);
        let mut samples = text.family(&names::ENDPOINT_HEALTHY);
        for (labels, health, _) in &self.endpoints {
            samples.labelled(format_args!("{labels}"), (*health == Health::Healthy).into());
        }
        let mut samples = text.family(&names::ENDPOINT_EJECTED);
        for (labels, _, ejection) in &self.endpoints {
            samples.labelled(format_args!("{labels}"), (*ejection == Ejection::Ejected).into());
        }
        let mut samples = text.family(&names::BREAKER_STATE);
        for (labels, state) in &self.breakers {
            samples.labelled(format_args!("{labels}"), *state);
        }
        if let Some(levels) = self.cache {
            cache::write_levels(levels, text);
        }
    }
}

/// Tells the sink of every endpoint.
pub type EndpointSource = Box<dyn Fn(&mut EndpointSink) + Send + Sync>;

/// What is asked for or was set, as opposed to counted.
#[derive(Default)]
pub(super) struct Sources {
    endpoints: Mutex<Option<EndpointSource>>,
    /// Labels and expiry in Unix seconds.
    certificates: Mutex<Vec<(String, u64)>>,
    revision: AtomicU64,
    /// Unix seconds of the last reading of a configuration, times two, plus one if it was accepted. In one value, so
    /// that a scrape never sees the time of one reading with the result of another.
    last_reload: AtomicU64,
}

impl Sources {
    pub(super) fn set_endpoints(&self, source: EndpointSource) {
        *self.endpoints.lock() = Some(source);
    }

    pub(super) fn set_certificates<'a>(&self, certificates: impl IntoIterator<Item = (&'a str, SystemTime)>) {
        let mut rows: Vec<_> =
            certificates.into_iter().map(|(name, expiry)| (label("name", name), unix_seconds(expiry))).collect();
        // Of several certificates with one name, the one that expires first is the one to know of.
        rows.sort();
        rows.dedup_by(|(b, _), (a, _)| a == b);
        *self.certificates.lock() = rows;
    }

    pub(super) fn reload_succeeded(&self, revision: u64, at: SystemTime) {
        self.revision.store(revision, Ordering::Relaxed);
        self.last_reload.store(unix_seconds(at) * 2 + 1, Ordering::Relaxed);
    }

    pub(super) fn reload_failed(&self, at: SystemTime) {
        self.last_reload.store(unix_seconds(at) * 2, Ordering::Relaxed);
    }

    pub(super) fn write_config(&self, text: &mut Text) {
        let last_reload = self.last_reload.load(Ordering::Relaxed);
        text.family(&names::CONFIG_REVISION).single(self.revision.load(Ordering::Relaxed));
        text.family(&names::CONFIG_LAST_RELOAD_SUCCESS).single(last_reload % 2);
        text.family(&names::CONFIG_LAST_RELOAD_TIMESTAMP).single(last_reload / 2);
        let mut samples = text.family(&names::CERTIFICATE_EXPIRY);
        for (labels, expiry) in self.certificates.lock().iter() {
            samples.labelled(format_args!("{labels}"), *expiry);
        }
    }

    pub(super) fn write_endpoints(&self, text: &mut Text) {
        let mut sink = EndpointSink::default();
        if let Some(source) = self.endpoints.lock().as_ref() {
            source(&mut sink);
        }
        sink.write(text);
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Sources").finish_non_exhaustive()
    }
}

fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
