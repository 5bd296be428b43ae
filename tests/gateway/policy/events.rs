//! `events:` over real sockets: streams that are kept alive, held to a pace, counted, and ended between two events.

use std::time::{Duration, Instant};

use crate::support::client::{Client, Request, h2};
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};

fn gateway(origin: &Origin, events: &str) -> Gateway {
    Gateway::start(&format!("routes: {{ /**: {{ to: {}, events: {events} }} }}", origin.url()))
}

fn asks() -> Request {
    Request::get("/").header("Accept", "text/event-stream")
}

fn stream(first: &str) -> Answer {
    Answer::status(200).header("Content-Type", "text/event-stream; charset=utf-8").chunked().body(first)
}

/// One event, and after it nothing until the gate opens; then a second one.
fn held(gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::start(move |_| stream("data: 0\n\n").then_wait(&gate).body("data: 1\n\n"))
}

/// What has come of a stream, without the sizes of its chunks, once it contains that.
#[track_caller]
fn until(client: &mut Client, seen: &mut String, text: &str) {
    while !seen.contains(text) {
        let bytes = client.read_some();
        assert!(!bytes.is_empty(), "the stream ended before {text:?}: {seen:?}");
        seen.push_str(&String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn clients_are_sent_comments_while_the_upstream_is_silent_and_events_as_they_come() {
    let gate = Gate::default();
    let origin = held(&gate);
    let gateway = gateway(&origin, "100ms");
    let mut client = gateway.connect();
    client.send_raw(&asks().bytes("a"));
    assert_eq!(client.read_head().0, 200);
    let mut seen = String::new();
    until(&mut client, &mut seen, "data: 0\n\n");
    until(&mut client, &mut seen, ":\n\n");
    gate.open();
    until(&mut client, &mut seen, "data: 1\n\n");
    until(&mut client, &mut seen, "0\r\n\r\n");
    gateway.await_metric("tollgate_event_streams_ended_total", &["reason=\"upstream\""], 1.0);
    assert_eq!(gateway.metric("tollgate_events_total", &["/**"]), 2.0);
    assert_eq!(gateway.metric("tollgate_event_streams", &["/**"]), 0.0);
}

#[test]
fn no_comment_is_put_into_an_event() {
    let gate = Gate::default();
    let held = gate.clone();
    let origin = Origin::start(move |_| stream("data: 0\ndata: half").then_wait(&held).body(" of it\n\n"));
    let gateway = gateway(&origin, "{ heartbeat: 50ms, life: 1h }");
    let mut client = gateway.connect();
    client.send_raw(&asks().bytes("a"));
    assert_eq!(client.read_head().0, 200);
    crate::protocols::outlast(Duration::from_millis(200));
    gate.open();
    let mut seen = String::new();
    until(&mut client, &mut seen, "0\r\n\r\n");
    assert!(!seen.contains(":\n\n"), "{seen:?}");
}

#[test]
fn browsers_are_told_when_to_connect_again() {
    let origin = Origin::start(|_| stream("\u{feff}data: 0\n\n"));
    let gateway = gateway(&origin, "{ retry: 5s }");
    assert_eq!(gateway.send(&asks()).text(), "retry: 5000\n\ndata: 0\n\n");
    assert!(origin.only_request().header("accept-encoding").is_none());
}

#[test]
fn a_stream_that_is_too_old_ends_whole() {
    let gate = Gate::default();
    let origin = held(&gate);
    let gateway = gateway(&origin, "{ life: 300ms, heartbeat: off }");
    // Read to its proper end: a client of HTTP/1.1 could not tell otherwise.
    assert_eq!(gateway.send(&asks()).text(), "data: 0\n\n");
    gateway.await_metric("tollgate_event_streams_ended_total", &["reason=\"life\""], 1.0);
    gate.open();
}

#[test]
fn streams_end_when_the_gateway_stops_or_their_route_goes() {
    let gate = Gate::default();
    let origin = held(&gate);
    for reload in [true, false] {
        let gateway = gateway(&origin, "true");
        let mut client = gateway.connect();
        client.send_raw(&asks().bytes("a"));
        assert_eq!(client.read_head().0, 200);
        let mut seen = String::new();
        until(&mut client, &mut seen, "data: 0\n\n");
        assert_eq!(gateway.metric("tollgate_event_streams", &["/**"]), 1.0);
        if reload {
            drop(gateway.change("routes: { /other: { respond: {} } }"));
        } else {
            gateway.drain();
        }
        until(&mut client, &mut seen, "0\r\n\r\n");
    }
    gate.open();
}

#[test]
fn an_upstream_is_held_back_where_it_sends_too_fast() {
    let gates: [Gate; 2] = Default::default();
    gates.iter().for_each(Gate::open);
    let origin = Origin::start(move |_| {
        let five = "data: x\n\n".repeat(5);
        let first = stream(&five).then_wait(&gates[0]);
        first.body(five.as_str()).then_wait(&gates[1]).body("data: last\n\n")
    });
    let gateway = gateway(&origin, "{ events: 20/s burst 5 }");
    let began = Instant::now();
    let response = gateway.send(&asks());
    assert_eq!(response.text().matches("data:").count(), 11);
    // However its pieces come together: at least the last six wait for their turn, unless all came as one.
    let waited = began.elapsed();
    assert!(waited >= Duration::from_millis(200), "{waited:?}");
}

#[test]
fn other_answers_of_the_route_pass_as_they_are() {
    let origin = Origin::echo();
    let gateway = gateway(&origin, "{ retry: 5s }");
    let plain = gateway.get("/plain");
    assert_eq!((plain.status, &plain.json()["target"]), (200, &"/plain".into()));
    let asked = gateway.send(&asks());
    assert_eq!((asked.status, &asked.json()["target"]), (200, &"/".into()));
    let posted = Request::post("/ask", "a question").header("Accept", "text/event-stream");
    assert_eq!(gateway.send(&posted).json()["body"], "a question");
}

#[test]
fn a_question_that_is_posted_may_be_answered_by_a_stream_over_http2_too() {
    let origin = Origin::start(|request| stream(&format!("data: {}\n\n", String::from_utf8_lossy(&request.body))));
    let gateway = Gateway::start(&format!(
        "listeners: {{ clear: {{ address: \"127.0.0.1:0\", protocols: [h2c, h1] }} }}\n\
         routes: {{ /**: {{ to: {}, events: {{ retry: 1s }} }} }}",
        origin.url()
    ));
    let request = Request::post("/ask", "why").header("Accept", "application/json, text/event-stream");
    let response = h2::Client::connect(gateway.listener("clear")).send(&request);
    assert_eq!((response.status, response.text()), (200, "retry: 1000\n\ndata: why\n\n"));
}

#[test]
fn an_upstream_that_is_away_is_told_as_usual() {
    let gateway = Gateway::start("routes: { /**: { to: \"http://127.0.0.1:1\", events: true } }");
    assert_eq!(gateway.send(&asks()).status, 502);
}
