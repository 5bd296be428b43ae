//! Positions in a list, found by hash: four bytes a slot, and nothing of the entries is kept twice.

/// Finds entries of a list that stands elsewhere. Linear probing, at most two thirds full.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// A position plus one; 0 is free.
    slots: Box<[u32]>,
    used: usize,
}

impl Index {
    /// The position of the entry that is the same as what is sought.
    pub fn find(&self, hash: u64, mut same: impl FnMut(usize) -> bool) -> Option<usize> {
        let mask = self.slots.len().checked_sub(1)?;
        let mut slot = start(hash, mask);
        loop {
            match self.slots.get(slot)? {
                0 => return None,
                taken if same(*taken as usize - 1) => return Some(*taken as usize - 1),
                _ => slot = (slot + 1) & mask,
            }
        }
    }

    /// Adds a position whose entry is not there yet; `hash_of` gives the hash of an entry that is.
    pub fn insert(&mut self, hash: u64, position: u32, hash_of: impl Fn(usize) -> u64) {
        self.reserve(1, hash_of);
        self.place(hash, position + 1);
        self.used += 1;
    }

    /// Makes room for that many more, so that adding them moves nothing.
    pub fn reserve(&mut self, more: usize, hash_of: impl Fn(usize) -> u64) {
        let needed = (self.used + more) * 3 / 2 + 1;
        if needed <= self.slots.len() {
            return;
        }
        let before = std::mem::take(&mut self.slots);
        self.slots = vec![0; needed.next_power_of_two().max(8)].into();
        before.iter().filter(|slot| **slot > 0).for_each(|slot| self.place(hash_of(*slot as usize - 1), *slot));
    }

    fn place(&mut self, hash: u64, value: u32) {
        let Some(mask) = self.slots.len().checked_sub(1) else { return };
        let mut at = start(hash, mask);
        while let Some(slot) = self.slots.get_mut(at) {
            if *slot == 0 {
                *slot = value;
                return;
            }
            at = (at + 1) & mask;
        }
    }
}

/// The slot to begin at. The number of slots is a power of two.
fn start(hash: u64, mask: usize) -> usize {
    hash as usize & mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_added_and_nothing_else_whatever_the_hashes() {
        for spread in [1, 0x9E37_79B9_7F4A_7C15_u64, 0] {
            let hash = |number: usize| (number as u64).wrapping_mul(spread);
            let mut index = Index::default();
            assert_eq!(index.find(0, |_| true), None);
            for number in 0..500_u32 {
                index.insert(hash(number as usize), number, hash);
            }
            for number in 0..500 {
                assert_eq!(index.find(hash(number), |position| position == number), Some(number));
            }
            assert_eq!(index.find(hash(500), |position| position == 500), None);
        }
    }
}
