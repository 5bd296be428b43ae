//! The bounds of a listener's connections. Pingora's own defaults are none, or far too wide, so each is always given.

use super::head::{HeadLimits, ReadBounds};
use crate::value::Rate;
use std::time::Duration;

/// The bounds of a listener's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Bytes, fields and target of a head.
    pub head: HeadLimits,
    /// From a head's first byte to its last.
    pub header: Duration,
    /// Between two pieces of a request's body.
    pub body: Duration,
    /// One write to the client.
    pub write: Duration,
    /// Without a request.
    pub idle: Duration,
    /// Requests over one HTTP/1 connection.
    pub requests: u32,
    /// Connections of the listener.
    pub connections: usize,
    /// Connections of one client: an IPv4 address, or a /64 of IPv6.
    pub connections_per_client: usize,
    /// How fast one client may open connections.
    pub connection_rate: Option<Rate>,
    /// How fast one client may send requests.
    pub request_rate: Option<Rate>,
    /// HTTP/2 streams at once over one connection.
    pub h2_streams: u32,
    /// HTTP/2 streams reset before they were answered, until the connection is closed (CVE-2023-44487).
    pub h2_resets: usize,
}

impl Bounds {
    /// The part that reading a head needs.
    pub fn read(&self) -> ReadBounds {
        ReadBounds { header: self.header, idle: self.idle, limits: self.head }
    }
}
