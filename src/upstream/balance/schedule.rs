//! A table of endpoint indexes in which each stands as often as its weight says, interleaved. Read in order it is
//! smooth weighted round robin; read at a random place it is a weighted draw. Both take constant time.

use std::collections::BTreeMap;
use std::iter::repeat_n;

use super::candidates::scale;

/// A longer cycle would be exact for odder weights, and cost memory and cache.
const LONGEST: u64 = 4_096;

/// Endpoint indexes by weight, interleaved.
pub(in crate::upstream) struct Schedule(Box<[u32]>);

impl Schedule {
    /// Weights are reduced by their greatest common divisor. If the cycle is still longer than 4,096 slots (or two for
    /// each endpoint, if that is more), they are scaled down, and only then are shares rounded. Every endpoint has a
    /// slot.
    pub(in crate::upstream) fn new(weights: impl Iterator<Item = u32>) -> Schedule {
        Schedule(interleave(&reduce(weights.collect(), LONGEST)).into_boxed_slice())
    }

    /// The index at a place of the endless cycle.
    pub(super) fn at(&self, place: usize) -> usize {
        let place = place.checked_rem(self.0.len()).unwrap_or(0);
        self.0.get(place).map_or(0, |index| *index as usize)
    }

    /// An index drawn by weight.
    pub(super) fn draw(&self, random: u32) -> usize {
        self.at(scale(u64::from(random) << 32, self.0.len() as u64) as usize)
    }
}

/// Divides weights by their greatest common divisor, then scales them so that their sum is about `longest` at most
/// (twice their number, if that is more). None becomes 0.
pub(super) fn reduce(mut weights: Vec<u32>, longest: u64) -> Vec<u32> {
    let divisor = weights.iter().copied().fold(0, gcd).max(1);
    weights.iter_mut().for_each(|weight| *weight = (*weight / divisor).max(1));
    let total: u64 = weights.iter().map(|weight| u64::from(*weight)).sum();
    let longest = longest.max(2 * weights.len() as u64);
    if total > longest {
        let scaled = |weight: u32| u32::try_from(u64::from(weight) * longest / total).unwrap_or(u32::MAX);
        weights.iter_mut().for_each(|weight| *weight = scaled(*weight).max(1));
    }
    weights
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Smooth weighted round robin as nginx does it: in each slot everyone gains its weight, the richest is chosen and pays
/// the total. Endpoints of equal weight share one account and take its slots in turn: their slots lie apart, and the
/// work is slots × distinct weights (a hundred at most in 4,096 slots) rather than slots × endpoints.
fn interleave(weights: &[u32]) -> Vec<u32> {
    struct Account {
        gain: i64,
        balance: i64,
        members: std::iter::Cycle<std::vec::IntoIter<u32>>,
    }
    let mut classes: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (index, weight) in (0..).zip(weights) {
        classes.entry(*weight).or_default().push(index);
    }
    let mut accounts: Vec<Account> = classes
        .into_iter()
        .rev()
        .map(|(weight, members)| Account {
            gain: i64::from(weight) * members.len() as i64,
            balance: 0,
            members: members.into_iter().cycle(),
        })
        .collect();
    let total: i64 = accounts.iter().map(|account| account.gain).sum();
    let slots = repeat_n((), usize::try_from(total).unwrap_or(0));
    slots
        .filter_map(|()| {
            accounts.iter_mut().for_each(|account| account.balance += account.gain);
            let richest = accounts.iter_mut().rev().max_by_key(|account| account.balance)?;
            richest.balance -= total;
            richest.members.next()
        })
        .collect()
}
