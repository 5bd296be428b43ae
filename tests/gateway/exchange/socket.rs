//! `socket:` over real sockets: clients that speak WebSocket for a service of plain HTTP.

use std::time::Duration;

use crate::protocols::outlast;
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};
use crate::support::socket::{Socket, frame};
use crate::support::wait::until;

fn gateway(origin: &Origin, settings: &str) -> Gateway {
    Gateway::start(&format!("routes: {{ /live: {{ to: \"{}\", {settings} }} }}", origin.url()))
}

fn connect(gateway: &Gateway) -> Socket {
    Socket::connect(gateway.address(), "/live", &[])
}

#[test]
fn each_message_is_a_request_and_its_answer_the_message_that_comes_back() {
    let origin = Origin::start(|request| {
        let status = if request.body == b"bad" { 422 } else { 200 };
        Answer::status(status).body([b"re: ".as_slice(), &request.body].concat())
    });
    let gateway = gateway(&origin, "socket: { path: \"/rpc?v=2\" }");
    let mut client = connect(&gateway);
    // RFC 6455 §1.3: for the key that this client sends.
    assert!(
        client
            .head
            .to_ascii_lowercase()
            .contains("sec-websocket-accept: s3ppLMBitxaq9kygzzhzrbk+xoo=".to_ascii_lowercase().as_str()),
        "{}",
        client.head
    );
    for text in ["one", "bad", ""] {
        client.send(0x81, text.as_bytes());
        assert_eq!(client.text(), format!("re: {text}"));
    }
    // Several at once, and in pieces with a ping between: the answers keep the order.
    client.send(0x81, b"two");
    client.send(0x01, b"th");
    client.send(0x89, b"ping");
    client.send(0x80, b"ree");
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let frame = client.frame().expect("a frame");
        seen.push((frame.first, String::from_utf8(frame.payload).expect("text")));
    }
    let pong = seen.iter().position(|(first, _)| *first == 0x8A).expect("a pong");
    assert_eq!(seen.remove(pong).1, "ping");
    assert_eq!(seen, [(0x81, "re: two".to_owned()), (0x81, "re: three".to_owned())]);
    client.send(0x82, b"\xFF");
    assert_eq!(client.frame().map(|frame| (frame.first, frame.payload)), Some((0x82, b"re: \xFF".to_vec())));
    client.send(0x88, b"\x0F\xA0");
    assert_eq!(client.close_code(), Some(4000));
    assert!(client.ends());
    let first = &origin.requests()[0];
    assert_eq!((first.method.as_str(), first.target.as_str()), ("POST", "/rpc?v=2"));
    assert_eq!((first.header("content-type"), first.header("upgrade")), (Some("application/json"), None));
    assert!(first.header("x-forwarded-for").is_some());
}

#[test]
fn a_connection_outlasts_the_deadline_of_each_of_its_requests() {
    let origin = Origin::start(|request| Answer::ok(request.body.clone()));
    let gateway = gateway(&origin, "socket: true, timeout: 300ms");
    let mut client = connect(&gateway);
    outlast(Duration::from_millis(400));
    client.send(0x81, b"still there");
    assert_eq!(client.text(), "still there");
}

#[test]
fn an_upstream_that_cannot_be_asked_ends_it() {
    let gate = Gate::default();
    let held = gate.clone();
    let origin = Origin::start(move |_| Answer::ok("begun").then_wait(&held).body("and ended"));
    let slow = gateway(&origin, "socket: true, timeout: 200ms");
    let mut client = connect(&slow);
    client.send(0x81, b"anybody?");
    assert_eq!(client.close_code(), Some(1011));
    gate.open();
    let away = Gateway::start("routes: { /live: { to: \"http://127.0.0.1:1\", socket: true } }");
    let mut client = connect(&away);
    client.send(0x81, b"anybody?");
    assert_eq!(client.close_code(), Some(1011));
    assert!(client.ends());
}

#[test]
fn the_events_of_an_upstream_are_messages_and_its_end_is_the_end() {
    let gate = Gate::default();
    let held = gate.clone();
    let origin = Origin::start(move |request| {
        assert_eq!(request.header("accept"), Some("text/event-stream"));
        let stream = Answer::status(200).header("Content-Type", "text/event-stream").chunked();
        stream.body("data: one\n\n: not this\ndata: two\ndata: lines\n\n").then_wait(&held).body("data: last\n\n")
    });
    let gateway = gateway(&origin, "socket: events");
    let mut client = connect(&gateway);
    assert_eq!((client.text(), client.text()), ("one".to_owned(), "two\nlines".to_owned()));
    client.send(0x81, b"nobody listens to this");
    gate.open();
    assert_eq!(client.text(), "last");
    assert_eq!(client.close_code(), Some(1000));
    assert!(client.ends());
}

#[test]
fn what_is_no_stream_of_events_is_refused_at_the_handshake() {
    let origin = Origin::echo();
    let gateway = gateway(&origin, "socket: events");
    let asked = Socket::ask(gateway.address(), "/live", &[]);
    assert!(asked.head.starts_with("HTTP/1.1 502 "), "{}", asked.head);
}

#[test]
fn what_is_no_handshake_is_told_what_is_spoken_here() {
    let origin = Origin::echo();
    let gateway = gateway(&origin, "socket: true");
    let plain = gateway.get("/live");
    assert_eq!((plain.status, plain.header("sec-websocket-version")), (426, Some("13")));
    let old = Socket::ask(gateway.address(), "/live", &[("Sec-WebSocket-Version", "8")]);
    assert!(!old.head.starts_with("HTTP/1.1 101 ") || origin.requests().is_empty(), "{}", old.head);
}

#[test]
fn what_a_client_may_not_send_is_no_request() {
    let origin = Origin::echo();
    let gateway = gateway(&origin, "socket: { most: 1KiB }");
    for (code, wrong) in [
        (1002_u16, frame(0x81, b"not masked", false)),
        (1002, frame(0x83, b"a reserved opcode", true)),
        (1002, frame(0xC1, b"a reserved bit", true)),
        (1002, frame(0x81, b"\xFF no UTF-8", true)),
        (1009, frame(0x82, &[0; 1_025], true)),
        (1009, [&[0x82, 0xFF, 0x7F][..], &[0xFF; 7], &[0; 4]].concat()),
        (1009, [frame(0x02, &[0; 1_000], true), frame(0x80, &[0; 1_000], true)].concat()),
    ] {
        let mut client = connect(&gateway);
        client.send_raw(&wrong);
        assert_eq!(client.close_code(), Some(code), "{:?}", &wrong[..wrong.len().min(8)]);
    }
    assert!(origin.requests().is_empty());
}

#[test]
fn bounds_and_clocks_of_websocket_hold_here_too() {
    let origin = Origin::start(|request| Answer::ok(request.body.clone()));
    let bounded = gateway(&origin, "socket: true, websocket: { from_client: { messages: 2/min } }");
    let mut client = connect(&bounded);
    for text in ["one", "two"] {
        client.send(0x81, text.as_bytes());
        assert_eq!(client.text(), text);
    }
    client.send(0x81, b"three");
    assert_eq!(client.close_code(), Some(1008));
    let idle = gateway(&origin, "socket: true, websocket: { idle: 200ms }");
    let mut client = connect(&idle);
    assert_eq!(client.close_code(), Some(1001));
    client.send(0x88, b"\x03\xE9");
    assert!(client.ends());
    until("it is counted", || idle.metric("tollgate_websocket_closes_total", &["reason=\"idle\""]) == 1.0);
}
