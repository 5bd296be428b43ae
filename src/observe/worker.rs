//! Which worker a request runs on, and storage split by worker so that counting on one core never waits for another.

use std::ops::Deref;
use std::sync::OnceLock;

/// The index of a worker, from 0: one worker is one single-threaded service on one core.
///
/// Results never depend on it being right. Two threads that share an index, or an index beyond the number of workers,
/// only cost speed, because they meet on the same cache lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Worker(pub usize);

/// A value alone on its cache lines: 128 bytes, because x86-64 fetches lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Padded<T>(pub(super) T);

impl<T> Deref for Padded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// One lazily made `T` a worker. A worker that never touches it costs 16 bytes.
#[derive(Debug)]
pub(super) struct Shards<T> {
    first: Slot<T>,
    others: Box<[Slot<T>]>,
}

type Slot<T> = OnceLock<Box<Padded<T>>>;

impl<T> Shards<T> {
    /// Room for `workers` workers, at least one.
    pub(super) fn new(workers: usize) -> Self {
        Self { first: OnceLock::new(), others: (1..workers).map(|_| OnceLock::new()).collect() }
    }

    /// The worker's own `T`, made by `init` at first use, on the worker's thread (hence in its memory).
    /// A worker beyond the number given to [`Shards::new`] shares the first one's.
    pub(super) fn of(&self, worker: Worker, init: impl FnOnce() -> T) -> &T {
        let slot = worker.0.checked_sub(1).and_then(|index| self.others.get(index)).unwrap_or(&self.first);
        slot.get_or_init(|| Box::new(Padded(init())))
    }

    /// Those that have been used.
    pub(super) fn used(&self) -> impl Iterator<Item = &T> {
        std::iter::once(&self.first).chain(&self.others).filter_map(OnceLock::get).map(|padded| &padded.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn each_worker_has_its_own_value_and_untouched_ones_are_not_made() {
        let shards: Shards<AtomicU64> = Shards::new(4);
        shards.of(Worker(0), AtomicU64::default).fetch_add(1, Ordering::Relaxed);
        shards.of(Worker(3), AtomicU64::default).fetch_add(2, Ordering::Relaxed);
        let values: Vec<u64> = shards.used().map(|cell| cell.load(Ordering::Relaxed)).collect();
        assert_eq!(values, [1, 2]);
    }

    #[test]
    fn a_worker_out_of_range_shares_the_first_value() {
        let shards: Shards<AtomicU64> = Shards::new(0);
        shards.of(Worker(0), AtomicU64::default).fetch_add(1, Ordering::Relaxed);
        shards.of(Worker(99), AtomicU64::default).fetch_add(1, Ordering::Relaxed);
        assert_eq!(shards.used().map(|cell| cell.load(Ordering::Relaxed)).sum::<u64>(), 2);
        assert_eq!(shards.used().count(), 1);
    }
}
