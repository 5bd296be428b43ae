//! Routes that need no upstream, and methods with rules of their own.

use crate::support::client::{Identified, Request};
use crate::support::gateway::Gateway;
use crate::support::origin::Origin;

const FIXED: &str = "\
routes:
  /teapot: { respond: { status: 418, headers: { X-Pot: round }, json: { short: stout } } }
  /text: { respond: { body: hello } }
  /empty: { respond: { status: 204 } }
  /old/**: { redirect: { to: \"/new/{**}\", status: 301 } }
  /away/{id}: { redirect: \"https://other.example/{id}?fixed=1\" }
";

#[test]
fn a_fixed_answer_is_given_as_written() {
    let gateway = Gateway::start(FIXED);
    let teapot = gateway.get("/teapot");
    assert_eq!((teapot.status, teapot.header("x-pot")), (418, Some("round")));
    assert_eq!(teapot.json(), serde_json::json!({ "short": "stout" }));
    assert_eq!(gateway.get("/text").text(), "hello");
    let empty = gateway.get("/empty");
    assert_eq!((empty.status, empty.body.len()), (204, 0));
}

#[test]
fn a_redirect_places_captures_and_keeps_the_query() {
    let gateway = Gateway::start(FIXED);
    let moved = gateway.get("/old/a/b?x=1");
    assert_eq!((moved.status, moved.header("location")), (301, Some("/new/a/b?x=1")));
    let away = gateway.get("/away/7?x=1");
    assert_eq!((away.status, away.header("location")), (308, Some("https://other.example/7?fixed=1")));
}

#[test]
fn a_redirect_never_leaves_the_site_by_a_trick_of_the_path() {
    let gateway = Gateway::start("routes: { \"/old/**\": { redirect: \"/{**}\" } }");
    for target in ["/old//evil.example", "/old/%2Fevil.example", "/old/%5Cevil.example", "/old/./%2e//evil.example"] {
        let reply = gateway.get(target);
        let location = reply.header("location").unwrap_or("/");
        assert!(location.starts_with('/') && !location.starts_with("//"), "{target} leads to {location}");
        assert!(!location.starts_with("/\\"), "{target} leads to {location}");
    }
}

#[test]
fn answers_of_its_own_keep_the_connection() {
    let gateway = Gateway::start(FIXED);
    let mut client = gateway.connect();
    for target in ["/teapot", "/text", "/empty", "/old/x", "/nowhere", "/text"] {
        assert!(client.send(&Request::get(target)).keeps_alive(), "{target}");
    }
    assert_eq!(client.send(&Request::post("/text", "small body")).text(), "hello");
    assert_eq!(client.send(&Request::get("/text")).text(), "hello");
}

#[test]
fn head_has_the_fields_of_get_and_no_body() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!("{FIXED}  GET /up: {{ to: {} }}\n", origin.url()));
    let mut client = gateway.connect();
    let fixed = client.send(&Request::new("HEAD", "/text"));
    assert_eq!((fixed.status, fixed.header("content-length"), fixed.body.len()), (200, Some("5"), 0));
    let forwarded = client.send(&Request::new("HEAD", "/up"));
    assert_eq!((forwarded.status, forwarded.header("content-type")), (200, Some("application/json")));
    let missing = client.send(&Request::new("HEAD", "/nowhere"));
    assert_eq!((missing.status, missing.body.len()), (404, 0));
    assert_eq!(client.send(&Request::get("/text")).text(), "hello");
    assert_eq!(origin.only_request().method, "HEAD");
}

#[test]
fn an_expectation_is_met_end_to_end() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin.url());
    let mut client = gateway.connect();
    client.send_raw(b"PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    assert_eq!(client.read_head().0, 100);
    client.send_raw(b"body");
    let response = client.read_for("PUT", Identified::Required);
    assert_eq!((response.status, &response.json()["body"]), (200, &"body".into()));
    assert_eq!(client.send(&Request::get("/")).status, 200);
}

#[test]
fn a_refused_expectation_is_answered_without_the_body() {
    let gateway = Gateway::start(FIXED);
    let mut client = gateway.connect();
    client.send_raw(b"PUT /nowhere HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n");
    let response = client.read_for("PUT", Identified::Required);
    assert_eq!((response.status, response.keeps_alive()), (404, false));
    assert_eq!(client.read_to_close(), b"");
}

#[test]
fn http_1_0_is_answered_and_closed() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin.url());
    let mut client = gateway.connect();
    client.send_raw(b"GET /x HTTP/1.0\r\n\r\n");
    let response = client.read();
    assert_eq!((response.status, &response.json()["target"]), (200, &"/x".into()));
    assert_eq!(client.read_to_close(), b"");
}

#[test]
fn a_client_that_asks_for_the_end_gets_it() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!("{FIXED}  GET /up: {{ to: {} }}\n", origin.url()));
    for target in ["/up", "/text", "/nowhere"] {
        let mut client = gateway.connect();
        let response = client.send(&Request::get(target).header("Connection", "close"));
        assert!(!response.keeps_alive(), "{target}");
        assert_eq!(client.read_to_close(), b"");
    }
}

#[test]
fn an_early_refusal_of_a_long_body_reaches_the_client() {
    let gateway = Gateway::start(FIXED);
    let mut client = gateway.connect();
    let response = client.send(&Request::post("/nowhere", vec![b'x'; 3_000_000]));
    assert_eq!((response.status, response.keeps_alive()), (404, false));
}

#[test]
fn bytes_after_a_small_answered_body_are_the_next_request() {
    let gateway = Gateway::start(FIXED);
    let mut client = gateway.connect();
    client.send_raw(b"POST /text HTTP/1.1\r\nHost: a\r\nContent-Length: 33\r\n\r\n");
    assert_eq!(client.read_for("POST", Identified::Required).text(), "hello");
    // This is still the body, whatever it looks like.
    client.send_raw(b"GET /teapot HTTP/1.1\r\nHost: a\r\n\r\n");
    client.send_raw(b"GET /empty HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.try_read("GET").map_or(204, |response| response.status), 204);
}
