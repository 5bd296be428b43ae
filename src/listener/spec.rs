//! A compiled listener.

use super::{Bounds, ListenerTls};
use http::HeaderValue;
use std::net::SocketAddr;
use std::sync::Arc;

/// Which protocols a listener speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protocols {
    /// HTTP/1.1 and 1.0.
    pub h1: bool,
    /// HTTP/2 over TLS, by ALPN.
    pub h2: bool,
    /// HTTP/2 in clear text, by prior knowledge (RFC 9113 §3.3).
    pub h2c: bool,
}

/// A compiled listener.
#[derive(Debug)]
pub struct ListenerSpec {
    /// Its name, the label of its metrics.
    pub name: String,
    /// Its address.
    pub address: SocketAddr,
    /// Its port as a field value, for `X-Forwarded-Port`.
    pub port_text: HeaderValue,
    /// What it speaks.
    pub protocols: Protocols,
    /// Its certificates; plain where there are none.
    pub tls: Option<Arc<ListenerTls>>,
    /// Bounds of its connections.
    pub bounds: Bounds,
}

impl ListenerSpec {
    /// Whether a running listener of the other description already does all that this one asks for, its certificates
    /// apart: these are exchanged while it runs.
    pub fn same_but_certificates(&self, other: &Self) -> bool {
        let tls = match (&self.tls, &other.tls) {
            (None, None) => true,
            (Some(one), Some(two)) => one.same_but_certificates(two),
            _ => false,
        };
        let one = (&self.name, self.address, self.protocols, self.bounds);
        let two = (&other.name, other.address, other.protocols, other.bounds);
        tls && one == two
    }
}
