//! The less busy of two endpoints drawn by weight (M. Mitzenmacher, "The Power of Two Choices in Randomized Load
//! Balancing", 2001): nearly as even as the least busy of all, at a constant price and without everyone running to the
//! same endpoint at once.
//!
//! Busy is attempts in flight for each unit of weight. The attempt about to be made is not added: with little traffic
//! both are then idle and equal, the draw decides, and the weights hold; with it, the heavier would always win.

use std::cmp::Ordering;
use std::sync::Arc;

use super::candidates::Candidates;
use super::random::Pair;
use super::schedule::Schedule;
use crate::upstream::endpoint::Endpoint;

pub(in crate::upstream) struct LeastRequests(Pair);

impl LeastRequests {
    pub(super) fn new(schedule: Schedule) -> LeastRequests {
        LeastRequests(Pair::new(schedule, true))
    }

    pub(super) fn choose<'a>(&self, from: &Candidates<'a>) -> Option<&'a Arc<Endpoint>> {
        self.0.choose(from, |endpoint| Load { in_flight: endpoint.in_flight(), weight: endpoint.weight() })
    }
}

/// Attempts per weight, compared as fractions.
struct Load {
    in_flight: u32,
    weight: u32,
}

impl PartialOrd for Load {
    fn partial_cmp(&self, other: &Load) -> Option<Ordering> {
        let cross = |a: u32, b: u32| u64::from(a) * u64::from(b);
        Some(cross(self.in_flight, other.weight).cmp(&cross(other.in_flight, self.weight)))
    }
}

impl PartialEq for Load {
    fn eq(&self, other: &Load) -> bool {
        self.partial_cmp(other) == Some(Ordering::Equal)
    }
}
