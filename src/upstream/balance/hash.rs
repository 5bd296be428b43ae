//! Consistent hashing: Pingora's Ketama ring, the same as nginx's `hash … consistent`. When one of N endpoints comes or
//! goes, about 1/N of the keys move. Every gateway with the same endpoints chooses alike, across restarts too.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use ahash::AHashMap;
use pingora_ketama::{Bucket, Continuum};

use super::candidates::Candidates;
use super::schedule::reduce;
use crate::upstream::endpoint::Endpoint;

/// Weights on the ring are reduced to a sum of about this (four for each endpoint, if that is more): a unit of weight
/// is 160 points of eight bytes.
const HEAVIEST: u64 = 1_024;

/// Points walked in search of an endpoint that may be chosen, before one is drawn by the key.
const PATIENCE: usize = 512;

/// The ring of one set. An address that stands in the set twice is on the ring once, with both weights.
pub(in crate::upstream) struct Ring {
    continuum: Continuum,
    index: AHashMap<SocketAddr, usize>,
}

impl Ring {
    pub(super) fn new(endpoints: &[Arc<Endpoint>]) -> Ring {
        let heaviest = HEAVIEST.max(4 * endpoints.len() as u64);
        let weights = reduce(endpoints.iter().map(|endpoint| endpoint.weight()).collect(), heaviest);
        // In the order of addresses, so that the order in which they are written does not matter.
        let mut nodes: BTreeMap<SocketAddr, (usize, u32)> = BTreeMap::new();
        for ((position, endpoint), weight) in endpoints.iter().enumerate().zip(weights) {
            let (_, sum) = nodes.entry(endpoint.address()).or_insert((position, 0));
            *sum = sum.saturating_add(weight);
        }
        let buckets: Vec<Bucket> = nodes.iter().map(|(address, (_, weight))| Bucket::new(*address, *weight)).collect();
        let index = nodes.into_iter().map(|(address, (position, _))| (address, position)).collect();
        Ring { continuum: Continuum::new(&buckets), index }
    }

    /// Requests without a key (no such header or cookie) are spread at random.
    pub(super) fn choose<'a>(&self, from: &Candidates<'a>) -> Option<&'a Arc<Endpoint>> {
        let key = from.ask().hash.unwrap_or(from.ask().random);
        let mut place = self.continuum.node_idx(&key.to_be_bytes());
        let start = place;
        if let Some(endpoint) = self.step(&mut place).and_then(|index| from.good(index)) {
            return Some(endpoint);
        }
        let rule = from.rule()?;
        place = start;
        (0..PATIENCE)
            .find_map(|_| self.step(&mut place).and_then(|index| from.admitted(rule, index)))
            .or_else(|| from.any(rule, key))
    }

    /// The endpoint at a place on the ring; moves the place on.
    fn step(&self, place: &mut usize) -> Option<usize> {
        let address = self.continuum.get_addr(place)?;
        self.index.get(address).copied()
    }
}

/// Digest of a key for [`crate::upstream::Ask::hash`]: FNV-1a (64 bits, draft-eastlake-fnv), which is the same in every
/// process and release. The ring hashes it once more, so its weak high bits do not matter.
pub fn hash_of(key: &[u8]) -> u64 {
    key.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}
