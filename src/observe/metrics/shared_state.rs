//! What is counted of state that several gateways share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::cells::{Count, Counts};
use super::labels::DecidedBy;
use super::names;
use super::text::{Text, label};
use crate::observe::Worker;
use crate::observe::worker::Shards;

/// Why there was no answer.
const FAILURES: [&str; 5] = ["timeout", "connection", "reply", "connect", "other"];

/// The counters of the shared state.
#[derive(Debug)]
pub struct SharedStateMetrics {
    workers: usize,
    decided: Shards<Counts<{ DecidedBy::COUNT }>>,
    failures: Counts<{ FAILURES.len() }>,
    asked: Count,
    reachable: AtomicU64,
    gateways: AtomicU64,
}

impl SharedStateMetrics {
    pub(super) fn new(workers: usize) -> Self {
        Self {
            workers: workers.max(1),
            decided: Shards::new(workers),
            failures: Counts::default(),
            asked: Count::default(),
            reachable: AtomicU64::new(0),
            gateways: AtomicU64::new(1),
        }
    }

    /// Counts who decided; `spread` keeps threads apart.
    pub fn decided(&self, spread: u64, by: DecidedBy) {
        let worker = usize::try_from(spread % self.workers as u64).unwrap_or(0);
        self.decided.of(Worker(worker), Counts::default).add_one(by as usize);
    }

    /// Counts a question to the store.
    pub fn asked(&self) {
        self.asked.add(1);
    }

    /// Counts a question without an answer.
    pub fn failed(&self, why: &str) {
        self.failures.add_one(FAILURES.iter().position(|known| *known == why).unwrap_or(FAILURES.len()));
    }

    /// Whether the store answers.
    pub fn set_reachable(&self, reachable: bool) {
        self.reachable.store(reachable.into(), Relaxed);
    }

    /// How many gateways share it.
    pub fn set_gateways(&self, count: u64) {
        self.gateways.store(count, Relaxed);
    }

    pub(super) fn write(&self, leases: Vec<Arc<LeaseMetrics>>, text: &mut Text) {
        let mut totals = [0; DecidedBy::COUNT];
        self.decided.used().for_each(|counts| counts.add_to(&mut totals));
        let mut samples = text.family(&names::SHARED_DECISIONS);
        for (by, count) in DecidedBy::ALL.iter().zip(totals) {
            samples.labelled(format_args!("by=\"{}\"", by.label()), count);
        }
        let mut totals = [0; FAILURES.len()];
        self.failures.add_to(&mut totals);
        let mut samples = text.family(&names::SHARED_ERRORS);
        for (why, count) in FAILURES.iter().zip(totals) {
            samples.labelled(format_args!("reason=\"{why}\""), count);
        }
        text.family(&names::SHARED_COMMANDS).single(self.asked.get());
        text.family(&names::SHARED_REACHABLE).single(self.reachable.load(Relaxed));
        let gateways = self.gateways.load(Relaxed);
        text.family(&names::SHARED_GATEWAYS).single(gateways);
        let mut leases: Vec<_> = leases.iter().map(|lease| (&lease.labels, lease.batch.load(Relaxed))).collect();
        leases.sort();
        let mut samples = text.family(&names::LIMIT_OVERSHOOT);
        for (labels, batch) in leases {
            samples.labelled(format_args!("{labels}"), batch.saturating_mul(gateways));
        }
    }
}

/// What a gateway leases of a limit at a time, held by the snapshots that have the limit.
#[derive(Debug)]
pub struct LeaseMetrics {
    /// `level="…",limit="…"`
    labels: String,
    batch: AtomicU64,
}

impl LeaseMetrics {
    pub(super) fn new(level: &str, limit: &str) -> Self {
        Self { labels: format!("{},{}", label("level", level), label("limit", limit)), batch: AtomicU64::new(0) }
    }

    pub(super) fn set_batch(&self, batch: u64) {
        self.batch.store(batch, Relaxed);
    }
}
