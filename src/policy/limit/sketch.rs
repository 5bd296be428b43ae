//! Keys for which the table has no room: counted together with others, too high rather than too low.
//!
//! A count-min sketch (Cormode, Muthukrishnan 2005) of bucket states instead of counts: a key has a cell in each row,
//! and its state is the smallest of them. Other keys in the same cells can only move it on, so that nobody passes who
//! would not have passed alone. One sketch serves one rate: a slow one would fill the cells of a fast one for hours.

use super::gcra::{Bucket, Ticks, Verdict};
use super::table::KeyHash;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const ROWS: usize = 4;
/// Cells in a row; with the rows 512 KiB.
const CELLS: usize = 16 * 1024;

/// Bucket states by rows of cells.
pub struct Sketch {
    cells: Box<[AtomicU64]>,
}

impl Default for Sketch {
    fn default() -> Self {
        Self { cells: (0..ROWS * CELLS).map(|_| AtomicU64::new(0)).collect() }
    }
}

impl Sketch {
    /// Judges a request as [`Bucket::judge`] does, and takes it in if it passes.
    pub fn take(&self, bucket: &Bucket, key: KeyHash, now: Ticks, cost: u32) -> Verdict {
        let verdict = self.look(bucket, key, now, cost);
        if matches!(verdict, Verdict::Passes { .. }) {
            // Each cell by itself: two requests at once both count in every cell.
            self.of(key).for_each(|cell| {
                let _ = cell.fetch_update(Relaxed, Relaxed, |state| Some(bucket.charge(state, now, cost)));
            });
        }
        verdict
    }

    /// Judges a request without taking it in.
    pub fn look(&self, bucket: &Bucket, key: KeyHash, now: Ticks, cost: u32) -> Verdict {
        bucket.judge(self.of(key).map(|cell| cell.load(Relaxed)).min().unwrap_or(u64::MAX), now, cost)
    }

    /// The key's cells, one in each row.
    fn of(&self, key: KeyHash) -> impl Iterator<Item = &AtomicU64> {
        (0..ROWS).filter_map(move |row| {
            // Rows choose independently of each other: 14 bits each, of the 128 the key has.
            let bits = if row < 2 { key.print >> (20 * row) } else { key.bucket >> (20 * (row - 2)) };
            let cell = usize::try_from(bits).unwrap_or(0) % CELLS;
            self.cells.get(row * CELLS + cell)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ahash::RandomState;

    fn keys() -> impl Fn(u64) -> KeyHash {
        let states = [RandomState::with_seeds(1, 2, 3, 4), RandomState::with_seeds(5, 6, 7, 8)];
        move |number| KeyHash::new(states[0].hash_one(number), states[1].hash_one(number))
    }

    fn passes(sketch: &Sketch, bucket: &Bucket, key: KeyHash, now: u64) -> bool {
        let now = Ticks::from_duration(std::time::Duration::from_millis(now));
        matches!(sketch.take(bucket, key, now, 1), Verdict::Passes { .. })
    }

    #[test]
    fn nobody_passes_more_often_than_alone() {
        let (sketch, bucket, key) = (Sketch::default(), Bucket::new(&"5/s".parse().unwrap()), keys());
        for number in 0..100_000 {
            passes(&sketch, &bucket, key(number), 1_000);
        }
        let fresh = (0..5).filter(|_| passes(&sketch, &bucket, key(7), 1_000)).count();
        assert!(fresh <= 4, "{fresh}");
    }

    #[test]
    fn a_few_keys_hardly_meet() {
        let (sketch, bucket, key) = (Sketch::default(), Bucket::new(&"5/s".parse().unwrap()), keys());
        let passed = (0..1_000).filter(|number| passes(&sketch, &bucket, key(*number), 1_000)).count();
        assert_eq!(passed, 1_000);
    }

    #[test]
    fn time_empties_the_cells() {
        let (sketch, bucket, key) = (Sketch::default(), Bucket::new(&"5/s burst 1".parse().unwrap()), keys());
        assert!(passes(&sketch, &bucket, key(1), 1_000));
        assert!(!passes(&sketch, &bucket, key(1), 1_100));
        assert!(passes(&sketch, &bucket, key(1), 1_200));
    }
}
