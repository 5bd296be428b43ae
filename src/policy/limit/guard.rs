//! The front guard: how fast one client may open connections or send requests, before anything is known of them.
//!
//! Most clients are far below such a bound, and a flood has more addresses than are worth a slot each. So Pingora's
//! estimator, a count-min sketch (Cormode, Muthukrishnan 2005) of a fixed size, counts first: it may count too high and
//! never too low, hence whoever it finds below half of the bound is, and passes. Only the others are counted exactly, where
//! somebody who was merely estimated too high has a full bucket of its own and is not harmed. What passes of one client in
//! a period is thus at most half as much again as the bound and its burst.

use super::gcra::{Bucket, Ticks};
use super::key::subscriber;
use super::meter::{Meter, MeterKey, Ruling};
use super::store::LimitStore;
use crate::request::Moment;
use crate::value::Rate;
use pingora_limits::estimator::Estimator;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering::AcqRel, Ordering::Acquire};

/// Rows and columns of an estimator: 512 KiB. Of `n` events in a period an address is estimated too high by more than
/// `n` / 6000 once in fifty times.
const ROWS: usize = 4;
const COLUMNS: usize = 16 * 1024;

/// Bounds what each client does in a time.
pub struct Guard {
    /// Of the period under way and of the one before, in turn.
    estimates: [Estimator; 2],
    /// The number of the latest period.
    period: AtomicU64,
    length: Ticks,
    half: isize,
    meter: Meter,
    identity: u64,
}

impl Guard {
    /// A guard of that rate; `name` tells it from all others.
    pub fn new(name: &str, rate: &Rate, store: &LimitStore) -> Self {
        let estimator = || Estimator::new(ROWS, COLUMNS);
        let bucket = Bucket::new(rate);
        Self {
            estimates: [estimator(), estimator()],
            period: AtomicU64::new(0),
            length: Ticks(Ticks::from_duration(rate.period.get()).0.max(1)),
            half: isize::try_from(rate.count / 2).unwrap_or(isize::MAX),
            meter: Meter::Rate { overflow: store.overflow(bucket), bucket },
            identity: store.lasting_hash(|mut hasher| ("guard", name).hash(&mut hasher)),
        }
    }

    /// Counts one more of that client.
    ///
    /// # Errors
    /// It is too much; after so many seconds it would not be.
    pub fn admit(&self, store: &LimitStore, client: IpAddr, moment: &Moment) -> Result<(), u32> {
        let (now, client) = (store.now(moment), subscriber(client));
        if self.estimate(now.ticks).is_some_and(|estimate| estimate.incr(client, 1) <= self.half) {
            return Ok(());
        }
        let key = store.hash(|mut hasher| (self.identity, client).hash(&mut hasher));
        match self.meter.take(store, MeterKey::Rate(key), now, 1) {
            Ruling::Passes { .. } => Ok(()),
            Ruling::Refused { retry_in, .. } => Err(u32::try_from(retry_in.seconds_up()).unwrap_or(u32::MAX).max(1)),
        }
    }

    /// The estimator of the period that a moment lies in, emptied when the period begins.
    fn estimate(&self, now: Ticks) -> Option<&Estimator> {
        let number = now.0 / self.length.0;
        let estimate = self.estimates.get(usize::try_from(number % 2).ok()?)?;
        let latest = self.period.load(Acquire);
        if number > latest && self.period.compare_exchange(latest, number, AcqRel, Acquire).is_ok() {
            estimate.reset();
        }
        Some(estimate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant, SystemTime};

    struct Clock(Instant);

    impl Clock {
        fn at(&self, millis: u64) -> Moment {
            Moment { started: self.0 + Duration::from_millis(millis), wall: SystemTime::UNIX_EPOCH }
        }
    }

    fn guard(rate: &str) -> (LimitStore, Guard, Clock) {
        let store = LimitStore::new(100_000);
        let guard = Guard::new("main", &rate.parse().unwrap(), &store);
        (store, guard, Clock(Instant::now()))
    }

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn a_client_far_over_its_bound_is_held_to_it() {
        let (store, guard, clock) = guard("100/s");
        // A thousand a second, for ten seconds.
        let passed = (0..10_000).filter(|step| guard.admit(&store, address(7), &clock.at(*step)).is_ok()).count();
        assert!((1_000..=100 + 1_000 + 11 * 50).contains(&passed), "{passed}");
        assert!(guard.admit(&store, address(8), &clock.at(10_000)).is_ok(), "others are not");
    }

    #[test]
    fn nobody_below_the_bound_is_refused_whatever_others_do() {
        let (store, guard, clock) = guard("20/s");
        // 200,000 addresses flood every second: the estimates of all are far over the bound.
        for second in 0..3_u32 {
            for flood in 0..200_000 {
                let _ = guard.admit(&store, address(0x0A00_0000 + flood), &clock.at(u64::from(second) * 1_000));
            }
            for step in 0..20 {
                let now = clock.at(u64::from(second) * 1_000 + step * 50);
                assert!(guard.admit(&store, address(7), &now).is_ok(), "{second} {step}");
            }
        }
    }

    #[test]
    fn who_stays_below_half_of_the_bound_takes_no_room() {
        let (store, guard, clock) = guard("100/s");
        for number in 0..1_000 {
            assert!((0..40).all(|_| guard.admit(&store, address(number), &clock.at(1)).is_ok()));
        }
        assert!(store.rates().entries(Ticks(0)).is_empty());
    }
}
