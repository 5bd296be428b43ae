//! `cache:` with HTTP/2 on either side.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use crate::support::client::Request;
use crate::support::client::h2::Client;
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::origin::h2::{Answer as Answer2, Origin as Origin2};
use crate::support::origin::{Answer, Origin};

fn before(url: &str, options: &str) -> Gateway {
    Gateway::start(&format!(
        "listeners: {{ clear: {{ address: \"127.0.0.1:0\", protocols: [h2c, h1] }} }}\n\
         routes: {{ /**: {{ to: {url}, cache: {options} }} }}"
    ))
}

fn two(body: &'static [u8], fields: &[(&str, &str)]) -> Answer2 {
    let fields = fields.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    Answer2 { body: body.into(), fields, ..Answer2::default() }
}

/// All that a client of HTTP/2 may ask of a kept answer; says how often the upstream was asked.
fn asks_all(gateway: &Gateway) {
    let mut client = Client::connect(gateway.listener("clear"));
    let miss = client.send(&Request::get("/a"));
    assert_eq!((miss.text(), miss.header("cache-status")), ("0123456789", Some("tollgate; fwd=uri-miss; stored")));
    let hit = client.send(&Request::get("/a"));
    assert_eq!((hit.text(), hit.header("content-length")), ("0123456789", Some("10")));
    assert!(hit.header("cache-status").is_some_and(|status| status.starts_with("tollgate; hit")));
    assert!(hit.headers("connection").is_empty() && hit.headers("transfer-encoding").is_empty());
    let head = client.send(&Request::new("HEAD", "/a"));
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("10"), 0));
    let same = client.send(&Request::get("/a").header("If-None-Match", "\"1\""));
    assert_eq!((same.status, same.body.len()), (304, 0));
    let part = client.send(&Request::get("/a").header("Range", "bytes=2-4"));
    assert_eq!((part.status, part.text(), part.header("content-range")), (206, "234", Some("bytes 2-4/10")));
    let parts = client.send(&Request::get("/a").header("Range", "bytes=0-1,5-6"));
    assert!(parts.status == 206 && parts.text().contains("bytes 5-6/10"), "{parts:?}");
    assert_eq!(client.send(&Request::get("/a").header("Range", "bytes=10-")).status, 416);
    let first = gateway.send(&Request::get("/a").header("Host", "elsewhere.example"));
    assert_eq!(first.text(), "0123456789", "another host is another key");
}

#[test]
fn a_client_of_http_2_is_answered_from_memory() {
    let origin = Origin::start(|_| Answer::ok("0123456789").header("ETag", "\"1\""));
    asks_all(&before(&origin.url(), "1h"));
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn so_it_is_where_the_upstream_speaks_http_2_too() {
    let origin = Origin2::start(|_| two(b"0123456789", &[("etag", "\"1\"")]));
    asks_all(&before(&origin.url(), "1h"));
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn a_client_of_http_1_gets_what_came_over_http_2() {
    let origin = Origin2::start(|_| two(b"0123456789", &[]));
    let gateway = before(&origin.url(), "1h");
    assert_eq!(gateway.get("/a").text(), "0123456789");
    let hit = gateway.get("/a");
    assert_eq!((hit.text(), hit.header("content-length")), ("0123456789", Some("10")));
    assert_eq!(origin.requests().len(), 1);
}

#[test]
fn an_upstream_of_http_2_is_asked_whether_it_is_still_good() {
    let origin = Origin2::start(|request| match request.header("if-none-match") {
        Some(_) => Answer2 { status: 304, ..two(b"", &[("cache-control", "max-age=60")]) },
        None => two(b"kept", &[("cache-control", "max-age=1"), ("age", "9"), ("etag", "\"1\"")]),
    });
    let gateway = before(&origin.url(), "{}");
    let mut client = Client::connect(gateway.listener("clear"));
    client.send(&Request::get("/a"));
    let confirmed = client.send(&Request::get("/a"));
    assert_eq!((confirmed.status, confirmed.text()), (200, "kept"));
    assert_eq!(confirmed.header("cache-status"), Some("tollgate; fwd=stale; fwd-status=304; stored"));
    assert_eq!(client.send(&Request::get("/a")).text(), "kept");
    assert_eq!(origin.requests().len(), 2);
}

#[test]
fn streams_of_one_connection_wait_for_the_one_that_fetches() {
    const STREAMS: usize = 60;
    let (gate, count) = (Gate::default(), AtomicUsize::new(0));
    let held = gate.clone();
    let origin = Origin::start(move |_| {
        count.fetch_add(1, SeqCst);
        held.pass();
        Answer::ok("the one answer")
    });
    let gateway = before(&origin.url(), "{ ttl: 1h, wait: 1m }");
    let requests = vec![Request::get("/a"); STREAMS];
    let answers = std::thread::scope(|scope| {
        let all = scope.spawn(|| Client::connect(gateway.listener("clear")).send_all(&requests));
        crate::support::wait::until("all wait", || {
            gateway.metric("tollgate_requests_in_flight", &[]) >= STREAMS as f64
        });
        gate.open();
        all.join().expect("the client")
    });
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|answer| answer.text() == "the one answer")));
    assert_eq!(origin.requests().len(), 1);
}
