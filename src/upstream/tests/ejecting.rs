//! Passive ejection along a clock moved by hand.

use super::*;

const A: &str = "10.0.0.1:80";
const B: &str = "10.0.0.2:80";
const C: &str = "10.0.0.3:80";
const D: &str = "10.0.0.4:80";

fn ejection() -> EjectionSpec {
    EjectionSpec { after: 3, base: Duration::from_secs(30), longest: Duration::from_secs(100), at_most: 0.5 }
}

fn bench(endpoints: &[&str]) -> Bench {
    Bench::new(UpstreamSpec { ejection: Some(ejection()), panic_threshold: 0.0, ..spec(endpoints) })
}

fn fail_times(bench: &Bench, address: &str, times: usize) {
    (0..times).for_each(|_| bench.fail(address));
}

/// What is left of the ejection of an address, in seconds.
fn left(bench: &Bench, address: &str) -> u64 {
    bench.endpoint(address).passive().ejected_for(bench.now).as_secs()
}

fn wait(bench: &mut Bench, seconds: u64) {
    bench.now = bench.now.plus(Duration::from_secs(seconds));
}

#[test]
fn ejects_after_consecutive_failures_and_takes_back_when_the_time_is_over() {
    let mut bench = bench(&[A, B]);
    fail_times(&bench, A, 2);
    assert!(bench.endpoint(A).is_available(bench.now));
    bench.fail(A);
    assert!(!bench.endpoint(A).is_available(bench.now));
    assert_eq!(left(&bench, A), 30);
    wait(&mut bench, 29);
    assert!(!bench.endpoint(A).is_available(bench.now));
    wait(&mut bench, 1);
    assert!(bench.endpoint(A).is_available(bench.now));
}

#[test]
fn a_success_in_between_starts_the_count_anew() {
    let bench = bench(&[A, B]);
    fail_times(&bench, A, 2);
    bench.succeed(A, Duration::from_millis(1));
    fail_times(&bench, A, 2);
    assert!(bench.endpoint(A).is_available(bench.now));
}

#[test]
fn a_client_that_goes_away_is_nobodys_failure() {
    let bench = bench(&[A, B]);
    let endpoint = bench.endpoint(A);
    (0..10).for_each(|_| bench.upstream.report(&endpoint, Outcome::Neutral, bench.now));
    assert!(endpoint.is_available(bench.now));
    assert_eq!(endpoint.failures(), 0);
}

#[test]
fn each_ejection_in_a_row_is_longer_up_to_the_longest() {
    let mut bench = bench(&[A, B]);
    for expected in [30, 60, 90, 100, 100] {
        fail_times(&bench, A, 3);
        assert_eq!(left(&bench, A), expected);
        wait(&mut bench, expected);
    }
}

#[test]
fn time_in_service_forgives_earlier_ejections() {
    let mut bench = bench(&[A, B]);
    for span in [30, 60, 90] {
        fail_times(&bench, A, 3);
        wait(&mut bench, span);
    }
    wait(&mut bench, 60);
    fail_times(&bench, A, 3);
    assert_eq!(left(&bench, A), 60, "three in a row, two forgiven");
    wait(&mut bench, 60 + 1_000);
    fail_times(&bench, A, 3);
    assert_eq!(left(&bench, A), 30, "all forgiven");
}

#[test]
fn failures_of_requests_sent_before_the_ejection_do_not_prolong_it() {
    let mut bench = bench(&[A, B]);
    fail_times(&bench, A, 3);
    wait(&mut bench, 10);
    fail_times(&bench, A, 50);
    assert_eq!(left(&bench, A), 20);
    wait(&mut bench, 20);
    fail_times(&bench, A, 2);
    assert!(bench.endpoint(A).is_available(bench.now));
}

#[test]
fn no_more_than_the_share_is_ejected() {
    let bench = bench(&[A, B, C, D]);
    for address in [A, B, C, D] {
        fail_times(&bench, address, 5);
    }
    let out = [A, B, C, D].map(|address| !bench.endpoint(address).is_available(bench.now));
    assert_eq!(out, [true, true, false, false]);
}

#[test]
fn one_that_waits_for_room_is_ejected_at_its_next_failure() {
    let mut bench = bench(&[A, B]);
    fail_times(&bench, A, 3);
    wait(&mut bench, 20);
    fail_times(&bench, B, 3);
    assert!(bench.endpoint(B).is_available(bench.now));
    wait(&mut bench, 10);
    bench.fail(B);
    assert!(!bench.endpoint(B).is_available(bench.now));
}

