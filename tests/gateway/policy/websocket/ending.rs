//! Clocks, and leaving: each with its code, and with time to finish.

use std::time::Duration;

use super::{gateway, joined, line, yaml};
use crate::protocols::outlast;
use crate::support::gateway::Gateway;
use crate::support::socket::{Socket, Upstream, frame};
use crate::support::tokens::{Signer, now};
use crate::support::wait::until;

/// Answers a Close on the side that got it, so that the other is not waited for.
fn closes(client: &mut Socket, service: &mut Socket, code: u16) {
    assert_eq!(client.close_code(), Some(code));
    assert_eq!(service.close_code(), Some(code));
    client.send(0x88, &code.to_be_bytes());
    assert!(client.ends());
}

#[test]
fn a_connection_without_messages_is_closed() {
    let upstream = Upstream::start("");
    let gateway = gateway(&upstream, "{ idle: 300ms }");
    let (mut client, mut service) = joined(&gateway, &upstream);
    client.send(0x81, b"hello");
    assert_eq!(service.text(), "hello");
    closes(&mut client, &mut service, 1001);
    let line = line(&gateway);
    assert_eq!((&line["closed_by"], &line["close_code"]), (&"idle".into(), &1001.into()), "{line}");
}

#[test]
fn a_connection_is_closed_when_it_is_too_old_between_two_frames() {
    let upstream = Upstream::start("");
    let gateway = gateway(&upstream, "{ life: 300ms }");
    let (mut client, mut service) = joined(&gateway, &upstream);
    let long = frame(0x82, &[7; 500], false);
    service.send_raw(&long[..100]);
    assert_eq!(client.exactly(100), long[..100]);
    // The upstream has not ended its frame: the Close waits for that.
    outlast(Duration::from_millis(400));
    service.send_raw(&long[100..]);
    assert_eq!(client.exactly(404), long[100..]);
    closes(&mut client, &mut service, 1001);
    gateway.await_metric("tollgate_websocket_closes_total", &["reason=\"life\""], 1.0);
}

#[test]
fn silent_sides_are_pinged_and_their_answers_go_no_further() {
    let upstream = Upstream::start("");
    let gateway = gateway(&upstream, "{ ping: 100ms, pong: 5s }");
    let (mut client, mut service) = joined(&gateway, &upstream);
    for _ in 0..3 {
        let (one, two) = (client.frame().expect("a ping"), service.frame().expect("a ping"));
        assert_eq!((one.first, two.first), (0x89, 0x89));
        client.send(0x8A, &one.payload);
        service.send(0x8A, &two.payload);
    }
    // Were a pong passed on, it would come before these.
    client.send(0x81, b"up");
    service.send(0x81, b"down");
    let next = |socket: &mut Socket| loop {
        let frame = socket.frame().expect("a frame");
        if frame.first != 0x89 {
            return frame;
        }
    };
    assert_eq!((next(&mut service).payload, next(&mut client).payload), (b"up".to_vec(), b"down".to_vec()));
}

#[test]
fn a_client_that_answers_no_ping_is_given_up() {
    let upstream = Upstream::start("");
    let gateway = gateway(&upstream, "{ ping: 100ms, pong: 200ms }");
    let (mut client, mut service) = joined(&gateway, &upstream);
    assert_eq!(client.frame().expect("a ping").first, 0x89);
    let code = loop {
        let frame = service.frame().expect("a ping or a Close");
        match frame.code() {
            Some(code) => break code,
            None => service.send(0x8A, &frame.payload),
        }
    };
    assert_eq!((code, client.close_code()), (1001, Some(1001)));
    drop(client);
    gateway.await_metric("tollgate_websocket_closes_total", &["reason=\"pong\""], 1.0);
}

