//! What is counted of keeping quotas on disk.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use super::cells::Count;
use super::names;
use super::text::Text;

/// Counters of the file that quotas are kept in.
#[derive(Debug, Default)]
pub struct StateMetrics {
    /// Whether there is one at all.
    kept: AtomicBool,
    damaged: AtomicBool,
    /// In seconds since the epoch.
    written: AtomicU64,
    failures: Count,
}

impl StateMetrics {
    /// Quotas are kept from now on; `damaged`: what was there could not be used, and they begin anew.
    pub fn begins(&self, damaged: bool) {
        self.kept.store(true, Relaxed);
        self.damaged.store(damaged, Relaxed);
    }

    /// What the file holds is what has been counted up to that moment.
    pub fn wrote(&self, at: SystemTime) {
        self.written.store(at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(), Relaxed);
    }

    /// The file could not be written.
    pub fn failed(&self) {
        self.failures.add(1);
    }

    /// Whether what was there could not be used.
    pub fn is_damaged(&self) -> bool {
        self.damaged.load(Relaxed)
    }

    /// How often it could not be written.
    pub fn failures(&self) -> u64 {
        self.failures.get()
    }

    pub(super) fn write(&self, text: &mut Text) {
        if self.kept.load(Relaxed) {
            text.family(&names::QUOTAS_DAMAGED).single(self.is_damaged().into());
            text.family(&names::QUOTAS_WRITTEN).single(self.written.load(Relaxed));
            text.family(&names::QUOTAS_FAILURES).single(self.failures());
        }
    }
}
