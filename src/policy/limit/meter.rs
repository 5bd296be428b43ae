//! What measures a limit: a token bucket or a quota.

use super::gcra::{Bucket, Ticks, Verdict};
use super::quota::{Counter, Used};
use super::store::{LimitStore, Now, Overflow};
use super::table::{Change, KeyHash};
use std::sync::Arc;
use std::time::Duration;

/// What measures a limit.
pub(super) enum Meter {
    /// A rate.
    Rate { bucket: Bucket, overflow: Arc<Overflow> },
    /// A quota.
    Quota(Counter),
}

/// A key, hashed for the meter that counts it.
#[derive(Clone, Copy, Debug)]
pub(super) enum MeterKey {
    /// Of a rate: for the life of this process.
    Rate(KeyHash),
    /// Of a quota: for as long as its counts are kept.
    Quota(u64),
}

/// What a meter says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    /// It may pass, and was counted.
    Passes { remaining: u64, resets_in: Ticks },
    /// It may not, and was not.
    Refused { remaining: u64, retry_in: Ticks },
}

impl Ruling {
    /// A key of the other kind is a defect of the gateway; refusing is the safe reading.
    const WRONG_KIND: Self = Self::Refused { remaining: 0, retry_in: Ticks::SECOND };
}

impl From<Verdict> for Ruling {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Passes { remaining, full_in, .. } => Self::Passes { remaining, resets_in: full_in },
            Verdict::Refused { remaining, retry_in } => Self::Refused { remaining, retry_in },
        }
    }
}

impl From<Used> for Ruling {
    fn from(used: Used) -> Self {
        let span = |seconds| Ticks::from_duration(Duration::from_secs(seconds));
        match used {
            Used::Passes { remaining, resets_in } => Self::Passes { remaining, resets_in: span(resets_in) },
            Used::Refused { remaining, resets_in } => Self::Refused { remaining, retry_in: span(resets_in) },
        }
    }
}

impl Meter {
    /// Judges a request of that cost, and counts it if it passes.
    pub fn take(&self, store: &LimitStore, key: MeterKey, now: Now, cost: u32) -> Ruling {
        match (self, key) {
            (Self::Rate { bucket, overflow }, MeterKey::Rate(key)) => {
                take_rate(store, (bucket, overflow), key, (now.ticks, cost))
            }
            (Self::Quota(counter), MeterKey::Quota(key)) => take_quota(store, counter, key, (now.unix, cost)),
            _ => Ruling::WRONG_KIND,
        }
    }

    /// What it would say of a request of that cost, without counting anything.
    pub fn look(&self, store: &LimitStore, key: MeterKey, now: Now, cost: u32) -> Ruling {
        match (self, key) {
            (Self::Rate { bucket, overflow }, MeterKey::Rate(key)) => {
                let state = store.rates().get(key);
                let full = (state == 0).then(|| overflow.in_use()).flatten();
                match full {
                    Some(sketch) => sketch.look(bucket, key, now.ticks, cost).into(),
                    None => bucket.judge(state, now.ticks, cost).into(),
                }
            }
            (Self::Quota(counter), MeterKey::Quota(key)) => counter.look(store.quotas(), key, now.unix, cost).into(),
            _ => Ruling::WRONG_KIND,
        }
    }

    /// Undoes [`Self::take`]: something else refused the request, and what is refused costs nothing.
    pub fn give_back(&self, store: &LimitStore, key: MeterKey, now: Now, cost: u32) {
        match (self, key) {
            (Self::Rate { bucket, .. }, MeterKey::Rate(key)) => {
                let _ = store.rates().update(key, now.ticks, |state| match state {
                    0 => Change::Keep(()),
                    _ => Change::Set(bucket.give_back(state, cost), ()),
                });
            }
            (Self::Quota(counter), MeterKey::Quota(key)) => counter.give_back(store.quotas(), key, now.unix, cost),
            _ => {}
        }
    }

