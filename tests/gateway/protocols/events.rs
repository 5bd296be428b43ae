//! Server-sent events: each one arrives when it is sent, and the stream outlives the route's deadline.

use crate::support::client::Request;
use crate::support::gate::Gate;
use crate::support::gateway::Gateway;
use crate::support::origin::{Answer, Origin};

#[test]
fn events_arrive_one_by_one_beyond_the_deadline() {
    let gates: [Gate; 3] = Default::default();
    let held = gates.clone();
    let origin = Origin::start(move |_| {
        let answer = Answer::status(200).header("Content-Type", "text/event-stream").chunked().body("data: 0\n\n");
        held.iter()
            .enumerate()
            .fold(answer, |answer, (n, gate)| answer.then_wait(gate).body(format!("data: {}\n\n", n + 1)))
    });
    let gateway = Gateway::start(&format!("routes: {{ /**: {{ to: {}, timeout: 50ms }} }}", origin.url()));
    let mut client = gateway.connect();
    client.send_raw(&Request::get("/").header("Accept", "text/event-stream").bytes("a"));
    assert_eq!(client.read_head().0, 200);
    let mut seen = String::new();
    let mut read_until = |client: &mut crate::support::client::Client, event: &str| {
        while !seen.contains(event) {
            let bytes = client.read_some();
            assert!(!bytes.is_empty(), "the stream ended before {event}");
            seen.push_str(&String::from_utf8_lossy(&bytes));
        }
    };
    read_until(&mut client, "data: 0");
    for (n, gate) in gates.iter().enumerate() {
        outlast(std::time::Duration::from_millis(60));
        gate.open();
        read_until(&mut client, &format!("data: {}", n + 1));
    }
}

/// Waits until more time than that has passed.
pub fn outlast(time: std::time::Duration) {
    let began = std::time::Instant::now();
    crate::support::wait::until("the time has passed", || began.elapsed() > time);
}
