//! Each worker's own source of randomness.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::cell::RefCell;

thread_local! {
    static RANDOM: RefCell<SmallRng> = RefCell::new(SmallRng::from_entropy());
}

/// Random bits of the thread's own generator, seeded by the operating system: for ids and for spreading load, not for
/// secrets.
pub struct Random;

impl Random {
    /// So many times 64 bits.
    pub fn bits<const N: usize>() -> [u64; N] {
        RANDOM.with_borrow_mut(|random| std::array::from_fn(|_| random.r#gen()))
    }

    /// 64 bits.
    pub fn next() -> u64 {
        let [bits] = Self::bits();
        bits
    }
}
