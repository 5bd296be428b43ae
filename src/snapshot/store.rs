//! Where the running snapshot is found, and swapped whole.

use super::Snapshot;
use arc_swap::{ArcSwap, Guard};
use std::sync::Arc;

/// Holds the running snapshot.
pub struct Store {
    current: ArcSwap<Snapshot>,
}

impl Store {
    /// Begins with one.
    pub fn new(first: Arc<Snapshot>) -> Self {
        Self { current: ArcSwap::new(first) }
    }

    /// The running one, to keep for a whole request.
    pub fn load(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// The running one, for a look.
    pub fn peek(&self) -> Guard<Arc<Snapshot>> {
        self.current.load()
    }

    /// Puts another in its place. Requests under way keep theirs.
    pub fn publish(&self, next: Arc<Snapshot>) {
        self.current.store(next);
    }
}
