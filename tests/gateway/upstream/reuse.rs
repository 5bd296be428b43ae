//! Connections to upstreams: kept, shared, replaced when stale.

use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Ending, Origin};

#[test]
fn connections_are_reused() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!("server: {{ threads: 1 }}\nroutes: {{ /**: {{ to: {} }} }}", origin.url()));
    let mut client = gateway.connect();
    (0..500).for_each(|_| assert_eq!(client.send(&Request::get("/")).status, 200));
    // More than 99 of 100.
    assert!(origin.connections() < 5, "{} connections for 500 requests", origin.connections());
    gateway.await_metric("tollgate_upstream_connections_total", &["reused"], 495.0);
}

#[test]
fn connections_are_shared_by_clients() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!("server: {{ threads: 1 }}\nroutes: {{ /**: {{ to: {} }} }}", origin.url()));
    (0..50).for_each(|_| assert_eq!(gateway.get("/").status, 200));
    assert!(origin.connections() < 5, "{} connections for 50 clients", origin.connections());
}

#[test]
fn an_answer_that_announces_its_end_is_the_last_of_its_connection() {
    let origin = Origin::start(|_| Answer::ok("last").ending(Ending::Close));
    let gateway = Gateway::before(&origin.url());
    let mut client = gateway.connect();
    for _ in 0..10 {
        let response = client.send(&Request::get("/"));
        assert_eq!((response.status, response.text(), response.keeps_alive()), (200, "last", true));
    }
    assert_eq!(origin.connections(), 10);
}

#[test]
fn a_connection_the_upstream_closed_meanwhile_is_replaced() {
    // It announces nothing and closes after its answer: the gateway finds out when it sends the next request.
    let origin = Origin::start(|request| {
        let whole = "HTTP/1.1 200 Test\r\nContent-Length: 2\r\n\r\nok";
        Answer::raw(whole).header("X", &request.target)
    });
    let gateway = Gateway::start(&format!("server: {{ threads: 1 }}\nroutes: {{ /**: {{ to: {} }} }}", origin.url()));
    let mut client = gateway.connect();
    for n in 0..50 {
        assert_eq!(client.send(&Request::get(&format!("/{n}"))).text(), "ok");
    }
    assert_eq!(origin.requests().len(), 50);
}

#[test]
fn a_client_that_leaves_does_not_spoil_the_connection_for_the_next() {
    let origin = Origin::start(|request| Answer::ok(request.target.clone().repeat(100_000)));
    let gateway = Gateway::start(&format!("server: {{ threads: 1 }}\nroutes: {{ /**: {{ to: {} }} }}", origin.url()));
    for n in 0..20 {
        let mut leaving = gateway.connect();
        leaving.send_raw(format!("GET /left-{n} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        leaving.read_head();
        drop(leaving);
        let body = gateway.get("/own").body;
        assert!(body == "/own".repeat(100_000).into_bytes(), "another's answer: {:?}", &body[..20]);
    }
}
