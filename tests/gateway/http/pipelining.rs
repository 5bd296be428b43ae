//! Requests sent before the answer to the one before them (RFC 9112 §9.3.2), and connections that outlive a failure
//! (§9.3): whatever the upstream does, each request is answered, in order.

use crate::support::client::{Client, Identified, Request, Response};
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Ending, Origin};
use crate::support::ports;

const GET: &str = "GET /second HTTP/1.1\r\nHost: a\r\n\r\n";
const FIRST: [(&str, &str); 4] = [
    ("GET", "GET /first HTTP/1.1\r\nHost: a\r\n\r\n"),
    ("POST", "POST /first HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"),
    (
        "POST",
        "POST /first HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n",
    ),
    ("HEAD", "HEAD /first HTTP/1.1\r\nHost: a\r\n\r\n"),
];

/// An upstream that answers `/first` when the gate is open, and anything else at once.
fn held(gate: &Gate) -> Origin {
    let gate = gate.clone();
    Origin::start(move |request| {
        if request.target.ends_with("/first") {
            gate.pass();
        }
        Answer::echo(request)
    })
}

fn read(client: &mut Client, method: &str) -> Response {
    let response = client.read_for(method, Identified::Required);
    assert!(response.keeps_alive(), "{}: {}", response.status, response.text());
    response
}

#[test]
fn a_request_that_arrives_while_another_waits_is_answered_after_it() {
    for (method, first) in FIRST {
        for later in [false, true] {
            let gate = Gate::default();
            let origin = held(&gate);
            let gateway = Gateway::before(&origin.url());
            let mut client = gateway.connect();
            if later {
                client.send_raw(first.as_bytes());
                gate.await_arrivals(1);
                client.send_raw(GET.as_bytes());
                // Only when the gateway has had the chance to see the second does the first get its answer.
                assert_eq!(gateway.get("/other").status, 200);
            } else {
                client.send_raw(format!("{first}{GET}").as_bytes());
                gate.await_arrivals(1);
            }
            gate.open();
            let answer = read(&mut client, method);
            assert_eq!(answer.status, 200, "{first:?}, later: {later}");
            if method == "POST" {
                assert_eq!(answer.json()["body"], "hello", "{first:?}, later: {later}");
            }
            assert_eq!(read(&mut client, "GET").json()["target"], "/second", "{first:?}, later: {later}");
            assert_eq!(client.send(&Request::get("/third")).json()["target"], "/third");
        }
    }
}

#[test]
fn it_does_not_matter_where_the_bytes_are_cut() {
    let origin = Origin::echo();
    let gateway = Gateway::before(&origin.url());
    for (method, first) in FIRST {
        let all = format!("{first}{GET}");
        let mut client = gateway.connect();
        for at in 1..all.len() {
            client.send_raw(&all.as_bytes()[..at]);
            if at > 4 + first.find("\r\n\r\n").unwrap() && at < first.len() {
                // The gateway has the head and part of the body.
                assert_eq!(gateway.get("/other").status, 200);
            }
            client.send_raw(&all.as_bytes()[at..]);
            assert_eq!(read(&mut client, method).status, 200, "{first:?} cut at {at}");
            assert_eq!(read(&mut client, "GET").json()["target"], "/second", "{first:?} cut at {at}");
        }
    }
}

#[test]
fn many_requests_held_back_are_answered_though_the_client_has_sent_its_last() {
    let gate = Gate::default();
    let origin = held(&gate);
    let gateway = Gateway::before(&origin.url());
    let mut client = gateway.connect();
    let many: String = (0..900).map(|n| format!("GET /{n} HTTP/1.1\r\nHost: a\r\nX: {n:040}\r\n\r\n")).collect();
    client.send_raw(FIRST[0].1.as_bytes());
    gate.await_arrivals(1);
    client.send_raw(many.as_bytes());
    gate.open();
    assert_eq!(read(&mut client, "GET").json()["target"], "/first");
    for n in 0..900 {
        assert_eq!(read(&mut client, "GET").json()["target"], format!("/{n}"));
    }
}

