//! Counters that many threads add to and the scrape reads. Relaxed atomics: each is right by itself, and no other
//! memory depends on them.

use std::sync::atomic::{AtomicU64, Ordering};

/// One counter.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A row of counters, one for each value of a label.
#[derive(Debug)]
pub(super) struct Counts<const N: usize>([Count; N]);

impl<const N: usize> Default for Counts<N> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Count::default()))
    }
}

impl<const N: usize> Counts<N> {
    /// Adds one at `index`; an index out of range counts at the last place, which label sets keep for `other`.
    pub(super) fn add_one(&self, index: usize) {
        if let Some(count) = self.0.get(index).or(self.0.last()) {
            count.add(1);
        }
    }

    /// Adds these counters to `totals`.
    pub(super) fn add_to(&self, totals: &mut [u64; N]) {
        for (total, count) in totals.iter_mut().zip(&self.0) {
            *total += count.get();
        }
    }
}
