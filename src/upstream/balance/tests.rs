//! Every algorithm against its promise, and all of them against the rules they share.

use std::collections::HashMap;
use std::time::Duration;

use super::*;
use crate::upstream::spec::HashOn;
use crate::upstream::tests::{Bench, spec, touchy};
use crate::upstream::{EndpointId, NoEndpoint, Outcome, UpstreamSpec};

const A: &str = "10.0.0.1:80";
const B: &str = "10.0.0.2:80";
const C: &str = "10.0.0.3:80";
const D: &str = "10.0.0.4:80";

fn algorithms() -> [Balance; 5] {
    use Balance::{LeastRequests, PeakEwma, Random, RoundRobin};
    [RoundRobin, Random, LeastRequests, PeakEwma, Balance::Hash(HashOn::Client)]
}

/// Touchy: one failure ejects.
fn touchy_spec(balance: Balance, endpoints: &[&str]) -> UpstreamSpec {
    UpstreamSpec { balance, ejection: Some(touchy()), panic_threshold: 0.0, ..spec(endpoints) }
}

fn bench(balance: Balance, endpoints: &[&str]) -> Bench {
    Bench::new(UpstreamSpec { balance, ..spec(endpoints) })
}

fn of(shares: &HashMap<String, usize>, address: &str) -> f64 {
    let total: usize = shares.values().sum();
    shares.get(address).copied().unwrap_or(0) as f64 / total as f64
}

fn assert_near(found: f64, wanted: f64, within: f64) {
    assert!((found - wanted).abs() <= within, "{found} is not within {within} of {wanted}");
}

// Round robin.

#[test]
fn round_robin_keeps_weights_exactly_over_a_cycle() {
    let mut bench = bench(Balance::RoundRobin, &["10.0.0.1:80 10", "10.0.0.2:80 4", "10.0.0.3:80 6"]);
    for _ in 0..3 {
        let shares = bench.shares(10);
        assert_eq!((shares[A], shares[B], shares[C]), (5, 2, 3));
    }
}

#[test]
fn round_robin_interleaves_instead_of_bursting() {
    let mut bench = bench(Balance::RoundRobin, &["10.0.0.1:80 5", "10.0.0.2:80", "10.0.0.3:80"]);
    let order: String = bench.addresses(14).iter().map(|address| if address == A { 'a' } else { '-' }).collect();
    assert!(!order.contains("aaaa") && !order.contains("--"), "{order}");
}

#[test]
fn round_robin_visits_equal_endpoints_in_turn() {
    let mut bench = bench(Balance::RoundRobin, &[A, B, C]);
    assert_eq!(bench.addresses(6), [A, B, C, A, B, C]);
}

#[test]
fn round_robin_begins_where_the_seed_says() {
    let upstream = crate::upstream::Upstream::new(spec(&[A, B, C]), None, 2).unwrap();
    let ask = crate::upstream::Ask {
        hash: None,
        tried: &[],
        now: crate::upstream::Millis(0),
        random: 0,
        ..Default::default()
    };
    assert_eq!(upstream.pick(&ask).unwrap().address().to_string(), C);
}

#[test]
fn round_robin_shares_the_turns_of_an_absent_endpoint_by_weight() {
    let mut bench = Bench::new(touchy_spec(Balance::RoundRobin, &[A, "10.0.0.2:80 2", C]));
    bench.fail(A);
    let shares = bench.shares(30);
    assert_eq!((of(&shares, A), shares[B], shares[C]), (0.0, 20, 10));
}

#[test]
fn round_robin_does_not_search_for_ever_when_the_heaviest_is_out() {
    let mut bench = Bench::new(touchy_spec(Balance::RoundRobin, &["10.0.0.1:80 999", B]));
    bench.fail(A);
    assert_eq!(bench.shares(2_000)[B], 2_000);
}

// The schedule.

