//! The state of all keys of all limits: one table of a fixed size, read and changed without a lock.
//!
//! A key is 128 bits of a keyed hash (64 choose the bucket, 64 are compared), so that nobody outside can make two keys
//! meet. A bucket has sixteen slots, a slot a fingerprint and a state (`gcra`: the time at which the key's bucket is full
//! again). A slot whose time has come says the same as an empty one and may be taken over; any other is never given away,
//! however many keys arrive: a key for which there is no slot is counted by the caller's sketch, too high rather than too
//! low.
//!
//! Taking a slot over is the only change of a fingerprint, and is done under the bucket's flag, in this order: the state
//! becomes [`TAKEN`], the fingerprint changes, the state becomes the new key's. Whoever had found the old key fails to
//! exchange the state it had read, since a state never takes the same value twice, and looks again.

use super::gcra::Ticks;
use std::hint::spin_loop;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

const SLOTS: usize = 16;
/// The state of a slot that is being taken over.
const TAKEN: u64 = u64::MAX;

/// A key, hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyHash {
    /// Chooses the bucket.
    pub bucket: u64,
    /// Is compared; never 0.
    pub print: u64,
}

impl KeyHash {
    /// A key of these bits.
    pub fn new(bucket: u64, print: u64) -> Self {
        Self { bucket, print: print.max(1) }
    }
}

/// Four cache lines.
#[repr(align(64))]
#[derive(Default)]
struct Bucket {
    prints: [AtomicU64; SLOTS],
    states: [AtomicU64; SLOTS],
}

/// What a change makes of a key's state.
pub enum Change<T> {
    /// Leaves it.
    Keep(T),
    /// Sets it; `T` is returned once that is done.
    Set(u64, T),
}

/// The table.
pub struct Table {
    buckets: Box<[Bucket]>,
    /// For each bucket, whether somebody takes a slot of it over.
    changing: Box<[AtomicBool]>,
}

/// A bucket and its flag.
#[derive(Clone, Copy)]
struct Place<'a> {
    bucket: &'a Bucket,
    changing: &'a AtomicBool,
}

impl Table {
    /// A table with room for about that many keys at once: with as many in it, three of eight slots are still free, so that
    /// one key in two hundred finds its bucket full.
    pub fn new(max_keys: usize) -> Self {
        let buckets = (max_keys.saturating_mul(8) / 5).div_ceil(SLOTS).max(1);
        Self {
            buckets: (0..buckets).map(|_| Bucket::default()).collect(),
            changing: (0..buckets).map(|_| AtomicBool::new(false)).collect(),
        }
    }

    /// What a table for that many keys takes, in bytes: 26 for each.
    #[cfg(test)]
    const fn bytes(max_keys: usize) -> usize {
        (max_keys.saturating_mul(8) / 5).div_ceil(SLOTS) * (size_of::<Bucket>() + size_of::<AtomicBool>())
    }

    /// All keys whose state is not before `since`, by their fingerprints.
    pub fn entries(&self, since: Ticks) -> Vec<(u64, u64)> {
        let slots = self.buckets.iter().flat_map(|bucket| bucket.prints.iter().zip(&bucket.states));
        let read = slots.filter_map(|(print, state)| {
            let before = state.load(Acquire);
            let print = print.load(Acquire);
            // Of a slot that is taken over meanwhile neither the old key nor the new one is told.
            let stands = before == state.load(Acquire) && before != TAKEN;
            (stands && before >= since.0 && before > 0).then_some((print, before))
        });
        read.collect()
    }

    /// Changes the state of a key as `change` says, which may be asked several times; a key that is not there has the
    /// state 0. `None` when there is no room for it: nothing was changed.
    pub fn update<T>(&self, key: KeyHash, now: Ticks, mut change: impl FnMut(u64) -> Change<T>) -> Option<T> {
        let place = self.place(key)?;
        loop {
            let Some((print, state)) = place.bucket.find(key) else {
                match change(0) {
                    Change::Keep(result) => return Some(result),
                    // The state is set by the exchange below, as for any other: two first requests of a key meet here.
                    Change::Set(..) if place.claim(key, now) => continue,
                    Change::Set(..) => return None,
                }
            };
            let before = state.load(Acquire);
            if before == TAKEN || print.load(Acquire) != key.print {
                spin_loop();
                continue;
            }
            match change(before) {
                Change::Keep(result) => return Some(result),
                Change::Set(after, result) => {
                    if state.compare_exchange(before, after, AcqRel, Relaxed).is_ok() {
                        return Some(result);
                    }
                }
            }
        }
    }

    /// The state of a key; 0 where it is not there.
    pub fn get(&self, key: KeyHash) -> u64 {
        self.place(key).and_then(|place| place.bucket.find(key)).map_or(0, |(_, state)| state.load(Acquire))
    }

    /// How many keys are not full at that moment.
    #[cfg(test)]
    fn live(&self, now: Ticks) -> usize {
        let states = self.buckets.iter().flat_map(|bucket| &bucket.states);
        states.filter(|state| (now.0 + 1..TAKEN).contains(&state.load(Relaxed))).count()
    }

    fn place(&self, key: KeyHash) -> Option<Place<'_>> {
        // The product's upper half lies evenly in the range, which need not be a power of two (Lemire 2016).
        let scaled = (u128::from(key.bucket) * self.buckets.len() as u128) >> 64;
        let at = usize::try_from(scaled).ok()?;
        Some(Place { bucket: self.buckets.get(at)?, changing: self.changing.get(at)? })
    }
}

