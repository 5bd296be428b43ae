//! Smooth weighted round robin: one shared cursor walks the schedule.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::candidates::Candidates;
use super::schedule::Schedule;
use crate::upstream::endpoint::Endpoint;

/// Slots passed over in search of an endpoint that may be chosen. Passing over keeps the proportions among the others.
/// After this many (one endpoint holds nearly all slots and is out) one is drawn by weight.
const PATIENCE: usize = 16;

pub(in crate::upstream) struct RoundRobin {
    schedule: Schedule,
    cursor: Arc<AtomicUsize>,
}

impl RoundRobin {
    pub(super) fn new(schedule: Schedule, cursor: Arc<AtomicUsize>) -> RoundRobin {
        RoundRobin { schedule, cursor }
    }

    pub(super) fn choose<'a>(&self, from: &Candidates<'a>) -> Option<&'a Arc<Endpoint>> {
        let first = self.next();
        if let Some(endpoint) = from.good(first) {
            return Some(endpoint);
        }
        let rule = from.rule()?;
        from.admitted(rule, first)
            .or_else(|| (0..PATIENCE).find_map(|_| from.admitted(rule, self.next())))
            .or_else(|| from.any(rule, from.ask().random))
    }

    fn next(&self) -> usize {
        self.schedule.at(self.cursor.fetch_add(1, Relaxed))
    }
}
