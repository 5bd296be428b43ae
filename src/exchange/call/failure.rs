//! Why a call failed: whose fault it is, what it means to the endpoint, and what is told to a client that waits for it.

use crate::observe::metrics::AttemptOutcome;
use crate::reply::{Blame, Reason, Reply};
use crate::upstream::FailureKind;
use pingora_core::{Error, ErrorType};
use std::fmt;

/// Why a call brought no answer, or broke off in the middle of one.
#[derive(Debug)]
pub struct CallError {
    reply: Box<Reply>,
}

impl CallError {
    /// Why.
    pub fn reason(&self) -> Reason {
        self.reply.reason
    }

    /// Whose fault it is.
    pub fn blame(&self) -> Blame {
        self.reply.reason.blame()
    }

    /// What a client is told that can be told nothing better.
    pub fn reply(&self) -> &Reply {
        &self.reply
    }
}

impl From<Reason> for CallError {
    fn from(reason: Reason) -> Self {
        Self { reply: Box::new(reason.into()) }
    }
}

impl From<Reply> for CallError {
    fn from(reply: Reply) -> Self {
        Self { reply: Box::new(reply) }
    }
}

impl From<Box<Reply>> for CallError {
    fn from(reply: Box<Reply>) -> Self {
        Self { reply }
    }
}

impl From<CallError> for Box<Reply> {
    fn from(error: CallError) -> Self {
        error.reply
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reply.reason.slug(), self.reply.detail)
    }
}

impl std::error::Error for CallError {}

/// What a failed attempt means to the endpoint's health, to the metrics and to the client.
pub fn classify(error: &Error) -> (FailureKind, AttemptOutcome, Reason) {
    use ErrorType as E;
    match error.etype() {
        E::ConnectTimedout | E::TLSHandshakeTimedout => {
            (FailureKind::Timeout, AttemptOutcome::Timeout, Reason::UpstreamTimeout)
        }
        E::ReadTimedout | E::WriteTimedout => (FailureKind::Timeout, AttemptOutcome::Timeout, Reason::UpstreamTimeout),
        E::TLSHandshakeFailure | E::TLSWantX509Lookup | E::InvalidCert | E::HandshakeError => {
            (FailureKind::Tls, AttemptOutcome::Refused, Reason::UpstreamTls)
        }
        E::ConnectRefused
        | E::ConnectNoRoute
        | E::ConnectError
        | E::ConnectProxyFailure
        | E::BindError
        | E::SocketError => (FailureKind::Connect, AttemptOutcome::Refused, Reason::UpstreamRefused),
        E::ConnectionClosed | E::ReadError | E::WriteError => {
            (FailureKind::Reset, AttemptOutcome::Reset, Reason::UpstreamReset)
        }
        _ => (FailureKind::Invalid, AttemptOutcome::Invalid, Reason::UpstreamInvalid),
    }
}
