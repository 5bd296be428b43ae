//! What a provider says of a request.

use crate::reply::{Fixed, Reason};
use crate::request::Caller;
use http::{HeaderName, HeaderValue};
use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

/// A verdict that is still being asked for. It holds what it needs and bounds its own time.
pub type Pending = Pin<Box<dyn Future<Output = Verdict> + Send>>;

/// What a provider says of a request.
pub enum Verdict {
    /// The request brings nothing that this provider knows how to read.
    Absent,
    /// It is from this caller.
    Passed(Arc<Caller>),
    /// It brings a credential for this provider, and the credential is not good.
    Refused(Refusal),
    /// It brings a credential that plainly is for another provider: another issuer's token.
    Foreign(Refusal),
    /// It brings credentials in more ways than one; the sentence says which.
    Ambiguous(&'static str),
    /// Whoever would know cannot be asked; the text is for the log, never for the client.
    Unavailable(Cow<'static, str>),
    /// It brings nothing, and a browser can be sent to log in.
    Login(Box<Fixed>),
    /// It brings a credential, and whoever was asked about it says this to the client: a refusal in words of its own.
    Answer(Box<Fixed>),
    /// Somebody must be asked first.
    Wait(Pending),
    /// That verdict, and fields for the answer, whoever makes it: a session's cookie, renewed or cleared.
    With(Vec<(HeaderName, HeaderValue)>, Box<Verdict>),
}

impl Verdict {
    /// A credential that is not good, with a sentence for the client: what is wrong, never the credential.
    pub fn refused(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Refused(Refusal { reason: Reason::BadCredentials, detail: detail.into() })
    }

    /// A credential that was good once.
    pub fn expired(detail: impl Into<Cow<'static, str>>) -> Self {
        Self::Refused(Refusal { reason: Reason::ExpiredToken, detail: detail.into() })
    }

    /// A verdict that is still being asked for.
    pub fn wait(future: impl Future<Output = Verdict> + Send + 'static) -> Self {
        Self::Wait(Box::pin(future))
    }

    /// The same verdict with fields for the answer.
    #[must_use]
    pub fn with(self, fields: Vec<(HeaderName, HeaderValue)>) -> Self {
        if fields.is_empty() { self } else { Self::With(fields, Box::new(self)) }
    }
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("Absent"),
            Self::Passed(caller) => write!(f, "Passed({})", caller.id),
            Self::Refused(refusal) => write!(f, "Refused({})", refusal.detail),
            Self::Foreign(refusal) => write!(f, "Foreign({})", refusal.detail),
            Self::Ambiguous(detail) => write!(f, "Ambiguous({detail})"),
            Self::Unavailable(detail) => write!(f, "Unavailable({detail})"),
            Self::Login(fixed) => write!(f, "Login({})", fixed.status),
            Self::Answer(fixed) => write!(f, "Answer({})", fixed.status),
            Self::Wait(_) => f.write_str("Wait"),
            Self::With(_, verdict) => verdict.fmt(f),
        }
    }
}

/// Why a credential is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// [`Reason::BadCredentials`] or [`Reason::ExpiredToken`].
    pub reason: Reason,
    /// One sentence for the client: what is wrong with it. Never the credential itself.
    pub detail: Cow<'static, str>,
}
