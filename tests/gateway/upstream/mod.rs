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
