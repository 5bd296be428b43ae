//! Reload: what changes, what stays, and what a bad file does.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::client::{Client, Request};
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};
use crate::support::wait::until;

const ONE: &str = "routes: { /one: { respond: { body: one } } }";
const TWO: &str = "routes: { /two: { respond: { body: two } } }";

#[test]
fn new_routes_take_effect_on_connections_already_open() {
    let gateway = Gateway::start(ONE);
    let mut client = gateway.connect();
    assert_eq!(client.send(&Request::get("/one")).status, 200);
    let report = gateway.change(TWO);
    assert_eq!(report.revision, 2);
    assert_eq!(client.send(&Request::get("/one")).status, 404);
    assert_eq!(client.send(&Request::get("/two")).text(), "two");
}

#[test]
fn a_request_under_way_ends_as_it_began() {
    let gate = Gate::default();
    let held = gate.clone();
    let origin = Origin::start(move |_| Answer::ok("first ").then_wait(&held).body("second").chunked());
    let gateway = Gateway::before(&origin.url());
    let mut client = gateway.connect();
    client.send_raw(&Request::get("/").bytes("a"));
    gate.await_arrivals(1);
    gateway.change(TWO);
    assert_eq!(gateway.get("/").status, 404);
    gate.open();
    assert_eq!(client.read().text(), "first second");
    assert_eq!(client.send(&Request::get("/two")).status, 200);
}

#[test]
fn a_bad_file_keeps_what_runs_and_is_said_everywhere() {
    let gateway = Gateway::start(ONE);
    gateway.rewrite("routes: { /two: { respond: { body: two }, colour: red } }");
    let report = gateway.reload();
    let problems = report.refused.expect("a refusal");
    assert!(problems.contains("colour") && problems.contains("tollgate.yaml:"), "{problems}");
    assert_eq!((report.revision, gateway.get("/one").status, gateway.get("/two").status), (1, 200, 404));
    let ready = gateway.page("/ready");
    assert_eq!((ready.status, &ready.json()["config"]["loaded"]), (200, &false.into()));
    assert!(ready.json()["config"]["problems"].as_str().is_some_and(|text| text.contains("colour")));
    assert_eq!(gateway.metric("tollgate_config_last_reload_success", &[]), 0.0);
    assert_eq!(gateway.metric("tollgate_config_revision", &[]), 1.0);
    gateway.change(TWO);
    assert_eq!(gateway.page("/ready").json()["config"]["loaded"], true);
    assert_eq!(gateway.metric("tollgate_config_last_reload_success", &[]), 1.0);
    assert_eq!(gateway.metric("tollgate_config_revision", &[]), 2.0);
}

#[test]
fn a_missing_file_keeps_what_runs() {
    let gateway = Gateway::start(ONE);
    std::fs::remove_file(gateway.folder().join("tollgate.yaml")).expect("the file removed");
    assert!(gateway.reload().refused.is_some());
    assert_eq!(gateway.get("/one").status, 200);
}

#[test]
fn a_listener_comes_and_goes() {
    let gateway = Gateway::start(ONE);
    let mut kept = gateway.connect();
    kept.send(&Request::get("/one"));
    gateway.change(&format!("listeners: {{ second: {{ address: \"127.0.0.1:0\" }} }}\n{ONE}"));
    let second = gateway.listener("second");
    assert_eq!(crate::support::client::send(second, &Request::get("/one")).text(), "one");
    gateway.change(ONE);
    assert!(!gateway.has_listener("second"));
    until("nobody listens there", || std::net::TcpStream::connect(second).is_err());
    assert_eq!(kept.send(&Request::get("/one")).status, 200);
}

#[test]
fn an_address_in_use_refuses_the_file_whole() {
    let gateway = Gateway::start(ONE);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address");
    gateway.rewrite(&format!("listeners: {{ second: {{ address: \"{address}\" }} }}\n{TWO}"));
    let refused = gateway.reload().refused.expect("a refusal");
    assert!(refused.contains(&address.to_string()), "{refused}");
    assert_eq!((gateway.get("/one").status, gateway.get("/two").status), (200, 404));
}

