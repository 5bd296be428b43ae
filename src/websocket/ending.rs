//! Why the gateway ends a connection, and what each side is told (RFC 6455 §7.4).

use crate::observe::metrics::SocketEnd;

/// One of the two ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Who connected to the gateway.
    Client,
    /// Who the gateway connected to.
    Upstream,
}

/// Why the gateway ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// The reason as it is counted.
    pub end: SocketEnd,
    /// The code that goes with it.
    pub code: u16,
    /// The sentence that goes with it.
    pub text: &'static str,
    /// Whose doing it is; where it is nobody's both are told the code.
    pub blamed: Option<Side>,
}

/// What the client is told where the upstream is to blame (RFC 6455 §7.4.1): nothing it could do about it.
const UPSTREAM_FAILED: u16 = 1011;
/// What the upstream is told where the client is to blame: it goes away.
const GOING_AWAY: u16 = 1001;

impl Ending {
    /// The process, the listener or the route goes.
    pub const DRAINED: Self = Self::nobody(SocketEnd::Drained, GOING_AWAY, "the gateway is going away");
    /// No message for too long.
    pub const IDLE: Self = Self::nobody(SocketEnd::Idle, GOING_AWAY, "no message for too long");
    /// As old as it may be.
    pub const LIFE: Self = Self::nobody(SocketEnd::Life, GOING_AWAY, "connected for too long");
    /// What proved the caller is no longer valid.
    pub const EXPIRED: Self = Self::nobody(SocketEnd::Expired, 1008, "the credentials have expired");
    /// A ping was not answered.
    pub const SILENT: Self = Self::nobody(SocketEnd::Pong, GOING_AWAY, "a ping was not answered");

    const fn nobody(end: SocketEnd, code: u16, text: &'static str) -> Self {
        Self { end, code, text, blamed: None }
    }

    /// A side has broken the protocol.
    pub const fn protocol(side: Side, text: &'static str) -> Self {
        let end = match side {
            Side::Client => SocketEnd::Protocol,
            Side::Upstream => SocketEnd::UpstreamProtocol,
        };
        Self { end, code: 1002, text, blamed: Some(side) }
    }

    /// A side has sent a frame or a message that is too long.
    pub const fn too_large(side: Side, text: &'static str) -> Self {
        Self { end: SocketEnd::TooLarge, code: 1009, text, blamed: Some(side) }
    }

    /// A side has sent too much in too short a time.
    pub const fn too_fast(side: Side, text: &'static str) -> Self {
        Self { end: SocketEnd::TooFast, code: 1008, text, blamed: Some(side) }
    }

    /// What a side is told.
    pub fn told(&self, side: Side) -> (u16, &'static str) {
        match (self.blamed, side) {
            (None, _) => (self.code, self.text),
            (Some(blamed), side) if blamed == side => (self.code, self.text),
            (Some(_), Side::Client) => (UPSTREAM_FAILED, "the service failed"),
            (Some(_), Side::Upstream) => (GOING_AWAY, "the client is gone"),
        }
    }
}