#[test]
fn a_schedule_holds_every_endpoint_however_light() {
    let weights = [4_000_000_000, 1, 1_000_000];
    let schedule = Schedule::new(weights.into_iter());
    let seen: std::collections::HashSet<usize> = (0..5_000).map(|place| schedule.at(place)).collect();
    assert_eq!(seen.len(), 3);
}

#[test]
fn a_schedule_never_departs_far_from_its_weights() {
    let weights = [7_u32, 3, 2, 1, 1];
    let total: u32 = weights.iter().sum();
    let schedule = Schedule::new(weights.into_iter());
    let mut seen = [0_i64; 5];
    for place in 0..3 * total as usize {
        seen[schedule.at(place)] += 1;
        for (index, weight) in weights.iter().enumerate() {
            let due = (place + 1) as f64 * f64::from(*weight) / f64::from(total);
            assert!((seen[index] as f64 - due).abs() < 2.0, "{index} has {} of {due} at {place}", seen[index]);
        }
    }
}

#[test]
fn a_schedule_of_many_uneven_endpoints_is_short_enough() {
    let mut lengths = std::collections::HashSet::new();
    let schedule = Schedule::new((0..10_000).map(|index| index % 97 + 1));
    (0..40_000).for_each(|place| {
        lengths.insert(schedule.at(place));
    });
    assert_eq!(lengths.len(), 10_000);
}

#[test]
fn an_empty_schedule_says_zero() {
    let schedule = Schedule::new(std::iter::empty());
    assert_eq!((schedule.at(5), schedule.draw(u32::MAX)), (0, 0));
}

#[test]
fn the_extremes_of_a_draw_are_the_ends_of_the_table() {
    let schedule = Schedule::new([1, 1, 1].into_iter());
    assert_eq!((schedule.draw(0), schedule.draw(u32::MAX)), (0, 2));
}

// Random.

#[test]
fn random_keeps_weights_on_average() {
    let mut bench = bench(Balance::Random, &["10.0.0.1:80 5", "10.0.0.2:80 3", "10.0.0.3:80 2"]);
    let shares = bench.shares(20_000);
    assert_near(of(&shares, A), 0.5, 0.02);
    assert_near(of(&shares, B), 0.3, 0.02);
    assert_near(of(&shares, C), 0.2, 0.02);
}

#[test]
fn random_keeps_weights_among_those_that_are_left() {
    let mut bench = Bench::new(touchy_spec(Balance::Random, &["10.0.0.1:80 5", "10.0.0.2:80 3", C]));
    bench.fail(A);
    let shares = bench.shares(20_000);
    assert_near(of(&shares, B), 0.75, 0.02);
}

// Least requests.

#[test]
fn least_requests_keeps_weights_when_all_are_idle() {
    let mut bench = bench(Balance::LeastRequests, &["10.0.0.1:80 3", B]);
    assert_near(of(&bench.shares(20_000), A), 0.75, 0.02);
}

#[test]
fn least_requests_avoids_the_busy_one() {
    let mut bench = bench(Balance::LeastRequests, &[A, B]);
    let held = bench.pick();
    let other = if held.address().to_string() == A { B } else { A };
    assert_eq!(bench.shares(100)[other], 100);
}

#[test]
fn least_requests_balances_attempts_in_flight_by_weight() {
    let mut bench = bench(Balance::LeastRequests, &["10.0.0.1:80 2", B, C]);
    let held: Vec<_> = (0..400).map(|_| bench.pick()).collect();
    let on = |address: &str| held.iter().filter(|picked| picked.address().to_string() == address).count() as f64;
    assert_near(on(A), 200.0, 10.0);
    assert_near(on(B), 100.0, 10.0);
}

// Peak EWMA.

#[test]
fn peak_ewma_prefers_the_faster() {
    let mut bench = bench(Balance::PeakEwma, &[A, B]);
    bench.succeed(A, Duration::from_millis(50));
    bench.succeed(B, Duration::from_millis(5));
    assert_eq!(bench.shares(100)[B], 100);
}

