//! When another attempt is made.

use std::fmt;
use std::time::Duration;

/// When another attempt is made; by default never.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Retries {
    /// Attempts after the first.
    pub max: u32,
    /// After what.
    pub on: Vec<RetryCause>,
    /// Retries as a share of requests, 0 to 1.
    pub budget: f64,
    /// How long one attempt may take to begin its answer, and be silent after that; for requests passed on.
    pub per_try: Option<Duration>,
    /// The wait before a retry, for requests passed on; `None` for none.
    pub backoff: Option<Backoff>,
    /// The longest body that is sent again, bytes; for requests passed on.
    pub replay: u64,
}

/// The waits before retries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// At most this before the first; twice as long before each that follows.
    pub first: Duration,
    /// Never longer.
    pub longest: Duration,
}

impl Backoff {
    /// The wait before the retry of that number, from 1: exponential with "full jitter" (M. Brooker, "Exponential Backoff
    /// And Jitter", AWS, 2015), as 64 random bits have it.
    pub fn wait(self, retry: u32, random: u64) -> Duration {
        let doublings = retry.saturating_sub(1).min(16);
        let most = self.first.saturating_mul(1 << doublings).min(self.longest);
        most.mul_f64((random >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

/// After what another attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryCause {
    /// No connection came about: nothing was sent, so any method may be tried again.
    Connect,
    /// The connection broke before the answer; idempotent methods only.
    Reset,
    /// No answer in time; idempotent methods only.
    Timeout,
    /// This status; idempotent methods only.
    Status(u16),
}

impl fmt::Display for RetryCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("connect"),
            Self::Reset => f.write_str("reset"),
            Self::Timeout => f.write_str("timeout"),
            Self::Status(status) => status.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_are_drawn_at_random() {
        let backoff = Backoff { first: Duration::from_millis(25), longest: Duration::from_millis(250) };
        let most: Vec<u128> = (1..=6).map(|retry| backoff.wait(retry, u64::MAX).as_millis()).collect();
        assert_eq!(most, [25, 50, 100, 200, 250, 250]);
        assert_eq!(backoff.wait(3, 0), Duration::ZERO);
        assert_eq!(backoff.wait(3, 1 << 63), Duration::from_millis(50));
        assert_eq!(backoff.wait(u32::MAX, 1 << 63), Duration::from_millis(125));
    }
}
