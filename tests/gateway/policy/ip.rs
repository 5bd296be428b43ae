//! Who may call by address: the client's, and nobody's word about it but a trusted proxy's.

use crate::support::client::{Request, Response, h2, send};
use crate::support::file::exchange;
use crate::support::gateway::Gateway;
use crate::support::origin::Origin;
use crate::support::wait::until;
use tempfile::TempDir;

#[track_caller]
fn is_denied(response: &Response) {
    assert_eq!(response.status, 403, "{response:?}");
    assert_eq!(response.json()["type"], "urn:tollgate:problem:ip-denied");
    assert!(response.keeps_alive());
}

/// A gateway behind a proxy that it trusts, so that a request can come from anywhere.
fn behind_a_proxy(policies: &str) -> (Origin, Gateway) {
    let origin = Origin::echo();
    let yaml = format!("trusted_proxies: [127.0.0.1]\nroutes: {{ /**: {{ to: {}, {policies} }} }}", origin.url());
    (origin, Gateway::start(&yaml))
}

fn from(address: &str) -> Request {
    Request::get("/").header("X-Forwarded-For", address)
}

#[test]
fn the_client_behind_a_trusted_proxy_is_judged() {
    let (origin, gateway) = behind_a_proxy("ip: { allow: [203.0.113.0/24, \"2001:db8::/32\"], deny: [203.0.113.66] }");
    let mut client = gateway.connect();
    for address in ["203.0.113.1", "2001:db8::7", "::ffff:203.0.113.9", "10.9.9.9, 203.0.113.7", "[2001:db8::1]:443"] {
        assert_eq!(client.send(&from(address)).status, 200, "{address}");
    }
    let seen = origin.requests().len();
    for address in ["203.0.113.66", "198.51.100.1", "2001:db9::1", "::1", "203.0.113.1, 198.51.100.1", "nonsense", ""] {
        is_denied(&client.send(&from(address)));
    }
    assert_eq!(origin.requests().len(), seen, "a denied request went to the upstream");
    gateway.await_metric("tollgate_refusals_total", &["ip-denied"], 7.0);
}

#[test]
fn what_an_untrusted_peer_says_of_itself_changes_nothing() {
    let origin = Origin::echo();
    let routes = |ip: &str| format!("routes: {{ /**: {{ to: {}, ip: {ip} }} }}", origin.url());
    let gateway = Gateway::start(&routes("203.0.113.0/24"));
    for field in
        ["X-Forwarded-For", "X-Real-IP", "Forwarded", "True-Client-IP", "CF-Connecting-IP", "X-Client-IP", "Client-IP"]
    {
        for value in ["203.0.113.1", "for=203.0.113.1", "for=\"203.0.113.1\"", "203.0.113.1, 203.0.113.1"] {
            is_denied(&gateway.send(&Request::get("/").header(field, value)));
        }
    }
    assert!(origin.requests().is_empty());
    // Nor does it help to claim to be somebody who is not denied.
    gateway.change(&routes("{ deny: 127.0.0.1 }"));
    is_denied(&gateway.send(&from("203.0.113.1")));
}

#[test]
fn holds_over_http2_and_for_answers_of_the_gateways_own() {
    let gateway = Gateway::start(
        "listeners: { clear: { address: 127.0.0.1:0, protocols: [h1, h2c] } }\ndefaults: { ip: { deny: 127.0.0.0/8 } }\n\
         routes: { /: { respond: { body: a } }, /old: { redirect: / }, /open: { ip: off, respond: { body: open } } }",
    );
    let mut client = h2::Client::connect(gateway.listener("clear"));
    for target in ["/", "/old"] {
        let response = client.send(&Request::get(target));
        assert_eq!((response.status, &response.json()["status"]), (403, &403.into()), "{target}");
    }
    assert_eq!(client.send(&Request::get("/open")).text(), "open");
    let grpc = client.send(&Request::post("/", "").header("Content-Type", "application/grpc"));
    assert_eq!((grpc.status, grpc.header("grpc-status")), (200, Some("7")));
}

#[test]
fn a_client_of_an_ipv6_listener_may_be_an_ipv4_one() {
    let gateway = Gateway::start(
        "listeners: { both: { address: \"[::]:0\" } }\nroutes: { /: { ip: [127.0.0.1], respond: { body: a } } }",
    );
    let port = gateway.listener("both").port();
    assert_eq!(send(([127, 0, 0, 1], port).into(), &Request::get("/")).status, 200);
    is_denied(&send((std::net::Ipv6Addr::LOCALHOST, port).into(), &Request::get("/")));
}

#[test]
fn lists_are_read_again_by_themselves_and_a_bad_one_changes_nothing() {
    let folder = TempDir::new().expect("a folder");
    let list = folder.path().join("office.txt");
    std::fs::write(&list, "# offices\n203.0.113.0/24\n").expect("a list");
    let gateway = Gateway::start_in(
        folder,
        "trusted_proxies: [127.0.0.1]\nroutes: { /: { ip: { allow_from: office.txt }, respond: { body: a } } }",
    );
    let status = |address: &str| gateway.send(&from(address)).status;
    assert_eq!((status("203.0.113.1"), status("198.51.100.1")), (200, 403));
    exchange(&list, "198.51.100.0/24\n");
    until("the new list is in service", || status("198.51.100.1") == 200);
    assert_eq!(status("203.0.113.1"), 403);
    // A bad list, then a good one: when the good one is seen, the bad one has been too.
    std::fs::write(&list, "203.0.113.0/24\n198.51.100.300\n").expect("a list");
    let report = gateway.reload();
    let refused = report.refused.expect("a bad list refuses a reload");
    assert!(refused.contains("office.txt:2: `198.51.100.300` is not a range of addresses"), "{refused}");
    assert_eq!((status("203.0.113.1"), status("198.51.100.1")), (403, 200));
    exchange(&list, "198.51.100.0/24\n192.0.2.0/24\n");
    until("the next list is in service", || status("192.0.2.1") == 200);
    assert_eq!(status("203.0.113.1"), 403);
    assert_eq!(gateway.reload().refused, None);
    assert_eq!(status("192.0.2.1"), 200);
}

#[test]
fn a_denied_address_is_refused_before_its_preflight_and_its_body() {
    let (origin, gateway) = behind_a_proxy("ip: { deny: 203.0.113.0/24 }, cors: \"*\", body_limit: 10MiB");
    let preflight = Request::new("OPTIONS", "/")
        .header("Origin", "https://shop.example")
        .header("Access-Control-Request-Method", "GET")
        .header("X-Forwarded-For", "203.0.113.1");
    is_denied(&gateway.send(&preflight));
    let mut client = gateway.connect();
    client.send_raw(b"POST / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 203.0.113.1\r\nContent-Length: 1000000\r\n\r\n");
    let response = client.read_for("POST", crate::support::client::Identified::Required);
    assert_eq!(response.status, 403);
    assert!(origin.requests().is_empty());
}