#[test]
fn peak_ewma_does_not_take_quick_failures_for_speed() {
    let mut bench = bench(Balance::PeakEwma, &[A, B]);
    bench.fail(A);
    bench.succeed(B, Duration::from_millis(300));
    assert_eq!(bench.shares(100)[B], 100);
}

#[test]
fn peak_ewma_asks_an_unknown_endpoint_once_until_it_answers() {
    let mut bench = bench(Balance::PeakEwma, &[A, B]);
    bench.succeed(A, Duration::from_millis(5));
    let first = bench.pick();
    assert_eq!(first.address().to_string(), B);
    assert_eq!(bench.shares(100)[A], 100);
}

#[test]
fn peak_ewma_looks_at_a_slow_one_again_after_a_while() {
    let mut bench = bench(Balance::PeakEwma, &[A, B]);
    bench.succeed(A, Duration::from_millis(500));
    bench.now = bench.now.plus(Duration::from_secs(60));
    bench.succeed(B, Duration::from_millis(5));
    assert_eq!(bench.shares(100)[A], 100);
}

#[test]
fn peak_ewma_weighs_speed_against_load() {
    let mut bench = bench(Balance::PeakEwma, &[A, B]);
    bench.succeed(A, Duration::from_millis(10));
    bench.succeed(B, Duration::from_millis(30));
    let held: Vec<_> = (0..40).map(|_| bench.pick()).collect();
    let fast = held.iter().filter(|picked| picked.address().to_string() == A).count();
    assert!((28..=32).contains(&fast), "{fast} of 40");
}

#[test]
fn peak_ewma_keeps_weights_when_all_are_equally_fast() {
    let mut bench = bench(Balance::PeakEwma, &["10.0.0.1:80 3", B]);
    bench.succeed(A, Duration::from_millis(10));
    bench.succeed(B, Duration::from_millis(10));
    assert_near(of(&bench.shares(20_000), A), 0.75, 0.02);
}

#[test]
fn an_average_jumps_up_at_once_and_comes_down_slowly() {
    let (latency, mut now) = (Latency::default(), crate::upstream::Millis(5_000));
    assert_eq!(latency.estimate(now), None);
    latency.answered(Duration::from_millis(10), now);
    latency.answered(Duration::from_millis(100), now);
    assert_near(f64::from(latency.estimate(now).unwrap()), 100_000.0, 1.0);
    now = now.plus(Duration::from_secs(10));
    latency.answered(Duration::from_millis(10), now);
    // 100 ms × 1/e + 10 ms × (1 − 1/e)
    assert_near(f64::from(latency.estimate(now).unwrap()), 43_109.0, 50.0);
}

#[test]
fn an_average_survives_hostile_samples() {
    let latency = Latency::default();
    for now in [u64::MAX, 0, 1 << 31, 1 << 32, 7] {
        latency.answered(Duration::MAX, crate::upstream::Millis(now));
        latency.answered(Duration::ZERO, crate::upstream::Millis(now));
        latency.failed(crate::upstream::Millis(now));
        assert!(latency.estimate(crate::upstream::Millis(now)).unwrap().is_finite());
    }
}

// Hash.

fn homes(bench: &mut Bench, keys: u64) -> Vec<String> {
    let home = |key: u64| bench.try_pick(Some(hash_of(&key.to_be_bytes())), &[]).unwrap().address().to_string();
    (0..keys).map(home).collect()
}

fn ring(endpoints: &[&str]) -> Bench {
    Bench::new(touchy_spec(Balance::Hash(HashOn::Client), endpoints))
}

#[test]
fn a_key_stays_where_it_is() {
    let mut bench = ring(&[A, B, C]);
    assert_eq!(homes(&mut bench, 200), homes(&mut bench, 200));
}

#[test]
fn the_order_of_writing_does_not_move_keys() {
    assert_eq!(homes(&mut ring(&[A, B, C, D]), 500), homes(&mut ring(&[C, A, D, B]), 500));
}

