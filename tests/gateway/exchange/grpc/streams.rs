//! Streams of messages, down, up and both ways.

use super::service::{Item, Messages, Shop};
use super::{before, ruled};
use crate::support::client::Request;
use crate::support::gate::Gate;
use crate::support::wait;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio_stream::{StreamExt, iter};
use tonic::{Response, Status};

fn items(count: i64) -> Messages {
    Box::pin(iter((1..=count).map(|price| Ok(Item::new("x", price).bytes()))))
}

fn watch(accept: &str) -> Request {
    Request::get("/v1/shelves/1:watch").header("Accept", accept)
}

#[test]
fn a_stream_is_lines_events_or_an_array_as_the_client_accepts() {
    let shop = Shop::start(|_| async { Ok(Response::new(items(3))) });
    let gateway = ruled(&shop);
    for (accept, kind, body) in [
        (
            "application/x-ndjson",
            "application/x-ndjson",
            "{\"name\":\"x\",\"price\":\"1\"}\n{\"name\":\"x\",\"price\":\"2\"}\n{\"name\":\"x\",\"price\":\"3\"}\n",
        ),
        (
            "text/event-stream",
            "text/event-stream",
            "data: {\"name\":\"x\",\"price\":\"1\"}\n\ndata: {\"name\":\"x\",\"price\":\"2\"}\n\ndata: {\"name\":\"x\",\"price\":\"3\"}\n\n",
        ),
        (
            "application/json",
            "application/json",
            "[{\"name\":\"x\",\"price\":\"1\"},{\"name\":\"x\",\"price\":\"2\"},{\"name\":\"x\",\"price\":\"3\"}]",
        ),
    ] {
        let answer = gateway.send(&watch(accept));
        assert_eq!((answer.status, answer.header("content-type"), answer.text()), (200, Some(kind), body));
    }
}

#[test]
fn an_empty_stream_is_an_empty_array_or_no_line() {
    let shop = Shop::start(|_| async { Ok(Response::new(items(0))) });
    let gateway = ruled(&shop);
    assert_eq!(gateway.send(&watch("application/json")).text(), "[]");
    assert_eq!(gateway.send(&watch("application/x-ndjson")).text(), "");
}

#[test]
fn a_stream_that_fails_says_so_in_its_last_line_or_breaks_off() {
    let shop = Shop::start(|_| async {
        let broken = items(1).chain(iter([Err(Status::data_loss("broken"))]));
        Ok(Response::new(Box::pin(broken) as Messages))
    });
    let gateway = ruled(&shop);
    let lines = gateway.send(&watch("application/x-ndjson"));
    let last: Value = serde_json::from_str(lines.text().lines().last().expect("a line")).expect("JSON");
    assert_eq!((&last["error"]["grpc_status"], &last["error"]["detail"]), (&"DATA_LOSS".into(), &"broken".into()));
    let events = gateway.send(&watch("text/event-stream"));
    assert!(events.text().contains("\n\nevent: error\ndata: {"), "{}", events.text());
    let mut client = gateway.connect();
    client.send_raw(b"GET /v1/shelves/1:watch HTTP/1.1\r\nHost: x\r\nAccept: application/json\r\n\r\n");
    assert!(client.try_read("GET").is_err(), "an array without its end is no answer");
}

#[test]
fn a_stream_that_is_refused_at_once_has_its_status() {
    let shop = Shop::start(|_| async { Err::<Response<Messages>, _>(Status::permission_denied("no")) });
    let gateway = ruled(&shop);
    let answer = gateway.send(&watch("text/event-stream, application/json"));
    assert_eq!((answer.status, &answer.json()["grpc_status"]), (403, &"PERMISSION_DENIED".into()));
}

#[test]
fn a_message_is_passed_on_before_the_next_one_comes_and_the_stream_outlasts_the_timeout() {
    let gate = Arc::new(Gate::default());
    let opened = Arc::clone(&gate);
    let shop = Shop::start(move |_| {
        let gate = Arc::clone(&opened);
        async move {
            let second = tokio_stream::once(()).then(move |()| {
                let gate = Arc::clone(&gate);
                async move {
                    tokio::task::spawn_blocking(move || gate.pass()).await.expect("a gate");
                    Ok(Item::new("x", 2).bytes())
                }
            });
            Ok(Response::new(Box::pin(items(1).chain(second)) as Messages))
        }
    });
    let gateway = before(
        &shop.url(),
        "  /w: { grpc: { proto: shop.proto, method: shop.Catalog/Watch }, to: UPSTREAM, timeout: 300ms }",
    );
    let mut client = gateway.connect();
    client.send_raw(b"GET /w HTTP/1.1\r\nHost: x\r\nAccept: application/x-ndjson\r\n\r\n");
    let (status, _) = client.read_head();
    assert_eq!(status, 200);
    let mut seen = Vec::new();
    let began = std::time::Instant::now();
    while !String::from_utf8_lossy(&seen).contains("\"1\"") {
        seen.extend(client.read_some());
    }
    wait::until("the timeout of the route has passed", || began.elapsed().as_millis() > 400);
    gate.open();
    while !String::from_utf8_lossy(&seen).contains("\"2\"") {
        seen.extend(client.read_some());
    }
}

