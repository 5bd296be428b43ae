//! Clients that are slow, silent or greedy.

use crate::support::client::Request;
use crate::support::gateway::Gateway;
use crate::support::origin::Origin;

fn hasty(limits: &str) -> (Origin, Gateway) {
    let origin = Origin::echo();
    let gateway = Gateway::start(&format!("limits: {{ {limits} }}\nroutes: {{ /**: {{ to: {} }} }}", origin.url()));
    (origin, gateway)
}

#[test]
fn a_head_that_does_not_end_is_408_however_it_trickles() {
    let (origin, gateway) = hasty("header_timeout: 200ms, idle_timeout: 30s");
    let mut client = gateway.connect();
    client.send_raw(b"GET / HTTP/1.1\r\nHost: a\r\n");
    // A line now and then does not prolong the deadline: it counts from the first byte.
    let trickle = std::thread::spawn({
        let address = gateway.address();
        move || {
            let mut trickling = crate::support::client::Client::connect(address);
            for byte in b"GET / HTTP/1.1\r\nHost: a" {
                trickling.send_raw(&[*byte]);
            }
            trickling.read().status
        }
    });
    let reply = client.read();
    assert_eq!((reply.status, &reply.json()["type"]), (408, &"urn:tollgate:problem:slow-request".into()));
    assert_eq!(client.read_to_close(), b"");
    assert_eq!(trickle.join().expect("a trickling client"), 408);
    assert_eq!(origin.connections(), 0);
}

#[test]
fn a_connection_without_a_request_is_closed_silently() {
    let (_origin, gateway) = hasty("idle_timeout: 100ms");
    let mut silent = gateway.connect();
    assert_eq!(silent.read_to_close(), b"");
    let mut used = gateway.connect();
    assert_eq!(used.send(&Request::get("/")).status, 200);
    assert_eq!(used.read_to_close(), b"");
}

#[test]
fn a_connection_ends_after_its_last_request() {
    let (_origin, gateway) = hasty("requests_per_connection: 3");
    let mut client = gateway.connect();
    let kept: Vec<bool> = (0..3).map(|_| client.send(&Request::get("/")).keeps_alive()).collect();
    assert_eq!(kept, [true, true, false]);
    assert_eq!(client.read_to_close(), b"");
}

#[test]
fn a_flood_of_header_bytes_is_stopped_at_the_bound() {
    let (origin, gateway) = hasty("header_bytes: 4KiB");
    let mut client = gateway.connect();
    client.send_raw(b"GET / HTTP/1.1\r\nHost: a\r\n");
    for _ in 0..2_000 {
        client.send_raw(b"X-Flood: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n");
    }
    let status = client.try_read("GET").map_or(431, |response| response.status);
    assert_eq!(status, 431);
    assert_eq!(origin.connections(), 0);
    gateway.await_metric("tollgate_refusals_total", &["headers-too-large"], 1.0);
}

#[test]
fn one_endless_line_is_stopped_too() {
    let (origin, gateway) = hasty("header_bytes: 4KiB, uri_bytes: 2KiB");
    for start in ["GET /", "GET / HTTP/1.1\r\nHost: a\r\nX: "] {
        let mut client = gateway.connect();
        client.send_raw(start.as_bytes());
        for _ in 0..100 {
            client.send_raw(&[b'x'; 1000]);
        }
        let status = client.try_read("GET").map_or(431, |response| response.status);
        assert!(matches!(status, 414 | 431), "{start}: {status}");
    }
    assert_eq!(origin.connections(), 0);
}
