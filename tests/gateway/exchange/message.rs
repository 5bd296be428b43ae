//! `message:` over real sockets: clients of plain HTTP for a service that speaks WebSocket.

use std::thread;
use std::time::Duration;

use crate::support::client::{Request, Response};
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};
use crate::support::socket::{Socket, Upstream, frame};
use crate::support::wait::until;

fn gateway(upstream: &Upstream, message: &str) -> Gateway {
    Gateway::start(&format!("routes: {{ /rpc: {{ to: \"{}\", message: {message}, timeout: 5s }} }}", upstream.url()))
}

/// Sends a request and lets the service do its part meanwhile.
fn asked<T>(gateway: &Gateway, request: &Request, service: impl FnOnce() -> T) -> (Response, T) {
    thread::scope(|scope| {
        let asking = scope.spawn(|| gateway.send(request));
        let done = service();
        (asking.join().expect("an answer"), done)
    })
}

/// Takes one message and replies to it.
fn replies(mut service: Socket, expected: &str, reply: &str) -> Socket {
    assert_eq!(service.text(), expected);
    service.send(0x81, reply.as_bytes());
    service
}

#[test]
fn a_post_is_a_message_its_answer_the_reply_and_the_connection_serves_the_next() {
    let upstream = Upstream::start("");
    let gateway = gateway(&upstream, "next");
    let (response, service) =
        asked(&gateway, &Request::post("/rpc?v=1", "{\"a\":1}"), || replies(upstream.next(), "{\"a\":1}", "{\"b\":2}"));
    assert_eq!((response.status, response.text()), (200, "{\"b\":2}"));
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert!(service.head.starts_with("GET /rpc?v=1 HTTP/1.1\r\n"), "{}", service.head);
    let (response, mut service) =
        asked(&gateway, &Request::post("/rpc?v=1", "again"), || replies(service, "again", "no JSON"));
    assert_eq!((response.text(), response.header("content-type")), ("no JSON", Some("text/plain; charset=utf-8")));
    // In two frames with a ping between them, which is answered.
    let (response, _service) = asked(&gateway, &Request::post("/rpc?v=1", vec![0xFF, 0]), move || {
        let asked = service.frame().expect("a message");
        assert_eq!((asked.first, asked.payload), (0x82, vec![0xFF, 0]));
        service.send(0x02, b"\xFE");
        service.send(0x89, b"are you there");
        let pong = service.frame().expect("a pong");
        assert_eq!((pong.first, pong.payload.as_slice()), (0x8A, &b"are you there"[..]));
        service.send(0x80, b"\xFD");
        service
    });
    assert_eq!(response.body, b"\xFE\xFD");
    assert!(!upstream.has_another());
}

#[test]
fn a_reply_is_known_by_a_value_in_it() {
    let upstream = Upstream::start("");
    let gateway = gateway(&upstream, "/meta/id");
    let question = "{\"meta\":{\"id\":7},\"ask\":1}";
    let (response, _service) = asked(&gateway, &Request::post("/rpc", question), || {
        let mut service = upstream.next();
        assert_eq!(service.text(), question);
        service.send(0x81, b"{\"news\":true}");
        service.send(0x81, b"{\"meta\":{\"id\":6},\"late\":true}");
        service.send(0x81, b"{\"meta\":{\"id\":7},\"answer\":2}");
        service
    });
    assert_eq!(response.json()["answer"], 2);
    let without = gateway.send(&Request::post("/rpc", "{\"ask\":1}"));
    assert_eq!((without.status, &without.json()["type"]), (400, &"urn:tollgate:problem:bad-body".into()));
}

