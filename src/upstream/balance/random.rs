//! A draw by weight.

use std::sync::Arc;

use super::candidates::Candidates;
use super::schedule::Schedule;
use crate::upstream::endpoint::Endpoint;

pub(in crate::upstream) struct Random(Schedule);

impl Random {
    pub(super) fn new(schedule: Schedule) -> Random {
        Random(schedule)
    }

    pub(super) fn choose<'a>(&self, from: &Candidates<'a>) -> Option<&'a Arc<Endpoint>> {
        let random = from.ask().random;
        let first = self.0.draw(random as u32);
        if let Some(endpoint) = from.good(first) {
            return Some(endpoint);
        }
        let rule = from.rule()?;
        from.admitted(rule, first).or_else(|| from.any(rule, random))
    }
}

/// Two draws by weight from the two halves of one random number. With `distinct`, a second draw of the same index
/// becomes some other one.
pub(super) struct Pair {
    schedule: Schedule,
    distinct: bool,
}

impl Pair {
    pub(super) fn new(schedule: Schedule, distinct: bool) -> Pair {
        Pair { schedule, distinct }
    }

    /// The better of two as `cost` has it, the first drawn where both cost the same: then weights hold exactly.
    pub(super) fn choose<'a, C: PartialOrd>(
        &self,
        from: &Candidates<'a>,
        cost: impl Fn(&Endpoint) -> C,
    ) -> Option<&'a Arc<Endpoint>> {
        let (first, second) = self.draw(from);
        let better = |first: &'a Arc<Endpoint>, second: &'a Arc<Endpoint>| {
            if cost(second) < cost(first) { second } else { first }
        };
        if let (Some(first), Some(second)) = (from.good(first), from.good(second)) {
            return Some(better(first, second));
        }
        let rule = from.rule()?;
        match (from.admitted(rule, first), from.admitted(rule, second)) {
            (Some(first), Some(second)) => Some(better(first, second)),
            (Some(only), None) | (None, Some(only)) => Some(only),
            (None, None) => from.any(rule, from.ask().random),
        }
    }

    fn draw(&self, from: &Candidates<'_>) -> (usize, usize) {
        let random = from.ask().random;
        let (low, high) = (random as u32, (random >> 32) as u32);
        let first = self.schedule.draw(low);
        let second = self.schedule.draw(high);
        let others = from.len().saturating_sub(1);
        if first != second || others == 0 || !self.distinct {
            return (first, second);
        }
        (first, (first + 1 + high as usize % others) % from.len())
    }
}
