//! What is counted of every attempt at an endpoint, by upstream.

use std::sync::Arc;
use std::time::Duration;

use super::cells::Counts;
use super::histogram::{self, Histogram, Totals};
use super::labels::{AttemptOutcome, ConnectionKind, ReturnOutcome};
use super::names;
use super::text::{Text, label};
use crate::observe::Worker;
use crate::observe::worker::Shards;

/// An attempt that is over, as the metrics see it.
#[derive(Clone, Copy, Debug)]
pub struct FinishedAttempt {
    /// The worker it ran on.
    pub worker: Worker,
    /// What came of it.
    pub outcome: AttemptOutcome,
    /// Its connection, if there was one.
    pub connection: Option<ConnectionKind>,
    /// From choosing the endpoint to the end of its answer or the failure.
    pub duration: Duration,
}

/// The counters of one upstream, held by the snapshots that have the upstream.
#[derive(Debug)]
pub struct UpstreamMetrics {
    /// `upstream="…"`.
    name: String,
    shards: Shards<UpstreamCells>,
}

#[derive(Debug, Default)]
struct UpstreamCells {
    duration: Histogram<14>,
    attempts: Counts<{ AttemptOutcome::COUNT }>,
    connections: Counts<{ ConnectionKind::COUNT }>,
    returns: Counts<{ ReturnOutcome::COUNT }>,
}

impl UpstreamMetrics {
    pub(super) fn new(name: &str, workers: usize) -> Self {
        Self { name: label("upstream", name), shards: Shards::new(workers) }
    }

    /// Counts an attempt that is over.
    pub fn record(&self, attempt: &FinishedAttempt) {
        let cells = self.shards.of(attempt.worker, UpstreamCells::default);
        cells.duration.observe(&histogram::EXCHANGE, attempt.duration);
        cells.attempts.add_one(attempt.outcome as usize);
        if let Some(kind) = attempt.connection {
            cells.connections.add_one(kind as usize);
        }
    }

    /// Counts an answer to a client that has affinity to an endpoint.
    pub fn returned(&self, worker: Worker, outcome: ReturnOutcome) {
        self.shards.of(worker, UpstreamCells::default).returns.add_one(outcome as usize);
    }
}

/// Writes the families of all upstreams. Upstreams that were never tried are left out.
pub(super) fn write(mut upstreams: Vec<Arc<UpstreamMetrics>>, text: &mut Text) {
    upstreams.retain(|upstream| upstream.shards.used().next().is_some());
    upstreams.sort_unstable_by(|a, b| a.name.cmp(&b.name));

    let mut samples = text.family(&names::UPSTREAM_DURATION);
    for upstream in &upstreams {
        let totals = Totals::of(upstream.shards.used().map(|cells| &cells.duration));
        samples.histogram(&upstream.name, &histogram::EXCHANGE, &totals);
    }
    let mut samples = text.family(&names::UPSTREAM_ATTEMPTS);
    for upstream in &upstreams {
        let mut totals = [0; AttemptOutcome::COUNT];
        upstream.shards.used().for_each(|cells| cells.attempts.add_to(&mut totals));
        for (outcome, count) in AttemptOutcome::ALL.iter().zip(totals) {
            samples.labelled(format_args!("{},outcome=\"{}\"", upstream.name, outcome.label()), count);
        }
    }
    let mut samples = text.family(&names::UPSTREAM_CONNECTIONS);
    for upstream in &upstreams {
        let mut totals = [0; ConnectionKind::COUNT];
        upstream.shards.used().for_each(|cells| cells.connections.add_to(&mut totals));
        for (kind, count) in ConnectionKind::ALL.iter().zip(totals) {
            samples.labelled(format_args!("{},kind=\"{}\"", upstream.name, kind.label()), count);
        }
    }
    let mut samples = text.family(&names::UPSTREAM_AFFINITY);
    for upstream in &upstreams {
        let mut totals = [0; ReturnOutcome::COUNT];
        upstream.shards.used().for_each(|cells| cells.returns.add_to(&mut totals));
        if totals.iter().all(|count| *count == 0) {
            continue; // it has no affinity
        }
        for (outcome, count) in ReturnOutcome::ALL.iter().zip(totals) {
            samples.labelled(format_args!("{},outcome=\"{}\"", upstream.name, outcome.label()), count);
        }
    }
}
