//! A store that is away, dies, hangs and comes back.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::redis::{Redis, free_port};
use crate::shared_limits::sharing;
use crate::support::client::Request;
use crate::support::gateway::Gateway;

const DECISIONS: &str = "tollgate_shared_decisions_total";

#[test]
fn what_decides_without_the_store_is_as_written() {
    let port = free_port();
    let gateway = Gateway::start(&format!(
        "shared_state: {{ redis: {{ url: \"redis://127.0.0.1:{port}\", on_store_failure: closed }} }}\n\
         routes:\n  /closed: {{ respond: {{ body: a }}, limit: {{ rate: 1/h, share: exact }} }}\n  \
         /open: {{ respond: {{ body: a }}, limit: {{ rate: 1/h, on_store_failure: open }} }}\n  \
         /local: {{ respond: {{ body: a }}, limit: {{ rate: 1/h, on_store_failure: local }} }}\n"
    ));
    let closed = gateway.get("/closed");
    assert_eq!((closed.status, closed.json()["type"].as_str()), (503, Some("urn:tollgate:problem:limits-unavailable")));
    assert_eq!(closed.header("retry-after"), Some("1"));
    assert_eq!([(); 3].map(|()| gateway.get("/open").status), [200, 200, 200]);
    assert_eq!([(); 2].map(|()| gateway.get("/local").status), [200, 429]);
    assert_eq!(gateway.metric("tollgate_shared_store_reachable", &[]), 0.0);
    let by = ["closed", "open", "local"].map(|by| gateway.metric(DECISIONS, &[&format!("by=\"{by}\"")]));
    assert_eq!(by, [1.0, 3.0, 2.0]);
}

#[test]
fn a_store_that_dies_under_load_fails_no_request_and_decides_again_when_it_is_back() {
    for share in ["exact", "{ mode: leased, batch: 10 }"] {
        let mut redis = Redis::start(&[]);
        let gateway = sharing(&redis, &format!("{{ rate: 10000000/h, per: client, share: {share} }}"));
        let by = if share == "exact" { "by=\"store\"" } else { "by=\"lease\"" };
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let load = [(); 2].map(|()| {
                scope.spawn(|| {
                    let mut client = gateway.connect();
                    while !over.load(Relaxed) {
                        assert_eq!(client.send(&Request::get("/a")).status, 200);
                    }
                })
            });
            gateway.await_metric(DECISIONS, &[by], 50.0);
            redis.kill();
            gateway.await_metric(DECISIONS, &["by=\"local\""], 50.0);
            redis.run();
            let before = gateway.metric(DECISIONS, &[by]);
            gateway.await_metric(DECISIONS, &[by], before + 50.0);
            over.store(true, Relaxed);
            load.into_iter().for_each(|thread| thread.join().expect("a client whose requests all passed"));
        });
        assert!(gateway.metric("tollgate_shared_store_errors_total", &[]) > 0.0);
    }
}

#[test]
fn a_store_that_hangs_costs_its_timeout_a_few_times_and_then_nothing() {
    let redis = Redis::start(&[]);
    let gateway = Gateway::start(&format!(
        "shared_state: {{ redis: {} }}\nroutes:\n  /a: {{ respond: {{ body: a }}, limit: {{ rate: 100000/h, share: exact }} }}\n",
        redis.url()
    ));
    gateway.await_metric("tollgate_shared_store_reachable", &[], 1.0);
    redis.signal("-STOP");
    let began = Instant::now();
    let mut client = gateway.connect();
    assert!((0..300).all(|_| client.send(&Request::get("/a")).status == 200));
    // 300 times the timeout would be 6 s.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(gateway.metric(DECISIONS, &["by=\"local\""]) >= 290.0);
    redis.signal("-CONT");
    gateway.await_metric("tollgate_shared_store_reachable", &[], 1.0);
    gateway.await_metric(DECISIONS, &["by=\"local\""], 290.0);
    crate::support::wait::until("the store decides", || {
        client.send(&Request::get("/a"));
        gateway.metric(DECISIONS, &["by=\"store\""]) > 0.0
    });
}

#[test]
fn the_store_may_move_over_a_reload_and_a_reload_that_leaves_it_keeps_the_connection() {
    let (first, second) = (Redis::start(&[]), Redis::start(&[]));
    let yaml = |redis: &Redis, body: &str| {
        format!(
            "shared_state: {{ redis: {{ url: {}, timeout: 2s }} }}\nroutes:\n  /a: {{ respond: {{ body: {body} }}, limit: {{ rate: 1/h, share: exact }} }}\n",
            redis.url()
        )
    };
    let gateway = Gateway::start(&yaml(&first, "a"));
    assert_eq!(gateway.get("/a").status, 200);
    gateway.change(&yaml(&first, "b"));
    assert_eq!(gateway.get("/a").status, 429);
    let clients = first.cli(&["info", "stats"]);
    assert!(clients.contains("total_connections_received:"), "{clients}");
    gateway.change(&yaml(&second, "b"));
    crate::support::wait::until("the other store is asked", || {
        gateway.get("/a");
        second.cli(&["keys", "tollgate:limit:*"]).contains("limit")
    });
}
