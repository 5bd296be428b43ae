//! Upstreams that answer early, late, in pieces or too much.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::time::Duration;

use crate::protocols::outlast;
use crate::support::client::{Identified, Request};
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Ending, Origin};

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
fn a_client_of_http_1_0_is_spared_interim_answers() {
    let origin = Origin::start(|_| Answer::ok("body").early(100, &[]).early(103, &[]));
    let gateway = Gateway::before(&origin.url());
    let mut client = gateway.connect();
    client.send_raw(b"GET / HTTP/1.0\r\n\r\n");
    let response = client.read();
    assert_eq!((response.text(), response.early.len()), ("body", 0));
}

#[test]
fn an_answer_that_outlasts_the_deadline_is_cut_and_never_completed() {
    let gate = Gate::default();
    let held = gate.clone();
    let origin = Origin::start(move |_| Answer::ok("first").chunked().then_wait(&held).body("second"));
    let gateway = Gateway::start(&format!("routes: {{ /**: {{ to: {}, timeout: 500ms }} }}", origin.url()));
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

#[test]
fn a_post_on_a_connection_that_went_stale_is_sent_at_most_once() {
    // Each connection answers once and is closed without a word, so every second POST may meet a closed one.
    let origin = Origin::start(|_| Answer::raw("HTTP/1.1 200 Test\r\nContent-Length: 2\r\n\r\nok"));
    let gateway = Gateway::start(&format!("server: {{ threads: 1 }}\nroutes: {{ /**: {{ to: {} }} }}", origin.url()));
    let mut answered = 0;
    for n in 0..40 {
        let response = gateway.send(&Request::post(&format!("/{n}"), "once"));
        assert!(matches!(response.status, 200 | 502), "{response:#?}");
        answered += usize::from(response.status == 200);
    }
    let mut targets: Vec<String> = origin.requests().into_iter().map(|request| request.target).collect();
    targets.sort();
    let sent = targets.len();
    targets.dedup();
    assert_eq!(targets.len(), sent, "a POST was sent twice");
    assert!(answered >= 20, "{answered} of 40 answered");
}

#[test]
fn a_switch_of_protocols_that_nobody_asked_for_is_502() {
    let switch = "HTTP/1.1 101 Test\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\nwhatever";
    let origin = Origin::start(move |_| Answer::raw(switch));
    let gateway = Gateway::before(&origin.url());
    let reply = gateway.get("/");
    assert_eq!((reply.status, &reply.json()["type"]), (502, &"urn:tollgate:problem:upstream-invalid".into()));
    assert!(reply.early.is_empty(), "{reply:#?}");
}

#[test]
fn a_transfer_coding_that_was_never_offered_is_502() {
    let origin = Origin::start(|request| {
        let coding = request.target.trim_start_matches('/').replace('+', ", ");
        Answer::raw(format!("HTTP/1.1 200 Test\r\nTransfer-Encoding: {coding}\r\n\r\n2\r\nok\r\n0\r\n\r\n"))
    });
    let gateway = Gateway::before(&origin.url());
    for coding in ["identity", "gzip", "gzip+chunked", "chunked+chunked"] {
        let reply = gateway.get(&format!("/{coding}"));
        assert_eq!(
            (reply.status, &reply.json()["type"]),
            (502, &"urn:tollgate:problem:upstream-invalid".into()),
            "{coding}"
        );
    }
    assert_eq!(gateway.get("/Chunked").text(), "ok");
}

#[test]
fn the_version_is_the_gateways_own() {
    let origin = Origin::start(|request| match request.target.as_str() {
        "/length" => Answer::raw("HTTP/1.0 200 Test\r\nContent-Length: 2\r\n\r\nok"),
        _ => Answer::raw("HTTP/1.0 200 Test\r\n\r\nok"),
    });
    let gateway = Gateway::before(&origin.url());
    let mut client = gateway.connect();
    // The client refuses another version than HTTP/1.1, and a body without an end on a connection that goes on.
    for target in ["/length", "/until-close", "/length"] {
        let response = client.send(&Request::get(target));
        assert_eq!((response.status, response.text(), response.keeps_alive()), (200, "ok", true), "{target}");
    }
}

#[test]
fn what_belongs_to_one_connection_only_ends_at_the_gateway() {
    let origin = Origin::start(|_| {
        Answer::status(204).header("Content-Length", "0").header("Proxy-Authenticate", "Basic realm=inner")
    });
    let gateway = Gateway::before(&origin.url());
    let response = gateway.get("/");
    assert_eq!((response.header("content-length"), response.header("proxy-authenticate")), (None, None));
}

#[test]
fn a_flood_of_interim_answers_has_an_end() {
    let origin = Origin::start(|_| (0..1_000).fold(Answer::ok("body"), |answer, _| answer.early(103, &[])));
    let gateway = Gateway::before(&origin.url());
    let reply = gateway.get("/");
    assert_eq!((reply.status, &reply.json()["type"]), (502, &"urn:tollgate:problem:upstream-invalid".into()));
    assert!(reply.early.len() <= 100, "{} interim answers", reply.early.len());
}

#[test]
fn waits_for_client_and_upstream_together_end_at_the_deadline() {
    let gate = Gate::default();
    let held = gate.clone();
    // All it says, it says late in the second second; then it stalls.
    let origin = Origin::start(move |_| Answer::ok("x").header("Content-Length", "5").then_wait(&held));
    let silent = Origin::start(|_| Answer::none(Ending::Stall));
    let gateway = Gateway::start(&format!(
        "routes: {{ /drip: {{ to: {}, timeout: 2s }}, /**: {{ to: {}, timeout: 2s, retries: {{ max: 5, on: [timeout] }} }} }}",
        origin.url(),
        silent.url()
    ));
    let began = std::time::Instant::now();
    let mut uploading = gateway.connect();
    uploading.send_raw(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
    let mut half = gateway.connect();
    half.send_raw(b"POST /half HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
    let mut dripping = gateway.connect();
    dripping.send_raw(b"POST /drip HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
    outlast(Duration::from_millis(1500));
    uploading.send_raw(b"cd");
    dripping.send_raw(b"cd");
    assert_eq!(dripping.read_head().0, 200);
    let late = uploading.read_for("POST", Identified::Required);
    assert_eq!((late.status, late.keeps_alive()), (504, true), "{late:#?}");
    assert_eq!(late.json()["type"], "urn:tollgate:problem:deadline");
    assert_eq!(half.read_for("POST", Identified::Required).status, 504);
    assert!(dripping.read_to_close().len() < 5);
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(3), "{took:?}");
    half.send_raw(b"cdPOST /half HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd");
    assert_eq!(half.read_for("POST", Identified::Required).status, 504);
    gate.open();
    gateway.await_metric("tollgate_refusals_total", &["\"deadline\""], 4.0);
}