#[test]
fn counters_and_connections_to_upstreams_survive() {
    let origin = Origin::echo();
    let before = format!("server: {{ threads: 1 }}\nroutes: {{ /up: {{ to: {} }} }}", origin.url());
    let gateway = Gateway::start(&before);
    gateway.get("/up");
    gateway.await_metric("tollgate_requests_total", &["route=\"/up\""], 1.0);
    gateway.change(&format!("{before}\n# changed"));
    gateway.get("/up");
    gateway.await_metric("tollgate_requests_total", &["route=\"/up\""], 2.0);
    assert_eq!(origin.connections(), 1);
    let upstreams = gateway.page("/upstreams").json();
    assert_eq!(upstreams[0]["endpoints"][0]["attempts"], 2, "{upstreams}");
}

#[test]
fn no_request_fails_during_many_reloads() {
    let origin = Origin::echo();
    let yaml = |n: usize| format!("routes: {{ /up: {{ to: {} }}, /n{n}: {{ respond: {{ body: x }} }} }}", origin.url());
    let gateway = Gateway::start(&yaml(0));
    let over = AtomicBool::new(false);
    let sent = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = Client::connect(gateway.address());
                    let mut sent = 0;
                    while !over.load(Ordering::SeqCst) {
                        assert_eq!(client.send(&Request::get("/up")).status, 200);
                        assert_eq!(gateway.get("/up").status, 200);
                        sent += 2;
                    }
                    sent
                })
            })
            .collect();
        for n in 1..=50 {
            gateway.change(&yaml(n));
            assert_eq!(gateway.get(&format!("/n{n}")).status, 200);
        }
        over.store(true, Ordering::SeqCst);
        clients.into_iter().map(|client| client.join().expect("every request answered")).sum::<usize>()
    });
    assert!(sent > 50, "only {sent} requests were under way");
    assert_eq!(gateway.metric("tollgate_config_revision", &[]), 51.0);
}

#[test]
fn what_a_reload_cannot_change_is_named() {
    let gateway = Gateway::start(ONE);
    let report = gateway.change(&format!("server: {{ threads: 3 }}\n{ONE}"));
    assert_eq!(report.needs_restart, ["server.threads"]);
}

#[test]
fn draining_lets_requests_finish_and_takes_no_new_connection() {
    let gate = Gate::default();
    let held = gate.clone();
    let origin = Origin::start(move |_| Answer::ok("first ").then_wait(&held).body("second").chunked());
    let gateway = Gateway::before(&origin.url());
    let address = gateway.address();
    let mut client = gateway.connect();
    client.send_raw(&Request::get("/").bytes("a"));
    gate.await_arrivals(1);
    std::thread::scope(|scope| {
        let draining = scope.spawn(|| gateway.drain());
        until("the listener is closed", || std::net::TcpStream::connect(address).is_err());
        assert_eq!(gateway.page("/ready").status, 503);
        assert!(!draining.is_finished());
        gate.open();
        let response = client.read();
        assert_eq!((response.text(), response.keeps_alive()), ("first second", true));
        drop(client);
        draining.join().expect("a drain that ends");
    });
}

#[test]
fn a_request_already_on_its_way_when_the_listener_closes_is_answered_as_the_last() {
    let gateway = Gateway::start(ONE);
    let address = gateway.address();
    let mut idle = gateway.connect();
    assert!(idle.send(&Request::get("/one")).keeps_alive());
    std::thread::scope(|scope| {
        let draining = scope.spawn(|| gateway.drain());
        until("the listener is closed", || std::net::TcpStream::connect(address).is_err());
        let last = idle.send(&Request::get("/one"));
        assert_eq!((last.status, last.keeps_alive()), (200, false));
        assert_eq!(idle.read_to_close(), b"");
        draining.join().expect("a drain that ends");
    });
}

#[test]
fn an_idle_connection_does_not_hold_up_a_drain() {
    let gateway = Gateway::start(ONE);
    let mut idle = gateway.connect();
    idle.send(&Request::get("/one"));
    let began = std::time::Instant::now();
    gateway.drain();
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(idle.read_to_close(), b"");
}
