//! How long something took lately, as percentiles: within a fifth, in a fixed amount of memory, without a lock.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Length of one of two windows that alternate: a percentile looks back between one and two of them.
const WINDOW_MS: u64 = 15_000;
/// Buckets for each doubling.
const STEPS: u32 = 4;
/// From a quarter of a millisecond to more than four minutes.
const BUCKETS: usize = 80;
/// The upper end of the first bucket, microseconds.
const FIRST: f64 = 250.0;
/// Of fewer spans nothing is said.
const ENOUGH: u64 = 50;

/// Spans of the last seconds. Time is given in milliseconds of any clock that goes on.
#[derive(Debug, Default)]
pub struct Recent {
    windows: [Window; 2],
}

#[derive(Debug)]
struct Window {
    /// Its number, one more than its turn so that 0 is none.
    number: AtomicU64,
    counts: [AtomicU32; BUCKETS],
}

impl Default for Window {
    fn default() -> Self {
        Self { number: AtomicU64::new(0), counts: std::array::from_fn(|_| AtomicU32::new(0)) }
    }
}

impl Recent {
    /// Takes in a span.
    pub fn record(&self, span: Duration, now_ms: u64) {
        let number = now_ms / WINDOW_MS + 1;
        let Some(window) = self.window(number) else { return };
        let seen = window.number.load(Relaxed);
        if seen != number && window.number.compare_exchange(seen, number, Relaxed, Relaxed).is_ok() {
            // What another core adds at this very moment may be lost.
            window.counts.iter().for_each(|count| count.store(0, Relaxed));
        }
        if let Some(count) = window.counts.get(bucket(span)) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// The span that so many of a hundred do not exceed; `None` while there are too few to tell.
    pub fn percentile(&self, percent: u8, now_ms: u64) -> Option<Duration> {
        let number = now_ms / WINDOW_MS + 1;
        let mut counts = [0_u64; BUCKETS];
        for number in [number, number - 1] {
            let window = self.window(number).filter(|window| window.number.load(Relaxed) == number);
            for (sum, count) in counts.iter_mut().zip(window.iter().flat_map(|window| &window.counts)) {
                *sum += u64::from(count.load(Relaxed));
            }
        }
        let total: u64 = counts.iter().sum();
        if total < ENOUGH {
            return None;
        }
        let rank = (total * u64::from(percent.min(100))).div_ceil(100).max(1);
        let mut below = 0;
        let place = counts.iter().position(|count| {
            below += count;
            below >= rank
        });
        place.map(upper)
    }

    fn window(&self, number: u64) -> Option<&Window> {
        self.windows.get(usize::from(number % 2 == 1))
    }
}

fn bucket(span: Duration) -> usize {
    let micros = span.as_secs_f64() * 1e6;
    if micros <= FIRST {
        return 0;
    }
    (((micros / FIRST).log2() * f64::from(STEPS)).ceil() as usize).min(BUCKETS - 1)
}

fn upper(place: usize) -> Duration {
    Duration::from_secs_f64(FIRST * 1e-6 * (place as f64 / f64::from(STEPS)).exp2())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_percentile_is_at_most_a_fifth_more_than_it_is() {
        let recent = Recent::default();
        (1..=1_000).for_each(|n| recent.record(MS * n, 0));
        for percent in [50, 90, 95, 99] {
            let (found, exact) = (recent.percentile(percent, 0).unwrap(), MS * u32::from(percent) * 10);
            assert!(found >= exact && found <= exact.mul_f64(1.2), "p{percent}: {found:?}");
        }
    }

    #[test]
    fn few_spans_say_nothing_and_old_ones_are_forgotten() {
        let recent = Recent::default();
        (0..49).for_each(|_| recent.record(MS, 1_000));
        assert_eq!(recent.percentile(95, 1_000), None);
        recent.record(MS, 1_000);
        assert!(recent.percentile(95, 1_000).is_some());
        assert!(recent.percentile(95, 29_999).is_some(), "the window before counts");
        assert_eq!(recent.percentile(95, 30_000), None);
        (0..60).for_each(|_| recent.record(MS * 100, 31_000));
        assert!(recent.percentile(50, 31_000).unwrap() >= MS * 100, "what was there before is gone");
    }

    #[test]
    fn the_shortest_and_the_longest_have_a_place() {
        let recent = Recent::default();
        (0..50).for_each(|_| recent.record(Duration::ZERO, 0));
        assert!(recent.percentile(50, 0).unwrap() < MS);
        (0..200).for_each(|_| recent.record(Duration::from_secs(86_400), 0));
        assert!(recent.percentile(99, 0).unwrap() > Duration::from_secs(200));
    }
}
