//! Passive ejection: an endpoint that fails several real requests in a row gets none for a while. Functions over the
//! state of endpoints and a moment; nothing here reads a clock.
//!
//! * `after` consecutive failures eject for `base` × the number of ejections in a row, at most `longest`.
//! * Every `base` spent in service without being ejected forgives one earlier ejection.
//! * When the time is over the endpoint is simply back: recovery depends neither on traffic nor on checks.
//! * Failures that come in while it is ejected are of requests sent before; they do not count.
//! * At most a share of the endpoints is ejected at once: see [`allowed`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::endpoint::Endpoint;
use super::spec::EjectionSpec;
use super::time::{Millis, whole};

/// What real requests have told about one endpoint.
#[derive(Default)]
pub(super) struct Passive {
    /// Consecutive failures since the last success or ejection.
    failures: AtomicU32,
    /// End of the latest ejection, in [`Millis`]; 0 before the first.
    until: AtomicU64,
    /// Ejections in a row that are not forgiven, as of the latest ejection.
    times: AtomicU32,
}

impl Passive {
    /// Consecutive failures since the last success or ejection.
    pub(super) fn failures(&self) -> u32 {
        self.failures.load(Relaxed)
    }

    /// Whether it is ejected at this moment.
    pub(super) fn is_ejected(&self, now: Millis) -> bool {
        self.until.load(Relaxed) > now.0
    }

    /// When its last ejection ended; zero when there was none, or it lasts.
    pub(super) fn ended(&self, now: Millis) -> Millis {
        let until = self.until.load(Relaxed);
        Millis(if until > now.0 { 0 } else { until })
    }

    /// What is left of an ejection; zero when there is none.
    pub(super) fn ejected_for(&self, now: Millis) -> Duration {
        Millis(self.until.load(Relaxed)).since(now)
    }

    /// A request went well.
    pub(super) fn succeeded(&self) {
        // The usual case writes nothing, so that the cache line is not taken from other cores.
        if self.failures() != 0 {
            self.failures.store(0, Relaxed);
        }
    }

    /// A request that was counted as a success, before which there were so many failures, has failed after all.
    pub(super) fn recalls(&self, failures: u32) {
        self.failures.fetch_add(failures, Relaxed);
    }

    /// A request failed. Returns whether the endpoint is now due for ejection.
    pub(super) fn failed(&self, spec: &EjectionSpec, now: Millis) -> bool {
        if !self.is_ejected(now) {
            self.failures.fetch_add(1, Relaxed);
        }
        self.is_due(spec, now)
    }

    fn is_due(&self, spec: &EjectionSpec, now: Millis) -> bool {
        !self.is_ejected(now) && self.failures() >= spec.after.max(1)
    }

    /// Ejections in a row, less those forgiven by now.
    pub(super) fn times(&self, spec: &EjectionSpec, now: Millis) -> u32 {
        let served = whole(now.since(Millis(self.until.load(Relaxed))));
        let forgiven = served / whole(spec.base).max(1);
        self.times.load(Relaxed).saturating_sub(u32::try_from(forgiven).unwrap_or(u32::MAX))
    }

    fn eject(&self, spec: &EjectionSpec, now: Millis) -> Duration {
        let base = spec.base.max(Duration::from_millis(1));
        // More than it takes to reach the longest ejection would only delay forgiveness.
        let enough = whole(spec.longest).div_ceil(whole(base)).max(1);
        let times = self.times(spec, now).saturating_add(1).min(u32::try_from(enough).unwrap_or(u32::MAX));
        let span = base.saturating_mul(times).min(spec.longest);
        self.times.store(times, Relaxed);
        self.failures.store(0, Relaxed);
        self.until.store(now.plus(span).0, Relaxed);
        span
    }
}

/// Ejects `failing`, one of `endpoints`, if it is due and there is room. Returns for how long.
///
/// Two calls at once may both find room for one more: callers let one decide at a time.
pub(super) fn eject(
    failing: &Endpoint,
    endpoints: &[Arc<Endpoint>],
    spec: &EjectionSpec,
    now: Millis,
) -> Option<Duration> {
    let passive = failing.passive();
    let ejected = endpoints.iter().filter(|endpoint| endpoint.passive().is_ejected(now)).count();
    (passive.is_due(spec, now) && ejected < allowed(endpoints.len(), spec.at_most)).then(|| passive.eject(spec, now))
}

/// How many of `count` endpoints may be ejected at once: the share, rounded down. Of two or more one always may, or
/// half of two would be none; a single endpoint never is, for nobody would be left. A share of 0 ejects nobody.
fn allowed(count: usize, share: f64) -> usize {
    if count < 2 || share <= 0.0 {
        return 0;
    }
    // The smallest excess over the product, so that 30 % of 10 is 3 whatever binary fractions make of it.
    let most = count as f64 * share.min(1.0) + 1e-9;
    (most as usize).max(1)
}
