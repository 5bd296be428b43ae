//! Where limits keep their counts: one for a gateway, outliving its snapshots.

use super::gcra::{Bucket, Ticks, Verdict};
use super::sketch::Sketch;
use super::table::{Change, KeyHash, Table};
use ahash::RandomState;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::OnceLock;
use std::time::Instant;

/// Room for that many keys at once where nothing else is said: 34 MB.
pub const MAX_KEYS: usize = 1_000_000;

/// The counts of all limits of a gateway.
pub struct LimitStore {
    /// Made when the first limit is asked: a gateway without limits keeps no table.
    table: OnceLock<Table>,
    max_keys: usize,
    hashers: [RandomState; 2],
    began: Instant,
}

impl Default for LimitStore {
    fn default() -> Self {
        Self::new(MAX_KEYS)
    }
}

impl LimitStore {
    /// A store with room for about that many keys.
    pub fn new(max_keys: usize) -> Self {
        let hashers = [RandomState::new(), RandomState::new()];
        // A moment before the first request: a state of 0 is then in the past for all of them.
        Self { table: OnceLock::new(), max_keys, hashers, began: Instant::now() }
    }

    /// The moment on the store's clock.
    pub fn ticks(&self, now: Instant) -> Ticks {
        let second = Ticks::from_duration(std::time::Duration::from_secs(1)).0;
        Ticks(Ticks::from_duration(now.saturating_duration_since(self.began)).0 + second)
    }

    /// A key being hashed; parts are added in a fixed order.
    pub fn key(&self) -> KeyHasher {
        KeyHasher(self.hashers.each_ref().map(RandomState::build_hasher))
    }

    /// How many keys are below their full bucket at the moment.
    pub fn live(&self, now: Instant) -> usize {
        self.table.get().map_or(0, |table| table.live(self.ticks(now)))
    }

    /// Judges a request of that cost, and takes it in if it passes.
    pub fn take(&self, bucket: &Bucket, overflow: &Overflow, key: KeyHash, (now, cost): (Ticks, u32)) -> Verdict {
        let table = self.table.get_or_init(|| Table::new(self.max_keys));
        let taken = table.update(key, now, |state| match bucket.judge(state, now, cost) {
            passes @ Verdict::Passes { tat, .. } => Change::Set(tat, passes),
            refused @ Verdict::Refused { .. } => Change::Keep(refused),
        });
        taken.unwrap_or_else(|| overflow.0.get_or_init(Default::default).take(bucket, key, now, cost))
    }

    /// Undoes [`Self::take`]: something else refused the request, and what is refused costs nothing.
    pub fn give_back(&self, bucket: &Bucket, key: KeyHash, (now, cost): (Ticks, u32)) {
        if let Some(table) = self.table.get() {
            let _ = table.update(key, now, |state| match state {
                0 => Change::Keep(()),
                _ => Change::Set(bucket.give_back(state, cost), ()),
            });
        }
    }

    /// Takes a cost that is known only afterwards; it may lead into debt.
    pub fn charge(&self, bucket: &Bucket, key: KeyHash, (now, cost): (Ticks, u32)) {
        if let Some(table) = self.table.get() {
            let _ = table.update(key, now, |state| Change::Set(bucket.charge(state, now, cost), ()));
        }
    }
}

/// What one limit needs when the table is full.
#[derive(Default)]
pub struct Overflow(OnceLock<Sketch>);

impl Overflow {
    /// Whether the table was ever full for this limit.
    pub fn is_used(&self) -> bool {
        self.0.get().is_some()
    }
}

/// A key being hashed.
pub struct KeyHasher([<RandomState as BuildHasher>::Hasher; 2]);

impl KeyHasher {
    /// Adds a part. Parts do not run into each other.
    #[must_use]
    pub fn part(mut self, part: impl Hash) -> Self {
        self.0.iter_mut().for_each(|hasher| part.hash(hasher));
        self
    }

    /// The key.
    pub fn finish(self) -> KeyHash {
        let [bucket, print] = self.0.map(|hasher| hasher.finish());
        KeyHash::new(bucket, print)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(store: &LimitStore, overflow: &Overflow, key: KeyHash, now: Ticks) -> bool {
        let bucket = Bucket::new(&"10/s burst 2".parse().unwrap());
        matches!(store.take(&bucket, overflow, key, (now, 1)), Verdict::Passes { .. })
    }

    #[test]
    fn keys_are_counted_apart() {
        let (store, overflow) = (LimitStore::new(100), Overflow::default());
        let now = store.ticks(Instant::now());
        let (a, b) = (store.key().part("ab").part("c").finish(), store.key().part("a").part("bc").finish());
        assert_ne!(a, b);
        assert_eq!([a, a, a, b].map(|key| take(&store, &overflow, key, now)), [true, true, false, true]);
        assert_eq!(store.live(Instant::now()), 2);
    }

    #[test]
    fn a_flood_beyond_the_room_is_still_limited_and_frees_nobody() {
        let (store, overflow) = (LimitStore::new(1_000), Overflow::default());
        let now = store.ticks(Instant::now());
        let limited = store.key().part("limited").finish();
        while take(&store, &overflow, limited, now) {}
        let keys: Vec<KeyHash> = (0..100_000).map(|number| store.key().part(number).finish()).collect();
        for round in 0..3 {
            let passed = keys.iter().filter(|key| take(&store, &overflow, **key, now)).count();
            assert!(if round < 2 { passed > 0 } else { passed == 0 }, "{round}: {passed}");
        }
        assert!(overflow.is_used());
        assert!(!take(&store, &overflow, limited, now));
    }
}