#[test]
fn keys_are_spread_by_weight() {
    let homes = homes(&mut ring(&["10.0.0.1:80 2", B, C]), 20_000);
    let on = |address: &str| homes.iter().filter(|home| *home == address).count() as f64 / 20_000.0;
    assert_near(on(A), 0.5, 0.06);
    assert_near(on(B), 0.25, 0.06);
}

#[test]
fn one_of_ten_endpoints_less_moves_its_own_keys_only() {
    let addresses: Vec<String> = (1..=10).map(|last| format!("10.0.0.{last}:80")).collect();
    let ten: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let before = homes(&mut ring(&ten), 5_000);
    let after = homes(&mut ring(&ten[..9]), 5_000);
    let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
    assert!(before.iter().zip(&after).all(|(before, after)| before == after || before == ten[9]));
    assert_near(moved as f64 / 5_000.0, 0.1, 0.04);
}

#[test]
fn keys_of_an_absent_endpoint_are_spread_and_come_back() {
    let mut bench = ring(&[A, B, C]);
    let before = homes(&mut bench, 1_000);
    bench.fail(A);
    let during = homes(&mut bench, 1_000);
    assert!(before.iter().zip(&during).all(|(before, during)| (before == during) == (before != A)));
    assert!(during.iter().any(|home| home == B) && during.iter().any(|home| home == C));
    bench.now = bench.now.plus(Duration::from_secs(31));
    assert_eq!(homes(&mut bench, 1_000), before);
}

#[test]
fn requests_without_a_key_are_spread() {
    let shares = ring(&[A, B]).shares(2_000);
    assert!(of(&shares, A) > 0.3 && of(&shares, B) > 0.3);
}

#[test]
fn an_address_written_twice_is_on_the_ring_with_both_weights() {
    let mut twice = spec(&[A, A, B]);
    twice.endpoints[1].label = "http://alias:80".into();
    twice.balance = Balance::Hash(HashOn::Path);
    let homes = homes(&mut Bench::new(twice), 10_000);
    assert_near(homes.iter().filter(|home| *home == A).count() as f64 / 10_000.0, 0.667, 0.06);
}

#[test]
fn digests_of_keys_are_the_published_ones() {
    assert_eq!(hash_of(b""), 0xcbf2_9ce4_8422_2325);
    assert_eq!(hash_of(b"a"), 0xaf63_dc4c_8601_ec8c);
    assert_eq!(hash_of(b"foobar"), 0x8594_4171_f739_67e8);
}

// The rules they share.

#[test]
fn every_algorithm_avoids_what_was_tried() {
    for balance in algorithms() {
        let mut bench = bench(balance.clone(), &[A, B, C]);
        for _ in 0..200 {
            let first = bench.try_pick(Some(1), &[]).unwrap().id();
            let second = bench.try_pick(Some(1), &[first]).unwrap().id();
            let third = bench.try_pick(Some(1), &[first, second]).unwrap().id();
            assert!(first != second && third != first && third != second, "{balance:?}");
        }
    }
}

#[test]
fn every_algorithm_tries_again_when_nothing_else_is_left() {
    for balance in algorithms() {
        let mut bench = bench(balance, &[A]);
        let only = bench.pick().id();
        assert_eq!(bench.try_pick(None, &[only]).unwrap().id(), only);
    }
}

#[test]
fn every_algorithm_prefers_an_available_tried_one_to_an_unavailable_fresh_one() {
    for balance in algorithms() {
        let mut bench = Bench::new(touchy_spec(balance, &[A, B]));
        bench.fail(B);
        let tried = bench.endpoint(A).id();
        assert_eq!(bench.try_pick(None, &[tried]).unwrap().id(), tried);
    }
}

