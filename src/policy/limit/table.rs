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

#[repr(align(64))]
#[derive(Default)]
struct Bucket {
    prints: [AtomicU64; SLOTS],
    states: [AtomicU64; SLOTS],
    changing: AtomicBool,
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
    mask: u64,
}

impl Table {
    /// A table with room for about that many keys at once; half of its slots stay free so that buckets rarely fill up.
    /// It takes 34 bytes for each.
    pub fn new(max_keys: usize) -> Self {
        let buckets = (max_keys * 2).div_ceil(SLOTS).next_power_of_two();
        Self { buckets: (0..buckets).map(|_| Bucket::default()).collect(), mask: buckets as u64 - 1 }
    }

    /// Changes the state of a key as `change` says, which may be asked several times; a key that is not there has the
    /// state 0. `None` when there is no room for it: nothing was changed.
    pub fn update<T>(&self, key: KeyHash, now: Ticks, mut change: impl FnMut(u64) -> Change<T>) -> Option<T> {
        let bucket = self.bucket(key)?;
        loop {
            let Some((print, state)) = bucket.find(key) else {
                match change(0) {
                    Change::Keep(result) => return Some(result),
                    // The state is set by the exchange below, as for any other: two first requests of a key meet here.
                    Change::Set(..) if bucket.claim(key, now) => continue,
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
        self.bucket(key).and_then(|bucket| bucket.find(key)).map_or(0, |(_, state)| state.load(Acquire))
    }

    /// How many keys are not full at that moment.
    #[cfg(test)]
    fn live(&self, now: Ticks) -> usize {
        let states = self.buckets.iter().flat_map(|bucket| &bucket.states);
        states.filter(|state| (now.0 + 1..TAKEN).contains(&state.load(Relaxed))).count()
    }

    fn bucket(&self, key: KeyHash) -> Option<&Bucket> {
        self.buckets.get(usize::try_from(key.bucket & self.mask).ok()?)
    }
}

impl Bucket {
    /// The slot of a key. It may have been taken over by the time it is used.
    fn find(&self, key: KeyHash) -> Option<(&AtomicU64, &AtomicU64)> {
        let at = self.prints.iter().position(|print| print.load(Acquire) == key.print)?;
        self.prints.get(at).zip(self.states.get(at))
    }

    /// Gives the key a slot, with the state of a full bucket; false when there is none. True also when somebody else did.
    fn claim(&self, key: KeyHash, now: Ticks) -> bool {
        while self.changing.swap(true, Acquire) {
            spin_loop();
        }
        let claimed = self.find(key).is_some() || self.take_over(key, now);
        self.changing.store(false, Release);
        claimed
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
        KeyHash::new(mixed >> 20, mixed | 1)
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