    /// Counts a cost that is known only afterwards; it may lead into debt.
    pub fn charge(&self, store: &LimitStore, key: MeterKey, now: Now, cost: u32) {
        match (self, key) {
            (Self::Rate { bucket, .. }, MeterKey::Rate(key)) => {
                let _ = store
                    .rates()
                    .update(key, now.ticks, |state| Change::Set(bucket.charge(state, now.ticks, cost), ()));
            }
            (Self::Quota(counter), MeterKey::Quota(key)) => counter.charge(store.quotas(), key, now.unix, cost),
            _ => {}
        }
    }
}

fn take_rate(
    store: &LimitStore,
    (bucket, overflow): (&Bucket, &Overflow),
    key: KeyHash,
    (now, cost): (Ticks, u32),
) -> Ruling {
    let taken = store.rates().update(key, now, |state| match bucket.judge(state, now, cost) {
        passes @ Verdict::Passes { tat, .. } => Change::Set(tat, passes),
        refused @ Verdict::Refused { .. } => Change::Keep(refused),
    });
    taken.unwrap_or_else(|| overflow.sketch().take(bucket, key, now, cost)).into()
}

fn take_quota(store: &LimitStore, counter: &Counter, key: u64, (now, cost): (u64, u32)) -> Ruling {
    match counter.take(store.quotas(), key, now, cost) {
        Some(used) => used.into(),
        // More keys than there is room for: a quota that cannot be counted is one that is used up.
        None => Ruling::Refused { remaining: 0, retry_in: Ticks::from_duration(Duration::from_secs(60)) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::Hash;

    fn rate(text: &str) -> Meter {
        Meter::Rate { bucket: Bucket::new(&text.parse().unwrap()), overflow: Arc::default() }
    }

    fn passes(store: &LimitStore, meter: &Meter, part: u64) -> bool {
        let now = Now { ticks: Ticks::from_duration(Duration::from_secs(9)), unix: 1_795_478_400 };
        let key = MeterKey::Rate(store.hash(|mut hasher| part.hash(&mut hasher)));
        matches!(meter.take(store, key, now, 1), Ruling::Passes { .. })
    }

    #[test]
    fn keys_are_counted_apart() {
        let (store, meter) = (LimitStore::new(100), rate("10/s burst 2"));
        assert_eq!([1, 1, 1, 2].map(|part| passes(&store, &meter, part)), [true, true, false, true]);
    }

    #[test]
    fn a_flood_beyond_the_room_is_still_limited_and_frees_nobody() {
        let (store, meter) = (LimitStore::new(1_000), rate("10/s burst 2"));
        while passes(&store, &meter, u64::MAX) {}
        for round in 0..3 {
            let passed = (0..100_000).filter(|part| passes(&store, &meter, *part)).count();
            assert!(if round < 2 { passed > 0 } else { passed == 0 }, "{round}: {passed}");
        }
        assert!(!passes(&store, &meter, u64::MAX));
    }

    #[test]
    fn a_million_keys_at_once_are_each_counted_and_a_million_more_free_none_of_them() {
        const MILLION: u64 = 1_000_000;
        let (store, meter) = (LimitStore::new(2_500_000), rate("1/s burst 1"));
        let first = (0..MILLION).filter(|part| passes(&store, &meter, *part)).count();
        assert_eq!(first, 1_000_000, "each for the first time");
        let more = (MILLION..2 * MILLION).filter(|part| passes(&store, &meter, *part)).count();
        assert!(more > 990_000, "{more} of the second million found room of their own");
        assert_eq!((0..MILLION).filter(|part| passes(&store, &meter, *part)).count(), 0, "none was freed early");
    }

    #[test]
    fn a_key_of_the_other_kind_never_passes() {
        let (store, meter) = (LimitStore::new(100), rate("10/s"));
        let now = Now { ticks: Ticks(1 << 40), unix: 0 };
        assert!(matches!(meter.take(&store, MeterKey::Quota(7), now, 1), Ruling::Refused { .. }));
    }
}
