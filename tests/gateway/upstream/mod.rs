//! Choosing among endpoints, trying again, leaving out the sick, keeping connections.

mod affinity;
mod balance;
mod breaker;
mod calls;
mod fallback;
mod flood;
mod health;
mod hedge;
mod mirror;
mod odd;
mod overload;
mod resilience;
mod retries;
mod reuse;
mod rollout;
mod subset;

use std::time::{Duration, Instant};

use crate::support::client::Request;
use crate::support::gateway::Gateway;

/// The slowest of a hundred requests but one.
fn p99(gateway: &Gateway, count: usize) -> Duration {
    let mut client = gateway.connect();
    let mut times: Vec<Duration> = (0..count)
        .map(|_| {
            let began = Instant::now();
            assert_eq!(client.send(&Request::get("/")).status, 200);
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    times[count * 99 / 100 - 1]
}
