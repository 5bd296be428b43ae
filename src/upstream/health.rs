//! Active checks: every endpoint is asked at intervals, whatever the traffic, and thresholds of consecutive results
//! turn it unhealthy and healthy again. One task for each upstream runs rounds; a round is a plain function of the set.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use parking_lot::Mutex;
use pingora_core::server::ShutdownWatch;

use super::background::{Background, jittered};
use super::endpoint::Endpoint;
use super::spec::HealthSpec;
use super::time::Millis;
use super::{LOG, Upstream, stopped};

/// Checks under way at once in one upstream.
const AT_ONCE: usize = 64;

/// What active checks have told about one endpoint.
#[derive(Default)]
pub(super) struct Active {
    /// A [`Verdict`] as number.
    verdict: AtomicU8,
    /// Consecutive results that contradict the verdict.
    contrary: AtomicU32,
    /// The latest result. Only checks write it and only the admin API reads it.
    last: Mutex<Option<LastCheck>>,
}

/// Where checks see an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Not enough results yet; used like a healthy one.
    Unknown,
    Healthy,
    Unhealthy,
}

/// One result.
#[derive(Clone, Debug)]
pub(super) struct LastCheck {
    pub(super) at: Millis,
    pub(super) text: String,
}

impl Active {
    pub(super) fn verdict(&self) -> Verdict {
        match self.verdict.load(Relaxed) {
            0 => Verdict::Unknown,
            1 => Verdict::Healthy,
            _ => Verdict::Unhealthy,
        }
    }

    pub(super) fn is_unhealthy(&self) -> bool {
        self.verdict() == Verdict::Unhealthy
    }

    pub(super) fn last(&self) -> Option<LastCheck> {
        self.last.lock().clone()
    }

    /// Takes in one result. Returns the new verdict if it turned. The first pass ever makes an endpoint healthy at
    /// once.
    pub(super) fn record(&self, result: &Result<String, String>, spec: &HealthSpec, now: Millis) -> Option<Verdict> {
        let text = match result {
            Ok(text) | Err(text) => text.clone(),
        };
        *self.last.lock() = Some(LastCheck { at: now, text });
        let before = self.verdict();
        let (seen, enough) = match (result, before) {
            (Ok(_), Verdict::Healthy) | (Err(_), Verdict::Unhealthy) => {
                self.contrary.store(0, Relaxed);
                return None;
            }
            (Ok(_), Verdict::Unknown) => (Verdict::Healthy, 1),
            (Ok(_), Verdict::Unhealthy) => (Verdict::Healthy, spec.healthy_after.max(1)),
            (Err(_), _) => (Verdict::Unhealthy, spec.unhealthy_after.max(1)),
        };
        if self.contrary.fetch_add(1, Relaxed).saturating_add(1) < enough {
            return None;
        }
        self.contrary.store(0, Relaxed);
        self.verdict.store(if seen == Verdict::Healthy { 1 } else { 2 }, Relaxed);
        Some(seen)
    }
}

impl Upstream {
    /// Checks the endpoints of this upstream until `shutdown` says stop, its sender is gone, or the future is dropped.
    /// Returns at once when no checks are configured.
    ///
    /// The first round comes at once when an endpoint was never checked, else when the oldest result is an interval
    /// old: reloads in quick succession must become neither a flood of checks nor a stop of them.
    pub async fn run_checks(&self, background: &Background, shutdown: ShutdownWatch) {
        if self.spec.health.is_none() {
            return;
        }
        tokio::select! {
            () = stopped(shutdown) => {}
            () = self.check_for_ever(background) => {}
        }
    }

    async fn check_for_ever(&self, background: &Background) {
        let Some(spec) = &self.spec.health else { return };
        tokio::time::sleep(self.first_check(spec, background)).await;
        loop {
            self.check_round(background).await;
            tokio::time::sleep(jittered(spec.interval, background.random())).await;
        }
    }

