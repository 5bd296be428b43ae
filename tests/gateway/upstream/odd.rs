//! Upstreams that answer early, late, in pieces or too much.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};

use crate::support::client::Request;
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};

#[test]
fn an_answer_before_the_end_of_the_body_is_passed_on() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let upstream = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut head = [0; 1024];
        let _ = stream.read(&mut head).expect("a head");
        stream.write_all(b"HTTP/1.1 403 Test\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno").expect("an answer");
        stream.shutdown(Shutdown::Write).expect("an end");
        // The rest is read: a reset would take the answer with it.
        let mut rest = vec![0; 64 * 1024];
        while stream.read(&mut rest).is_ok_and(|count| count > 0) {}
    });
    let gateway = Gateway::before(&format!("http://{address}"));
    let response = gateway.send(&Request::post("/", vec![b'x'; 5_000_000]));
    assert_eq!((response.status, response.text()), (403, "no"));
    upstream.join().expect("an upstream that ends");
}

#[test]
fn interim_answers_pass_to_clients_of_http_1_1() {
    let origin = Origin::start(|_| Answer::ok("body").early(103, &[("Link", "</a.css>; rel=preload")]));
    let gateway = Gateway::before(&origin.url());
    let response = gateway.get("/");
    assert_eq!(response.text(), "body");
    let (status, fields) = response.early.first().expect("an interim answer");
    assert_eq!((*status, crate::support::wire::values(fields, "link")), (103, vec!["</a.css>; rel=preload"]));
}

#[test]
fn an_answer_that_outlasts_the_deadline_is_cut_and_never_completed() {
    let gate = Gate::default();
    let held = gate.clone();
    let origin = Origin::start(move |_| Answer::ok("first").chunked().then_wait(&held).body("second"));
    let gateway = Gateway::start(&format!("routes: {{ /**: {{ to: {}, timeout: 100ms }} }}", origin.url()));
    let mut client = gateway.connect();
    client.send_raw(&Request::get("/").bytes("a"));
    let failure = client.try_read("GET").expect_err("an answer cut short");
    assert!(failure.contains("ended") || failure.contains("reset"), "{failure}");
    gate.open();
    assert_eq!(gateway.get("/").text(), "firstsecond");
}

#[test]
fn a_head_without_measure_is_502() {
    let origin = Origin::start(|request| match request.target.as_str() {
        "/bytes" => Answer::ok("").header("X-Long", &"x".repeat(2_000_000)),
        _ => (0..1_000).fold(Answer::ok(""), |answer, n| answer.header(&format!("X-{n}"), "1")),
    });
    let gateway = Gateway::before(&origin.url());
    for target in ["/bytes", "/count"] {
        let reply = gateway.get(target);
        assert_eq!(
            (reply.status, &reply.json()["type"]),
            (502, &"urn:tollgate:problem:upstream-invalid".into()),
            "{target}"
        );
    }
}

#[test]
fn statuses_without_a_body_have_none() {
    let origin = Origin::start(|request| match request.target.as_str() {
        "/204" => Answer::status(204),
        "/304" => Answer::status(304).header("ETag", "\"a\""),
        _ => Answer::status(205),
    });
    let gateway = Gateway::before(&origin.url());
    let mut client = gateway.connect();
    for (target, status) in [("/204", 204), ("/304", 304), ("/205", 205), ("/204", 204)] {
        let response = client.send(&Request::get(target));
        assert_eq!((response.status, response.body.len(), response.keeps_alive()), (status, 0, true), "{target}");
    }
}

#[test]
fn unknown_statuses_and_methods_pass() {
    let origin = Origin::start(|_| Answer::status(299).body("odd"));
    let gateway = Gateway::before(&origin.url());
    let response = gateway.send(&Request::new("PROPFIND", "/").body("x"));
    assert_eq!((response.status, response.text()), (299, "odd"));
    assert_eq!(origin.only_request().method, "PROPFIND");
}
