//! Who gets less, and who is asked first: slow start, zones, breakers of single endpoints, endpoints that leave.

use super::*;

const A: &str = "10.0.0.1:80";
const B: &str = "10.0.0.2:80";
const C: &str = "10.0.0.3:80";

/// Endpoints, each with the first letter of its zone.
fn zoned(endpoints: &[(&str, &str)], rest: UpstreamSpec) -> UpstreamSpec {
    let endpoints =
        endpoints.iter().map(|(address, zone)| EndpointSpec { zone: Some((*zone).into()), ..endpoint(address) });
    let zone = Some(ZoneSpec { own: "a".into(), spill_below: 0.7 });
    UpstreamSpec { endpoints: endpoints.collect(), zone, ejection: Some(touchy()), panic_threshold: 0.0, ..rest }
}

fn share(shares: &HashMap<String, usize>, address: &str) -> usize {
    shares.get(address).copied().unwrap_or(0)
}

#[test]
fn a_fresh_endpoint_gets_more_and_more_until_it_has_its_share() {
    for balance in [Balance::RoundRobin, Balance::Random, Balance::LeastRequests] {
        let slow = |endpoints: &[&str]| UpstreamSpec {
            balance: balance.clone(),
            slow_start: Some(Duration::from_secs(30)),
            ..spec(endpoints)
        };
        let first = Upstream::new(slow(&[A]), None, 0).unwrap();
        let mut bench = Bench::new(slow(&[A, B]));
        let usual = share(&bench.shares(2_000), B);
        assert!((800..1_200).contains(&usual), "{balance:?}: at the start nobody is fresh: {usual}");
        bench.upstream = Upstream::new(slow(&[A, B]), Some(&first), 0).unwrap();
        let begin = bench.now;
        let mut counts = Vec::new();
        for seconds in [0, 15, 30] {
            bench.now = begin.plus(Duration::from_secs(seconds));
            counts.push(share(&bench.shares(2_000), B));
        }
        assert!((50..250).contains(&counts[0]), "{balance:?}: {counts:?}");
        assert!((350..650).contains(&counts[1]), "{balance:?}: {counts:?}");
        assert!((800..1_200).contains(&counts[2]), "{balance:?}: {counts:?}");
    }
}

#[test]
fn an_endpoint_that_is_back_from_ejection_begins_slowly_too() {
    let mut bench = Bench::new(UpstreamSpec {
        slow_start: Some(Duration::from_secs(30)),
        ejection: Some(touchy()),
        panic_threshold: 0.0,
        ..spec(&[A, B])
    });
    bench.fail(B);
    assert_eq!(share(&bench.shares(100), B), 0);
    bench.now = bench.now.plus(Duration::from_secs(31));
    let count = share(&bench.shares(1_000), B);
    assert!((20..150).contains(&count), "{count}");
}

#[test]
fn with_everybody_fresh_nobody_goes_without() {
    let slow = |endpoints: &[&str]| UpstreamSpec { slow_start: Some(Duration::from_secs(30)), ..spec(endpoints) };
    let first = Upstream::new(slow(&[A]), None, 0).unwrap();
    let mut bench = Bench::new(slow(&[B, C]));
    bench.upstream = Upstream::new(slow(&[B, C]), Some(&first), 0).unwrap();
    let shares = bench.shares(1_000);
    assert!(share(&shares, B) > 350 && share(&shares, C) > 350, "{shares:?}");
}

#[test]
fn a_key_keeps_its_endpoint_in_spite_of_slow_start() {
    let keyed = |endpoints: &[&str]| UpstreamSpec {
        balance: Balance::Hash(HashOn::Client),
        slow_start: Some(Duration::from_secs(30)),
        ..spec(endpoints)
    };
    let first = Upstream::new(keyed(&[A]), None, 0).unwrap();
    let mut bench = Bench::new(keyed(&[A, B]));
    bench.upstream = Upstream::new(keyed(&[A, B]), Some(&first), 0).unwrap();
    for key in 0..100 {
        let once = bench.try_pick(Some(key), &[]).unwrap().address();
        (0..20).for_each(|_| assert_eq!(bench.try_pick(Some(key), &[]).unwrap().address(), once));
    }
}

#[test]
fn the_own_zone_is_asked_as_long_as_enough_of_it_is_well() {
    for balance in [Balance::RoundRobin, Balance::Random, Balance::LeastRequests, Balance::PeakEwma] {
        let rest = UpstreamSpec { balance: balance.clone(), ..spec(&[]) };
        let mut bench = Bench::new(zoned(&[(A, "a"), (B, "a"), (C, "b")], rest));
        let shares = bench.shares(300);
        assert_eq!(share(&shares, C), 0, "{balance:?}: {shares:?}");
        bench.fail(A);
        let spilt = bench.shares(600);
        assert!(share(&spilt, C) > 100 && share(&spilt, B) > 200 && share(&spilt, A) == 0, "{balance:?}: {spilt:?}");
        bench.fail(B);
        assert_eq!(share(&bench.shares(50), C), 50, "{balance:?}");
        bench.now = bench.now.plus(Duration::from_secs(31));
        assert_eq!(share(&bench.shares(300), C), 0, "{balance:?}");
    }
}

