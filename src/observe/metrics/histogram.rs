//! Histograms of durations with fixed buckets.

use std::time::Duration;

use super::cells::{Count, Counts};

/// Durations are compared and summed in ticks of 100 ns. That is fine enough for the gateway's own share of a request,
/// and a `u64` of them lasts 58,000 years of summed duration, which a hundred thousand open WebSockets need months to
/// use up (a sum that wraps reads as a counter reset).
pub(super) const TICKS_PER_SECOND: u64 = 10_000_000;

/// The inclusive upper end of a bucket.
#[derive(Debug)]
pub(super) struct Bound {
    ticks: u64,
    /// The bound in seconds, as the label `le` has it.
    pub(super) label: &'static str,
}

const fn micros(micros: u64, label: &'static str) -> Bound {
    Bound { ticks: micros * 10, label }
}

const fn millis(millis: u64, label: &'static str) -> Bound {
    micros(millis * 1_000, label)
}

/// Whole requests and attempts at upstreams: 0.5 ms to 30 s.
pub(super) static EXCHANGE: [Bound; 14] = [
    micros(500, "0.0005"),
    millis(1, "0.001"),
    micros(2_500, "0.0025"),
    millis(5, "0.005"),
    millis(10, "0.01"),
    millis(25, "0.025"),
    millis(50, "0.05"),
    millis(100, "0.1"),
    millis(250, "0.25"),
    millis(500, "0.5"),
    millis(1_000, "1"),
    millis(2_500, "2.5"),
    millis(10_000, "10"),
    millis(30_000, "30"),
];

/// The gateway's own share: 50 µs to 1 s.
pub(super) static GATEWAY: [Bound; 12] = [
    micros(50, "0.00005"),
    micros(100, "0.0001"),
    micros(250, "0.00025"),
    micros(500, "0.0005"),
    millis(1, "0.001"),
    micros(2_500, "0.0025"),
    millis(5, "0.005"),
    millis(10, "0.01"),
    millis(25, "0.025"),
    millis(100, "0.1"),
    millis(250, "0.25"),
    millis(1_000, "1"),
];

/// One worker's part of a histogram with `N` bounds. There is no counter of all observations: it is the sum of the
/// buckets, so the two can never disagree.
///
/// The sum stands beside the lowest buckets, where most durations end: counting one touches one cache line.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Histogram<const N: usize> {
    ticks: Count,
    within: Counts<N>,
    beyond: Count,
}

impl<const N: usize> Histogram<N> {
    /// Counts one duration.
    pub(super) fn observe(&self, bounds: &[Bound; N], duration: Duration) {
        let ticks =
            duration.as_secs().wrapping_mul(TICKS_PER_SECOND).wrapping_add((duration.subsec_nanos() / 100).into());
        // From the lowest bound up: most durations end in one of the first buckets.
        match bounds.iter().position(|bound| ticks <= bound.ticks) {
            Some(bucket) => self.within.add_one(bucket),
            None => self.beyond.add(1),
        }
        self.ticks.add(ticks);
    }

    /// Adds this part to `totals`.
    pub(super) fn add_to(&self, totals: &mut Totals<N>) {
        self.within.add_to(&mut totals.within);
        totals.beyond += self.beyond.get();
        totals.ticks = totals.ticks.wrapping_add(self.ticks.get());
    }
}

/// A histogram summed over workers.
#[derive(Debug)]
pub(super) struct Totals<const N: usize> {
    /// Observations in each bucket, not cumulative.
    pub(super) within: [u64; N],
    /// Observations above the last bound.
    pub(super) beyond: u64,
    /// Sum of all observations in ticks.
    pub(super) ticks: u64,
}

impl<const N: usize> Totals<N> {
    /// The sum over `parts`.
    pub(super) fn of<'a>(parts: impl IntoIterator<Item = &'a Histogram<N>>) -> Self {
        let mut totals = Self { within: [0; N], beyond: 0, ticks: 0 };
        for part in parts {
            part.add_to(&mut totals);
        }
        totals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_rise_and_their_labels_say_the_same() {
        for bounds in [&EXCHANGE[..], &GATEWAY[..]] {
            assert!(bounds.is_sorted_by(|a, b| a.ticks < b.ticks));
            for bound in bounds {
                let seconds: f64 = bound.label.parse().unwrap();
                assert_eq!((seconds * TICKS_PER_SECOND as f64).round() as u64, bound.ticks, "{}", bound.label);
            }
        }
    }

    #[test]
    fn a_duration_equal_to_a_bound_is_within_it() {
        let histogram = Histogram::<14>::default();
        for micros in [0, 500, 501, 30_000_000, 30_000_001] {
            histogram.observe(&EXCHANGE, Duration::from_micros(micros));
        }
        let totals = Totals::of([&histogram]);
        assert_eq!((totals.within[0], totals.within[1], totals.within[13], totals.beyond), (2, 1, 1, 1));
        assert_eq!(totals.ticks, 600_010_020);
    }

    #[test]
    fn the_longest_duration_does_not_panic() {
        let histogram = Histogram::<14>::default();
        histogram.observe(&EXCHANGE, Duration::MAX);
        assert_eq!(Totals::of([&histogram]).within.iter().sum::<u64>() + Totals::of([&histogram]).beyond, 1);
    }
}
