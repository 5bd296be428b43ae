//! Lanes and tunnels by a hand-moved clock.

use super::frame::{self, Opcode};
use super::*;
use crate::observe::Worker;
use crate::observe::metrics::{Metrics, MetricsSettings, SocketEnd};
use std::sync::Arc;
use std::time::{Duration, Instant};

const KEY: [u8; 4] = [7, 1, 9, 3];

fn any() -> Rules {
    Rules { client: LaneRules::ANY, upstream: LaneRules::ANY, idle: None, ping: None, life: None }
}

fn opening(rules: Rules, expires: Option<Instant>) -> Opening {
    let metrics = Metrics::new(MetricsSettings { workers: 1, max_routes: 10, reasons: &[] }).sockets("/chat");
    Opening { rules: Arc::new(rules), metrics, expires, announced: None, lifted: false }
}

fn tunnel(rules: Rules, now: Instant) -> Tunnel {
    Tunnel::new(opening(rules, None), Extensions::None, Worker(0), (now, 1))
}

/// A frame with a first byte of one's own.
fn framed(first: u8, payload: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut frame = vec![first];
    let flag = if mask.is_some() { 0x80 } else { 0 };
    match payload.len() {
        length @ 0..126 => frame.push(flag | u8::try_from(length).unwrap()),
        length @ 126..65_536 => {
            frame.push(flag | 126);
            frame.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            frame.push(flag | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(mask.into_iter().flatten());
    frame.extend(payload.iter().zip(mask.unwrap_or_default().into_iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// Feeds a tunnel from the client in pieces of that length, as the carrier does; what passes.
fn fed(tunnel: &mut Tunnel, bytes: &[u8], piece: usize, now: Instant) -> Vec<u8> {
    let (mut waiting, mut passed) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(piece) {
        waiting.extend_from_slice(piece);
        let sifted = tunnel.from_client(&mut waiting, now);
        passed.extend_from_slice(&waiting[..sifted.passes]);
        waiting = waiting[waiting.len() - sifted.waits..].to_vec();
        assert!(waiting.len() <= frame::LARGEST_CONTROL, "{} bytes wait", waiting.len());
    }
    passed
}

/// Messages of every kind: fragments with a ping and a pong between them, long ones, empty ones, a Close.
fn conversation() -> Vec<u8> {
    let mask = Some(KEY);
    [
        framed(0x81, b"hello", mask),
        framed(0x01, b"one", mask),
        framed(0x89, b"between", mask),
        framed(0x00, b"", mask),
        framed(0x8A, b"", mask),
        framed(0x80, &[1; 300], mask),
        framed(0x82, &[2; 70_000], mask),
        framed(0x82, b"", mask),
        framed(0x88, b"\x03\xE8bye", mask),
    ]
    .concat()
}

#[test]
fn frames_pass_as_they_came_however_they_are_cut() {
    let bytes = conversation();
    for piece in [1, 2, 3, 5, 7, 13, 64, 4_096, bytes.len()] {
        let now = Instant::now();
        let mut tunnel = tunnel(any(), now);
        assert_eq!(fed(&mut tunnel, &bytes, piece, now), bytes, "in pieces of {piece}");
        let (counts, end, code) = tunnel.outcome();
        assert_eq!((counts.messages_in, end, code), (4, SocketEnd::Client, 1000));
    }
}

#[test]
fn nothing_passes_after_a_close() {
    let now = Instant::now();
    let mut tunnel = tunnel(any(), now);
    let close = framed(0x88, b"\x03\xE8", Some(KEY));
    let more = [close.clone(), framed(0x81, b"more", Some(KEY))].concat();
    assert_eq!(fed(&mut tunnel, &more, more.len(), now), close);
}

#[test]
fn what_breaks_the_protocol_does_not_begin_to_pass() {
    let mask = Some(KEY);
    let good = framed(0x81, b"good", mask);
    let begun = framed(0x01, b"begun", mask);
    for (before, wrong) in [
        (&good, framed(0x81, b"not masked", None)),
        (&good, framed(0x83, b"reserved opcode", mask)),
        (&good, framed(0x8B, b"reserved control opcode", mask)),
        (&good, framed(0xC1, b"a bit that was not agreed on", mask)),
        (&good, framed(0xA9, b"a bit on a ping", mask)),
        (&good, framed(0x09, b"a ping in pieces", mask)),
        (&good, framed(0x89, &[0; 126], mask)),
        (&good, framed(0x80, b"a continuation of nothing", mask)),
        (&begun, framed(0x81, b"a message within another", mask)),
        (&good, framed(0x88, b"\x03", mask)),
        (&good, framed(0x88, &1005_u16.to_be_bytes(), mask)),
        (&good, framed(0x88, &1006_u16.to_be_bytes(), mask)),
        (&good, framed(0x88, &999_u16.to_be_bytes(), mask)),
        (&good, framed(0x88, &2999_u16.to_be_bytes(), mask)),
        (&good, framed(0x88, &5000_u16.to_be_bytes(), mask)),
        (&good, vec![0x82, 0xFF, 0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        (&good, vec![0x82, 0xFE, 0, 5, 0, 0, 0, 0]),
    ] {
        for piece in [1, 1_000] {
            let now = Instant::now();
            let mut tunnel = tunnel(any(), now);
            let bytes = [before.clone(), wrong.clone()].concat();
            assert_eq!(fed(&mut tunnel, &bytes, piece, now), *before, "{wrong:?}");
            assert_eq!(tunnel.outcome().1, SocketEnd::Protocol);
            let told = tunnel.to_client(now).expect("a Close for the client");
            assert_eq!(told.get(2..4), Some(&1002_u16.to_be_bytes()[..]), "{wrong:?}");
            assert!(tunnel.to_upstream(now).is_some(), "a Close for the upstream");
            assert!(tunnel.is_over(now));
        }
    }
}

#[test]
fn compressed_messages_pass_where_that_was_agreed() {
    let of = |text: &'static str| Extensions::of(std::iter::once(text.as_bytes()));
    assert_eq!(of(""), Extensions::None);
    assert_eq!(of("permessage-deflate; client_max_window_bits=10"), Extensions::Deflate);
    assert_eq!(of("permessage-deflate, x-mux"), Extensions::Unknown);
    let compressed = framed(0xC1, b"\xAA\x00", Some(KEY));
    let fragments = [framed(0x41, b"\xAA", Some(KEY)), framed(0x80, b"\x00", Some(KEY))].concat();
    let again = [framed(0x41, b"\xAA", Some(KEY)), framed(0xC0, b"\x00", Some(KEY))].concat();
    let other_bit = framed(0xA1, b"x", Some(KEY));
    for (agreed, bytes, passes) in [
        (Extensions::None, &compressed, false),
        (Extensions::Deflate, &compressed, true),
        (Extensions::Deflate, &fragments, true),
        (Extensions::Deflate, &again, false), // RFC 7692 §6.1: on the first frame alone
        (Extensions::Deflate, &other_bit, false),
        (Extensions::Unknown, &other_bit, true),
    ] {
        let now = Instant::now();
        let mut tunnel = Tunnel::new(opening(any(), None), agreed, Worker(0), (now, 1));
        assert_eq!(fed(&mut tunnel, bytes, 1, now) == *bytes, passes, "{agreed:?} {bytes:?}");
    }
}

#[test]
fn what_is_too_large_ends_it_and_the_clients_close_is_still_found() {
    let rules = || Rules { client: LaneRules { frame: 10, message: 25, ..LaneRules::ANY }, ..any() };
    let now = Instant::now();
    let fragment = framed(0x01, &[1; 10], Some(KEY));
    let more = framed(0x00, &[1; 10], Some(KEY));
    let fits = [fragment.clone(), more.clone()].concat();
    for (before, wrong) in [(fits, more), (Vec::new(), framed(0x82, &[1; 11], Some(KEY)))] {
        let mut tunnel = tunnel(rules(), now);
        let bytes = [before.clone(), wrong].concat();
        assert_eq!(fed(&mut tunnel, &bytes, 3, now), before);
        assert_eq!(tunnel.outcome().1, SocketEnd::TooLarge);
        assert_eq!(tunnel.to_client(now).unwrap().get(2..4), Some(&1009_u16.to_be_bytes()[..]));
        assert_eq!(tunnel.to_upstream(now).unwrap().get(1), Some(&(0x80 | 20)), "a masked Close, 1001");
        assert!(!tunnel.is_over(now), "the client may answer");
        assert!(fed(&mut tunnel, &framed(0x88, b"\x03\xF1", Some(KEY)), 1, now).is_empty());
        assert!(tunnel.is_over(now));
    }
}

#[test]
fn messages_and_bytes_have_their_pace_and_pings_count() {
    let pace = |burst| Some(Pace { per_second: 1.0, burst });
    let now = Instant::now();
    let ping = framed(0x89, b"", Some(KEY));
    let fragments =
        [framed(0x01, b"a", Some(KEY)), framed(0x00, b"a", Some(KEY)), framed(0x80, b"a", Some(KEY))].concat();
    let rules = |messages, bytes| Rules { client: LaneRules { messages, bytes, ..LaneRules::ANY }, ..any() };
    let mut slow = tunnel(rules(pace(3.0), None), now);
    assert_eq!(fed(&mut slow, &[fragments.clone(), ping.repeat(2)].concat(), 1, now).len(), fragments.len() + 12);
    assert_eq!(fed(&mut slow, &ping, 1, now + Duration::from_secs(1)), ping);
    assert!(fed(&mut slow, &ping, 1, now + Duration::from_secs(1)).is_empty());
    assert_eq!(slow.outcome().1, SocketEnd::TooFast);
    let mut narrow = tunnel(rules(None, pace(100.0)), now);
    let message = framed(0x82, &[0; 44], Some(KEY)); // 50 bytes with its head
    assert_eq!(fed(&mut narrow, &message.repeat(3), 1, now).len(), 100);
    assert_eq!(narrow.to_client(now).unwrap().get(2..4), Some(&1008_u16.to_be_bytes()[..]));
}

#[test]
fn a_pong_to_the_gateways_ping_goes_no_further_and_others_do() {
    let began = Instant::now();
    let rules = Rules { ping: Some(Ping { every: SECOND * 30, pong: SECOND * 10 }), ..any() };
    let mut tunnel = tunnel(rules, began);
    assert_eq!(tunnel.deadline(), Some(began + SECOND * 30));
    tunnel.tick(began + SECOND * 29, false);
    assert!(tunnel.to_client(began + SECOND * 29).is_none());
    let now = began + SECOND * 30;
    tunnel.tick(now, false);
    let ping = tunnel.to_client(now).expect("a ping");
    let header = frame::read(&ping).unwrap().unwrap();
    assert_eq!((header.opcode, header.length), (Opcode::Ping, 8));
    let other = tunnel.to_upstream(now).expect("a ping for the upstream");
    assert!(frame::read(&other).unwrap().unwrap().mask.is_some());
    // One that is not the answer passes, the answer does not.
    let (own, answer) = (framed(0x8A, b"mine", Some(KEY)), framed(0x8A, &ping[2..], Some(KEY)));
    assert_eq!(fed(&mut tunnel, &[own.clone(), answer.clone()].concat(), 1, now), own);
    assert_eq!(fed(&mut tunnel, &answer, 1, now), answer, "it was answered already");
    // The upstream has said nothing.
    tunnel.tick(now + SECOND * 9, false);
    assert!(tunnel.to_client(now + SECOND * 9).is_none());
    tunnel.tick(now + SECOND * 10, false);
    assert_eq!(tunnel.outcome().1, SocketEnd::Pong);
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn each_clock_ends_it_at_its_time_with_its_code() {
    let began = Instant::now();
    let expires = Some(began + SECOND * 5);
    for (rules, expires, after, end, code) in [
        (Rules { idle: Some(SECOND * 5), ..any() }, None, 5, SocketEnd::Idle, 1001_u16),
        (Rules { life: Some(SECOND * 5), ..any() }, None, 5, SocketEnd::Life, 1001),
        (any(), expires, 5, SocketEnd::Expired, 1008),
    ] {
        let mut tunnel = Tunnel::new(opening(rules, expires), Extensions::None, Worker(0), (began, 1));
        assert_eq!(tunnel.deadline(), Some(began + SECOND * after));
        tunnel.tick(began + SECOND * after - Duration::from_millis(1), false);
        assert!(!tunnel.has_word_for_client());
        let now = began + SECOND * after;
        tunnel.tick(now, false);
        assert_eq!(tunnel.outcome().1, end);
        assert!(tunnel.to_upstream(now).is_none(), "the client is told first");
        assert_eq!(tunnel.to_client(now).unwrap().get(2..4), Some(&code.to_be_bytes()[..]));
        assert!(tunnel.to_upstream(now).is_some());
        assert!(!tunnel.is_over(now + SECOND * 4));
        assert!(tunnel.is_over(now + SECOND * 5), "it is not waited for ever");
    }
}

#[test]
fn a_message_keeps_it_from_being_idle_and_a_ping_does_not() {
    let began = Instant::now();
    let mut tunnel = tunnel(Rules { idle: Some(SECOND * 5), ..any() }, began);
    fed(&mut tunnel, &framed(0x81, b"a", Some(KEY)), 1, began + SECOND * 3);
    assert_eq!(tunnel.deadline(), Some(began + SECOND * 8));
    fed(&mut tunnel, &framed(0x89, b"a", Some(KEY)), 1, began + SECOND * 4);
    assert_eq!(tunnel.deadline(), Some(began + SECOND * 8));
}

#[test]
fn who_is_asked_to_leave_ends_the_message_under_way_first() {
    let began = Instant::now();
    let mut quiet = tunnel(any(), began);
    quiet.tick(began, true);
    assert_eq!(quiet.outcome().1, SocketEnd::Drained);
    let mut busy = tunnel(any(), began);
    fed(&mut busy, &framed(0x01, b"begun", Some(KEY)), 1, began);
    busy.tick(began, true);
    assert!(!busy.has_word_for_client());
    fed(&mut busy, &framed(0x80, b"ended", Some(KEY)), 1, began);
    busy.tick(began, true);
    assert_eq!(busy.outcome().1, SocketEnd::Drained);
    let mut endless = tunnel(any(), began);
    fed(&mut endless, &framed(0x01, b"begun", Some(KEY)), 1, began);
    endless.tick(began, true);
    endless.tick(endless.deadline().unwrap(), true);
    assert_eq!(endless.outcome().1, SocketEnd::Drained);
}

#[test]
fn the_gateway_speaks_between_frames_only() {
    let began = Instant::now();
    let mut tunnel = tunnel(Rules { life: Some(SECOND), ..any() }, began);
    let frame = framed(0x82, &[0; 100], None);
    assert_eq!(tunnel.from_upstream(&frame[..50], began), Step::Pass(2));
    assert_eq!(tunnel.from_upstream(&frame[2..50], began), Step::Pass(48));
    tunnel.tick(began + SECOND, false);
    assert!(tunnel.has_word_for_client() && tunnel.to_client(began).is_none());
    assert_eq!(tunnel.from_upstream(&frame[50..], began), Step::Pass(52));
    assert!(tunnel.to_client(began).is_some());
}

#[test]
fn sockets_are_asked_by_what_they_belong_to() {
    let sockets = Arc::new(Sockets::default());
    let belongs = |route: &str| Belongs { listener: "main".into(), api: None, route: route.into() };
    let (one, two) = (sockets.join(belongs("/a")), sockets.join(belongs("/b")));
    sockets.ask(|belongs| &*belongs.route == "/a");
    let waker = std::task::Waker::noop();
    assert_eq!((one.is_asked(waker), two.is_asked(waker), sockets.count()), (true, false, 2));
    drop(one);
    assert_eq!(sockets.count(), 1);
}
