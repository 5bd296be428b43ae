//! When another attempt is made.

use std::fmt;

/// When another attempt is made; by default never.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Retries {
    /// Attempts after the first.
    pub max: u32,
    /// After what.
    pub on: Vec<RetryCause>,
    /// Retries as a share of requests, 0 to 1.
    pub budget: f64,
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
