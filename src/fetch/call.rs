//! One call and what comes of it.

use super::Trust;
use crate::value::{Host, Url};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use std::fmt;
use std::time::Duration;

/// A call to make.
#[derive(Clone)]
pub struct Call {
    /// The method.
    pub method: Method,
    /// Scheme, host and port.
    pub url: Url,
    /// Path and query.
    pub target: String,
    /// Header fields beside `Host`, `Content-Length`, `User-Agent` and `Accept-Encoding`.
    pub fields: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: Bytes,
    /// Bound of the whole call.
    pub timeout: Duration,
    /// The longest answer that is taken, in bytes.
    pub most: usize,
    /// Whose certificates are believed.
    pub trust: Trust,
}

impl fmt::Debug for Call {
    /// Fields and body may hold credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, certificates by {:?}", self.method, self.url, self.trust)
    }
}

impl Call {
    /// A GET with 5 seconds and 1 MiB, certificates verified by the system's authorities.
    pub fn get(url: Url, target: impl Into<String>) -> Self {
        Self {
            method: Method::GET,
            url,
            target: target.into(),
            fields: Vec::new(),
            body: Bytes::new(),
            timeout: Duration::from_secs(5),
            most: 1 << 20,
            trust: Trust::default(),
        }
    }

    /// Whether the call may be made twice after that error (RFC 9110 §9.2.2): the connection broke, and the method says
    /// that doing it again does nothing more.
    pub(super) fn is_repeatable(&self, error: &FetchError) -> bool {
        self.method.is_idempotent() && matches!(error, FetchError::Connection(_))
    }
}

/// Why a URL can never be called: over TLS an address is nothing that the certificate could be verified by, since the
/// TLS library looks for it among the names.
pub fn unverifiable(url: &Url) -> Option<&'static str> {
    (url.scheme.is_tls() && matches!(url.host, Host::Ip(_)))
        .then_some("a certificate is verified by a name, and this URL has an address in its place")
}

/// The answer to a call.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its header fields.
    pub headers: HeaderMap,
    /// Its body, whole.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// The host's name cannot be resolved.
    Name(String),
    /// No connection, or it broke.
    Connection(String),
    /// Not in time.
    Timeout,
    /// The answer is longer than was allowed.
    TooLong,
    /// The call itself cannot be sent: a target that is none.
    BadCall(String),
}

impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(why) => write!(f, "the name cannot be resolved: {why}"),
            Self::Connection(why) => write!(f, "the connection failed: {why}"),
            Self::Timeout => f.write_str("no answer in time"),
            Self::TooLong => f.write_str("the answer is too long"),
            Self::BadCall(why) => write!(f, "the call cannot be made: {why}"),
        }
    }
}

impl std::error::Error for FetchError {}