#[test]
fn every_algorithm_leaves_out_the_unavailable() {
    for balance in algorithms() {
        let mut bench = Bench::new(touchy_spec(balance.clone(), &[A, B, C, D]));
        [A, B, D].into_iter().for_each(|address| bench.fail(address));
        assert_eq!(bench.shares(300)[C], 300, "{balance:?}");
    }
}

#[test]
fn every_algorithm_uses_all_below_the_panic_threshold() {
    for balance in algorithms() {
        let mut spec = touchy_spec(balance.clone(), &[A, B, C, D]);
        spec.panic_threshold = 0.5;
        let mut bench = Bench::new(spec);
        [A, B, C].into_iter().for_each(|address| bench.fail(address));
        let shares = bench.shares(4_000);
        assert_eq!(shares.len(), 4, "{balance:?}: {shares:?}");
        assert!(bench.upstream.status(bench.now).panic);
    }
}

#[test]
fn at_the_panic_threshold_the_unavailable_are_still_left_out() {
    let mut spec = touchy_spec(Balance::RoundRobin, &[A, B, C, D]);
    spec.panic_threshold = 0.5;
    let mut bench = Bench::new(spec);
    [A, B].into_iter().for_each(|address| bench.fail(address));
    assert_eq!(bench.shares(100).len(), 2);
    assert!(!bench.upstream.status(bench.now).panic);
}

#[test]
fn round_robin_in_panic_keeps_weights() {
    let mut spec = touchy_spec(Balance::RoundRobin, &["10.0.0.1:80 3", B, C]);
    spec.panic_threshold = 1.0;
    let mut bench = Bench::new(spec);
    [A, B].into_iter().for_each(|address| bench.fail(address));
    let shares = bench.shares(50);
    assert_eq!((shares[A], shares[B], shares[C]), (30, 10, 10));
}

#[test]
fn without_panic_nobody_is_chosen_when_none_is_available() {
    for balance in algorithms() {
        let mut bench = Bench::new(touchy_spec(balance, &[A, B]));
        [A, B].into_iter().for_each(|address| bench.fail(address));
        assert_eq!(bench.try_pick(Some(3), &[]).err(), Some(NoEndpoint::Unavailable));
    }
}

#[test]
fn an_endpoint_written_twice_has_both_weights() {
    let shares = bench(Balance::RoundRobin, &[A, B, A]).shares(30);
    assert_eq!((shares[A], shares[B]), (20, 10));
}

#[test]
fn many_threads_leave_the_counts_right() {
    const PICKS: u64 = 2_000;
    for balance in algorithms() {
        let mut spec = touchy_spec(balance, &[A, B, C]);
        spec.panic_threshold = 0.5;
        let bench = Bench::new(spec);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let upstream = &bench.upstream;
                scope.spawn(move || {
                    let mut tried: Vec<EndpointId> = Vec::new();
                    for step in 0..PICKS {
                        let random = mix(thread << 32 | step);
                        let now = crate::upstream::Millis(step * 100);
                        let ask = crate::upstream::Ask {
                            hash: Some(random),
                            tried: &tried,
                            now,
                            random,
                            ..Default::default()
                        };
                        let picked = upstream.pick(&ask).unwrap();
                        let outcome = match step % 7 {
                            0 => Outcome::Failure(crate::upstream::FailureKind::Reset),
                            1 => Outcome::Neutral,
                            _ => Outcome::Success { latency: Duration::from_millis(step % 11) },
                        };
                        upstream.record(&picked, outcome, now);
                        tried = vec![picked.id()];
                    }
                });
            }
        });
        let status = bench.upstream.status(bench.now);
        assert!(status.endpoints.iter().all(|endpoint| endpoint.in_flight == 0));
        assert_eq!(status.endpoints.iter().map(|endpoint| endpoint.attempts).sum::<u64>(), 4 * PICKS);
        let failures = 4 * PICKS.div_ceil(7);
        assert_eq!(status.endpoints.iter().map(|endpoint| endpoint.failures).sum::<u64>(), failures);
    }
}