#[test]
fn a_request_that_has_tried_its_zone_goes_elsewhere() {
    let mut bench = Bench::new(zoned(&[(A, "a"), (C, "b")], spec(&[])));
    let tried = [bench.endpoint(A).id()];
    assert_eq!(bench.try_pick(None, &tried).unwrap().address().to_string(), C);
}

#[test]
fn a_subset_is_balanced_by_every_algorithm_among_its_own() {
    let keyed = Balance::Hash(HashOn::Client);
    for balance in [Balance::RoundRobin, Balance::Random, Balance::LeastRequests, Balance::PeakEwma, keyed] {
        let of =
            |address: &str, version| EndpointSpec { labels: Labels::new([("version", version)]), ..endpoint(address) };
        let mut bench = Bench::new(UpstreamSpec {
            endpoints: vec![of(A, "1"), of(B, "2"), of(C, "2")],
            subsets: vec![Labels::new([("version", "2")])],
            balance: balance.clone(),
            ejection: Some(touchy()),
            panic_threshold: 0.0,
            ..spec(&[])
        });
        let picked = |bench: &mut Bench| {
            let mut counts = [0; 3];
            for random in 0..600 {
                let ask = Ask {
                    subset: Some(0),
                    now: bench.now,
                    random: mix(random),
                    hash: Some(mix(random)),
                    ..Ask::default()
                };
                let Ok(picked) = bench.upstream.pick(&ask) else { continue };
                let place = [A, B, C].iter().position(|own| *own == picked.address().to_string()).unwrap();
                counts[place] += 1;
            }
            counts
        };
        let [a, b, c] = picked(&mut bench);
        assert!(a == 0 && b > 200 && c > 200 && b + c == 600, "{balance:?}: {a} {b} {c}");
        bench.fail(B);
        assert_eq!(picked(&mut bench), [0, 0, 600], "{balance:?}");
        bench.fail(C);
        assert_eq!(picked(&mut bench), [0, 0, 0], "{balance:?}: the well one is not in it");
        assert!(bench.upstream.has_other(&[], None, bench.now) && !bench.upstream.has_other(&[], Some(0), bench.now));
    }
}

#[test]
fn without_a_zone_of_ones_own_there_is_no_preference() {
    let mut other = zoned(&[(A, "b"), (B, "c")], spec(&[]));
    let shares = Bench::new(other.clone()).shares(100);
    assert_eq!((share(&shares, A), share(&shares, B)), (50, 50));
    other.zone = None;
    let shares = Bench::new(other).shares(100);
    assert_eq!((share(&shares, A), share(&shares, B)), (50, 50));
}

fn breaking(endpoints: &[&str]) -> UpstreamSpec {
    let breaker = BreakerSpec {
        open_at: 0.5,
        of_at_least: 4,
        lasting: Duration::from_secs(10),
        window: Duration::from_secs(10),
        probes: 1,
    };
    UpstreamSpec { endpoint_breaker: Some(breaker), ..spec(endpoints) }
}

#[test]
fn the_breaker_of_an_endpoint_leaves_the_others_alone() {
    let mut bench = Bench::new(breaking(&[A, B]));
    (0..4).for_each(|_| bench.fail(A));
    assert_eq!(share(&bench.shares(100), B), 100);
    bench.now = bench.now.plus(Duration::from_secs(10));
    let shares = bench.shares(100);
    assert_eq!(share(&shares, A), 1, "one probe: {shares:?}");
    bench.succeed(A, Duration::from_millis(1));
    assert_eq!(share(&bench.shares(100), A), 50);
}

#[test]
fn with_every_breaker_open_nobody_is_asked_panic_or_not() {
    let mut bench = Bench::new(breaking(&[A, B]));
    for address in [A, B] {
        (0..4).for_each(|_| bench.fail(address));
    }
    bench.now = bench.now.plus(Duration::from_secs(4));
    let refused = bench.try_pick(None, &[]).err();
    assert_eq!(refused, Some(NoEndpoint::BreakerOpen(Duration::from_secs(6))));
}

#[test]
fn an_endpoint_that_was_taken_out_is_shown_while_requests_are_under_way_there() {
    let mut before = Bench::new(spec(&[A, B]));
    let held: Vec<Picked> = (0..2).map(|_| before.pick()).collect();
    let after = Upstream::new(spec(&[B]), Some(&before.upstream), 0).unwrap();
    let again = Upstream::new(spec(&[B, C]), Some(&after), 0).unwrap();
    let leaving = |upstream: &Upstream| -> Vec<String> {
        let endpoints = upstream.status(before.now).endpoints;
        endpoints.into_iter().filter(EndpointStatus::is_draining).map(|endpoint| endpoint.address).collect()
    };
    assert_eq!((leaving(&after), leaving(&again)), (vec![A.to_owned()], vec![A.to_owned()]));
    drop(held);
    assert_eq!((leaving(&after), leaving(&again)), (vec![], vec![]));
}
