//! Limits that gateways share. Periods are long, so that no test depends on how fast it runs.

use crate::redis::Redis;
use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};

/// A gateway on that Redis whose route `/a` has that limit.
pub fn sharing(redis: &Redis, limit: &str) -> Gateway {
    Gateway::start(&format!(
        "shared_state: {{ redis: {{ url: {}, timeout: 2s }} }}\nroutes:\n  /a: {{ respond: {{ body: a }}, limit: {limit} }}\n",
        redis.url()
    ))
}

fn passed(gateway: &Gateway, count: usize) -> usize {
    let mut client = gateway.connect();
    (0..count).filter(|_| client.send(&Request::get("/a")).status == 200).count()
}

#[test]
fn an_exact_limit_is_one_for_all_gateways_and_outlives_them() {
    let redis = Redis::start(&[]);
    let limit = "{ rate: 5/h, per: client, share: exact }";
    let (one, two) = (sharing(&redis, limit), sharing(&redis, limit));
    assert_eq!(passed(&one, 3), 3);
    let answer = two.get("/a");
    assert_eq!((answer.status, answer.header("ratelimit-policy")), (200, Some("\"client\";q=5;w=3600")));
    assert!(answer.header("ratelimit").is_some_and(|told| told.starts_with("\"client\";r=1;t=")), "{answer:?}");
    assert_eq!(passed(&two, 3), 1);
    let refused = one.get("/a");
    assert_eq!((refused.status, refused.json()["limit"].as_str()), (429, Some("client")));
    assert!(refused.header("retry-after").is_some_and(|told| (700..=720).contains(&told.parse().unwrap_or(0))));
    drop((one, two));
    assert_eq!(passed(&sharing(&redis, limit), 2), 0);
}

#[test]
fn quotas_are_exact_by_default_and_go_on_when_they_are_raised() {
    let redis = Redis::start(&[]);
    for (window, zone) in [("month", "zone: \"+01:00\", "), ("day", "")] {
        let limit = |count| format!("{{ quota: {count}/{window}, {zone}name: sold }}");
        let (one, two) = (sharing(&redis, &limit(3)), sharing(&redis, &limit(3)));
        assert_eq!((passed(&one, 2), passed(&two, 2)), (2, 1), "{window}");
        assert_eq!(one.get("/a").json()["type"], "urn:tollgate:problem:quota-exceeded");
        assert_eq!(passed(&sharing(&redis, &limit(5)), 9), 2, "{window}");
    }
}

#[test]
fn several_limits_are_one_question_and_what_is_refused_costs_nothing() {
    let redis = Redis::start(&[]);
    let gateway = sharing(
        &redis,
        "[{ rate: 4/h, per: route, share: exact }, { rate: 1/h, per: header X-A, share: exact }, { rate: 1/h, name: tried, mode: shadow, share: exact }]",
    );
    let status = |value: &str| gateway.send(&Request::get("/a").header("X-A", value)).status;
    assert_eq!(["1", "1", "1", "1", "1"].map(status), [200, 429, 429, 429, 429]);
    assert_eq!(["2", "3", "4", "5"].map(status), [200, 200, 200, 429]);
    assert_eq!(gateway.metric("tollgate_shared_store_commands_total", &[]), 9.0);
}

#[test]
fn three_gateways_lease_of_one_count() {
    let redis = Redis::start(&[]);
    let limit = "{ rate: 300/h, per: client, share: { mode: leased, batch: 20 } }";
    let gateways = [(); 3].map(|()| sharing(&redis, limit));
    let admitted: usize = std::thread::scope(|scope| {
        let each = gateways.each_ref().map(|gateway| scope.spawn(move || passed(gateway, 300)));
        each.into_iter().map(|thread| thread.join().expect("a client")).sum()
    });
    // What is leased is taken from the one count, so that no more passes; what others still hold is at most a batch each.
    assert!((300 - 2 * 20..=301).contains(&admitted), "{admitted}");
    gateways[2].await_metric("tollgate_shared_gateways", &[], 3.0);
    assert_eq!(gateways[2].metric("tollgate_limit_overshoot_bound", &["limit=\"client\""]), 60.0);
}

#[test]
fn leases_ask_the_store_at_most_once_for_fifty_requests() {
    let redis = Redis::start(&[]);
    let gateway = sharing(&redis, "10000/h per client");
    assert_eq!(passed(&gateway, 3_000), 3_000);
    let asked = gateway.metric("tollgate_shared_store_commands_total", &[]);
    assert!(asked <= 60.0, "{asked}");
    assert_eq!(gateway.metric("tollgate_shared_decisions_total", &["by=\"lease\""]), 3_000.0);
    // As the store itself has counted; a script is loaded once.
    let scripts = redis.cli(&["info", "commandstats"]);
    let calls =
        scripts.lines().filter_map(|line| line.strip_prefix("cmdstat_eval")?.split_once("calls=")?.1.split(',').next());
    let calls: u64 = calls.map(|calls| calls.parse::<u64>().expect("a number")).sum();
    assert!((1..=62).contains(&calls), "{calls}: {scripts}");
}

#[test]
fn a_lease_that_is_not_used_goes_back() {
    let redis = Redis::start(&[]);
    let limit = "{ rate: 100/h, per: client, share: { mode: leased, batch: 40 } }";
    let (one, two) = (sharing(&redis, limit), sharing(&redis, limit));
    assert_eq!(passed(&one, 30), 30);
    drop(one);
    crate::support::wait::until("the rest is there again", || {
        passed(&two, 1) == 0 || two.metric("tollgate_shared_decisions_total", &["by=\"lease\""]) >= 70.0
    });
    assert_eq!(passed(&two, 10), 0);
    let lease = two.metric("tollgate_shared_decisions_total", &["by=\"lease\""]);
    assert!(lease >= 70.0, "{lease}");
}

#[test]
fn a_cost_that_the_answer_tells_is_counted_in_the_store() {
    let redis = Redis::start(&[]);
    let origin = Origin::start(|_| Answer::ok("done").header("X-Cost", "4"));
    let gateway = Gateway::start(&format!(
        "shared_state: {{ redis: {{ url: {}, timeout: 2s }} }}\nroutes:\n  /a:\n    to: {}\n    limit: {{ rate: 9/h, share: exact, cost: {{ response_header: X-Cost }} }}\n",
        redis.url(),
        origin.url()
    ));
    assert_eq!(gateway.get("/a").status, 200);
    crate::support::wait::until("five are left", || gateway.get("/a").status == 429);
    assert!(origin.requests().len() <= 3);
}

#[test]
fn explain_says_how_a_limit_is_shared_and_counts_nothing() {
    let redis = Redis::start(&[]);
    let gateway = sharing(&redis, "[{ rate: 1/h, share: exact }, 50/s per client]");
    let page = gateway.page("/explain?url=/a");
    let text = page.text();
    assert!(text.contains("all: 1/h (shared exactly, local without the store)"), "{text}");
    assert!(text.contains("client: 50/s per client (shared, leased by 5, local without the store)"), "{text}");
    assert_eq!(gateway.get("/a").status, 200);
    assert!(redis.cli(&["keys", "*"]).contains("tollgate:limit:all:"));
}
