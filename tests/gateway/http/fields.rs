//! Header fields on their way through: Host, ids, Via, hop-by-hop fields, identity.

use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};

#[test]
fn the_upstream_sees_its_own_host() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin.url());
    gateway.send(&Request::get("/").header("Host", "shop.example"));
    let seen = origin.only_request();
    assert_eq!(seen.header("host"), Some(origin.address().to_string().as_str()));
    assert_eq!(seen.header("x-forwarded-host"), Some("shop.example"));
}

#[test]
fn preserve_host_passes_on_what_the_client_named() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!("routes: {{ /**: {{ to: {}, preserve_host: true }} }}", origin.url()));
    gateway.send(&Request::get("/").header("Host", "Shop.example:8080"));
    assert_eq!(origin.only_request().header("host"), Some("Shop.example:8080"));
}

#[test]
fn a_request_id_is_made_and_told_both_ways() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin.url());
    let reply = gateway.send(&Request::get("/").header("X-Request-Id", "mine"));
    let id = reply.header("x-request-id").expect("an id").to_owned();
    assert_eq!(origin.only_request().header("x-request-id"), Some(id.as_str()));
    let parts: Vec<&str> = id.split('-').collect();
    assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12], "{id}");
    assert!(parts[2].starts_with('7') && parts[3].starts_with(['8', '9', 'a', 'b']), "RFC 9562 §5.7: {id}");
    assert_ne!(gateway.get("/").header("x-request-id"), Some(id.as_str()));
}

#[test]
fn a_trusted_peer_keeps_its_request_id_unless_it_is_unsound() {
    let origin = Origin::echo();
    let gateway =
        Gateway::start(&format!("trusted_proxies: [127.0.0.0/8]\nroutes: {{ /**: {{ to: {} }} }}", origin.url()));
    let kept = gateway.send(&Request::get("/").header("X-Request-Id", "front-1"));
    assert_eq!(kept.header("x-request-id"), Some("front-1"));
    assert_eq!(origin.only_request().header("x-request-id"), Some("front-1"));
    let long = "x".repeat(200);
    let replaced = gateway.send(&Request::get("/").header("X-Request-Id", &long));
    assert_ne!(replaced.header("x-request-id"), Some(long.as_str()));
}

#[test]
fn a_trace_is_continued_with_a_span_of_the_gateways_own() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin.url());
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01");
    gateway.send(&Request::get("/").header("traceparent", &parent).header("tracestate", "a=b"));
    gateway.send(&Request::get("/").header("traceparent", "garbage").header("tracestate", "a=b"));
    let requests = origin.requests();
    let continued = requests[0].header("traceparent").expect("a trace");
    assert!(continued.starts_with(&format!("00-{trace}-")) && continued.ends_with("-01"), "{continued}");
    assert_ne!(continued, parent);
    assert_eq!(requests[0].header("tracestate"), Some("a=b"));
    let begun = requests[1].header("traceparent").expect("a trace");
    assert_eq!((begun.len(), begun.starts_with("00-"), requests[1].header("tracestate")), (55, true, None));
}

#[test]
fn the_gateway_appends_itself_to_via() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin.url());
    gateway.send(&Request::get("/").header("Via", "1.0 fred"));
    let seen = origin.only_request();
    assert_eq!(seen.headers("via").join(", "), "1.0 fred, 1.1 tollgate");
}

#[test]
fn hop_by_hop_fields_of_a_request_end_at_the_gateway() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin.url());
    let request = Request::get("/")
        .header("Connection", "X-Hop, keep-alive")
        .header("X-Hop", "1")
        .header("Keep-Alive", "timeout=5")
        .header("Proxy-Connection", "keep-alive")
        .header("Proxy-Authorization", "Basic c2VjcmV0")
        .header("TE", "gzip")
        .header("Upgrade", "h2c")
        .header("X-End", "2");
    assert_eq!(gateway.send(&request).status, 200);
    let seen = origin.only_request();
    for name in ["x-hop", "keep-alive", "proxy-connection", "proxy-authorization", "te", "upgrade"] {
        assert!(seen.headers(name).is_empty(), "{name}: {:?}", seen.headers(name));
    }
    assert_eq!(seen.header("x-end"), Some("2"));
}

#[test]
fn hop_by_hop_fields_of_a_response_end_at_the_gateway() {
    let origin = Origin::start(|_| {
        Answer::ok("body")
            .header("Connection", "X-Hop")
            .header("X-Hop", "1")
            .header("Keep-Alive", "timeout=5")
            .header("Proxy-Connection", "keep-alive")
            .header("X-End", "2")
    });
    let gateway = Gateway::before(&origin.url());
    let mut client = gateway.connect();
    for _ in 0..2 {
        let response = client.send(&Request::get("/"));
        assert_eq!((response.header("x-hop"), response.header("x-end")), (None, Some("2")));
        assert_eq!(response.text(), "body");
    }
}

#[test]
fn identity_is_never_accepted_from_outside_not_even_from_a_trusted_peer() {
    let origin = Origin::echo();
    let gateway =
        Gateway::start(&format!("trusted_proxies: [127.0.0.0/8]\nroutes: {{ /**: {{ to: {} }} }}", origin.url()));
    let names = ["X-Consumer-Id", "x-consumer-groups", "X-CREDENTIAL-ID", "X-Anonymous-Consumer"];
    let request = names.iter().fold(Request::get("/"), |request, name| request.header(name, "root"));
    gateway.send(&request);
    let seen = origin.only_request();
    for name in names {
        assert!(seen.headers(name).is_empty(), "{name}");
    }
}

#[test]
fn fields_that_stand_several_times_keep_their_order() {
    let origin = Origin::start(|_| Answer::ok("").header("Set-Cookie", "a=1").header("Set-Cookie", "b=2"));
    let gateway = Gateway::before(&origin.url());
    let response = gateway.send(&Request::get("/").header("Accept", "a").header("X-N", "1").header("X-N", "2"));
    assert_eq!(origin.only_request().headers("x-n"), ["1", "2"]);
    assert_eq!(response.headers("set-cookie"), ["a=1", "b=2"]);
}
