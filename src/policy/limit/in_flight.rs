//! How many requests are under way, by key: exact, and without a lock.
//!
//! A key has a slot only while it has requests under way, in the one cache line its hash chooses: a word of 44 bits of
//! its fingerprint and 20 bits of count, so that both change at once. Two threads that give one key two slots at the same
//! time see each other's afterwards, since they look at the whole line again; then the request is taken out and counted
//! anew, so that a key's requests never stand in two slots.

use super::table::KeyHash;
use crate::request::Holder;
use std::hint::spin_loop;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};

const SLOTS: usize = 8;
/// Lines of the table: 1 MiB. So many keys are seldom busy at once that no line should ever be full.
const LINES: u64 = 16 * 1024;
const COUNT: u64 = (1 << 20) - 1;
/// More than that under one key cannot be counted.
pub const MOST_IN_FLIGHT: u32 = 1_000_000;

#[repr(align(64))]
#[derive(Default)]
struct Line([AtomicU64; SLOTS]);

/// Requests under way, by key.
#[derive(Default)]
pub struct InFlight(OnceLock<Box<[Line]>>);

impl InFlight {
    /// Counts one more under that key unless `most` are. Counts nothing, too, where more keys are busy than there is room
    /// for.
    pub fn take(&self, key: KeyHash, most: u32) -> bool {
        let (Some(line), print) = (self.line(key), print_of(key)) else { return false };
        loop {
            let (slot, before) = match line.find(print) {
                Some((_, word)) if word & COUNT >= u64::from(most) => return false,
                Some(found) => found,
                None => match line.free() {
                    _ if most == 0 => return false,
                    Some(slot) => (slot, 0),
                    None => return false,
                },
            };
            let after = if before == 0 { print | 1 } else { before + 1 };
            if slot.compare_exchange(before, after, SeqCst, Relaxed).is_err() {
                continue;
            }
            if line.is_alone(slot, print) {
                return true;
            }
            line.give_back(print);
            spin_loop();
        }
    }

    /// One of those under that key is over.
    pub fn give_back(&self, key: KeyHash) {
        if let Some(line) = self.line(key) {
            line.give_back(print_of(key));
        }
    }

    /// How many are under way under that key.
    pub fn count(&self, key: KeyHash) -> u64 {
        let found = self.line(key).and_then(|line| line.find(print_of(key)));
        found.map_or(0, |(_, word)| word & COUNT)
    }

    fn line(&self, key: KeyHash) -> Option<&Line> {
        let lines = self.0.get_or_init(|| (0..LINES).map(|_| Line::default()).collect());
        lines.get(usize::try_from(key.bucket % LINES).ok()?)
    }
}

/// Of a key its upper bits; never 0, which is an empty slot's.
fn print_of(key: KeyHash) -> u64 {
    (key.print & !COUNT).max(COUNT + 1)
}

impl Line {
    fn find(&self, print: u64) -> Option<(&AtomicU64, u64)> {
        let words = self.0.iter().map(|slot| (slot, slot.load(SeqCst)));
        words.into_iter().find(|(_, word)| word & !COUNT == print)
    }

    fn free(&self) -> Option<&AtomicU64> {
        self.0.iter().find(|slot| slot.load(SeqCst) == 0)
    }

    /// Whether no other slot is the key's.
    fn is_alone(&self, own: &AtomicU64, print: u64) -> bool {
        let mut others = self.0.iter().filter(|slot| !std::ptr::eq(*slot, own));
        others.all(|slot| slot.load(SeqCst) & !COUNT != print)
    }

    fn give_back(&self, print: u64) {
        while let Some((slot, word)) = self.find(print) {
            let after = if word & COUNT <= 1 { 0 } else { word - 1 };
            if slot.compare_exchange(word, after, SeqCst, Relaxed).is_ok() {
                return;
            }
        }
    }
}

impl Holder for InFlight {
    fn release(&self, (bucket, print): (u64, u64)) {
        self.give_back(KeyHash::new(bucket, print));
    }
}

/// Requests under way through one level: a route, an api, or all.
#[derive(Debug, Default)]
pub struct Level(AtomicU32);

impl Level {
    /// Counts one more unless `most` are under way.
    pub fn take(&self, most: u32) -> bool {
        self.0.fetch_update(Relaxed, Relaxed, |count| (count < most).then_some(count + 1)).is_ok()
    }

    /// How many are under way.
    pub fn count(&self) -> u32 {
        self.0.load(Relaxed)
    }
}

impl Holder for Level {
    fn release(&self, _key: (u64, u64)) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU64;

    fn key(number: u64) -> KeyHash {
        let mixed = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        KeyHash::new(mixed >> 40, mixed)
    }

    #[test]
    fn stops_at_the_bound_and_goes_on_when_one_is_over() {
        let in_flight = InFlight::default();
        assert_eq!([(); 3].map(|()| in_flight.take(key(1), 2)), [true, true, false]);
        assert!(in_flight.take(key(2), 2), "another key has its own");
        in_flight.give_back(key(1));
        assert_eq!((in_flight.count(key(1)), in_flight.count(key(2))), (1, 1));
        assert!(in_flight.take(key(1), 2));
    }

    #[test]
    fn a_key_without_requests_takes_no_room() {
        let in_flight = InFlight::default();
        for number in 0..1_000_000 {
            assert!(in_flight.take(key(number), 1), "{number}");
            in_flight.give_back(key(number));
        }
        let lines = in_flight.0.get().unwrap();
        assert!(lines.iter().flat_map(|line| &line.0).all(|slot| slot.load(Relaxed) == 0));
    }

    #[test]
    fn twenty_thousand_busy_keys_find_room() {
        let in_flight = InFlight::default();
        assert!((0..20_000).all(|number| in_flight.take(key(number), 1)));
        assert!((0..20_000).all(|number| !in_flight.take(key(number), 1)));
    }

    #[test]
    fn threads_never_count_more_than_the_bound_and_lose_none() {
        // Keys that share a line come and go, so that slots are given away all the time.
        let (in_flight, busy) = (InFlight::default(), [(); 4].map(|()| AtomicU64::new(0)));
        let of = |number: usize| KeyHash::new(7, (number as u64 + 1) << 40);
        std::thread::scope(|scope| {
            for thread in 0..8_usize {
                let (in_flight, busy) = (&in_flight, &busy);
                scope.spawn(move || {
                    for round in 0..20_000 {
                        let number = (round + thread) % busy.len();
                        if in_flight.take(of(number), 3) {
                            assert!(busy[number].fetch_add(1, SeqCst) < 3);
                            busy[number].fetch_sub(1, SeqCst);
                            in_flight.give_back(of(number));
                        }
                    }
                });
            }
        });
        assert!((0..busy.len()).all(|number| in_flight.count(of(number)) == 0));
    }
}
