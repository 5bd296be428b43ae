//! Keys whose answers were not to be kept a moment ago: their requests do not queue up behind a leader whose answer they
//! could not share ("hit for miss").

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const PLACES: usize = 4_096;
/// For how many seconds.
const SECONDS: u64 = 5;

/// The keys. A place holds one key; a newer one takes it over, which only costs the older one a wait.
#[derive(Debug)]
pub struct Shunned {
    /// The upper 40 bits of the hash, and below them the second it ends at, modulo 2^24.
    places: Box<[AtomicU64]>,
}

const TIME_BITS: u32 = 24;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

impl Default for Shunned {
    fn default() -> Self {
        Self { places: (0..PLACES).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Shunned {
    /// Remembers a key.
    pub fn add(&self, hash: u64, now: u64) {
        if let Some(place) = self.place(hash) {
            place.store((hash & !TIME_MASK) | ((now + SECONDS) & TIME_MASK), Relaxed);
        }
    }

    /// Whether the key was remembered a moment ago.
    pub fn has(&self, hash: u64, now: u64) -> bool {
        self.place(hash).is_some_and(|place| {
            let held = place.load(Relaxed);
            let left = (held & TIME_MASK).wrapping_sub(now) & TIME_MASK;
            held & !TIME_MASK == hash & !TIME_MASK && left > 0 && left <= SECONDS
        })
    }

    fn place(&self, hash: u64) -> Option<&AtomicU64> {
        self.places.get(hash as usize % PLACES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_shunned_for_a_while() {
        let (shunned, hash) = (Shunned::default(), 0xDEAD_BEEF_0123_4567);
        assert!(!shunned.has(hash, 1_000));
        shunned.add(hash, 1_000);
        assert!(shunned.has(hash, 1_000) && shunned.has(hash, 1_004));
        assert!(!shunned.has(hash, 1_005) && !shunned.has(hash, 999) && !shunned.has(hash ^ (1 << 40), 1_001));
    }
}
