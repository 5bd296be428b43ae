//! Every response the gateway makes itself.
//!
//! A refusal is a [`Reason`] out of a closed list, with what is particular to this one in a [`Reply`]. [`render()`] turns
//! it into a status, fields and a body in the form the client asked for: problem details (RFC 9457), HTML, plain text,
//! or a gRPC status. Operators may replace the body by reason with [`Templates`].

mod reason;
mod render;
mod template;

pub use reason::{Blame, Keep, Reason};
pub use render::{Form, Rendered, grpc_status, render};
pub use template::{Template, TemplateError, Templates};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// A whole answer of the gateway's own that is no refusal, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// Its status.
    pub status: StatusCode,
    /// Its fields, without `Content-Length`.
    pub fields: Vec<(HeaderName, HeaderValue)>,
    /// Its body.
    pub body: Bytes,
}

/// What only some replies carry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extra {
    /// Header fields: the challenges of a 401, for one.
    pub fields: Vec<(HeaderName, HeaderValue)>,
    /// Further members of the problem (RFC 9457 §3.2). Never a secret.
    pub members: Map<String, Value>,
    /// The status in place of the reason's.
    pub status: Option<StatusCode>,
    /// The title in place of the reason's.
    pub title: Option<Box<str>>,
    /// The type of the problem in place of the reason's.
    pub kind: Option<Box<str>>,
    /// Members whose values are written in JSON already, to the last digit.
    pub written: Box<[(Box<str>, Box<str>)]>,
}

/// A refusal or failure the gateway answers itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Why.
    pub reason: Reason,
    /// One sentence for the client: what is wrong and what to do instead. Never an upstream's address, never a secret.
    pub detail: Cow<'static, str>,
    /// Methods the target does answer, for the `Allow` field and the member `allow` (RFC 9110 §10.2.1).
    pub allow: Option<Box<str>>,
    /// Seconds after which a new attempt may do better, for `Retry-After` (RFC 9110 §10.2.3).
    pub retry_after: Option<u32>,
    /// What only some replies carry.
    pub extra: Option<Box<Extra>>,
}

impl Reply {
    /// A reply with its reason's usual sentence.
    pub fn new(reason: Reason) -> Self {
        Self {
            reason,
            detail: Cow::Borrowed(reason.detail()),
            allow: None,
            retry_after: reason.retry_after(),
            extra: None,
        }
    }

    /// The same reply with a sentence of its own.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.detail = detail.into();
        self
    }

    /// The same reply naming the methods that are allowed.
    #[must_use]
    pub fn allow(mut self, methods: impl Into<Box<str>>) -> Self {
        self.allow = Some(methods.into());
        self
    }

    /// The same reply with one more header field.
    #[must_use]
    pub fn field(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.extra.get_or_insert_default().fields.push((name, value));
        self
    }

    /// The same reply with one more member in its problem details.
    #[must_use]
    pub fn member(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extra.get_or_insert_default().members.insert(name.to_owned(), value.into());
        self
    }

    /// The same reply with a status of its own.
    #[must_use]
    pub fn status(mut self, status: StatusCode) -> Self {
        self.extra.get_or_insert_default().status = Some(status);
        self
    }

    /// The same reply with a title of its own.
    #[must_use]
    pub fn title(mut self, title: impl Into<Box<str>>) -> Self {
        self.extra.get_or_insert_default().title = Some(title.into());
        self
    }

    /// The same reply as a problem of a type of its own.
    #[must_use]
    pub fn kind(mut self, kind: impl Into<Box<str>>) -> Self {
        self.extra.get_or_insert_default().kind = Some(kind.into());
        self
    }

    /// What it is called.
    pub fn called(&self) -> &str {
        let own = self.extra.as_ref().and_then(|extra| extra.title.as_deref());
        own.unwrap_or_else(|| self.reason.title())
    }

    /// The type of the problem.
    pub fn of_kind(&self) -> Cow<'_, str> {
        match self.extra.as_ref().and_then(|extra| extra.kind.as_deref()) {
            Some(kind) => Cow::Borrowed(kind),
            None => Cow::Owned(format!("urn:tollgate:problem:{}", self.reason.slug())),
        }
    }

    /// The same reply asking for that many seconds of patience.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after = Some(seconds);
        self
    }
}

impl From<Reason> for Reply {
    fn from(reason: Reason) -> Self {
        Self::new(reason)
    }
}
