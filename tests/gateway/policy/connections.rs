//! `connections_per_client`: of whom, where, and for how long a connection counts.

use crate::support::client::{Client, Request, h2};
use crate::support::gateway::Gateway;
use crate::support::wait::until;
use std::net::{Ipv6Addr, SocketAddr};

const ROUTES: &str = "routes: { /**: { respond: { body: a } } }";

/// Whether a connection is admitted and a request on it answered.
fn is_admitted(address: SocketAddr) -> bool {
    let mut client = Client::connect(address);
    client.send_raw(&Request::get("/").bytes("a"));
    match client.try_read("GET") {
        Ok(response) => {
            assert!(matches!(response.status, 200 | 503), "{response:?}");
            response.status == 200
        }
        Err(_) => false,
    }
}

/// Connections that have been used and stay open.
fn kept(address: SocketAddr, count: usize) -> Vec<Client> {
    let mut clients: Vec<Client> = (0..count).map(|_| Client::connect(address)).collect();
    for client in &mut clients {
        assert_eq!(client.send(&Request::get("/")).status, 200);
    }
    clients
}

#[test]
fn each_listener_counts_for_itself_and_may_have_its_own_bound() {
    let gateway = Gateway::start(&format!(
        "listeners: {{ wide: {{ address: 127.0.0.1:0, limits: {{ connections_per_client: 3 }} }} }}\n\
         limits: {{ connections_per_client: 2 }}\n{ROUTES}"
    ));
    let (main, wide) = (gateway.address(), gateway.listener("wide"));
    let (of_main, of_wide) = (kept(main, 2), kept(wide, 3));
    assert!(!is_admitted(main) && !is_admitted(wide));
    let refused = |listener| gateway.metric("tollgate_connections_refused_total", &[listener, "client"]);
    assert_eq!((refused("\"main\""), refused("\"wide\"")), (1.0, 1.0));
    drop(of_wide);
    until("the wide listener has a place", || is_admitted(wide));
    assert!(!is_admitted(main));
    drop(of_main);
    until("the main listener has a place", || is_admitted(main));
}

#[test]
fn trusted_proxies_stand_for_many_clients() {
    let gateway =
        Gateway::start(&format!("trusted_proxies: [127.0.0.1]\nlimits: {{ connections_per_client: 1 }}\n{ROUTES}"));
    assert_eq!(kept(gateway.address(), 5).len(), 5);
}

#[test]
fn what_a_peer_says_of_itself_does_not_make_it_another_client() {
    let gateway = Gateway::start(&format!("limits: {{ connections_per_client: 1 }}\n{ROUTES}"));
    let _first = kept(gateway.address(), 1);
    let mut second = gateway.connect();
    second.send_raw(&Request::get("/").header("X-Forwarded-For", "203.0.113.1").bytes("a"));
    assert!(second.try_read("GET").is_ok_and(|response| response.status == 503));
}

#[test]
fn an_http2_connection_counts_once_with_all_its_streams() {
    let gateway = Gateway::start(&format!(
        "listeners: {{ clear: {{ address: 127.0.0.1:0, protocols: [h1, h2c], limits: {{ connections_per_client: 1 }} }} }}\n{ROUTES}"
    ));
    let clear = gateway.listener("clear");
    let mut client = h2::Client::connect(clear);
    let requests: Vec<Request> = (0..20).map(|_| Request::get("/")).collect();
    assert!(client.send_all(&requests).iter().all(|response| response.as_ref().is_ok_and(|it| it.status == 200)));
    assert!(!is_admitted(clear));
    drop(client);
    until("its place is free", || is_admitted(clear));
}

#[test]
fn an_ipv4_client_of_an_ipv6_listener_is_another_than_an_ipv6_one() {
    let gateway = Gateway::start(&format!(
        "listeners: {{ both: {{ address: \"[::]:0\", limits: {{ connections_per_client: 1 }} }} }}\n{ROUTES}"
    ));
    let port = gateway.listener("both").port();
    let (v4, v6) = (SocketAddr::from(([127, 0, 0, 1], port)), SocketAddr::from((Ipv6Addr::LOCALHOST, port)));
    let _both = (kept(v4, 1), kept(v6, 1));
    assert!(!is_admitted(v4) && !is_admitted(v6));
}

#[test]
fn a_reload_changes_the_bound() {
    let with = |count: u32| format!("limits: {{ connections_per_client: {count} }}\n{ROUTES}");
    let gateway = Gateway::start(&with(1));
    let _first = kept(gateway.address(), 1);
    assert!(!is_admitted(gateway.address()));
    gateway.change(&with(3));
    until("more are admitted", || is_admitted(gateway.address()));
}
