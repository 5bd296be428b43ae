//! The generic cell rate algorithm: a token bucket in one number.
//!
//! A key's state is its *theoretical arrival time* (TAT): the moment at which its bucket will be full again. A request of
//! cost `c` moves it `c` emission intervals on, and is refused if that would lead further ahead of now than the burst
//! allows. A key whose TAT is not in the future has a full bucket, which is the same as never having been seen.
//! (ITU-T I.371, Annex A.)

use crate::value::Rate;

/// A moment or a span in 1/64 of a nanosecond: fine enough that the interval of any rate is exact to a millionth, and
/// nine years fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticks(pub u64);

const PER_NANO: u64 = 64;

impl Ticks {
    /// A second.
    pub const SECOND: Self = Self(PER_NANO * 1_000_000_000);

    /// A span.
    pub fn from_duration(span: std::time::Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self(nanos.saturating_mul(PER_NANO))
    }

    /// The span as the standard library has it.
    pub fn to_duration(self) -> std::time::Duration {
        std::time::Duration::from_nanos(self.0.div_ceil(PER_NANO))
    }

    /// Whole seconds, rounded up.
    pub fn seconds_up(self) -> u64 {
        self.0.div_ceil(PER_NANO * 1_000_000_000)
    }
}

/// A rate as the algorithm takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bucket {
    /// Time in which one more may pass.
    interval: u64,
    /// Time in which an empty bucket is full again.
    depth: u64,
}

/// What a bucket says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may pass.
    Passes {
        /// The key's state afterwards.
        tat: u64,
        /// How many more of cost 1 could pass at once.
        remaining: u64,
        /// Until the bucket is full again.
        full_in: Ticks,
    },
    /// It is over the rate; nothing was taken.
    Refused {
        /// How many of cost 1 could pass now: fewer than the request costs.
        remaining: u64,
        /// Until this request could pass; longer than any wait where it costs more than the bucket holds.
        retry_in: Ticks,
    },
}

impl Bucket {
    /// No state is later: the last value means something else to the table.
    const LATEST: u64 = u64::MAX - 1;

    /// The bucket of a rate.
    pub fn new(rate: &Rate) -> Self {
        let period = Ticks::from_duration(rate.period.get()).0;
        let interval = (period / u64::from(rate.count)).max(1);
        Self { interval, depth: interval.saturating_mul(u64::from(rate.burst())) }
    }

    /// Judges a request of that cost at `now` against the key's state `tat`.
    pub fn judge(&self, tat: u64, now: Ticks, cost: u32) -> Verdict {
        let ahead = tat.saturating_sub(now.0);
        let price = self.interval.saturating_mul(u64::from(cost));
        let after = ahead.saturating_add(price);
        if after <= self.depth {
            let remaining = (self.depth - after) / self.interval;
            return Verdict::Passes { tat: now.0.saturating_add(after), remaining, full_in: Ticks(after) };
        }
        let retry_in = if price > self.depth { u64::MAX } else { after - self.depth };
        Verdict::Refused { remaining: self.depth.saturating_sub(ahead) / self.interval, retry_in: Ticks(retry_in) }
    }

    /// The key's state after a request of that cost, whether or not it would have passed.
    pub fn charge(&self, tat: u64, now: Ticks, cost: u32) -> u64 {
        tat.max(now.0).saturating_add(self.interval.saturating_mul(u64::from(cost))).min(Self::LATEST)
    }

    /// The key's state with a request of that cost undone.
    pub fn give_back(&self, tat: u64, cost: u32) -> u64 {
        tat.saturating_sub(self.interval.saturating_mul(u64::from(cost)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn at(millis: u64) -> Ticks {
        Ticks::from_duration(Duration::from_millis(millis))
    }

    fn bucket(rate: &str) -> Bucket {
        Bucket::new(&rate.parse().unwrap())
    }

    /// How many of these requests pass.
    fn admitted(bucket: &Bucket, moments: impl Iterator<Item = Ticks>) -> u64 {
        let (mut tat, mut passed) = (0, 0);
        for now in moments {
            if let Verdict::Passes { tat: after, .. } = bucket.judge(tat, now, 1) {
                (tat, passed) = (after, passed + 1);
            }
        }
        passed
    }

    #[test]
    fn a_burst_passes_and_the_next_waits_one_interval() {
        let bucket = bucket("10/s burst 3");
        let mut tat = 0;
        for left in [2, 1, 0] {
            let Verdict::Passes { tat: after, remaining, .. } = bucket.judge(tat, at(5_000), 1) else {
                panic!("refused")
            };
            assert_eq!(remaining, left);
            tat = after;
        }
        let refused = bucket.judge(tat, at(5_000), 1);
        assert_eq!(refused, Verdict::Refused { remaining: 0, retry_in: at(100) });
        assert!(matches!(bucket.judge(tat, at(5_099), 1), Verdict::Refused { .. }));
        assert!(matches!(bucket.judge(tat, at(5_100), 1), Verdict::Passes { .. }));
    }

    #[test]
    fn at_a_multiple_of_the_rate_what_passes_is_rate_times_time_and_the_burst() {
        // 200 a second for 9.995 seconds. With a burst of 1 every wait is rounded up to the next arrival.
        for (rate, expected) in [("100/s", 999 + 100), ("7/s burst 1", 69), ("1000/min burst 50", 166 + 50)] {
            let every_five_ms = (0..2_000).map(|step| at(1_000_000 + step * 5));
            assert_eq!(admitted(&bucket(rate), every_five_ms), expected, "{rate}");
        }
    }

    #[test]
    fn what_costs_more_than_the_bucket_never_passes() {
        assert_eq!(bucket("10/s").judge(0, at(9), 11), Verdict::Refused { remaining: 10, retry_in: Ticks(u64::MAX) });
    }

    #[test]
    fn giving_back_undoes_a_request() {
        let bucket = bucket("10/s burst 2");
        let Verdict::Passes { tat, .. } = bucket.judge(0, at(1_000), 2) else { panic!("refused") };
        assert!(matches!(bucket.judge(tat, at(1_000), 1), Verdict::Refused { .. }));
        assert!(matches!(bucket.judge(bucket.give_back(tat, 1), at(1_000), 1), Verdict::Passes { .. }));
    }

    proptest! {
        /// In no window, wherever it begins, more pass than the burst and what its length allows.
        #[test]
        fn no_window_lets_more_pass(count in 1_u32..500, burst in 1_u32..50, gaps in prop::collection::vec(0_u64..40, 1..400)) {
            let bucket = Bucket::new(&Rate { count, period: crate::value::Duration::from_secs(1), burst: Some(burst) });
            let (mut tat, mut now, mut passed) = (0, 10_000_u64, Vec::new());
            for gap in gaps {
                now += gap;
                if let Verdict::Passes { tat: after, .. } = bucket.judge(tat, at(now), 1) {
                    tat = after;
                    passed.push(now);
                }
            }
            for (index, begin) in passed.iter().enumerate() {
                for (more, end) in passed.iter().skip(index).enumerate() {
                    let allowed = u64::from(burst) + (end - begin) * u64::from(count) / 1_000 + 1;
                    prop_assert!((more as u64) < allowed, "{} in {} ms", more + 1, end - begin);
                }
            }
        }
    }
}
