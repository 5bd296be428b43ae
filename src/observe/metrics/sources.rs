//! Values that are not counted but asked for when somebody scrapes: endpoints, certificates, the configuration.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;

use super::names;
use super::text::{Text, label};

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

    fn write(mut self, text: &mut Text) {
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
