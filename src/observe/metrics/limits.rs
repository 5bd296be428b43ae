//! What is counted of every decision of a limit.

use std::sync::Arc;

use super::cells::Counts;
use super::labels::LimitDecision;
use super::names;
use super::text::{Text, label};
use crate::observe::Worker;
use crate::observe::worker::Shards;

/// The counters of one limit on one route, held by the snapshots that have them.
#[derive(Debug)]
pub struct LimitMetrics {
    /// `route="…",policy="…"`.
    name: String,
    shards: Shards<Counts<{ LimitDecision::COUNT }>>,
}

impl LimitMetrics {
    pub(super) fn new(route: &str, policy: &str, workers: usize) -> Self {
        Self { name: format!("{},{}", label("route", route), label("policy", policy)), shards: Shards::new(workers) }
    }

    /// Counts a decision.
    pub fn record(&self, worker: Worker, decision: LimitDecision) {
        self.shards.of(worker, Counts::default).add_one(decision as usize);
    }
}

/// Writes the family. Decisions that were never made are left out.
pub(super) fn write(mut limits: Vec<Arc<LimitMetrics>>, text: &mut Text) {
    limits.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let mut samples = text.family(&names::LIMIT_DECISIONS);
    for limit in &limits {
        let mut totals = [0; LimitDecision::COUNT];
        limit.shards.used().for_each(|counts| counts.add_to(&mut totals));
        for (decision, count) in LimitDecision::ALL.iter().zip(totals).filter(|(_, count)| *count > 0) {
            samples.labelled(format_args!("{},decision=\"{}\"", limit.name, decision.label()), count);
        }
    }
}