#[test]
fn of_two_endpoints_one_may_be_ejected_whatever_the_share() {
    let mut spec = UpstreamSpec { ejection: Some(ejection()), ..spec(&[A, B]) };
    spec.ejection.as_mut().unwrap().at_most = 0.1;
    let bench = Bench::new(spec);
    fail_times(&bench, A, 3);
    assert!(!bench.endpoint(A).is_available(bench.now));
}

#[test]
fn a_single_endpoint_is_never_ejected() {
    let bench = bench(&[A]);
    fail_times(&bench, A, 100);
    assert!(bench.endpoint(A).is_available(bench.now));
}

#[test]
fn a_share_of_zero_ejects_nobody() {
    let mut spec = UpstreamSpec { ejection: Some(ejection()), ..spec(&[A, B]) };
    spec.ejection.as_mut().unwrap().at_most = 0.0;
    let bench = Bench::new(spec);
    fail_times(&bench, A, 100);
    assert!(bench.endpoint(A).is_available(bench.now));
}

#[test]
fn thirty_percent_of_ten_is_three() {
    let addresses: Vec<String> = (1..=10).map(|last| format!("10.0.0.{last}:80")).collect();
    let mut spec =
        UpstreamSpec { ejection: Some(touchy()), ..spec(&addresses.iter().map(String::as_str).collect::<Vec<_>>()) };
    spec.ejection.as_mut().unwrap().at_most = 0.3;
    let bench = Bench::new(spec);
    addresses.iter().for_each(|address| bench.fail(address));
    let out = addresses.iter().filter(|address| !bench.endpoint(address).is_available(bench.now)).count();
    assert_eq!(out, 3);
}

#[test]
fn without_a_policy_failures_are_only_counted() {
    let bench = Bench::new(spec(&[A, B]));
    fail_times(&bench, A, 100);
    assert!(bench.endpoint(A).is_available(bench.now));
    assert_eq!((bench.endpoint(A).failures(), bench.endpoint(A).last_failure()), (100, Some(FailureKind::Connect)));
}

#[test]
fn the_last_failure_is_remembered_as_it_was() {
    use FailureKind::{Connect, Invalid, Reset, Status, Timeout, Tls};
    let bench = Bench::new(spec(&[A]));
    assert_eq!(bench.endpoint(A).last_failure(), None);
    for kind in [Connect, Tls, Timeout, Reset, Invalid, Status(503)] {
        bench.upstream.report(&bench.endpoint(A), Outcome::Failure(kind), bench.now);
        assert_eq!(bench.endpoint(A).last_failure(), Some(kind));
    }
}

#[test]
fn the_status_tells_of_an_ejection() {
    let mut bench = bench(&[A, B]);
    fail_times(&bench, A, 3);
    wait(&mut bench, 5);
    let status = serde_json::to_value(bench.upstream.status(bench.now)).unwrap();
    let first = &status["endpoints"][0];
    assert_eq!((&first["state"], &first["available"]), (&"ejected".into(), &false.into()));
    assert_eq!((&first["ejected_for_ms"], &first["times_ejected"]), (&25_000.into(), &1.into()));
    assert_eq!(first["last_failure"], "connect");
    assert_eq!(status["endpoints"][1]["state"], "healthy");
    let mut gauge = Vec::new();
    bench.upstream.each_endpoint(bench.now, |label, available| gauge.push((label.to_owned(), available)));
    assert_eq!(gauge, [("http://10.0.0.1:80".to_owned(), false), ("http://10.0.0.2:80".to_owned(), true)]);
}

#[test]
fn threads_that_fail_at_once_do_not_pass_the_share() {
    let ejection = Some(EjectionSpec { at_most: 0.5, ..touchy() });
    let bench = Bench::new(UpstreamSpec { ejection, ..spec(&[A, B, C, D]) });
    std::thread::scope(|scope| {
        for address in [A, B, C, D] {
            let bench = &bench;
            scope.spawn(move || fail_times(bench, address, 500));
        }
    });
    let out = [A, B, C, D].iter().filter(|address| !bench.endpoint(address).is_available(bench.now)).count();
    assert_eq!(out, 2);
}