#[test]
fn lines_of_a_body_are_messages_of_a_stream() {
    let shop = Shop::start(|mut call| async move {
        let mut sum = 0;
        let mut count = 0;
        while let Some(message) = call.messages.message().await? {
            sum += <Item as prost::Message>::decode(message).expect("an item").price;
            count += 1;
        }
        super::service::one(Item::new(&format!("{count}"), sum).bytes())
    });
    let gateway = ruled(&shop);
    let body = "{\"price\":1}\n\n {\"price\":\"2\"} \r\n{\"price\":3}";
    let load = |body: &str| Request::post("/v1/items:load", body).header("Content-Type", "application/x-ndjson");
    assert_eq!(gateway.send(&load(body)).text(), r#"{"name":"3","price":"6"}"#);
    assert_eq!(gateway.send(&load("")).text(), r#"{"name":"0"}"#);
    let refused = gateway.send(&load("{\"price\":1}\n{\"price\":\"x\"}\n"));
    assert_eq!((refused.status, refused.problem()), (400, "invalid-message".into()));
    let detail = refused.json()["detail"].as_str().unwrap_or_default().to_owned();
    assert!(detail.starts_with("Line 2: The body is not the JSON this route needs"), "{detail}");
}

#[test]
fn messages_go_both_ways_at_once() {
    let shop = Shop::start(|call| async move { Ok(Response::new(Box::pin(call.messages) as Messages)) });
    let gateway = ruled(&shop);
    let mut client = gateway.connect();
    client.send_raw(b"POST /v1/items:chat HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut seen = Vec::new();
    for price in 1..=5 {
        let line = format!("{{\"price\":{price}}}\n");
        client.send_raw(format!("{:x}\r\n{line}\r\n", line.len()).as_bytes());
        while !String::from_utf8_lossy(&seen).contains(&format!("{{\"price\":\"{price}\"}}\n")) {
            seen.extend(client.read_some());
        }
    }
    client.send_raw(b"0\r\n\r\n");
    while !seen.ends_with(b"0\r\n\r\n") {
        seen.extend(client.read_some());
    }
}

/// How many messages of 1 KB a service that never stops has been asked for, and whether it has been let go.
#[derive(Default)]
struct Watched {
    asked: AtomicUsize,
    gone: AtomicBool,
}

struct Gone(Arc<Watched>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.gone.store(true, Ordering::SeqCst);
    }
}

fn endless(watched: &Arc<Watched>) -> Shop {
    let watched = Arc::clone(watched);
    Shop::start(move |_| {
        let gone = Gone(Arc::clone(&watched));
        async move {
            let name = "x".repeat(1_000);
            let messages = iter(0_i64..).map(move |price| {
                gone.0.asked.fetch_add(1, Ordering::SeqCst);
                Ok(Item::new(&name, price).bytes())
            });
            Ok(Response::new(Box::pin(messages) as Messages))
        }
    })
}

#[test]
fn a_client_that_does_not_read_holds_the_service_back_and_one_that_leaves_ends_the_call() {
    let watched = Arc::new(Watched::default());
    let shop = endless(&watched);
    let gateway = ruled(&shop);
    let mut client = gateway.connect();
    client.send_raw(b"GET /v1/shelves/1:watch HTTP/1.1\r\nHost: x\r\nAccept: application/x-ndjson\r\n\r\n");
    client.read_head();
    let mut last = 0;
    wait::until("the service is held back", || {
        wait::moment();
        let asked = watched.asked.load(Ordering::SeqCst);
        let held = asked == last && asked > 0;
        last = asked;
        held
    });
    // What is on its way: windows of 8 MiB and what sockets hold, not what the service could send.
    assert!(last < 60_000, "{last} messages of 1 KB were taken though nobody reads");
    assert!(!watched.gone.load(Ordering::SeqCst));
    drop(client);
    wait::until("the call is given up", || watched.gone.load(Ordering::SeqCst));
}

#[test]
fn a_hundred_thousand_messages_pass() {
    let shop = Shop::start(|_| async { Ok(Response::new(items(100_000))) });
    let gateway = ruled(&shop);
    let answer = gateway.send(&watch("application/x-ndjson"));
    assert_eq!(answer.text().lines().count(), 100_000);
    assert!(answer.text().ends_with("{\"name\":\"x\",\"price\":\"100000\"}\n"));
}
