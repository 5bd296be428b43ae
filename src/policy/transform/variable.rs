//! What values may name of a request: `{id}`, `{consumer}`, `{claim.sub}`, `{header.X-Tenant}` …

use crate::policy::allow::find_claim;
use crate::request::{Answered, Asked, RequestCx, cookie};
use http::HeaderName;
use serde_json::Value;
use std::borrow::Cow;

/// A variable, its name taken apart.
#[derive(Clone, Debug, PartialEq)]
pub enum Variable {
    /// What the route's path captured, decoded.
    Capture(usize),
    /// Known since the file was read: the route, the api, the environment.
    Fixed(Box<str>),
    /// The method the client used.
    Method,
    /// The host the client named.
    Host,
    /// The path the client asked for, as it was matched.
    Path,
    /// `http` or `https`.
    Scheme,
    /// The client's address.
    Client,
    /// `X-Request-Id`.
    RequestId,
    /// The status of the answer.
    Status,
    /// The caller's id.
    Consumer,
    /// The caller's groups, with commas between.
    Groups,
    /// The plan of the consumer.
    Plan,
    /// A claim of the token, by dotted path.
    Claim(Box<str>),
    /// The first field of that name in the client's request.
    Header(HeaderName),
    /// The first parameter of that name in the client's query.
    Query(Box<str>),
    /// The first cookie of that name in the client's request.
    Cookie(Box<str>),
}

/// The names without a dot, and the beginnings of those with one.
pub const NAMES: [&str; 16] = [
    "method",
    "host",
    "path",
    "scheme",
    "client",
    "request_id",
    "status",
    "route",
    "api",
    "consumer",
    "consumer.group",
    "consumer.plan",
    "claim.",
    "header.",
    "query.",
    "cookie.",
];

/// What variables are read from.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// The request's context.
    pub cx: &'a RequestCx,
    /// The request as it came.
    pub request: Answered<'a>,
    /// The status of the answer, once there is one.
    pub status: Option<u16>,
}

impl<'a> Facts<'a> {
    fn asked(&self) -> Option<&'a Asked> {
        self.cx.changes.asked.as_deref()
    }
}

impl Variable {
    /// What the route's path captured, as it stands there.
    pub fn raw<'a>(index: usize, facts: &Facts<'a>) -> Option<&'a str> {
        facts.asked()?.captures.get(index).map(|text| &**text)
    }

    /// Its text for a request; `None` where there is none.
    pub fn text<'a>(&'a self, facts: &Facts<'a>) -> Option<Cow<'a, str>> {
        match self {
            Self::Capture(index) => Self::raw(*index, facts).map(decoded),
            Self::Fixed(text) => Some(Cow::Borrowed(text)),
            Self::Method => Some(Cow::Borrowed(facts.request.method)),
            Self::Host => facts.asked().map(|asked| Cow::Borrowed(&*asked.host)),
            Self::Path => facts.asked().map(|asked| Cow::Borrowed(&*asked.path)),
            Self::Scheme => Some(Cow::Borrowed(facts.cx.scheme.as_str())),
            Self::Client => Some(Cow::Owned(facts.cx.client.address.to_string())),
            Self::RequestId => facts.cx.identity.request_id.as_ref()?.to_str().ok().map(Cow::Borrowed),
            Self::Status => facts.status.map(|status| Cow::Owned(status.to_string())),
            Self::Consumer => facts.cx.caller().map(|caller| Cow::Borrowed(&*caller.id)),
            Self::Groups => facts.cx.caller().map(|caller| Cow::Owned(caller.groups.join(","))),
            Self::Plan => facts.cx.caller()?.consumer.as_ref()?.plan.as_deref().map(Cow::Borrowed),
            Self::Claim(path) => claim(facts.cx, path),
            Self::Header(name) => facts.request.headers.first(name).map(String::from_utf8_lossy),
            Self::Query(name) => {
                let query = facts.asked()?.query.as_deref()?;
                form_urlencoded::parse(query.as_bytes()).find(|(key, _)| *key == **name).map(|(_, value)| value)
            }
            Self::Cookie(name) => {
                let value = cookie(facts.request.headers, name)?;
                Some(Cow::Owned(String::from_utf8_lossy(&value).into_owned()))
            }
        }
    }
}

/// The text that percent-encoding stands for.
pub fn decoded(text: &str) -> Cow<'_, str> {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy()
}

fn claim<'a>(cx: &'a RequestCx, path: &str) -> Option<Cow<'a, str>> {
    let claims = &cx.caller()?.claims;
    match find_claim(claims, path)? {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(bool) => Some(Cow::Borrowed(if *bool { "true" } else { "false" })),
        Value::Array(list) => {
            let texts: Option<Vec<&str>> = list.iter().map(Value::as_str).collect();
            texts.map(|texts| Cow::Owned(texts.join(",")))
        }
        Value::Null | Value::Object(_) => None,
    }
}
