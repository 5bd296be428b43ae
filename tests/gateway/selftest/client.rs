//! What the strict client accepts and what it calls a fault.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::support::client::{Client, Request, send};
use crate::support::origin::{Answer, Origin};

fn get() -> Request {
    Request::get("/").unidentified()
}

/// The message of the failure that reading this answer causes.
fn fault_of(answer: &'static str) -> String {
    let origin = Origin::start(move |_| Answer::raw(answer));
    let mut client = Client::connect(origin.address()).keep_secret(&["hunter2"]);
    let failure = catch_unwind(AssertUnwindSafe(|| client.send(&get()))).expect_err("a fault");
    *failure.downcast::<String>().expect("a message")
}

#[test]
fn reads_bodies_by_length_by_chunks_and_by_the_end_of_the_connection() {
    let origin = Origin::start(|request| match request.target.as_str() {
        "/length" => Answer::ok("abc"),
        "/chunks" => Answer::ok("a").body("bc").trailer("X-End", "yes"),
        _ => Answer::ok("abc").until_close(),
    });
    let mut client = Client::connect(origin.address());
    assert_eq!(client.send(&Request::get("/length").unidentified()).text(), "abc");
    let chunked = client.send(&Request::get("/chunks").unidentified());
    assert_eq!(chunked.text(), "abc");
    assert_eq!(chunked.trailers, [("X-End".into(), "yes".into())]);
    assert!(chunked.keeps_alive());
    let last = client.send(&Request::get("/close").unidentified());
    assert_eq!((last.text(), last.keeps_alive()), ("abc", false));
    assert_eq!(origin.connections(), 1);
}

#[test]
fn keeps_interim_responses_apart() {
    let origin = Origin::start(|_| Answer::ok("x").early(103, &[("Link", "</a>")]));
    let response = send(origin.address(), &get());
    assert_eq!(response.status, 200);
    assert_eq!(response.early, [(103, vec![("Link".into(), "</a>".into())])]);
}

#[test]
fn sends_bytes_as_they_are() {
    let origin = Origin::echo();
    let mut client = Client::connect(origin.address());
    client.send_raw(b"GET /a%2e HTTP/1.1\r\nhOST:  x \r\n\r\n");
    assert_eq!(client.read().json()["headers"][0], serde_json::json!(["hOST", "x"]));
}

#[test]
fn expects_no_body_after_head() {
    let origin = Origin::start(|_| Answer::ok("abc"));
    let mut client = Client::connect(origin.address());
    let response = client.send(&Request::new("HEAD", "/").unidentified());
    assert_eq!((response.header("content-length"), response.body.len()), (Some("3"), 0));
    assert_eq!(client.send(&get()).text(), "abc");
}

#[test]
fn asks_for_a_request_id_unless_told_otherwise() {
    let origin = Origin::start(|_| Answer::ok(""));
    let mut client = Client::connect(origin.address());
    let failure = catch_unwind(AssertUnwindSafe(|| client.send(&Request::get("/")))).expect_err("a fault");
    assert!(failure.downcast::<String>().expect("a message").contains("X-Request-Id"));
}

#[test]
fn calls_illegal_status_lines_a_fault() {
    for line in ["HTTP/1.0 200 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 200", "http/1.1 200 OK", "HTTP/1.1 099 No"] {
        let answer = format!("{line}\r\nContent-Length: 0\r\n\r\n");
        assert!(fault_of(answer.leak()).contains("not a status line"), "{line}");
    }
}

#[test]
fn calls_illegal_lines_and_fields_a_fault() {
    let fields =
        ["X: a\n", "X : a\r\n", ": a\r\n", "X\r\n", "X: a\rb\r\n", "X: a\0\r\n", "X: \x07\r\n", " X: folded\r\n"];
    for field in fields {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{field}\r\n");
        assert!(fault_of(answer.leak()).contains("--- received:"), "{field:?}");
    }
}

#[test]
fn calls_ambiguous_framing_a_fault() {
    let framings = [
        "Content-Length: 1\r\nContent-Length: 1\r\n",
        "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip, chunked\r\n",
        "Content-Length: +1\r\n",
        "Content-Length: 1, 1\r\n",
        "Content-Length: 2\r\n",
    ];
    for framing in framings {
        fault_of(format!("HTTP/1.1 200 OK\r\n{framing}\r\na").leak());
    }
    fault_of("HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n");
    fault_of("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
}

#[test]
fn calls_leaks_a_fault() {
    let leaks = [
        ("Keep-Alive: timeout=5", "keep-alive leaked"),
        ("Proxy-Connection: close", "proxy-connection leaked"),
        ("Upgrade: h2c", "upgrade leaked"),
        ("Server: Pingora", "Server names Pingora"),
        ("X-Debug: hunter2", "tells the secret"),
    ];
    for (field, fault) in leaks {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{field}\r\n\r\n");
        let found = fault_of(answer.leak());
        assert!(found.contains(fault), "{field}: {found}");
    }
}
