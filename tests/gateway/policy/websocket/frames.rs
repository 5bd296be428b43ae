//! What passes, untouched; and what does not begin to.

use super::{gateway, joined, line};
use crate::support::gateway::Gateway;
use crate::support::socket::{Socket, Upstream, frame};

/// The end of the answer's head with which both sides agree on compressed messages.
const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

/// Fragments with a ping and a pong between them, messages of all lengths, compressed ones whole and in fragments.
fn conversation(masked: bool) -> Vec<u8> {
    [
        frame(0x81, b"hello", masked),
        frame(0x01, b"one", masked),
        frame(0x89, b"between", masked),
        frame(0x00, b"", masked),
        frame(0x8A, b"", masked),
        frame(0x80, &[1; 300], masked),
        frame(0x82, &[2; 70_000], masked),
        frame(0x82, b"", masked),
        frame(0xC1, b"\xf2\x48\xcd\xc9\xc9\x07\x00", masked),
        frame(0x41, b"\xf2\x48\xcd", masked),
        frame(0x80, b"\xc9\xc9\x07\x00", masked),
    ]
    .concat()
}

#[test]
fn frames_pass_as_they_came_both_ways() {
    let upstream = Upstream::start(DEFLATE);
    let gateway = gateway(&upstream, "true");
    let (mut client, mut service) = joined(&gateway, &upstream);
    for piece in [1_usize, 1_000, 1_000_000] {
        let (up, down) = (conversation(true), conversation(false));
        // Byte by byte, but not seventy thousand of them in a row.
        let cut = if piece == 1 { 700 } else { 0 };
        up[..cut].chunks(piece).for_each(|bytes| client.send_raw(bytes));
        up[cut..].chunks(piece.max(1_000)).for_each(|bytes| client.send_raw(bytes));
        assert!(service.exactly(up.len()) == up, "what the upstream got is not what was sent, in pieces of {piece}");
        down[..cut].chunks(piece).for_each(|bytes| service.send_raw(bytes));
        down[cut..].chunks(piece.max(1_000)).for_each(|bytes| service.send_raw(bytes));
        assert!(client.exactly(down.len()) == down, "what the client got is not what was sent, in pieces of {piece}");
    }
    assert_eq!(gateway.metric("tollgate_websockets", &["/chat"]), 1.0);
    for direction in ["direction=\"in\"", "direction=\"out\""] {
        assert_eq!(gateway.metric("tollgate_websocket_messages_total", &["/chat", direction]), 18.0);
        assert_eq!(gateway.metric("tollgate_websocket_bytes_total", &["/chat", direction]), 3.0 * 70_322.0);
    }
}

#[test]
fn close_codes_are_carried_both_ways_and_told_in_the_log() {
    let upstream = Upstream::start("");
    for (from_client, code, by) in [(true, 4001_u16, "client"), (false, 3000, "upstream"), (true, 1000, "client")] {
        let gateway = gateway(&upstream, "true");
        let (mut client, mut service) = joined(&gateway, &upstream);
        client.send(0x81, b"hello");
        assert_eq!(service.text(), "hello");
        let (one, other) = if from_client { (&mut client, &mut service) } else { (&mut service, &mut client) };
        let payload = [&code.to_be_bytes()[..], b"so it is"].concat();
        one.send(0x88, &payload);
        assert_eq!(other.frame().expect("a Close").payload, payload);
        other.send(0x88, &payload);
        assert_eq!(one.close_code(), Some(code));
        drop(service);
        assert!(client.ends());
        let line = line(&gateway);
        assert_eq!((&line["close_code"], &line["closed_by"]), (&code.into(), &by.into()), "{line}");
        assert_eq!((&line["messages_in"], &line["messages_out"]), (&1.into(), &0.into()), "{line}");
        assert_eq!((&line["protocol"], &line["status"]), (&"websocket".into(), &101.into()), "{line}");
        assert!(line["duration_ms"].is_number() && line["bytes_in"].as_u64().is_some_and(|bytes| bytes > 11), "{line}");
        gateway.await_metric("tollgate_websocket_closes_total", &[&format!("reason=\"{by}\"")], 1.0);
        assert_eq!(gateway.metric("tollgate_websockets", &["/chat"]), 0.0);
    }
}

#[test]
fn an_abrupt_end_is_an_abrupt_end_for_the_other_side() {
    let upstream = Upstream::start("");
    let gateway = gateway(&upstream, "true");
    let (client, mut service) = joined(&gateway, &upstream);
    drop(client);
    assert!(service.ends());
    gateway.await_metric("tollgate_websocket_closes_total", &["reason=\"client_lost\""], 1.0);
    let (mut client, service) = joined(&gateway, &upstream);
    drop(service);
    assert!(client.ends());
    gateway.await_metric("tollgate_websocket_closes_total", &["reason=\"upstream_lost\""], 1.0);
    let (mut client, mut service) = joined(&gateway, &upstream);
    service.send_raw(&frame(0x81, b"half of it", false)[..6]);
    assert_eq!(client.exactly(6), frame(0x81, b"half of it", false)[..6]);
    drop(service);
    assert!(client.ends());
}

