//! The consumers in force: exchanged whole when a file of them changes, without a reload.

use super::Consumers;
use arc_swap::{ArcSwap, Guard};
use std::sync::Arc;

/// Where a snapshot's consumers are found. A request looks once and keeps what it found.
#[derive(Debug, Default)]
pub struct CurrentConsumers(ArcSwap<Consumers>);

impl CurrentConsumers {
    /// Begins with these.
    pub fn new(first: Consumers) -> Self {
        Self(ArcSwap::from_pointee(first))
    }

    /// Those in force.
    pub fn load(&self) -> Guard<Arc<Consumers>> {
        self.0.load()
    }

    /// Puts others in force, and gives back those before: requests under way may still hold them, and whoever lets go of
    /// them last takes a million apart.
    #[must_use]
    pub fn exchange(&self, next: Consumers) -> Arc<Consumers> {
        self.0.swap(Arc::new(next))
    }
}
