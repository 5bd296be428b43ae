//! A copy of the request for another upstream, gathered on its way up; and the answer told to who compares it.

use super::ctx::{Flow, ProxyCtx, Purpose};
use super::exchange::origin;
use super::{Gate, Random};
use crate::exchange::call::Origin;
use crate::exchange::mirror::{CopiedHead, Copying, Fits, Teller, Told};
use crate::observe::metrics::MirrorOutcome;
use crate::request::Body;
use crate::snapshot::HostField;
use crate::value::Priority;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use pingora_http::RequestHeader;
use pingora_proxy::Session;
use std::sync::Arc;

/// How far the copy of a request is.
#[derive(Default)]
pub enum Mirroring {
    /// Nothing has gone up yet.
    #[default]
    Undecided,
    /// The body is being gathered.
    Copying(Box<Copying>),
    /// It is sent, and its answer will be compared.
    Compared(Box<Teller>),
    /// There is none, or nothing is left to be done for it.
    Over,
}

/// A request is about to leave with that head.
pub fn begin(gate: &Gate, session: &Session, request: &RequestHeader, ctx: &mut ProxyCtx) {
    let Some(mirror) = ctx.route().and_then(|route| route.traffic.as_ref()?.mirror.clone()) else { return };
    match &mut ctx.exchange.mirror {
        Mirroring::Undecided => {}
        Mirroring::Copying(copy) => return copy.restart(),
        Mirroring::Compared(_) | Mirroring::Over => return,
    }
    let wanted = ctx.matched.purpose == Purpose::Answer && ctx.exchange.flow == Flow::Bounded;
    if !wanted || !mirror.takes(Random::next()) {
        ctx.exchange.mirror = Mirroring::Over;
        return;
    }
    let host = match ctx.route().map(|route| route.forward.host) {
        Some(HostField::Client) => super::upstream_request_filter::named_host(session.req_header()),
        Some(HostField::Endpoint) | None => None,
    };
    let target = request.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"));
    let head = CopiedHead { method: request.method.clone(), target, fields: request.headers.clone(), host };
    let origin =
        Origin { caller: None, flow: Flow::Bounded, priority: Priority::Background, ..origin(gate, session, ctx) };
    let too_long = matches!(ctx.cx.body, Body::Length(length) if length > mirror.max_body as u64);
    let copy = Copying::new(mirror, Arc::clone(&gate.shared.calls), head, origin);
    ctx.exchange.mirror = match ctx.cx.body {
        Body::None => sent(copy),
        _ if too_long => dropped(copy, MirrorOutcome::TooLarge),
        Body::Length(_) | Body::Unknown => Mirroring::Copying(Box::new(copy)),
    };
}

fn sent(copy: Copying) -> Mirroring {
    copy.send().map_or(Mirroring::Over, Mirroring::Compared)
}

fn dropped(copy: Copying, why: MirrorOutcome) -> Mirroring {
    copy.drop_as(why);
    Mirroring::Over
}

/// A piece of the body has gone up; `end` with the last.
pub fn piece(body: &Option<Bytes>, end: bool, ctx: &mut ProxyCtx) {
    let Mirroring::Copying(copy) = &mut ctx.exchange.mirror else { return };
    let fits = copy.piece(body.as_deref().unwrap_or_default());
    if fits == Fits::Yes && !end {
        return;
    }
    let Mirroring::Copying(copy) = std::mem::replace(&mut ctx.exchange.mirror, Mirroring::Over) else { return };
    ctx.exchange.mirror = match fits {
        Fits::Yes => sent(*copy),
        Fits::No => dropped(*copy, MirrorOutcome::TooLarge),
    };
}

/// The head of the answer that goes to the client, as the upstream made it.
pub fn answered(session: &Session, (status, headers): (StatusCode, &HeaderMap), ctx: &mut ProxyCtx) {
    let Mirroring::Compared(teller) = &mut ctx.exchange.mirror else { return };
    let awaited = teller.head(Told::new(status, headers));
    let has_body = session.req_header().method != Method::HEAD && super::answer_body::may_have_body(status);
    if !(awaited && has_body) {
        end(ctx);
    }
}

/// A piece of the answer's body, as the upstream made it; `last` with the last.
pub fn answer_piece(body: &Option<Bytes>, last: bool, ctx: &mut ProxyCtx) {
    let Mirroring::Compared(teller) = &mut ctx.exchange.mirror else { return };
    if let Some(piece) = body {
        teller.piece(piece);
    }
    if last {
        end(ctx);
    }
}

fn end(ctx: &mut ProxyCtx) {
    if let Mirroring::Compared(teller) = std::mem::replace(&mut ctx.exchange.mirror, Mirroring::Over) {
        teller.end();
    }
}

/// All is over: a body that never came to its end was not copied.
pub fn close(ctx: &mut ProxyCtx) {
    if let Mirroring::Copying(copy) = std::mem::replace(&mut ctx.exchange.mirror, Mirroring::Over) {
        copy.drop_as(MirrorOutcome::Incomplete);
    }
}

/// Whether a head says that the request is a copy itself.
pub fn is_copy(headers: &HeaderMap<HeaderValue>) -> bool {
    headers.contains_key(crate::exchange::mirror::X_TOLLGATE_MIRROR)
}
