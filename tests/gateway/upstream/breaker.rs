//! `breaker:` and `max_in_flight:` over real sockets.

use crate::support::client::Request;
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::SeqCst};

fn before(origin: &Origin, settings: &str) -> Gateway {
    Gateway::start(&format!(
        "upstreams:\n  up: {{ endpoints: [{}], ejection: off, {settings} }}\nroutes: {{ /**: {{ to: up, retries: 0 }} }}\n",
        origin.url()
    ))
}

/// Whether the admin API says that the breaker stands so.
fn is(gateway: &Gateway, state: &str) -> bool {
    let text: String = gateway.page("/upstreams").text().split_whitespace().collect();
    text.contains(&format!("\"breaker\":\"{state}\""))
}

#[test]
fn too_many_failures_open_the_breaker_and_the_upstream_is_left_alone() {
    let status = Arc::new(AtomicU16::new(503));
    let said = Arc::clone(&status);
    let origin = Origin::start(move |_| Answer::status(said.load(SeqCst)));
    let gateway = before(&origin, "breaker: { of_at_least: 4, for: 1h }");
    let asked: Vec<u16> = (0..4).map(|_| gateway.get("/").status).collect();
    assert_eq!(asked, [503, 503, 503, 503]);
    let refused = gateway.get("/");
    assert_eq!(refused.json()["type"], "urn:tollgate:problem:breaker-open");
    let wait: u64 = refused.header("retry-after").expect("a wait").parse().expect("seconds");
    assert!((3_590..=3_600).contains(&wait), "{wait}");
    assert_eq!(origin.requests().len(), 4);
    assert!(is(&gateway, "open"));
    assert_eq!(gateway.metric("tollgate_breaker_state", &["upstream=\"up\""]), 2.0);
}

#[test]
fn probes_that_go_well_close_it_again() {
    let status = Arc::new(AtomicU16::new(503));
    let said = Arc::clone(&status);
    let origin = Origin::start(move |_| Answer::status(said.load(SeqCst)));
    let gateway = before(&origin, "breaker: { of_at_least: 2, for: 0s, probes: 1 }");
    assert_eq!([503, 503], [gateway.get("/").status, gateway.get("/").status]);
    status.store(200, SeqCst);
    let open = is(&gateway, "open");
    assert_eq!((open, gateway.get("/").status), (true, 200));
    assert!(is(&gateway, "closed"));
}

#[test]
fn the_breaker_stays_open_over_a_reload() {
    let origin = Origin::start(|_| Answer::status(503));
    let yaml = |rest: &str| {
        format!(
            "upstreams:\n  up: {{ endpoints: [{}], ejection: off, breaker: {{ of_at_least: 2, for: 1h }} }}\n\
             routes: {{ /**: {{ to: up, retries: 0{rest} }} }}\n",
            origin.url()
        )
    };
    let gateway = Gateway::start(&yaml(""));
    (0..2).for_each(|_| assert_eq!(gateway.get("/").status, 503));
    gateway.change(&yaml(", timeout: 3s"));
    assert_eq!(gateway.get("/").json()["type"], "urn:tollgate:problem:breaker-open");
}

#[test]
fn no_more_requests_than_allowed_are_under_way() {
    let gate = Gate::default();
    let held = gate.clone();
    let origin = Origin::start(move |request| match request.target.as_str() {
        "/slow" => Answer::ok("slow").chunked().then_wait(&held).body("er"),
        _ => Answer::ok("quick"),
    });
    let gateway = before(&origin, "max_in_flight: 1");
    let mut slow = gateway.connect();
    slow.send_raw(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
    origin.await_requests(1);
    let refused = gateway.get("/quick");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(refused.json()["type"], "urn:tollgate:problem:upstream-busy");
    gate.open();
    assert_eq!(slow.read().status, 200);
    crate::support::wait::until("the place is free again", || gateway.send(&Request::get("/quick")).status == 200);
}
