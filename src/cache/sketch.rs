//! How often keys were asked for lately, in a little memory: what is asked for often stays when room runs out.
//!
//! A count–min sketch of counters up to 15 that are halved now and then (TinyLFU: Einziger, Friedman, Manes, 2017). A scan
//! over many keys that are asked for once raises each of them to 1 and cannot push out what is asked for more.

use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed};

const ROWS: usize = 4;
const HIGHEST: u8 = 15;
/// After so many counts a counter all are halved.
const SAMPLES_PER_COUNTER: usize = 8;

/// Estimates of how often keys were asked for.
#[derive(Debug)]
pub struct Sketch {
    counters: Box<[AtomicU8]>,
    mask: usize,
    counted: AtomicUsize,
}

impl Sketch {
    /// A sketch with about so many counters a row.
    pub fn new(width: usize) -> Self {
        let width = width.max(64).next_power_of_two();
        let counters = (0..width * ROWS).map(|_| AtomicU8::new(0)).collect();
        Self { counters, mask: width - 1, counted: AtomicUsize::new(0) }
    }

    /// Counts one asking.
    pub fn count(&self, hash: u64) {
        for counter in self.of(hash) {
            let seen = counter.load(Relaxed);
            if seen < HIGHEST {
                // Two threads that meet lose a count, which only makes the estimate rougher.
                counter.store(seen + 1, Relaxed);
            }
        }
        let counted = self.counted.fetch_add(1, Relaxed);
        if counted >= (self.mask + 1) * SAMPLES_PER_COUNTER {
            self.counted.store(0, Relaxed);
            self.counters.iter().for_each(|counter| counter.store(counter.load(Relaxed) / 2, Relaxed));
        }
    }

    /// How often it was asked for, at most so often.
    pub fn estimate(&self, hash: u64) -> u8 {
        self.of(hash).map(|counter| counter.load(Relaxed)).min().unwrap_or(0)
    }

    fn of(&self, hash: u64) -> impl Iterator<Item = &AtomicU8> {
        let width = self.mask + 1;
        (0..ROWS).filter_map(move |row| {
            let mixed = hash.rotate_left(16 * row as u32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            self.counters.get(row * width + ((mixed >> 20) as usize & self.mask))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_often_is_told_from_a_scan() {
        let sketch = Sketch::new(4_096);
        let key = |number: u64| number.wrapping_mul(0xD6E8_FEB8_6659_FD93);
        for _ in 0..10 {
            sketch.count(key(1));
        }
        (1_000..3_000).for_each(|number| sketch.count(key(number)));
        assert!(sketch.estimate(key(1)) >= 10);
        let often = (1_000..3_000).filter(|number| sketch.estimate(key(*number)) > 2).count();
        assert!(often < 40, "{often} of 2000 are taken for more than they are");
    }

    #[test]
    fn old_counts_fade() {
        let sketch = Sketch::new(64);
        (0..15).for_each(|_| sketch.count(7));
        (0..64 * SAMPLES_PER_COUNTER as u64).for_each(|_| sketch.count(9));
        assert!(sketch.estimate(7) <= 8);
    }
}
