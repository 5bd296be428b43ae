//! `websocket:`: who may open a WebSocket, and what may be done on it.
//!
//! Stages: Guard (origin, token out of the subprotocols), before anything asks for credentials; Limit (connections), once
//! the caller is known. Hooks: on the head, for handshakes alone. What may be done on the connection that comes of it is
//! handed on as [`Opening`]; `proxy/tunnel.rs` holds both sides to it. Open connections keep their rules over a reload;
//! those whose route is gone are closed. Connections go on being counted. Fails closed: what breaks the protocol or a bound
//! ends the connection before a byte of it has passed. Example: `conf/websocket.yaml`.

mod compile;
mod config;
mod token;

pub use config::{ConnectionsConfig, ExpiryConfig, FromSideConfig, WebSocketConfig};

use super::cors::Origins;
use super::csrf::{Site, site};
use super::limit::Seats;
use super::{Decision, OnRequest};
use crate::observe::metrics::SocketMetrics;
use crate::reply::{Reason, Reply};
use crate::request::{RequestCx, RequestView};
use crate::websocket::{Opening, Rules};
use http::header::{self, AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use token::{Brought, Taken};

/// What becomes of a token that came among the subprotocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    /// It is not looked for.
    Ignored,
    /// It is taken for credentials, and ends here.
    Taken,
    /// It is taken for credentials, and the upstream gets it in `Authorization`.
    Forwarded,
}

/// Who may open a connection.
struct Door {
    origins: Option<Origins>,
    token: Token,
    rules: Arc<Rules>,
    metrics: Arc<SocketMetrics>,
}

/// How many may be open, and until when.
struct Room {
    seats: Vec<(Seats, String)>,
    token: Token,
    expires: bool,
    text: String,
}

/// Whether the request is a WebSocket's handshake (RFC 6455 §4.1).
fn is_handshake(request: &RequestView<'_>) -> bool {
    request.method == "GET"
        && request.header(&header::UPGRADE).is_some_and(|upgrade| {
            upgrade.split(|byte| *byte == b',').any(|name| name.trim_ascii().eq_ignore_ascii_case(b"websocket"))
        })
}

impl Door {
    /// Why the page that opens the connection may not, if it may not. A browser always says where its page is from
    /// (RFC 6455 §4.1): who does not say is none, and has no cookies it did not mean to send.
    fn forbids(&self, cx: &RequestCx, request: &RequestView<'_>) -> Option<&'static str> {
        let origin = request.header(&header::ORIGIN);
        match &self.origins {
            Some(origins) => {
                let listed = origin.is_none_or(|origin| origins.contains(origin));
                (!listed && site(cx, request) != Site::Own).then_some("pages of this origin are not listed")
            }
            None if request.header(&header::COOKIE).is_none() => None,
            None => match site(cx, request) {
                Site::Own | Site::Unknown => None,
                Site::Near | Site::Other => Some("a handshake with a cookie must come from this site's own pages"),
            },
        }
    }

    /// Puts a token that stands among the subprotocols where credentials are looked for.
    fn take_token(&self, request: &mut RequestView<'_>, opening: &mut Opening) -> Result<(), Reply> {
        if self.token == Token::Ignored {
            return Ok(());
        }
        let mut fields: Vec<Vec<u8>> = Vec::new();
        request.headers.each(&SEC_WEBSOCKET_PROTOCOL, &mut |field| fields.push(field.to_vec()));
        let fields: Vec<&[u8]> = fields.iter().map(Vec::as_slice).collect();
        let taken = match token::find(&fields) {
            Brought::Nothing => return Ok(()),
            Brought::Token(_) if request.header(&AUTHORIZATION).is_some() => {
                let detail = "A token stands in Authorization and in Sec-WebSocket-Protocol.";
                return Err(Reply::new(Reason::AmbiguousCredentials).detail(detail));
            }
            Brought::Token(taken) => taken,
            Brought::Several => {
                let detail = "More than one token stands in Sec-WebSocket-Protocol.";
                return Err(Reply::new(Reason::AmbiguousCredentials).detail(detail));
            }
            Brought::Unreadable => {
                let detail = "There is no token in Sec-WebSocket-Protocol where one should be.";
                return Err(Reply::new(Reason::BadCredentials).detail(detail));
            }
        };
        let Taken { authorization, left, announced } = taken;
        request.headers.set(&AUTHORIZATION, authorization);
        match left {
            Some(left) => request.headers.set(&SEC_WEBSOCKET_PROTOCOL, left),
            None => request.headers.remove(&SEC_WEBSOCKET_PROTOCOL),
        }
        opening.announced = announced;
        opening.lifted = true;
        Ok(())
    }
}

impl OnRequest for Door {
    fn on_request(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) -> Decision {
        if !is_handshake(request) {
            return Decision::Continue;
        }
        if let Some(why) = self.forbids(cx, request) {
            cx.note(|| why.to_owned());
            return Decision::reply(Reason::OriginDenied);
        }
        let (rules, metrics) = (Arc::clone(&self.rules), Arc::clone(&self.metrics));
        let mut opening = Opening { rules, metrics, expires: None, announced: None, lifted: false };
        if let Err(reply) = self.take_token(request, &mut opening) {
            return Decision::reply(reply);
        }
        if opening.lifted {
            cx.note(|| "the token in Sec-WebSocket-Protocol is taken for credentials".to_owned());
        }
        cx.changes.socket = Some(Box::new(opening));
        Decision::Continue
    }

    fn describe(&self) -> String {
        let from = match &self.origins {
            Some(origins) => format!("from pages of {origins}"),
            None => "with cookies from its own pages only".to_owned(),
        };
        let token = match self.token {
            Token::Ignored => "",
            Token::Taken | Token::Forwarded => "; tokens in Sec-WebSocket-Protocol",
        };
        format!("websocket {from}{token}")
    }
}

impl OnRequest for Room {
    fn on_request(&self, cx: &mut RequestCx, request: &mut RequestView<'_>) -> Decision {
        if cx.changes.socket.is_none() {
            return Decision::Continue;
        }
        for (seats, text) in &self.seats {
            if cx.notes.is_some() {
                let taken = seats.taken(cx, request);
                cx.note(|| format!("{taken} of {text} open"));
                if taken >= u64::from(seats.most()) {
                    return Self::full();
                }
                continue;
            }
            match seats.take(cx, request) {
                Some(held) => cx.changes.ledger.held.push(held),
                None => return Self::full(),
            }
        }
        let expires = cx.caller().and_then(|caller| caller.expires).filter(|_| self.expires);
        let expires = expires.and_then(|seconds| instant_of(seconds, cx));
        if let Some(opening) = &mut cx.changes.socket {
            opening.expires = expires;
            // No provider of the route has taken it for its own, or it is not to go on.
            if opening.lifted && self.token != Token::Forwarded {
                request.headers.remove(&AUTHORIZATION);
            }
        }
        Decision::Continue
    }

    fn describe(&self) -> String {
        self.text.clone()
    }
}

impl Room {
    fn full() -> Decision {
        let detail = "As many connections are open as may be; try again when one is closed.";
        Decision::reply(Reply::new(Reason::TooManyInFlight).detail(detail).retry_after(1))
    }
}

/// That second of the calendar on the clock of the request.
fn instant_of(unix_seconds: u64, cx: &RequestCx) -> Option<Instant> {
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(unix_seconds))?;
    cx.time.started.checked_add(at.duration_since(cx.time.wall).unwrap_or_default())
}

#[cfg(test)]
mod tests;