    /// The wait before the first round.
    fn first_check(&self, spec: &HealthSpec, background: &Background) -> Duration {
        let set = self.set.load_full();
        let results = set.endpoints().iter().map(|endpoint| endpoint.active().last().map(|check| check.at));
        match results.min().flatten() {
            Some(oldest) => jittered(spec.interval, background.random()).saturating_sub(background.now().since(oldest)),
            None => Duration::ZERO,
        }
    }

    /// Checks every endpoint once.
    pub async fn check_round(&self, background: &Background) {
        let (Some(spec), Some(probe)) = (&self.spec.health, &self.probe) else { return };
        let set = self.set.load_full();
        stream::iter(set.endpoints())
            .for_each_concurrent(AT_ONCE, |endpoint| async move {
                let result = probe.check(endpoint, background.connector()).await;
                let was_out = endpoint.active().is_unhealthy();
                if let Some(verdict) = endpoint.active().record(&result, spec, background.now()) {
                    self.announce(endpoint, verdict, &result);
                    if was_out && verdict == Verdict::Healthy {
                        endpoint.returns(background.now());
                    }
                }
            })
            .await;
    }

    fn announce(&self, endpoint: &Endpoint, verdict: Verdict, result: &Result<String, String>) {
        let (upstream, label) = (&self.spec.name, endpoint.label());
        match result {
            Ok(text) => log::info!(target: LOG, "upstream {upstream}: {label} is healthy ({text})"),
            Err(text) if verdict == Verdict::Unhealthy => {
                log::warn!(target: LOG, "upstream {upstream}: {label} is unhealthy ({text})");
            }
            Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::tests::{Script, background, spec};
    use crate::upstream::{CheckKind, UpstreamSpec};

    fn health() -> HealthSpec {
        let (interval, timeout) = (Duration::from_secs(3_600), Duration::from_secs(1));
        HealthSpec { kind: CheckKind::Tcp, port: None, interval, timeout, healthy_after: 2, unhealthy_after: 3 }
    }

    fn upstream() -> std::sync::Arc<Upstream> {
        let spec = UpstreamSpec { health: Some(health()), ..spec(&["10.0.0.1:80", "10.0.0.2:80"]) };
        Upstream::new(spec, None, 0).unwrap()
    }

    fn pass(active: &Active) -> Option<Verdict> {
        active.record(&Ok("fine".into()), &health(), Millis(0))
    }

    fn fail(active: &Active) -> Option<Verdict> {
        active.record(&Err("broken".into()), &health(), Millis(0))
    }

    #[test]
    fn results_that_contradict_count_only_in_a_row() {
        let active = Active::default();
        assert_eq!(pass(&active), Some(Verdict::Healthy));
        assert_eq!([fail(&active), fail(&active), pass(&active)], [None; 3]);
        assert_eq!([fail(&active), fail(&active)], [None; 2]);
        assert_eq!(fail(&active), Some(Verdict::Unhealthy));
        assert_eq!([pass(&active), fail(&active), pass(&active)], [None; 3]);
        assert_eq!(pass(&active), Some(Verdict::Healthy));
    }

    #[test]
    fn the_first_pass_makes_healthy_whatever_failed_before() {
        let active = Active::default();
        assert_eq!([fail(&active), fail(&active)], [None; 2]);
        assert_eq!(pass(&active), Some(Verdict::Healthy));
        assert_eq!([fail(&active), fail(&active)], [None; 2], "earlier failures are forgotten");
    }

    #[test]
    fn endpoints_never_checked_are_checked_at_once() {
        let (upstream, background) = (upstream(), background(&Script::default()));
        let set = upstream.set.load_full();
        assert_eq!(upstream.first_check(&health(), &background), Duration::ZERO);
        pass(set.endpoints()[0].active());
        assert_eq!(upstream.first_check(&health(), &background), Duration::ZERO);
    }

    #[test]
    fn a_reload_goes_on_waiting_where_it_was() {
        let (upstream, background) = (upstream(), background(&Script::default()));
        let record = |at| {
            let set = upstream.set.load_full();
            set.endpoints().iter().for_each(|endpoint| {
                endpoint.active().record(&Ok("fine".into()), &health(), at);
            });
        };
        record(background.now());
        assert!(upstream.first_check(&health(), &background) > Duration::from_secs(3_000));
    }
}
