//! What an upstream carries as a whole: attempts under way, and its breaker. Carried over a reload.

use super::breaker::Breaker;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The load of one upstream.
#[derive(Debug, Default)]
pub(super) struct Load {
    pub(super) breaker: Breaker,
    in_flight: AtomicU32,
}

/// A place among the attempts under way, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Slot(Arc<Load>);

impl Load {
    /// Takes a place, if there are fewer than `most`.
    pub(super) fn enter(self: &Arc<Self>, most: Option<u32>) -> Option<Slot> {
        let before = self.in_flight.fetch_add(1, Relaxed);
        let slot = Slot(Arc::clone(self));
        most.is_none_or(|most| before < most).then_some(slot)
    }

    /// Attempts under way.
    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_refused_is_not_taken() {
        let load = Arc::new(Load::default());
        let first = load.enter(Some(2)).unwrap();
        let second = load.enter(Some(2)).unwrap();
        assert!(load.enter(Some(2)).is_none());
        assert_eq!(load.in_flight(), 2);
        drop(first);
        assert!(load.enter(Some(2)).is_some());
        drop(second);
        assert_eq!(load.in_flight(), 0);
    }
}
