//! The latencies of a short time: a histogram with four buckets to an octave, from a microsecond to four minutes. One
//! addition for each request; it is read and emptied by whoever closes the window.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::upstream::time::{Millis, whole};

const BUCKETS: usize = 112;
/// Fewer requests than this decide nothing: the window stays open.
const ENOUGH: u32 = 40;
/// No window is shorter.
pub(super) const SHORTEST: Duration = Duration::from_millis(250);
/// The share of requests that stayed below [`Latencies::low`].
const LOW: f64 = 0.25;
/// The share of requests that stayed below [`Latencies::middle`].
const MIDDLE: f64 = 0.5;

/// What the requests of a window took, microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Latencies {
    /// What a quarter of them stayed below. A queue moves it, since it delays all requests; a slow endpoint among several,
    /// or a slow kind of request among others, does not.
    pub(super) low: f64,
    /// What half of them stayed below.
    pub(super) middle: f64,
}

/// The window under way.
#[derive(Debug)]
pub(super) struct Window {
    started: AtomicU64,
    /// The earliest end, [`Millis`].
    ends: AtomicU64,
    count: AtomicU32,
    buckets: [AtomicU32; BUCKETS],
}

impl Default for Window {
    fn default() -> Self {
        Self {
            started: AtomicU64::new(0),
            ends: AtomicU64::new(0),
            count: AtomicU32::new(0),
            buckets: std::array::from_fn(|_| AtomicU32::new(0)),
        }
    }
}

impl Window {
    pub(super) fn started(&self) -> Millis {
        Millis(self.started.load(Relaxed))
    }

    pub(super) fn add(&self, latency: Duration) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
        if let Some(bucket) = self.buckets.get(place(micros)) {
            bucket.fetch_add(1, Relaxed);
            self.count.fetch_add(1, Relaxed);
        }
    }

    /// Whether there is enough to be judged.
    pub(super) fn is_due(&self, now: Millis) -> bool {
        self.count.load(Relaxed) >= ENOUGH && now.0 >= self.ends.load(Relaxed)
    }

    /// Empties it.
    pub(super) fn close(&self) -> Latencies {
        let counts: [u32; BUCKETS] =
            std::array::from_fn(|index| self.buckets.get(index).map_or(0, |bucket| bucket.swap(0, Relaxed)));
        self.count.store(0, Relaxed);
        Latencies { low: below(&counts, LOW), middle: below(&counts, MIDDLE) }
    }

    /// Begins the next one, which lasts at least that long.
    pub(super) fn open(&self, now: Millis, span: Duration) {
        self.started.store(now.0, Relaxed);
        self.ends.store(now.0.saturating_add(whole(span)), Relaxed);
    }
}

/// What a share of those counted stayed below.
fn below(counts: &[u32; BUCKETS], share: f64) -> f64 {
    let total: u64 = counts.iter().map(|count| u64::from(*count)).sum();
    let mut wanted = total as f64 * share;
    for (index, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let count = f64::from(*count);
        if wanted <= count {
            let (from, to) = (lower(index), lower(index + 1));
            return from + (to - from) * wanted / count;
        }
        wanted -= count;
    }
    lower(BUCKETS)
}

/// The bucket of a latency.
fn place(micros: u64) -> usize {
    if micros < 4 {
        return micros as usize;
    }
    let octave = micros.ilog2() as usize;
    let quarter = ((micros >> (octave - 2)) & 3) as usize;
    ((octave - 1) * 4 + quarter).min(BUCKETS - 1)
}

/// The least latency of a bucket.
fn lower(index: usize) -> f64 {
    if index < 4 {
        return index as f64;
    }
    let (octave, quarter) = (index / 4 + 1, index % 4);
    ((4 + quarter as u64) << (octave - 2)) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_latency_lies_in_its_bucket() {
        for micros in (0..10_000).chain([65_535, 65_536, 1_000_000, 200_000_000]) {
            let index = place(micros);
            assert!(lower(index) <= micros as f64 && (micros as f64) < lower(index + 1), "{micros} in {index}");
        }
        assert_eq!(place(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn a_quarter_and_half_stay_below_what_is_read() {
        let window = Window::default();
        (1..=1_000).for_each(|millis| window.add(Duration::from_millis(millis)));
        let Latencies { low, middle } = window.close();
        assert!((200_000.0..300_000.0).contains(&low), "{low}");
        assert!((450_000.0..550_000.0).contains(&middle), "{middle}");
        assert!(!window.is_due(Millis(u64::MAX)), "it is empty again");
    }

    #[test]
    fn it_is_due_after_its_time_and_with_enough_to_judge_by() {
        let window = Window::default();
        window.open(Millis(1_000), SHORTEST);
        (0..ENOUGH - 1).for_each(|_| window.add(Duration::from_millis(1)));
        assert!(!window.is_due(Millis(2_000)));
        window.add(Duration::from_millis(1));
        assert_eq!([1_249, 1_250].map(|at| window.is_due(Millis(at))), [false, true]);
    }
}
