//! The context of a request and the view of it that policies see.

use super::{Client, Headers, HeadersMut};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

/// The scheme the client used, TLS ended here or at a trusted proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// As it stands in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

/// What is known of the length of the request's body before it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// There is none.
    None,
    /// Its length was declared, in bytes.
    Length(u64),
    /// It comes in chunks or until the stream ends.
    Unknown,
}

/// What policies may know and set of one request. Knows no snapshot and no Pingora type.
#[derive(Clone, Debug)]
pub struct RequestCx {
    /// When its head had arrived, on the monotonic clock.
    pub started: Instant,
    /// Who sent it.
    pub client: Client,
    /// How it came.
    pub scheme: Scheme,
    /// What its head says of the body.
    pub body: Body,
    /// Bytes of the body seen so far.
    pub body_bytes: u64,
}

impl RequestCx {
    /// The context of a request of which nothing is known yet.
    pub fn new(started: Instant) -> Self {
        let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Self {
            started,
            client: Client { address: nowhere, peer: nowhere, via_trusted: false },
            scheme: Scheme::Http,
            body: Body::None,
            body_bytes: 0,
        }
    }
}

/// A request's head as a policy sees it, whatever holds it.
pub struct RequestView<'a> {
    /// The method, upper-case for the standard ones.
    pub method: &'a str,
    /// Lower-case, without port.
    pub host: &'a str,
    /// Normalised; what was matched and what the upstream gets.
    pub path: &'a str,
    /// As sent, without the question mark.
    pub query: Option<&'a str>,
    /// The header fields.
    pub headers: &'a mut dyn HeadersMut,
}

impl RequestView<'_> {
    /// The first value of a field.
    pub fn header(&self, name: &http::HeaderName) -> Option<&[u8]> {
        Headers::first(self.headers, name)
    }
}
