//! What the scripted upstream can do, well or badly.

use crate::support::client::{Client, Request, send};
use crate::support::gate::Gate;
use crate::support::origin::{Answer, Ending, Origin};
use crate::support::ports;

fn get(target: &str) -> Request {
    Request::get(target).unidentified()
}

#[test]
fn echoes_the_request_in_order() {
    let origin = Origin::echo();
    let request =
        Request::post("/a?b=c", "hello").unidentified().header("X-A", "1").header("X-B", "2").header("X-A", "3");
    let echo = send(origin.address(), &request).json();
    assert_eq!((&echo["method"], &echo["target"], &echo["length"]), (&"POST".into(), &"/a?b=c".into(), &5.into()));
    let names: Vec<_> = echo["headers"].as_array().expect("headers").iter().map(|pair| pair[0].clone()).collect();
    assert_eq!(names, ["Host", "X-A", "X-B", "X-A", "Content-Length"]);
    assert_eq!(origin.only_request().headers("x-a"), ["1", "3"]);
}

#[test]
fn sees_that_host_is_missing() {
    let origin = Origin::start(|request| Answer::ok("").header("X-Hosts", &request.headers("host").len().to_string()));
    let response = send(origin.address(), &get("/").without_host());
    assert_eq!(response.headers("x-hosts"), ["0"]);
}

#[test]
fn leaves_a_free_port_free() {
    assert!(std::net::TcpStream::connect(ports::free()).is_err());
}

#[test]
fn reads_chunked_requests_and_continues_expectant_ones() {
    let origin = Origin::echo();
    let mut client = Client::connect(origin.address());
    let chunked = client.send(&Request::new("PUT", "/").unidentified().chunks(&["ab", "c"]));
    assert_eq!(chunked.json()["body"], "abc");
    let expectant = client.send(&Request::post("/", "x").unidentified().header("Expect", "100-continue"));
    assert_eq!(expectant.early, [(100, vec![])]);
    assert_eq!(origin.connections(), 1);
}

#[test]
fn holds_an_answer_until_its_gate_opens() {
    let gate = Gate::default();
    let origin = Origin::start({
        let gate = gate.clone();
        move |_| Answer::ok("first ").then_wait(&gate).body("second").chunked()
    });
    let mut client = Client::connect(origin.address());
    client.send_raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    gate.await_arrivals(1);
    assert_eq!(client.read_head().0, 200);
    assert_eq!(client.read_some(), b"6\r\nfirst \r\n");
    gate.open();
    assert!(client.read_some().starts_with(b"6\r\nsecond"));
}

#[test]
fn ends_its_answers_in_every_bad_way() {
    let origin = Origin::start(|request| match request.target.as_str() {
        "/nothing" => Answer::none(Ending::Close),
        "/reset" => Answer::none(Ending::Reset),
        "/cut" => Answer::ok("0123456789").cut_after(45, Ending::Close),
        "/reset-within" => Answer::ok("0123456789").cut_after(45, Ending::Reset),
        _ => Answer::raw("garbage\r\n\r\n"),
    });
    let failure = |target| {
        let mut client = Client::connect(origin.address());
        client.send_raw(&get(target).bytes("a"));
        client.try_read("GET").expect_err("no response")
    };
    assert_eq!(failure("/nothing"), "closed before a response");
    assert!(failure("/reset").contains("reset by peer"));
    assert!(failure("/cut").contains("bytes short"));
    assert!(failure("/reset-within").contains("reset by peer"));
    assert!(failure("/garbage").contains("not a status line"));
}

#[test]
fn stalls_until_the_client_gives_up() {
    let origin = Origin::start(|_| Answer::none(Ending::Stall));
    let mut client = Client::connect(origin.address());
    client.send_raw(&get("/").bytes("a"));
    origin.await_requests(1);
    client.finish_sending();
    assert_eq!(client.read_to_close(), b"");
}

#[test]
fn tells_connections_apart() {
    let origin = Origin::echo();
    let mut kept = Client::connect(origin.address());
    kept.send(&get("/1"));
    kept.send(&get("/2"));
    send(origin.address(), &get("/3"));
    let connections: Vec<_> = origin.requests().iter().map(|request| request.connection).collect();
    assert_eq!((connections, origin.connections()), (vec![0, 0, 1], 2));
}

#[test]
fn reports_what_was_not_http() {
    let origin = Origin::echo();
    Client::connect(origin.address()).send_raw(b"GET /\r\n\r\n");
    crate::support::wait::until("the upstream reports it", || !origin.errors().is_empty());
    assert!(origin.requests().is_empty());
}
