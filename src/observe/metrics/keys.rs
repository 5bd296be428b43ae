//! What is counted of the keys that providers fetch.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::cells::Counts;
use super::labels::FetchOutcome;
use super::names;
use super::text::{Text, label};

/// The counters of one provider's keys, held by the snapshots that have the provider.
#[derive(Debug)]
pub struct KeyMetrics {
    /// `provider="…"`.
    name: String,
    fetches: Counts<{ FetchOutcome::COUNT }>,
    stale: AtomicBool,
}

impl KeyMetrics {
    pub(super) fn new(name: &str) -> Self {
        Self { name: label("provider", name), fetches: Counts::default(), stale: AtomicBool::new(false) }
    }

    /// Counts a fetch that is over. After one that failed, the keys in service are stale.
    pub fn fetched(&self, outcome: FetchOutcome) {
        self.fetches.add_one(outcome as usize);
        self.stale.store(outcome == FetchOutcome::Failed, Ordering::Relaxed);
    }
}

/// Writes the families of all providers that fetch keys.
pub(super) fn write(mut providers: Vec<Arc<KeyMetrics>>, text: &mut Text) {
    providers.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let mut samples = text.family(&names::KEY_FETCHES);
    for provider in &providers {
        let mut totals = [0; FetchOutcome::COUNT];
        provider.fetches.add_to(&mut totals);
        for (outcome, count) in FetchOutcome::ALL.iter().zip(totals) {
            samples.labelled(format_args!("{},outcome=\"{}\"", provider.name, outcome.label()), count);
        }
    }
    let mut samples = text.family(&names::KEYS_STALE);
    for provider in &providers {
        samples.labelled(format_args!("{}", provider.name), provider.stale.load(Ordering::Relaxed).into());
    }
}
