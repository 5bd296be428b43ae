//! What the upstream is told of where a request came from: `X-Forwarded-*` and `Forwarded`.

use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::origin::Origin;

/// A request that claims everything about its origin.
fn claiming() -> Request {
    Request::get("/")
        .header("Host", "shop.example")
        .header("X-Forwarded-For", "203.0.113.7, 198.51.100.2")
        .header("X-Forwarded-Proto", "https")
        .header("X-Forwarded-Host", "front.example")
        .header("X-Forwarded-Port", "443")
        .header("X-Forwarded-Prefix", "/front")
        .header("X-Real-IP", "203.0.113.7")
        .header("Forwarded", "for=203.0.113.7")
}

#[test]
fn what_an_untrusted_peer_claims_is_dropped() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin.url());
    gateway.send(&claiming());
    let seen = origin.only_request();
    assert_eq!(seen.headers("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.headers("x-forwarded-proto"), ["http"]);
    assert_eq!(seen.headers("x-forwarded-host"), ["shop.example"]);
    assert_ne!(seen.header("x-forwarded-port"), Some("443"));
    for name in ["x-forwarded-prefix", "x-real-ip", "forwarded"] {
        assert!(seen.headers(name).is_empty(), "{name}");
    }
}

#[test]
fn what_a_trusted_peer_says_is_continued() {
    let origin = Origin::echo();
    let gateway =
        Gateway::start(&format!("trusted_proxies: [127.0.0.1]\nroutes: {{ /**: {{ to: {} }} }}", origin.url()));
    gateway.send(&claiming());
    let seen = origin.only_request();
    assert_eq!(seen.headers("x-forwarded-for"), ["203.0.113.7, 198.51.100.2, 127.0.0.1"]);
    assert_eq!(seen.headers("x-forwarded-proto"), ["https"]);
    assert_eq!(seen.headers("x-forwarded-host"), ["front.example"]);
    assert_eq!(seen.headers("x-forwarded-port"), ["443"]);
}

#[test]
fn connection_cannot_take_away_what_the_gateway_says() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin.url());
    for name in ["X-Forwarded-For", "X-Request-Id", "Via", "Host", "X-Forwarded-Proto", "traceparent"] {
        let response = gateway.send(&Request::get("/").header("Connection", name));
        assert!(matches!(response.status, 200 | 400), "{name}: {}", response.status);
    }
    for seen in origin.requests() {
        for name in ["x-forwarded-for", "x-request-id", "via", "host", "x-forwarded-proto", "traceparent"] {
            assert!(seen.header(name).is_some(), "{name} is missing in {seen:#?}");
        }
    }
}

#[test]
fn rfc_7239_is_spoken_where_the_route_asks_for_it() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!("routes: {{ /**: {{ to: {}, forwarded: true }} }}", origin.url()));
    gateway.send(&Request::get("/").header("Host", "shop.example"));
    assert_eq!(origin.only_request().headers("forwarded"), ["for=127.0.0.1;proto=http;host=\"shop.example\""]);
}