#[test]
fn a_connection_ends_with_the_token_it_was_opened_with() {
    let upstream = Upstream::start("");
    let secret = "a secret of at least thirty-two bytes";
    let gateway = Gateway::start(&format!(
        "auth: {{ idp: {{ jwt: {{ key: {{ value: {secret}, insecure_inline: true }} }} }} }}\n\
         routes: {{ /chat: {{ auth: idp, to: \"{}\", websocket: true }} }}",
        upstream.url()
    ));
    let token = Signer::with_secret(secret.as_bytes()).token(&serde_json::json!({ "sub": "acme", "exp": now() + 2 }));
    let mut client = Socket::connect(gateway.address(), "/chat", &[("Authorization", &format!("Bearer {token}"))]);
    let mut service = upstream.next();
    assert!(!service.head.contains(&token), "{}", service.head);
    client.send(0x81, b"hello");
    assert_eq!(service.text(), "hello");
    closes(&mut client, &mut service, 1008);
    gateway.await_metric("tollgate_websocket_closes_total", &["reason=\"expired\""], 1.0);
}

#[test]
fn connections_leave_when_the_gateway_stops_after_the_message_under_way() {
    let upstream = Upstream::start("");
    let gateway = gateway(&upstream, "true");
    let (mut client, mut service) = joined(&gateway, &upstream);
    let (mut other, mut its_service) = joined(&gateway, &upstream);
    client.send(0x01, b"begun, ");
    assert_eq!(service.frame().expect("a fragment").first, 0x01);
    std::thread::scope(|scope| {
        let draining = scope.spawn(|| gateway.drain());
        closes(&mut other, &mut its_service, 1001);
        client.send(0x80, b"ended");
        assert_eq!(service.frame().expect("the rest").payload, b"ended");
        closes(&mut client, &mut service, 1001);
        draining.join().expect("drained");
    });
}

#[test]
fn a_reload_ends_connections_of_routes_that_are_gone_and_no_others() {
    let (upstream, other) = (Upstream::start(""), Upstream::start(""));
    let route =
        |path: &str, upstream: &Upstream| format!("  {path}: {{ to: \"{}\", websocket: true }}\n", upstream.url());
    let both = format!("routes:\n{}{}", route("/chat", &upstream), route("/stays", &other));
    let gateway = Gateway::start(&both);
    let (mut client, mut service) = joined(&gateway, &upstream);
    let mut stays = Socket::connect(gateway.address(), "/stays", &[]);
    let mut its_service = other.next();
    gateway.change(&both);
    client.send(0x81, b"still there");
    assert_eq!(service.text(), "still there");
    gateway.change(&format!("routes:\n{}", route("/stays", &other)));
    closes(&mut client, &mut service, 1001);
    stays.send(0x81, b"still there");
    assert_eq!(its_service.text(), "still there");
    gateway.await_metric("tollgate_websocket_closes_total", &["/chat", "reason=\"drained\""], 1.0);
}

#[test]
fn a_listener_that_goes_takes_its_connections_along() {
    let upstream = Upstream::start("");
    let listeners = "listen: 127.0.0.1:0\nlisteners: { second: { address: \"127.0.0.1:0\" } }\n";
    let gateway = Gateway::start(&yaml(listeners, &upstream, "true"));
    let mut client = Socket::connect(gateway.listener("second"), "/chat", &[]);
    let mut service = upstream.next();
    let (mut stays, mut its_service) = joined(&gateway, &upstream);
    gateway.change(&yaml("listen: 127.0.0.1:0\n", &upstream, "true"));
    closes(&mut client, &mut service, 1001);
    stays.send(0x81, b"still there");
    assert_eq!(its_service.text(), "still there");
}

#[test]
fn a_client_that_answers_no_close_is_not_waited_for_longer_than_it_takes() {
    let upstream = Upstream::start("");
    let gateway = gateway(&upstream, "{ idle: 100ms }");
    let (mut client, mut service) = joined(&gateway, &upstream);
    assert_eq!((client.close_code(), service.close_code()), (Some(1001), Some(1001)));
    // It goes on talking, which reaches nobody.
    client.send(0x81, b"what?");
    assert!(service.ends());
    until("the connection is gone", || gateway.metric("tollgate_websockets", &[]) == 0.0);
}
