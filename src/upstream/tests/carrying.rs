//! What outlives a reload, and what does not.

use super::*;

const A: &str = "10.0.0.1:80";
const B: &str = "10.0.0.2:80";

fn touchy_spec(endpoints: &[&str]) -> UpstreamSpec {
    UpstreamSpec { ejection: Some(touchy()), panic_threshold: 0.0, ..spec(endpoints) }
}

/// The same bench on the upstream that a reload makes of it.
fn reloaded(bench: &Bench, spec: UpstreamSpec) -> Bench {
    Bench { upstream: Upstream::new(spec, Some(&bench.upstream), 99).unwrap(), now: bench.now, random: bench.random }
}

#[test]
fn state_of_an_equal_endpoint_goes_on() {
    let mut before = Bench::new(touchy_spec(&[A, B]));
    let _held = before.pick();
    before.fail(A);
    let after = reloaded(&before, touchy_spec(&[B, "10.0.0.3:80", A]));
    assert!(!after.endpoint(A).is_available(after.now));
    assert_eq!(after.endpoint(A).in_flight() + after.endpoint(B).in_flight(), 1);
    assert_eq!(after.endpoint(A).failures(), 1);
}

#[test]
fn an_attempt_begun_before_ends_in_the_new_count() {
    let mut before = Bench::new(spec(&[A]));
    let held = before.pick();
    let after = reloaded(&before, spec(&[A]));
    assert_eq!(after.endpoint(A).in_flight(), 1);
    drop(held);
    assert_eq!(after.endpoint(A).in_flight(), 0);
}

#[test]
fn settings_of_an_equal_endpoint_are_the_new_ones() {
    let before = Bench::new(spec(&["10.0.0.1:80 5"]));
    let mut changed = spec(&["10.0.0.1:80 7"]);
    changed.timeouts.write = Duration::from_millis(17);
    let after = reloaded(&before, changed);
    assert_eq!(after.endpoint(A).weight(), 7);
    assert_eq!(after.endpoint(A).prebuilt().options.write_timeout, Some(Duration::from_millis(17)));
}

#[test]
fn another_protocol_at_the_same_address_is_another_endpoint() {
    let before = Bench::new(touchy_spec(&[A, B]));
    before.fail(A);
    let mut changed = touchy_spec(&[A, B]);
    changed.endpoints[0].protocol = Protocol::Http2;
    assert!(reloaded(&before, changed).endpoint(A).is_available(before.now));
}

#[test]
fn an_ejection_ends_with_the_policy_that_made_it() {
    let before = Bench::new(touchy_spec(&[A, B]));
    before.fail(A);
    let after = reloaded(&before, spec(&[A, B]));
    assert!(after.endpoint(A).is_available(after.now));
    assert!(!before.endpoint(A).is_available(before.now), "the running snapshot is untouched");
}

#[test]
fn a_failure_reported_through_the_old_upstream_is_known_to_the_new() {
    let before = Bench::new(touchy_spec(&[A, B]));
    let after = reloaded(&before, touchy_spec(&[A, B]));
    before.fail(A);
    assert!(!after.endpoint(A).is_available(after.now));
}

#[test]
fn round_robin_goes_on_where_it_was() {
    let mut before = Bench::new(spec(&[A, B]));
    assert_eq!(before.addresses(1), [A]);
    assert_eq!(reloaded(&before, spec(&[A, B])).addresses(2), [B, A]);
}

#[test]
fn the_retry_budget_goes_on() {
    let before = Bench::new(spec(&[A]));
    while before.upstream.budget().try_retry(0.0, before.now) == RetryDecision::Granted {}
    let after = reloaded(&before, spec(&[A]));
    assert_eq!(after.upstream.budget().try_retry(0.0, after.now), RetryDecision::Exhausted);
}

#[test]
fn another_algorithm_keeps_the_endpoints() {
    let before = Bench::new(touchy_spec(&[A, B]));
    before.fail(A);
    let changed = UpstreamSpec { balance: Balance::Hash(HashOn::Path), ..touchy_spec(&[A, B]) };
    assert_eq!(reloaded(&before, changed).shares(50)[B], 50);
}
