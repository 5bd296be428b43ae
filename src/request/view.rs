//! The context of a request and the view of it that policies see.

use super::{Caller, Changes, Client, Headers, HeadersMut, Identity};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Instant, SystemTime};

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

/// A moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// On the monotonic clock.
    pub started: Instant,
    /// By the calendar: what expiry is measured by.
    pub wall: SystemTime,
}

impl Moment {
    /// Seconds since the epoch.
    pub fn unix_seconds(&self) -> u64 {
        self.wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
    }
}

/// What policies may know and set of one request. Knows no snapshot and no Pingora type.
#[derive(Debug)]
pub struct RequestCx {
    /// When its head had arrived.
    pub time: Moment,
    /// Who sent it.
    pub client: Client,
    /// How it came.
    pub scheme: Scheme,
    /// What its head says of the body.
    pub body: Body,
    /// Bytes of the body seen so far.
    pub body_bytes: u64,
    /// Who was established to have sent it.
    pub identity: Identity,
    /// What is to be changed about it beside its fields.
    pub changes: Changes,
    /// What policies say of their decisions; `None` unless somebody asked (`explain`).
    pub notes: Option<Box<Vec<String>>>,
}

impl RequestCx {
    /// The context of a request of which nothing is known yet.
    pub fn new(time: Moment) -> Self {
        let nowhere = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        Self {
            time,
            client: Client { address: nowhere, peer: nowhere, via_trusted: false },
            scheme: Scheme::Http,
            body: Body::None,
            body_bytes: 0,
            identity: Identity::default(),
            changes: Changes::default(),
            notes: None,
        }
    }

    /// The caller, once a provider has established one.
    pub fn caller(&self) -> Option<&Caller> {
        self.identity.caller.as_deref()
    }

    /// Says something of a decision to whoever asked for an explanation. Never a credential.
    pub fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(notes) = &mut self.notes {
            notes.push(text());
        }
    }

    /// The query as it stands after the changes made so far.
    pub fn query<'a>(&'a self, request: &'a RequestView<'_>) -> Option<&'a str> {
        match &self.changes.query {
            Some(query) => Some(query).filter(|query| !query.is_empty()).map(|query| &**query),
            None => request.query,
        }
    }

    /// A context for tests that start at no particular moment.
    #[cfg(test)]
    pub fn at(unix_seconds: u64) -> Self {
        let wall = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(unix_seconds);
        Self::new(Moment { started: Instant::now(), wall })
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

/// What was asked for, kept for policies that act after the request has gone on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Asked {
    /// Lower-case, without port.
    pub host: Box<str>,
    /// Normalised.
    pub path: Box<str>,
    /// As sent, without the question mark; what policies took out of it is gone.
    pub query: Option<Box<str>>,
    /// What the route's path captured, by the numbers of its captures.
    pub captures: Box<[Box<str>]>,
}

/// A request as it is about to leave for an upstream.
pub struct OutgoingView<'a> {
    /// The request as it came.
    pub request: Answered<'a>,
    /// The method the upstream sees.
    pub method: http::Method,
    /// The path the upstream sees.
    pub path: std::borrow::Cow<'a, str>,
    /// The query the upstream sees, without the question mark.
    pub query: Option<std::borrow::Cow<'a, str>>,
    /// The header fields the upstream sees.
    pub headers: &'a mut dyn HeadersMut,
}

/// Who makes an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// An upstream.
    Upstream,
    /// The gateway itself: a refusal, a redirect, an answer from the configuration.
    Gateway,
}

/// What is left to say of a request once it is being answered.
#[derive(Clone, Copy)]
pub struct Answered<'a> {
    /// The method, as it was sent.
    pub method: &'a str,
    /// The header fields as they came, save for what policies took away.
    pub headers: &'a dyn Headers,
}

/// The head of an answer as a policy sees it on its way to the client.
pub struct ResponseView<'a> {
    /// The request it answers.
    pub request: Answered<'a>,
    /// Its status.
    pub status: u16,
    /// Who makes it.
    pub maker: Maker,
    /// The header fields.
    pub headers: &'a mut dyn HeadersMut,
}
