//! Bodies up and down: any framing, large ones, and the limit.

use crate::support::client::{Identified, Request};
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};

fn limited(url: &str) -> Gateway {
    Gateway::start(&format!("routes: {{ /**: {{ to: {url}, body_limit: 1KiB }} }}"))
}

#[test]
fn large_bodies_pass_both_ways_unchanged() {
    let origin = Origin::start(|request| Answer::ok(request.body.clone()));
    let gateway = Gateway::before(&origin.url());
    let mut client = gateway.connect();
    for size in [100_000, 5_000_000] {
        let body: Vec<u8> = (0..size).map(|n: u32| (n * 31 % 251) as u8).collect();
        let response = client.send(&Request::post("/", body.clone()));
        assert_eq!(response.body.len(), body.len());
        assert!(response.body == body, "{size} bytes came back changed");
    }
}

#[test]
fn chunked_bodies_pass_both_ways() {
    let origin = Origin::start(|request| {
        Answer::ok("got ").chunked().body(request.body.clone()).header("X-Length", &request.body.len().to_string())
    });
    let gateway = Gateway::before(&origin.url());
    let mut client = gateway.connect();
    for _ in 0..2 {
        let response = client.send(&Request::new("PUT", "/").chunks(&["one ", "two ", "three"]));
        assert_eq!((response.text(), response.header("x-length")), ("got one two three", Some("13")));
        assert_eq!(response.header("transfer-encoding"), Some("chunked"));
    }
    assert_eq!(origin.requests()[0].headers("content-length"), Vec::<&str>::new());
}

#[test]
fn a_body_that_ends_with_the_connection_arrives_whole() {
    let origin = Origin::start(|_| Answer::ok("until the end").until_close());
    let gateway = Gateway::before(&origin.url());
    let mut client = gateway.connect();
    assert_eq!(client.send(&Request::get("/")).text(), "until the end");
}

#[test]
fn a_download_is_not_buffered() {
    let gate = Gate::default();
    let held = gate.clone();
    let origin = Origin::start(move |_| Answer::ok("first").then_wait(&held).body("second").chunked());
    let gateway = Gateway::before(&origin.url());
    let mut client = gateway.connect();
    client.send_raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.read_head().0, 200);
    assert!(String::from_utf8_lossy(&client.read_some()).contains("first"));
    gate.open();
    let mut rest = Vec::new();
    while !rest.ends_with(b"0\r\n\r\n") {
        rest.extend(client.read_some());
    }
    assert!(String::from_utf8_lossy(&rest).contains("second"));
}

#[test]
fn a_declared_length_over_the_limit_is_refused_before_the_body() {
    let origin = Origin::echo();
    let gateway = limited(&origin.url());
    let mut client = gateway.connect();
    client.send_raw(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1025\r\n\r\n");
    let response = client.read_for("POST", Identified::Required);
    assert_eq!(response.status, 413);
    assert_eq!(response.json()["type"], "urn:tollgate:problem:body-too-large");
    assert_eq!(client.read_to_close(), b"");
    assert!(origin.requests().is_empty());
    assert_eq!(gateway.send(&Request::post("/", vec![b'x'; 1024])).status, 200);
}

#[test]
fn a_chunked_body_over_the_limit_is_refused_when_it_gets_there() {
    let origin = Origin::echo();
    let gateway = limited(&origin.url());
    let response =
        gateway.send(&Request::new("POST", "/").chunks(&["x".repeat(1000).as_str(), "y".repeat(25).as_str()]));
    assert_eq!(response.status, 413);
    assert!(!response.keeps_alive());
    assert!(origin.requests().is_empty(), "the upstream took a cut body for a whole one");
    assert_eq!(gateway.send(&Request::new("POST", "/").chunks(&["x".repeat(1024).as_str()])).status, 200);
}

#[test]
fn a_malformed_chunk_is_400_and_never_a_whole_body() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin.url());
    for chunk in ["zz\r\nab\r\n", "-1\r\nab\r\n", "0x2\r\nab\r\n", "2\nab\n", "2\r\nabXX", "fffffffffffffffff\r\n"] {
        let mut client = gateway.connect();
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n");
        client.send_raw(request.as_bytes());
        let answer = client.try_read("POST");
        let status = answer.as_ref().map_or(0, |response| response.status);
        assert!(matches!(status, 0 | 400), "{chunk:?}: {answer:?}");
    }
    assert!(origin.requests().is_empty(), "{:#?}", origin.requests());
}

#[test]
fn a_client_that_leaves_within_its_body_leaves_no_request_behind() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin.url());
    let mut client = gateway.connect();
    client.send_raw(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    drop(client);
    gateway.await_metric("tollgate_refusals_total", &["client-closed"], 1.0);
    assert!(origin.requests().is_empty());
    assert_eq!(gateway.get("/").status, 200);
}