#[test]
fn a_client_that_closes_its_side_gets_what_it_asked_for_before() {
    let gate = Gate::default();
    let origin = held(&gate);
    let gateway = Gateway::before(&origin.url());
    let mut client = gateway.connect();
    client.send_raw(FIRST[0].1.as_bytes());
    client.send_raw(b"GET /a b HTTP/1.1\r\n\r\n");
    client.finish_sending();
    gate.await_arrivals(1);
    assert_eq!(gateway.get("/other").status, 200);
    gate.open();
    assert_eq!(read(&mut client, "GET").json()["target"], "/first");
    assert_eq!(client.read().status, 400);
    assert_eq!(client.read_to_close(), b"");
}

#[test]
fn a_refused_upgrade_leaves_the_requests_behind_it_alone() {
    let gate = Gate::default();
    let origin = held(&gate);
    let gateway = Gateway::before(&origin.url());
    let mut client = gateway.connect();
    let upgrade = "GET /first HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    client.send_raw(format!("{upgrade}{GET}").as_bytes());
    gate.await_arrivals(1);
    client.send_raw(GET.as_bytes());
    gate.open();
    assert_eq!(read(&mut client, "GET").json()["target"], "/first");
    assert_eq!(read(&mut client, "GET").json()["target"], "/second");
    assert_eq!(read(&mut client, "GET").json()["target"], "/second");
}

#[test]
fn what_is_sent_ahead_of_an_agreed_upgrade_belongs_to_it() {
    let origin = Origin::start(|_| {
        Answer::raw("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhi ")
            .ending(Ending::Stall)
    });
    let gateway = Gateway::before(&origin.url());
    let mut client = gateway.connect();
    let upgrade = "GET /first HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    client.send_raw(format!("{upgrade}GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
    assert_eq!(client.read_head().0, 101);
    assert_eq!(client.read_some(), b"hi ");
    client.finish_sending();
    assert_eq!(client.read_to_close(), b"");
    assert_eq!(origin.requests().len(), 1, "the frame was taken for a request");
}

#[test]
fn a_connection_outlives_a_failed_exchange() {
    let broken = Origin::start(|_| Answer::none(Ending::Reset));
    let stalled = Origin::start(|_| Answer::none(Ending::Stall));
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!(
        "routes:\n  /reset: {{ to: {}, retries: 0 }}\n  /late: {{ to: {}, timeout: 50ms }}\n  /refused: {{ to: http://127.0.0.1:{} }}\n  /**: {{ to: {} }}",
        broken.url(),
        stalled.url(),
        ports::free().port(),
        origin.url(),
    ));
    let mut client = gateway.connect();
    for (path, status) in [("/reset", 502), ("/late", 504), ("/refused", 502)] {
        for (method, first) in FIRST {
            client.send_raw(first.replace("/first", path).as_bytes());
            assert_eq!(read(&mut client, method).status, status, "{path} {method}");
            assert_eq!(client.send(&Request::get("/next")).json()["target"], "/next", "{path} {method}");
            client.send_raw(format!("{}{GET}", first.replace("/first", path)).as_bytes());
            assert_eq!(read(&mut client, method).status, status, "{path} {method}");
            assert_eq!(read(&mut client, "GET").json()["target"], "/second", "{path} {method}");
        }
        // The rest of a short body is read, and then the next request.
        client.send_raw(format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe").as_bytes());
        if path == "/refused" {
            assert_eq!(read(&mut client, "POST").status, status, "{path}");
        }
        client.send_raw(format!("llo{GET}").as_bytes());
        if path != "/refused" {
            assert_eq!(read(&mut client, "POST").status, status, "{path}");
        }
        assert_eq!(read(&mut client, "GET").json()["target"], "/second", "{path}");
    }
}

#[test]
fn a_client_in_the_midst_of_a_large_body_reads_why_it_is_refused() {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!("routes: {{ /**: {{ to: {}, body_limit: 1KiB }} }}", origin.url()));
    for framing in ["Content-Length: 60000000", "Transfer-Encoding: chunked"] {
        let mut client = gateway.connect();
        client.send_raw(format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n10000\r\n").as_bytes());
        for _ in 0..16 {
            client.send_raw(&[b'x'; 4096]);
        }
        let answer = client.read_for("POST", Identified::Required);
        assert_eq!((answer.status, answer.keeps_alive()), (413, false), "{framing}");
        client.send_raw(&[b'x'; 65_536]);
        client.finish_sending();
        assert_eq!(client.read_to_close(), b"");
    }
}
