//! What is counted of a route's copies, hedges, fallbacks and batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use super::cells::Counts;
use super::labels::{BatchOutcome, FallbackKind, HedgeOutcome, MirrorDifference, MirrorOutcome};
use super::names;
use super::recent::Recent;
use super::text::{Text, label};
use crate::observe::Worker;
use crate::observe::worker::Shards;

/// The counters of one route that mirrors, hedges, falls back or takes batches, held by the snapshots that have the route.
#[derive(Debug)]
pub struct TrafficMetrics {
    /// `route="…"`.
    name: String,
    shards: Shards<Cells>,
    copies: AtomicU32,
    /// How long first attempts take to begin their answers, where the route hedges.
    pub first_attempts: Recent,
}

#[derive(Debug, Default)]
struct Cells {
    mirrors: Counts<{ MirrorOutcome::COUNT }>,
    differences: Counts<{ MirrorDifference::COUNT }>,
    hedges: Counts<{ HedgeOutcome::COUNT }>,
    fallbacks: Counts<{ FallbackKind::COUNT }>,
    batches: Counts<{ BatchOutcome::COUNT }>,
}

impl TrafficMetrics {
    pub(super) fn new(route: &str, workers: usize) -> Self {
        Self {
            name: label("route", route),
            shards: Shards::new(workers),
            copies: AtomicU32::new(0),
            first_attempts: Recent::default(),
        }
    }

    /// Counts what came of a copy.
    pub fn mirrored(&self, worker: Worker, outcome: MirrorOutcome) {
        self.shards.of(worker, Cells::default).mirrors.add_one(outcome as usize);
    }

    /// Counts that two answers differ in that.
    pub fn differs(&self, worker: Worker, difference: MirrorDifference) {
        self.shards.of(worker, Cells::default).differences.add_one(difference as usize);
    }

    /// Counts what came of a second attempt, or why there was none.
    pub fn hedged(&self, worker: Worker, outcome: HedgeOutcome) {
        self.shards.of(worker, Cells::default).hedges.add_one(outcome as usize);
    }

    /// Counts what stood in for an upstream that was out.
    pub fn fell_back(&self, worker: Worker, kind: FallbackKind) {
        self.shards.of(worker, Cells::default).fallbacks.add_one(kind as usize);
    }

    /// Counts what came of a request of a batch.
    pub fn batched(&self, worker: Worker, outcome: BatchOutcome) {
        self.shards.of(worker, Cells::default).batches.add_one(outcome as usize);
    }

    /// Counts a copy as under way until what is returned is dropped; `None` where so many are already. The count is the
    /// route's, over reloads too.
    pub fn copy(self: &Arc<Self>, most: u32) -> Option<MirrorSlot> {
        let entered = self.copies.fetch_update(Relaxed, Relaxed, |count| (count < most).then_some(count + 1));
        entered.is_ok().then(|| MirrorSlot(Arc::clone(self)))
    }
}

/// A copy under way.
#[derive(Debug)]
pub struct MirrorSlot(Arc<TrafficMetrics>);

impl Drop for MirrorSlot {
    fn drop(&mut self) {
        self.0.copies.fetch_sub(1, Relaxed);
    }
}

/// Writes the families. What never happened is left out.
pub(super) fn write(mut routes: Vec<Arc<TrafficMetrics>>, text: &mut Text) {
    routes.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    macro_rules! family {
        ($family:ident, $cells:ident, $labels:ident, $key:literal) => {
            let mut samples = text.family(&names::$family);
            for route in &routes {
                let mut totals = [0; $labels::COUNT];
                route.shards.used().for_each(|cells| cells.$cells.add_to(&mut totals));
                for (value, count) in $labels::ALL.iter().zip(totals).filter(|(_, count)| *count > 0) {
                    samples.labelled(format_args!(concat!("{},", $key, "=\"{}\""), route.name, value.label()), count);
                }
            }
        };
    }
    family!(MIRRORS, mirrors, MirrorOutcome, "outcome");
    family!(MIRROR_DIFFERENCES, differences, MirrorDifference, "kind");
    family!(HEDGES, hedges, HedgeOutcome, "outcome");
    family!(FALLBACKS, fallbacks, FallbackKind, "kind");
    family!(BATCHES, batches, BatchOutcome, "outcome");
}
