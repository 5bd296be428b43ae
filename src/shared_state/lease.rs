//! Batches of a limit's tokens that this gateway holds and gives out by itself.
//!
//! A token is taken from the shared count when it is leased, never made here: whatever this gateway's clock does, all
//! gateways together let pass at most what the store granted. What they hold but have not used is bounded by gateways ×
//! batch, and is all by which they can overshoot in any window. A key begins with as much as it asks for; each batch is
//! twice the one before, up to the limit's own, so that somebody who comes once does not take a batch along. What lies
//! unused for [`IDLE`] goes back.

use super::counter::{Answer, Ask, Bearing, Measure};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

/// How long tokens may lie unused.
const IDLE: Duration = Duration::from_secs(2);
/// How long a lease is kept up: what measures it (the month) is then told anew.
const LONGEST: Duration = Duration::from_secs(3_600);
const SHARDS: usize = 64;

/// A key of this process: 128 bits of a keyed hash.
pub type LeaseKey = (u64, u64);

/// What is leased of.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The key of the shared count.
    pub key: String,
    /// What measures it.
    pub measure: Measure,
    /// The most this gateway holds of it.
    pub batch: u32,
}

/// What a lease says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It may pass.
    Passes {
        /// What is left, here and, as last heard, in the store.
        remaining: u64,
        /// Until all is there again, as last heard.
        resets_in: Duration,
    },
    /// The store has said that there is none.
    Refused {
        /// What is left, less than the request costs.
        remaining: u64,
        /// Until there may be.
        retry_in: Duration,
    },
    /// The store must be asked.
    Short,
}

#[derive(Debug)]
struct Lease {
    source: Arc<Source>,
    tokens: u32,
    /// What is held at most for now.
    batch: u32,
    /// What the store had left, and until all is there again, when it last answered.
    heard: (u64, Duration),
    refused_until: Duration,
    used: Duration,
    began: Duration,
    asking: bool,
}

/// The leases of a gateway. Time is handed in: the age of the gateway's own clock.
#[derive(Debug)]
pub struct Leases {
    shards: Box<[Mutex<HashMap<LeaseKey, Lease>>]>,
    most: usize,
}