impl Place<'_> {
    /// Gives the key a slot, with the state of a full bucket; false when there is none. True also when somebody else did.
    fn claim(self, key: KeyHash, now: Ticks) -> bool {
        while self.changing.swap(true, Acquire) {
            spin_loop();
        }
        let claimed = self.bucket.find(key).is_some() || self.bucket.take_over(key, now);
        self.changing.store(false, Release);
        claimed
    }
}

impl Bucket {
    /// The slot of a key. It may have been taken over by the time it is used.
    fn find(&self, key: KeyHash) -> Option<(&AtomicU64, &AtomicU64)> {
        let at = self.prints.iter().position(|print| print.load(Acquire) == key.print)?;
        self.prints.get(at).zip(self.states.get(at))
    }

    fn take_over(&self, key: KeyHash, now: Ticks) -> bool {
        for (print, state) in self.prints.iter().zip(&self.states) {
            let before = state.load(Acquire);
            // Strictly in the past: the new state, which is not, can then not be the one somebody has read before.
            if before < now.0 && state.compare_exchange(before, TAKEN, AcqRel, Relaxed).is_ok() {
                print.store(key.print, Release);
                state.store(now.0, Release);
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    fn key(number: u64) -> KeyHash {
        // Any spread will do; 0 must not occur as a fingerprint.
        let mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        KeyHash::new(mixed.rotate_left(17), mixed | 1)
    }

    fn set(table: &Table, number: u64, now: u64, state: u64) -> Option<()> {
        table.update(key(number), Ticks(now), |_| Change::Set(state, ()))
    }

    #[test]
    fn a_flood_of_keys_takes_no_slot_of_a_key_that_is_not_full() {
        let table = Table::new(1_000);
        set(&table, 1, 10, 1_000_000).unwrap();
        let refused = (2..200_000).filter(|number| set(&table, *number, 10, 1_000).is_none()).count();
        assert!(refused > 100_000, "{refused}");
        assert_eq!(table.get(key(1)), 1_000_000);
    }

    #[test]
    fn ten_million_keys_of_rates_and_of_quotas_take_less_than_half_a_gibibyte() {
        assert_eq!(size_of::<Bucket>(), 256);
        assert!(2 * Table::bytes(10_000_000) < 512 << 20, "{}", 2 * Table::bytes(10_000_000));
        let table = Table::new(100_000);
        assert!(table.buckets.len() * (256 + 1) <= Table::bytes(100_000));
    }

    #[test]
    fn as_many_keys_as_there_is_said_to_be_room_for_nearly_all_find_a_slot() {
        let table = Table::new(100_000);
        let hashers = [ahash::RandomState::with_seeds(1, 2, 3, 4), ahash::RandomState::with_seeds(5, 6, 7, 8)];
        let key = |number: u64| KeyHash::new(hashers[0].hash_one(number), hashers[1].hash_one(number));
        let refused =
            (0..100_000).filter(|number| table.update(key(*number), Ticks(10), |_| Change::Set(1_000, ())).is_none());
        let refused = refused.count();
        assert!(refused < 1_000, "{refused}");
        assert_eq!(table.entries(Ticks(10)).len(), 100_000 - refused);
        assert!(table.entries(Ticks(1_001)).is_empty());
    }

    #[test]
    fn slots_of_full_keys_are_used_again() {
        let table = Table::new(1_000);
        for round in 0..200_u64 {
            let now = 10 + round * 100;
            for number in 0..500 {
                set(&table, round * 1_000 + number, now, now + 50).unwrap();
            }
            assert_eq!(table.live(Ticks(now)), 500);
        }
    }

    #[test]
    fn a_change_that_keeps_makes_no_slot() {
        let table = Table::new(16);
        let seen = table.update(key(7), Ticks(5), Change::<u64>::Keep);
        assert_eq!(seen, Some(0));
        assert!(table.buckets.iter().all(|bucket| bucket.find(key(7)).is_none()));
    }

    #[test]
    fn threads_that_take_over_each_others_slots_lose_no_change() {
        // One bucket for 64 keys: every change but the first of a key finds its slot taken. A key's state is always
        // the moment of its last change plus one, and each of its changes must see a state before its own moment.
        let table = Table::new(8);
        let clock = AtomicU64::new(1_000);
        let lost = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let (table, clock, lost) = (&table, &clock, &lost);
                scope.spawn(move || {
                    for round in 0..20_000_u64 {
                        let now = clock.fetch_add(10, Relaxed);
                        let done = table.update(key(thread * 16 + round % 16), Ticks(now), |before| {
                            Change::Set(before.max(now) + 1, before)
                        });
                        if done == Some(TAKEN) {
                            lost.fetch_add(1, Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(lost.load(Relaxed), 0);
    }

    #[test]
    fn threads_on_one_key_count_every_change() {
        let table = Table::new(8);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50_000 {
                        let far = |state: u64| state.max(1 << 40) + 1;
                        table.update(key(3), Ticks(5), |state| Change::Set(far(state), ())).unwrap();
                    }
                });
            }
        });
        assert_eq!(table.get(key(3)), (1 << 40) + 200_000);
    }
}
