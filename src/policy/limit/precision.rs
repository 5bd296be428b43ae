//! How exact limits are: many keys at twice what they may, on a clock moved by hand.

use super::gcra::{Bucket, Ticks};
use super::meter::{Meter, MeterKey, Ruling};
use super::quota::{Counter, Used};
use super::store::{LimitStore, Now};
use super::table::Table;
use super::zone::Zone;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

/// 2026-11-24T00:00:00Z
const MIDNIGHT: u64 = 1_795_478_400;

/// Random arrivals of `keys` keys, each at `rate` a second on average, for `seconds`: key and nanosecond, in order.
fn arrivals(keys: u64, rate: u64, seconds: u64) -> Vec<(u64, u64)> {
    let mut random = SmallRng::seed_from_u64(7);
    let span = seconds * 1_000_000_000;
    let mut all: Vec<(u64, u64)> = (0..keys)
        .flat_map(|key| (0..rate * seconds).map(move |_| key))
        .map(|key| (random.gen_range(0..span), key))
        .collect();
    all.sort_unstable();
    all.into_iter().map(|(at, key)| (key, at)).collect()
}

#[test]
fn of_many_keys_at_twice_their_rate_each_gets_its_rate_and_its_burst() {
    const SECONDS: u64 = 10;
    for (text, rate, burst) in [("100/s", 100, 100), ("50/s burst 10", 50, 10), ("3000/min burst 200", 50, 200)] {
        let store = LimitStore::new(10_000);
        let bucket = Bucket::new(&text.parse().unwrap());
        let meter = Meter::Rate { bucket, overflow: Arc::default() };
        let mut passed = vec![0_u64; 300];
        for (key, nanos) in arrivals(300, rate * 2, SECONDS) {
            let hash = MeterKey::Rate(store.hash(|mut hasher| key.hash(&mut hasher)));
            let ticks = Ticks(Ticks::SECOND.0 + Ticks::from_duration(Duration::from_nanos(nanos)).0);
            let now = Now { ticks, unix: MIDNIGHT + nanos / 1_000_000_000 };
            if let Ruling::Passes { .. } = meter.take(&store, hash, now, 1) {
                passed[usize::try_from(key).unwrap()] += 1;
            }
        }
        let expected = rate * SECONDS + burst;
        for (key, passed) in passed.iter().enumerate() {
            // Never more than one over; below it no more than one in a hundred, and the wait for the next to come.
            assert!(*passed <= expected + 1, "{text}, key {key}: {passed} of {expected}");
            assert!(passed * 100 + 300 >= expected * 99, "{text}, key {key}: {passed} of {expected}");
        }
        let all: u64 = passed.iter().sum();
        let error = all.abs_diff(expected * 300) as f64 / (expected * 300) as f64;
        assert!(error < 0.01, "{text}: {error}");
    }
}

#[test]
fn a_quota_at_twice_its_amount_lets_it_pass_once_in_every_window() {
    // 600 an hour, asked for 1,200 times an hour: over five hours, and in whichever window of an hour.
    let (counter, table) = (Counter::new(&"600/h".parse().unwrap(), Zone::default()), Table::new(100));
    let base = MIDNIGHT - MIDNIGHT % 3_600;
    let mut passed = Vec::new();
    for at in (0..5 * 3_600).step_by(3) {
        if let Some(Used::Passes { .. }) = counter.take(&table, 7, base + at, 1) {
            passed.push(at);
        }
    }
    assert!((2_970..=3_006).contains(&passed.len()), "{}", passed.len());
    for begin in (0..4 * 3_600).step_by(60) {
        let within = passed.iter().filter(|at| (begin..begin + 3_600).contains(*at)).count();
        assert!(within <= 606, "{within} in the hour from {begin}");
    }
}

#[test]
fn a_month_lets_its_amount_pass_and_not_one_more_at_its_edges() {
    let zone: Zone = "+01:00".parse().unwrap();
    let (counter, table) = (Counter::new(&"1000/month".parse().unwrap(), zone), Table::new(100));
    let (_, _, ends) = zone.month(MIDNIGHT);
    // Ten a second, around the end of the month.
    let mut passed = [0, 0];
    for at in ends - 300..ends + 300 {
        for _ in 0..10 {
            if let Some(Used::Passes { .. }) = counter.take(&table, 7, at, 1) {
                passed[usize::from(at >= ends)] += 1;
            }
        }
    }
    assert_eq!(passed, [1_000, 1_000]);
}