impl Leases {
    /// Room for about that many keys; others ask the store each time.
    pub(super) fn new(max_keys: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, most: max_keys.div_ceil(SHARDS) }
    }

    fn shard(&self, key: LeaseKey) -> Option<&Mutex<HashMap<LeaseKey, Lease>>> {
        self.shards.get(usize::try_from(key.0 % SHARDS as u64).ok()?)
    }

    /// Takes what a request costs from what is held; with what the store should be asked for now though nobody waits.
    pub fn take(&self, key: LeaseKey, now: Duration, cost: u32) -> (Taken, Option<Arc<Source>>) {
        let Some(shard) = self.shard(key) else { return (Taken::Short, None) };
        let mut shard = shard.lock();
        let Some(lease) = shard.get_mut(&key) else { return (Taken::Short, None) };
        lease.used = now;
        if let Some(left) = lease.tokens.checked_sub(cost) {
            lease.tokens = left;
            let top_up =
                !lease.asking && left < lease.batch.div_ceil(2) && now >= lease.refused_until && lease.batch > 1;
            lease.asking |= top_up;
            let (remaining, resets_in) = lease.heard;
            let passes = Taken::Passes { remaining: remaining.saturating_add(left.into()), resets_in };
            return (passes, top_up.then(|| Arc::clone(&lease.source)));
        }
        let taken = match lease.refused_until.checked_sub(now) {
            Some(retry_in) if !retry_in.is_zero() => Taken::Refused { remaining: lease.tokens.into(), retry_in },
            _ => Taken::Short,
        };
        (taken, None)
    }

    /// What to ask the store for so that requests may pass, the cheapest of which costs `costs.0` and all `costs.1` (0:
    /// none waits, a top-up); `None` where it need not be asked any more.
    pub(super) fn ask(&self, key: LeaseKey, now: Duration, source: &Arc<Source>, costs: (u32, u32)) -> Option<Ask> {
        let (least, all) = costs;
        let ask = |least: u32, most: u32| Ask {
            key: source.key.clone(),
            measure: source.measure.clone(),
            bearing: Bearing::Alone,
            least: i64::from(least.max(1)),
            most: i64::from(most.max(least).max(1)),
        };
        let mut shard = self.shard(key)?.lock();
        let room = shard.len() < self.most;
        let lease = match shard.entry(key) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(_) if all == 0 => return None,
            // A flood of keys takes what it asks for, and nothing in advance.
            Entry::Vacant(_) if !room => return Some(ask(least, all.min(source.batch))),
            Entry::Vacant(entry) => entry.insert(Lease {
                source: Arc::clone(source),
                tokens: 0,
                batch: least.min(source.batch).max(1),
                heard: (0, Duration::ZERO),
                refused_until: Duration::ZERO,
                used: now,
                began: now,
                asking: false,
            }),
        };
        if (all > 0 && lease.tokens >= all) || lease.refused_until > now {
            lease.asking = false;
            return None;
        }
        let held = lease.tokens;
        let most = lease.batch.max(all.min(source.batch)).saturating_sub(held);
        lease.asking = all > 0 || most > 0;
        lease.asking.then(|| ask(least.saturating_sub(held), most))
    }

    /// Takes in what the store said. False where the
    /// key has no lease: whoever asked has the tokens to itself.
    pub(super) fn grant(&self, key: LeaseKey, now: Duration, answer: &Answer) -> bool {
        let Some(shard) = self.shard(key) else { return false };
        let mut shard = shard.lock();
        let Some(lease) = shard.get_mut(&key) else { return false };
        lease.asking = false;
        lease.heard = (answer.remaining, answer.wait);
        if answer.granted == 0 {
            lease.refused_until = now + answer.wait.max(lease.source.pause());
        } else {
            lease.tokens = lease.tokens.saturating_add(u32::try_from(answer.granted).unwrap_or(u32::MAX));
            lease.batch = lease.batch.saturating_mul(2).min(lease.source.batch.max(1));
        }
        true
    }

    /// The store did not answer.
    pub(super) fn failed(&self, key: LeaseKey) {
        let Some(shard) = self.shard(key) else { return };
        if let Some(lease) = shard.lock().get_mut(&key) {
            lease.asking = false;
        }
    }

    /// Takes back what a request took that something else refused; what is more than a batch is let go.
    pub fn give_back(&self, key: LeaseKey, cost: u32) {
        let Some(shard) = self.shard(key) else { return };
        if let Some(lease) = shard.lock().get_mut(&key) {
            lease.tokens = lease.tokens.saturating_add(cost).min(lease.source.batch.max(lease.tokens));
        }
    }

    /// Forgets what has not been used for a while, and says what of it goes back to the store.
    pub(super) fn sweep(&self, now: Duration) -> Vec<Ask> {
        let mut unused = Vec::new();
        for shard in &self.shards {
            shard.lock().retain(|_, lease| {
                let (idle, age) = (now.saturating_sub(lease.used), now.saturating_sub(lease.began));
                let kept = lease.asking || (idle < IDLE && age < LONGEST);
                if !kept && lease.tokens > 0 {
                    unused.push(lease.source.give_back(lease.tokens));
                }
                kept
            });
        }
        unused
    }

    /// Gives everything up, for the end of a gateway.
    pub(super) fn drain(&self) -> Vec<Ask> {
        let leases = self.shards.iter().flat_map(|shard| std::mem::take(&mut *shard.lock()).into_values());
        leases.filter(|lease| lease.tokens > 0).map(|lease| lease.source.give_back(lease.tokens)).collect()
    }

    /// Tokens held of that key now.
    pub(super) fn unused(&self, key: LeaseKey) -> u32 {
        self.shard(key).and_then(|shard| shard.lock().get(&key).map(|lease| lease.tokens)).unwrap_or(0)
    }

    /// Tokens held now.
    pub fn held(&self) -> u64 {
        self.shards.iter().map(|shard| shard.lock().values().map(|lease| u64::from(lease.tokens)).sum::<u64>()).sum()
    }
}

impl Source {
    pub(super) fn give_back(&self, tokens: u32) -> Ask {
        let amount = -i64::from(tokens);
        let (key, measure) = (self.key.clone(), self.measure.clone());
        Ask { key, measure, bearing: Bearing::Forced, least: amount, most: amount }
    }

    /// How long the store is left alone after it had none: until half a batch has come together.
    fn pause(&self) -> Duration {
        match self.measure {
            Measure::Rate { interval, .. } => {
                Duration::from_secs_f64((interval * f64::from(self.batch / 2) / 1e6).min(1.0))
            }
            Measure::Sliding { .. } | Measure::Month { .. } => Duration::from_millis(100),
        }
    }
}
