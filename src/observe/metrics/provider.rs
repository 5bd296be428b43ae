//! What is counted of every question to a provider of callers.

use std::sync::Arc;

use super::cells::Counts;
use super::labels::AuthOutcome;
use super::names;
use super::text::{Text, label};
use crate::observe::Worker;
use crate::observe::worker::Shards;

/// The counters of one provider, held by the snapshots that have the provider.
#[derive(Debug)]
pub struct ProviderMetrics {
    /// `provider="…"`.
    name: String,
    shards: Shards<Counts<{ AuthOutcome::COUNT }>>,
}

impl ProviderMetrics {
    pub(super) fn new(name: &str, workers: usize) -> Self {
        Self { name: label("provider", name), shards: Shards::new(workers) }
    }

    /// Counts what it said of a request.
    pub fn record(&self, worker: Worker, outcome: AuthOutcome) {
        self.shards.of(worker, Counts::default).add_one(outcome as usize);
    }
}

/// Writes the family. Providers that were never asked are left out.
pub(super) fn write(mut providers: Vec<Arc<ProviderMetrics>>, text: &mut Text) {
    providers.retain(|provider| provider.shards.used().next().is_some());
    providers.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let mut samples = text.family(&names::AUTH);
    for provider in &providers {
        let mut totals = [0; AuthOutcome::COUNT];
        provider.shards.used().for_each(|counts| counts.add_to(&mut totals));
        for (outcome, count) in AuthOutcome::ALL.iter().zip(totals) {
            samples.labelled(format_args!("{},outcome=\"{}\"", provider.name, outcome.label()), count);
        }
    }
}
