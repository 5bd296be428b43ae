//! Choosing one endpoint among several. Every algorithm tries its natural choice first, which costs the same however
//! many endpoints there are. Only when that one is unavailable or was tried before are the others looked at.
//!
//! That the first look needs no count of the available is not an approximation: with too few available (panic) everyone
//! may be chosen, an available endpoint included; with enough, only available ones may. Either way an available first
//! choice stands.

mod candidates;
mod hash;
mod least_requests;
mod peak_ewma;
mod random;
mod round_robin;
mod schedule;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use super::endpoint::Endpoint;
use super::spec::Balance;

pub(super) use candidates::{Candidates, Scope, Warming, in_panic, mix};
pub use hash::hash_of;
pub(super) use peak_ewma::Latency;
use schedule::Schedule;

/// An algorithm with its tables for one set of endpoints.
pub(super) enum Balancer {
    RoundRobin(round_robin::RoundRobin),
    Random(random::Random),
    LeastRequests(least_requests::LeastRequests),
    PeakEwma(peak_ewma::PeakEwma),
    Hash(hash::Ring),
}

impl Balancer {
    /// `cursor`: where round robin stands; shared by every set of an upstream, over reloads too.
    pub(super) fn new(balance: &Balance, endpoints: &[Arc<Endpoint>], cursor: &Arc<AtomicUsize>) -> Balancer {
        let schedule = || Schedule::new(endpoints.iter().map(|endpoint| endpoint.weight()));
        match balance {
            Balance::RoundRobin => Balancer::RoundRobin(round_robin::RoundRobin::new(schedule(), Arc::clone(cursor))),
            Balance::Random => Balancer::Random(random::Random::new(schedule())),
            Balance::LeastRequests => Balancer::LeastRequests(least_requests::LeastRequests::new(schedule())),
            Balance::PeakEwma => Balancer::PeakEwma(peak_ewma::PeakEwma::new(schedule(), endpoints)),
            Balance::Hash(_) => Balancer::Hash(hash::Ring::new(endpoints)),
        }
    }

    /// The endpoint for one attempt; none only when nobody may be chosen.
    pub(super) fn choose<'a>(&self, from: &Candidates<'a>) -> Option<&'a Arc<Endpoint>> {
        match self {
            Balancer::RoundRobin(algorithm) => algorithm.choose(from),
            Balancer::Random(algorithm) => algorithm.choose(from),
            Balancer::LeastRequests(algorithm) => algorithm.choose(from),
            Balancer::PeakEwma(algorithm) => algorithm.choose(from),
            Balancer::Hash(ring) => ring.choose(from),
        }
    }
}