#[test]
fn what_a_client_may_not_send_ends_it_and_reaches_nobody() {
    let upstream = Upstream::start("");
    let gateway = gateway(&upstream, "{ from_client: { frame: 1KiB, message: 2000B } }");
    let good = frame(0x81, b"good", true);
    let begun = frame(0x01, b"begun", true);
    let giant = [&[0x82, 0xFF, 0x7F][..], &[0xFF; 7], &[0; 4]].concat();
    let cases = [
        (1002_u16, &good, frame(0x81, b"not masked", false)),
        (1002, &good, frame(0x83, b"a reserved opcode", true)),
        (1002, &good, frame(0x8F, b"a reserved opcode", true)),
        (1002, &good, frame(0xC1, b"a bit nobody agreed on", true)),
        (1002, &good, frame(0x89, &[0; 126], true)),
        (1002, &good, frame(0x09, b"a ping in pieces", true)),
        (1002, &good, frame(0x80, b"a continuation of nothing", true)),
        (1002, &begun, frame(0x81, b"a message within another", true)),
        (1002, &good, frame(0x88, b"\x03\xED", true)),
        (1002, &good, [&[0x82, 0xFF, 0xFF][..], &[0xFF; 7], &[0; 4]].concat()),
        (1009, &good, giant),
        (1009, &good, frame(0x82, &[0; 1_025], true)),
        (1009, &good, [frame(0x02, &[0; 1_024], true), frame(0x80, &[0; 1_024], true)].concat()),
    ];
    let cases_count = cases.len();
    for (code, before, wrong) in cases {
        for piece in [1, 10_000] {
            let (mut client, mut service) = joined(&gateway, &upstream);
            let last_is_whole = code == 1009 && wrong.len() == 2 * 1_032;
            [before.clone(), wrong.clone()].concat().chunks(piece).for_each(|bytes| client.send_raw(bytes));
            assert_eq!(client.close_code(), Some(code), "{:?}", &wrong[..wrong.len().min(8)]);
            assert_eq!(service.exactly(before.len()), *before);
            if last_is_whole {
                service.exactly(1_032); // the fragment that fits
            }
            assert_eq!(service.close_code(), Some(1001), "nothing but a Close");
            client.send(0x88, &code.to_be_bytes());
            assert!(client.ends() && service.ends());
        }
    }
    let ended = gateway.metric("tollgate_websocket_closes_total", &["reason=\"protocol\""]);
    gateway.await_metric("tollgate_websocket_closes_total", &["/chat"], (2 * cases_count) as f64);
    assert!(ended > 0.0);
}

#[test]
fn what_an_upstream_may_not_send_ends_it_too() {
    let upstream = Upstream::start("");
    let gateway = gateway(&upstream, "{ from_upstream: { message: 1KiB } }");
    let good = frame(0x81, b"good", false);
    for (code, wrong) in [
        (1002_u16, frame(0x81, b"masked", true)),
        (1002, frame(0x83, b"a reserved opcode", false)),
        (1009, frame(0x82, &[0; 1_025], false)),
    ] {
        for piece in [1, 10_000] {
            let (mut client, mut service) = joined(&gateway, &upstream);
            [good.clone(), wrong.clone()].concat().chunks(piece).for_each(|bytes| service.send_raw(bytes));
            assert_eq!(client.exactly(good.len()), good);
            assert_eq!(client.close_code(), Some(1011), "what the upstream did is not the client's fault");
            assert_eq!(service.close_code(), Some(code));
            client.send(0x88, b"\x03\xF3");
            assert!(client.ends());
        }
    }
}

#[test]
fn a_flood_is_ended_whatever_it_is_made_of() {
    let upstream = Upstream::start("");
    let gateway = gateway(&upstream, "{ from_client: { messages: 20/min, bytes: 10KiB/min } }");
    for (first, size) in [(0x81, 1), (0x89, 0), (0x8A, 5), (0x82, 1_000), (0x01, 2_000)] {
        let (mut client, mut service) = joined(&gateway, &upstream);
        let one = frame(first, &vec![0; size], true);
        for number in 0..25 {
            let rest = frame(0x00, &vec![0; size], true);
            client.send_raw(if first == 0x01 && number > 0 { &rest } else { &one });
        }
        assert_eq!(client.close_code(), Some(1008), "{first:x}");
        let passed = if size < 500 { 20 } else { 10 * 1024 / one.len() };
        service.exactly(passed * one.len());
        assert_eq!(service.close_code(), Some(1001), "{first:x}");
    }
    gateway.await_metric("tollgate_websocket_closes_total", &["reason=\"too_fast\""], 5.0);
}

#[test]
fn without_the_policy_bytes_pass_whatever_they_are() {
    let upstream = Upstream::start("");
    let gateway = Gateway::before(&upstream.url());
    let (mut client, mut service) = joined(&gateway, &upstream);
    let nonsense = b"\xFF\xFFno frames at all\0\0\0";
    client.send_raw(nonsense);
    assert_eq!(service.exactly(nonsense.len()), nonsense);
    service.send_raw(nonsense);
    assert_eq!(client.exactly(nonsense.len()), nonsense);
    assert_eq!(gateway.metric("tollgate_websockets", &[]), 0.0);
}

#[test]
fn an_upstream_that_does_not_upgrade_is_answered_as_without_the_policy() {
    let origin = crate::support::origin::Origin::echo();
    let gateway = Gateway::start(&format!("routes: {{ /chat: {{ to: \"{}\", websocket: true }} }}", origin.url()));
    let socket = Socket::ask(gateway.address(), "/chat", &[]);
    assert!(socket.head.starts_with("HTTP/1.1 200 "), "{}", socket.head);
    assert_eq!(gateway.get("/chat").status, 200);
}
