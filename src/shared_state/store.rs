//! The store as limits see it: asked within its time, or known to be out of reach.

use super::breaker::Breaker;
use super::config::OnStoreFailure;
use super::counter::{Answer, Ask, CounterStore, Decided, StoreError};
use super::courier::Errand;
use super::lease::{LeaseKey, Leases, Source, Taken};
use super::plan::Plan;
use super::purges::Purges;
use crate::observe::metrics::{DecidedBy, SharedStateMetrics};
use arc_swap::ArcSwapOption;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Keys with a lease at once.
const MAX_LEASES: usize = 1_000_000;
/// Rounds in which others may take what a request has waited for before it is let down.
const ROUNDS: usize = 8;

/// A connected store of any kind.
pub(super) type Connected = Box<dyn CounterStore>;

/// Counts that several gateways share.
pub struct Store {
    plan: Plan,
    connected: ArcSwapOption<Connected>,
    breaker: Breaker,
    leases: Leases,
    purges: Arc<Purges>,
    errands: mpsc::UnboundedSender<Errand>,
    gateways: AtomicU64,
    /// Whether connecting has been tried at all.
    tried: AtomicBool,
    metrics: Arc<SharedStateMetrics>,
    began: Instant,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Store").field(&self.plan.describe()).finish()
    }
}

impl Store {
    pub(super) fn new(plan: Plan, metrics: Arc<SharedStateMetrics>) -> (Arc<Self>, mpsc::UnboundedReceiver<Errand>) {
        let (errands, inbox) = mpsc::unbounded_channel();
        let store = Self {
            plan,
            connected: ArcSwapOption::empty(),
            breaker: Breaker::default(),
            leases: Leases::new(MAX_LEASES),
            purges: Arc::default(),
            errands,
            gateways: AtomicU64::new(1),
            tried: AtomicBool::new(false),
            metrics,
            began: Instant::now(),
        };
        (Arc::new(store), inbox)
    }

    pub(super) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(super) fn breaker(&self) -> &Breaker {
        &self.breaker
    }

    pub(super) fn leases(&self) -> &Leases {
        &self.leases
    }

    /// What gateways purge.
    pub fn purges(&self) -> &Arc<Purges> {
        &self.purges
    }

    pub(super) fn metrics(&self) -> &SharedStateMetrics {
        &self.metrics
    }

    /// Puts a connection into service, or takes the one there out of it.
    pub(super) fn connect(&self, connected: Option<Connected>) {
        self.connected.store(connected.map(Arc::new));
        if self.connected.load().is_some() {
            self.breaker.close();
        }
        self.tried.store(true, Relaxed);
        self.metrics.set_reachable(!self.breaker.is_open());
    }

    pub(super) fn connected(&self) -> Option<Arc<Connected>> {
        self.connected.load_full()
    }

    pub(super) fn was_tried(&self) -> bool {
        self.tried.load(Relaxed)
    }

    pub(super) fn set_gateways(&self, count: u64) {
        self.gateways.store(count.max(1), Relaxed);
        self.metrics.set_gateways(count.max(1));
    }

    /// Gateways that have said lately that they share this store.
    pub fn gateways(&self) -> u64 {
        self.gateways.load(Relaxed)
    }

    /// Whether the store is known to answer.
    pub fn is_reachable(&self) -> bool {
        !self.breaker.is_open()
    }

    /// Where the store is, for people.
    pub fn describe(&self) -> String {
        self.plan.describe()
    }

    /// What decides while it is out of reach, where a limit says nothing else.
    pub fn on_store_failure(&self) -> OnStoreFailure {
        self.plan.on_store_failure
    }

    pub(super) fn age(&self) -> Duration {
        self.began.elapsed()
    }

    /// Counts who decided on a request; `spread` keeps threads apart.
    pub fn count(&self, spread: u64, by: DecidedBy) {
        self.metrics.decided(spread, by);
    }

    /// Asks the store, for as long as a request may wait for it.
    ///
    /// # Errors
    /// It is out of reach, or did not answer in time.
    pub async fn decide(&self, asks: &[Ask]) -> Result<Decided, StoreError> {
        if self.breaker.is_open() {
            return Err(StoreError::Open);
        }
        let Some(connected) = self.connected.load_full() else { return Err(StoreError::Open) };
        self.metrics.asked();
        let bounded = tokio::time::timeout(self.plan.timeout, connected.decide(asks)).await;
        let decided = bounded.unwrap_or(Err(StoreError::Timeout));
        self.breaker.observe(&decided);
        if let Err(error) = decided {
            self.metrics.failed(error.label());
        }
        decided
    }

    /// Takes from a lease without waiting.
    pub fn take(&self, key: LeaseKey, now: Instant, cost: u32) -> Taken {
        let (taken, top_up) = self.leases.take(key, now.saturating_duration_since(self.began), cost);
        if let Some(source) = top_up {
            let _ = self.errands.send(Errand::Lease { key, source, cost: 0, heard: None });
        }
        taken
    }

    /// Takes from a lease, and waits for more of it where that is short.
    ///
    /// # Errors
    /// The store is out of reach, or did not answer in time.
    pub async fn take_when_there(&self, key: LeaseKey, source: &Arc<Source>, cost: u32) -> Result<Taken, StoreError> {
        let rounds = async {
            for _ in 0..ROUNDS {
                match self.take(key, Instant::now(), cost) {
                    Taken::Short => {}
                    taken => return Ok(taken),
                }
                if self.breaker.is_open() {
                    return Err(StoreError::Open);
                }
                let (heard, answer) = oneshot::channel();
                let errand = Errand::Lease { key, source: Arc::clone(source), cost, heard: Some(heard) };
                self.errands.send(errand).map_err(|_| StoreError::Open)?;
                if let Some(own) = answer.await.map_err(|_| StoreError::Open)?? {
                    return Ok(own.into());
                }
            }
            Err(StoreError::Timeout)
        };
        tokio::time::timeout(self.plan.timeout, rounds).await.unwrap_or(Err(StoreError::Timeout))
    }

    /// What this gateway holds of a lease and has not used.
    pub fn unused(&self, key: LeaseKey) -> u32 {
        self.leases.unused(key)
    }

    /// Gives back what was taken from a lease.
    pub fn give_back(&self, key: LeaseKey, cost: u32) {
        self.leases.give_back(key, cost);
    }

    /// Tells the store something that nobody waits for; where it is out of reach that is lost.
    pub fn tell(&self, ask: Ask) {
        let _ = self.errands.send(Errand::Tell(ask));
    }
}

impl From<Answer> for Taken {
    fn from(answer: Answer) -> Self {
        match answer.granted {
            0 => Self::Refused { remaining: answer.remaining, retry_in: answer.wait },
            _ => Self::Passes { remaining: answer.remaining, resets_in: answer.wait },
        }
    }
}