#[test]
fn callers_never_share_a_connection() {
    let upstream = Upstream::start("");
    let gateway = Gateway::start(&format!(
        "auth: {{ keys: {{ api_key: {{}} }} }}\n\
         consumers:\n  a: {{ keys: {{ value: the-key-of-a, insecure_inline: true }} }}\n  \
         b: {{ keys: {{ value: the-key-of-b, insecure_inline: true }} }}\n\
         routes: {{ /rpc: {{ auth: keys, to: \"{}\", message: true }} }}",
        upstream.url()
    ));
    let mut services = Vec::new();
    for caller in ["a", "b"] {
        let request = Request::post("/rpc", caller).header("X-API-Key", &format!("the-key-of-{caller}"));
        let (response, service) = asked(&gateway, &request, || replies(upstream.next(), caller, caller));
        assert_eq!(response.text(), caller);
        assert!(service.head.to_ascii_lowercase().contains(&format!("x-consumer-id: {caller}")), "{}", service.head);
        assert!(!service.head.contains("the-key-of"), "{}", service.head);
        services.push(service);
    }
    let request = Request::post("/rpc", "a").header("X-API-Key", "the-key-of-a");
    let first = services.remove(0);
    assert_eq!(asked(&gateway, &request, || replies(first, "a", "same")).0.text(), "same");
}

#[test]
fn what_comes_unasked_is_no_reply_and_a_closed_connection_is_replaced() {
    let upstream = Upstream::start("");
    let gateway = gateway(&upstream, "next");
    let (_, mut service) = asked(&gateway, &Request::post("/rpc", "1"), || replies(upstream.next(), "1", "one"));
    service.send(0x81, b"unasked");
    let (response, mut service) = asked(&gateway, &Request::post("/rpc", "2"), || replies(service, "2", "two"));
    assert_eq!(response.text(), "two");
    service.send(0x88, b"\x03\xE9");
    drop(service);
    let (response, _) = asked(&gateway, &Request::post("/rpc", "3"), || replies(upstream.next(), "3", "three"));
    assert_eq!(response.text(), "three");
}

#[test]
fn a_get_waits_for_a_message_and_loses_none_between_two() {
    let upstream = Upstream::start("");
    let gateway = gateway(&upstream, "{ wait: 300ms }");
    let (response, mut service) = asked(&gateway, &Request::get("/rpc"), || upstream.next());
    assert_eq!((response.status, response.body.len()), (204, 0));
    service.send(0x81, b"one");
    service.send(0x81, b"two");
    for expected in ["one", "two"] {
        assert_eq!(gateway.get("/rpc").text(), expected);
    }
    let (response, _service) = asked(&gateway, &Request::get("/rpc"), || {
        service.send(0x81, b"three");
        service
    });
    assert_eq!(response.text(), "three");
}

#[test]
fn a_get_that_asks_for_events_gets_each_message_as_one() {
    let upstream = Upstream::start("");
    let gateway = gateway(&upstream, "true");
    let request = Request::get("/rpc").header("Accept", "text/event-stream");
    let (response, ()) = asked(&gateway, &request, || {
        let mut service = upstream.next();
        service.send(0x81, b"one\ntwo");
        service.send(0x89, b"");
        assert_eq!(service.frame().expect("a pong").first, 0x8A);
        service.send(0x82, b"\xFF");
        service.send(0x88, b"\x03\xE8");
        assert_eq!(service.close_code(), Some(1000));
    });
    assert_eq!(response.header("content-type"), Some("text/event-stream"));
    assert_eq!(response.text(), "data: one\ndata: two\n\nevent: binary\ndata: /w==\n\n");
}

#[test]
fn a_client_that_leaves_takes_its_connection_along() {
    let upstream = Upstream::start("");
    let gateway = gateway(&upstream, "true");
    let mut client = gateway.connect();
    client.send_raw(&Request::get("/rpc").header("Accept", "text/event-stream").bytes("a"));
    let mut service = upstream.next();
    assert_eq!(client.read_head().0, 200);
    drop(client);
    assert!(service.ends());
}

