//! A WebSocket's handshake has come off: from here on its frames are looked at, where the route says so.

use super::ctx::ProxyCtx;
use super::fence::{After, Fence};
use super::tunnel::Carrier;
use super::{Gate, Random};
use crate::exchange::call::LONGEST_SILENCE;
use crate::websocket::{Belongs, Extensions, Tunnel};
use http::header::{SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL};
use http::{HeaderMap, HeaderValue};
use pingora_proxy::Session;
use std::time::Instant;

/// Opens the fence around the client's connection; `answer`: the head of the answer that switches protocols.
pub fn open(gate: &Gate, session: &mut Session, answer: &mut HeaderMap, ctx: &mut ProxyCtx) {
    // Pingora would cut a client that is silent for as long as a body may be.
    session.set_read_timeout(Some(LONGEST_SILENCE));
    let Some(opening) = ctx.cx.changes.socket.take() else {
        if let Some(fence) = Fence::of(&session.downstream_session) {
            fence.then(After::Tunnel);
        }
        return;
    };
    if let Some(announced) = &opening.announced
        && !answer.contains_key(SEC_WEBSOCKET_PROTOCOL)
    {
        answer.insert(SEC_WEBSOCKET_PROTOCOL, announced.clone());
    }
    session.set_read_timeout(None); // the carrier knows the time itself
    let extensions = Extensions::of(answer.get_all(SEC_WEBSOCKET_EXTENSIONS).iter().map(HeaderValue::as_bytes));
    let tunnel = Tunnel::new(*opening, extensions, gate.worker, (Instant::now(), Random::next()));
    if let Some(fence) = Fence::of(&session.downstream_session) {
        fence.carry(Carrier::new(tunnel, gate.shared.sockets.join(belongs(gate, ctx))));
    }
}

/// Where what the request opens belongs.
pub fn belongs(gate: &Gate, ctx: &ProxyCtx) -> Belongs {
    let route = ctx.route();
    Belongs {
        listener: gate.listener.name.as_str().into(),
        api: route.and_then(|route| route.api.clone()),
        route: route.map(|route| route.key.clone()).unwrap_or_default(),
    }
}
