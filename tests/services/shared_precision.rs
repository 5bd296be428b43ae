//! How much passes: the script by a clock that is handed in, and gateways together at more than the rate.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::redis::Redis;
use crate::shared_limits::sharing;
use crate::support::client::Request;

const SCRIPT: &str = include_str!("../../src/shared_state/counter.lua");
/// 2026-11-24T00:00:00Z, in microseconds since 2026.
const NOW: u64 = (1_795_478_400 - 1_767_225_600) * 1_000_000;

/// One question to the script at a moment; `limit` is kind, how, least, most and the numbers of the kind.
fn ask(redis: &Redis, key: &str, at: u64, limit: &str) -> Vec<i64> {
    let mut values: Vec<String> = limit.split(' ').map(str::to_owned).collect();
    values.resize(10, "0".to_owned());
    let at = at.to_string();
    let mut arguments = vec!["eval", SCRIPT, "1", key, &at];
    arguments.extend(values.iter().map(String::as_str));
    let said = redis.cli(&arguments);
    said.lines().map(|line| line.parse().unwrap_or_else(|_| panic!("{said}"))).collect()
}

#[test]
fn the_script_is_a_token_bucket() {
    let redis = Redis::start(&[]);
    // 10/s burst 3.
    let one = |at: u64| ask(&redis, "a", NOW + at * 1_000, "r e 1 1 100000 300000");
    assert_eq!([one(0), one(0), one(0)], [[1, 1, 2, 100_000], [1, 1, 1, 200_000], [1, 1, 0, 300_000]]);
    assert_eq!((one(0), one(99)), (vec![0, 0, 0, 100_000], vec![0, 0, 0, 1_000]));
    assert_eq!(one(100), [1, 1, 0, 300_000]);
    assert_eq!(ask(&redis, "a", NOW + 200_000, "r o 1 20 100000 300000"), [1, 1, 0, 300_000]);
    assert_eq!(ask(&redis, "a", NOW + 200_000, "r f -2 -2 100000 300000")[2], 2);
    assert_eq!(ask(&redis, "a", NOW + 200_000, "r o 1 20 100000 300000")[1], 2);
    assert_eq!(ask(&redis, "a", NOW + 200_000, "r f 5 5 100000 300000"), [1, 5, 0, 800_000]);
    // More than fits is never granted; a clock that goes back grants nothing.
    assert_eq!(ask(&redis, "b", NOW, "r e 4 4 100000 300000")[..3], [0, 0, 3]);
    assert_eq!(ask(&redis, "a", NOW, "r e 1 1 100000 300000")[..2], [0, 0]);
    // A million a second: an interval of a microsecond.
    assert_eq!(ask(&redis, "c", NOW, "r o 1 2000 1 1000")[1], 1_000);
    assert_eq!(ask(&redis, "c", NOW + 10, "r o 1 2000 1 1000")[1], 10);
}

#[test]
fn the_script_counts_windows_that_slide() {
    let redis = Redis::start(&[]);
    let edge = NOW.next_multiple_of(3_600_000_000) + 3_600_000_000;
    let many = |at: u64| ask(&redis, "a", at, "s o 1 1000 60 3600")[1];
    assert_eq!((many(edge - 1_000_000), many(edge), many(edge + 1_800_000_000)), (60, 0, 30));
    assert_eq!(many(edge + 3_600_000_000), 30);
    assert_eq!(many(edge + 9 * 3_600_000_000), 60);
    // Used up in the middle of a window: the wait is until one comes back.
    let base = edge + 20 * 3_600_000_000;
    assert_eq!(ask(&redis, "b", base + 10_000_000, "s o 1 1000 60 3600")[1], 60);
    let wait = ask(&redis, "b", base + 20_000_000, "s e 1 1 60 3600")[3];
    let at = base + 20_000_000 + u64::try_from(wait).unwrap_or(0);
    assert_eq!(ask(&redis, "b", at - 1_000_000, "s o 1 1 60 3600")[1], 0);
    assert_eq!(ask(&redis, "b", at, "s o 1 1 60 3600")[1], 1);
}

#[test]
fn the_script_counts_months_even_where_the_asker_is_in_the_one_beside() {
    let redis = Redis::start(&[]);
    // November, December and January; asked by somebody who is in November.
    let month = "m o 1 9 3 24322 1793491200 1796083200 1798761600";
    let at = |unix: u64| (unix - 1_767_225_600) * 1_000_000;
    let granted = |unix: u64| ask(&redis, "a", at(unix), month)[1];
    assert_eq!((granted(1_796_083_199), granted(1_796_083_199)), (3, 0));
    assert_eq!((granted(1_796_083_200), granted(1_796_083_200)), (3, 0));
    assert_eq!(ask(&redis, "b", at(1_796_083_100), month)[3], 100_000_000);
}

#[test]
fn two_and_three_gateways_let_pass_what_one_would() {
    for (count, share, lease) in [(2, "exact", 0), (3, "exact", 0), (2, "leased", 20), (3, "leased", 20)] {
        let redis = Redis::start(&[]);
        let batch = if lease > 0 { format!("{{ mode: leased, batch: {lease} }}") } else { share.to_owned() };
        let (rate, burst) = (200_usize, 200_usize);
        let limit = format!("{{ rate: {rate}/s burst {burst}, per: client, share: {batch} }}");
        let gateways: Vec<_> = (0..count).map(|_| sharing(&redis, &limit)).collect();
        let (admitted, offered) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let began = Instant::now();
        let until = began + Duration::from_secs(3);
        std::thread::scope(|scope| {
            for gateway in &gateways {
                scope.spawn(|| {
                    let mut client = gateway.connect();
                    while Instant::now() < until {
                        let passed = client.send(&Request::get("/a")).status == 200;
                        admitted.fetch_add(passed.into(), Relaxed);
                        offered.fetch_add(1, Relaxed);
                    }
                });
            }
        });
        let (admitted, seconds) = (admitted.load(Relaxed), began.elapsed().as_secs_f64());
        let allowed = rate as f64 * seconds + burst as f64;
        let bound = allowed + 1.0 + (count * lease) as f64;
        assert!(admitted as f64 <= bound, "{count} {share}: {admitted} of {allowed}");
        let local: f64 =
            gateways.iter().map(|one| one.metric("tollgate_shared_decisions_total", &["by=\"local\""])).sum();
        assert_eq!(local, 0.0, "{count} {share}");
        // Whoever is kept waiting at the very end leaves a little behind.
        // A machine that was too busy to ask for more than is allowed tells nothing of the least.
        let offered = offered.load(Relaxed);
        if offered < 2 * (rate * 3 + burst) {
            eprintln!("{count} {share}: only {offered} were asked for, so the least that must pass is not looked at");
            continue;
        }
        let least = (rate as f64 * 3.0 + burst as f64) * 0.96 - (count * lease) as f64;
        assert!(admitted as f64 >= least, "{count} {share}: {admitted} of {least}, of {offered}");
    }
}