#[test]
fn a_reply_that_comes_too_late_reaches_nobody() {
    let upstream = Upstream::start("");
    let gateway =
        Gateway::start(&format!("routes: {{ /rpc: {{ to: \"{}\", message: true, timeout: 300ms }} }}", upstream.url()));
    let (response, mut late) = asked(&gateway, &Request::post("/rpc", "1"), || {
        let mut service = upstream.next();
        assert_eq!(service.text(), "1");
        service
    });
    assert_eq!(response.status, 504);
    assert!(late.ends(), "the connection is not kept");
    let (response, _) = asked(&gateway, &Request::post("/rpc", "2"), || replies(upstream.next(), "2", "two"));
    assert_eq!(response.text(), "two");
}

#[test]
fn no_more_connections_are_open_than_may_be() {
    let upstream = Upstream::start("");
    let gateway = gateway(&upstream, "{ connections: 1 }");
    thread::scope(|scope| {
        let asking = scope.spawn(|| gateway.send(&Request::post("/rpc", "1")));
        let mut service = upstream.next();
        assert_eq!(service.text(), "1");
        let refused = gateway.send(&Request::post("/rpc", "2"));
        assert_eq!((refused.status, &refused.json()["type"]), (503, &"urn:tollgate:problem:upstream-busy".into()));
        service.send(0x81, b"one");
        assert_eq!(asking.join().expect("an answer").text(), "one");
    });
}

#[test]
fn what_is_no_websocket_is_told_as_it_is() {
    let origin = Origin::start(|_| Answer::status(403).header("X-Why", "not you").body("no"));
    let gateway = Gateway::start(&format!("routes: {{ /rpc: {{ to: \"{}\", message: true }} }}", origin.url()));
    let response = gateway.send(&Request::post("/rpc", "1"));
    assert_eq!((response.status, response.header("x-why"), response.text()), (403, Some("not you"), "no"));
    let asked = origin.only_request();
    assert_eq!((asked.header("upgrade"), asked.header("sec-websocket-version")), (Some("websocket"), Some("13")));
}

#[test]
fn a_service_that_breaks_the_protocol_is_a_bad_gateway() {
    let upstream = Upstream::start("");
    let gateway = gateway(&upstream, "{ most: 1KiB }");
    for wrong in [
        frame(0x83, b"a reserved opcode", false),
        frame(0x81, b"masked", true),
        frame(0x81, b"\xFF", false),
        frame(0xC1, b"a reserved bit", false),
        frame(0x82, &[0; 1_025], false),
        [frame(0x02, &[0; 1_000], false), frame(0x80, &[0; 1_000], false)].concat(),
        vec![0x82, 0x7F, 0x7F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF],
    ] {
        let (response, ()) = asked(&gateway, &Request::post("/rpc", "1"), || {
            let mut service = upstream.next();
            assert_eq!(service.text(), "1");
            service.send_raw(&wrong);
            assert!(service.ends(), "its connection is not kept");
        });
        assert_eq!(response.status, 502, "{:?}", &wrong[..wrong.len().min(8)]);
    }
    let (response, ()) = asked(&gateway, &Request::post("/rpc", "1"), || {
        let mut service = upstream.next();
        assert_eq!(service.text(), "1");
        service.send(0x88, b"\x03\xF3");
    });
    assert_eq!((response.status, &response.json()["type"]), (502, &"urn:tollgate:problem:upstream-reset".into()));
    let accepts_nothing = Origin::start(|_| {
        Answer::raw("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    });
    let gateway =
        Gateway::start(&format!("routes: {{ /rpc: {{ to: \"{}\", message: true }} }}", accepts_nothing.url()));
    assert_eq!(gateway.send(&Request::post("/rpc", "1")).status, 502);
}

#[test]
fn a_connection_that_nobody_asks_again_is_closed() {
    let upstream = Upstream::start("");
    let gateway = gateway(&upstream, "{ idle: 200ms }");
    let (_, mut service) = asked(&gateway, &Request::post("/rpc", "1"), || replies(upstream.next(), "1", "one"));
    assert!(service.ends());
    let began = std::time::Instant::now();
    until("a moment has passed", || began.elapsed() > Duration::from_millis(10));
    let (response, _) = asked(&gateway, &Request::post("/rpc", "2"), || replies(upstream.next(), "2", "two"));
    assert_eq!(response.text(), "two");
}
