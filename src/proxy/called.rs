//! Requests that are made as calls of the gateway's own. Of a route that hedges the idempotent ones: there can be two calls at
//! once, and Pingora's own way has one upstream for each attempt. Of a route with `events` those that ask for a stream of
//! events: something can be said between two pieces of a call's answer, and Pingora's own way passes on what comes and no
//! more. What policies make of requests and answers is the same on both ways.

use super::answer::{write, write_refusal};
use super::ctx::{Flow, ProxyCtx};
use super::exchange::{Client, answered, origin, stream};
use super::failure::is_idempotent;
use super::fields::edit_request;
use super::socket::belongs;
use super::upstream_request_filter::named_host;
use super::{Gate, Random, fallback, mirror, upstream_peer, upstream_request_filter};
use crate::exchange::call::{CallError, Callee, Origin};
use crate::exchange::events::{EventStream, Events};
use crate::exchange::hedge::{Hedge, Question};
use crate::exchange::{Answer, ClientBody, Frames};
use crate::observe::metrics::FallbackKind;
use crate::reply::Reason;
use crate::request::{Body, remove_hop_by_hop};
use crate::snapshot::{HostField, Route};
use crate::value::Outage;
use bytes::Bytes;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use pingora_core::Result;
use pingora_proxy::Session;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// What a stream of events is.
const EVENT_STREAM: &[u8] = b"text/event-stream";
/// Room for a body that policies have made longer, bytes.
const LONGEST: usize = 8 * 1024 * 1024;

/// The other upstream, and when it is asked.
struct Standby {
    to: Callee,
    on: Box<[Outage]>,
}

/// Why a request is made as a call.
struct Why {
    hedge: Option<Arc<Hedge>>,
    events: Option<Arc<Events>>,
}

impl Why {
    fn of(session: &Session, ctx: &ProxyCtx, route: &Route) -> Option<Self> {
        let traffic = route.traffic.as_ref()?;
        let events = traffic.events.clone().filter(|_| asks_for_events(session, ctx));
        let hedge = traffic.hedge.clone().filter(|_| events.is_none() && may_be_made_twice(session, ctx, route));
        (hedge.is_some() || events.is_some()).then_some(Self { hedge, events })
    }
}

/// Whether the client waits for a stream of events (HTML, "server-sent events").
fn asks_for_events(session: &Session, ctx: &ProxyCtx) -> bool {
    let accept = session.req_header().headers.get(header::ACCEPT);
    let events = accept.is_some_and(|accept| memchr::memmem::find(accept.as_bytes(), EVENT_STREAM).is_some());
    let short = !matches!(ctx.cx.body, Body::Length(length) if length > LONGEST as u64);
    events && short && ctx.exchange.flow == Flow::Streaming && !session.is_upgrade_req()
}

/// Whether the request is one that may be made twice.
fn may_be_made_twice(session: &Session, ctx: &ProxyCtx, route: &Route) -> bool {
    let short = match ctx.cx.body {
        Body::None => true,
        Body::Length(length) => length <= route.retries.replay,
        Body::Unknown => false,
    };
    short && ctx.exchange.flow == Flow::Bounded && is_idempotent(session, ctx)
}

/// Answers the request, if it is one that is made as a call; false where it is to go the usual way.
pub async fn run(gate: &Gate, session: &mut Session, ctx: &mut ProxyCtx) -> Result<bool> {
    let snapshot = Arc::clone(&ctx.snapshot);
    let Some(route) = ctx.matched.route.and_then(|number| snapshot.routes.get(number)) else { return Ok(false) };
    let Some(why) = Why::of(session, ctx, route) else { return Ok(false) };
    ctx.exchange.choice = upstream_peer::split(session, ctx, Random::next());
    let Some(to) = upstream_peer::chosen(ctx).cloned() else { return Ok(false) };
    let mut head = session.req_header().clone();
    // Pingora does this on its own way: what is told of the client must come after it, so that nobody can nominate it.
    edit_request(&mut head, |parts| remove_hop_by_hop(&mut parts.headers));
    if let Err(error) = upstream_request_filter::run(gate, session, &mut head, ctx) {
        let Some(reply) = ctx.matched.refusal.take() else { return Err(error) };
        write_refusal(session, ctx, &reply).await?;
        return Ok(true);
    }
    if why.hedge.is_some() && !is_idempotent(session, ctx) {
        return Ok(false); // a policy has changed the method
    }
    let deadline = ctx.timeout().and_then(|timeout| ctx.cx.time.started.checked_add(timeout));
    let origin = Arc::new(Origin { deadline, ..origin(gate, session, ctx) });
    ctx.exchange.origin = Some(Arc::clone(&origin));
    let host = match route.forward.host {
        HostField::Client => named_host(session.req_header()),
        HostField::Endpoint => None,
    };
    let (target, method) = (head.uri.path_and_query().cloned(), head.method.clone());
    let mut fields = http::request::Parts::from(head).headers;
    if why.events.is_some() {
        fields.remove(header::ACCEPT_ENCODING); // in what is coded nothing can be put between two events
    }
    let question = Question {
        calls: Arc::clone(&gate.shared.calls),
        origin,
        to,
        target: target.unwrap_or_else(|| PathAndQuery::from_static("/")),
        method,
        fields,
        host,
        body: Bytes::new(),
        retries: Arc::clone(&route.retries),
    };
    asked(gate, session, ctx, (why, question, standby(route))).await?;
    Ok(true)
}

fn standby(route: &Route) -> Option<Standby> {
    let fallback = route.traffic.as_ref()?.fallback.as_ref()?;
    Some(Standby { to: fallback.to.clone()?, on: fallback.on.clone() })
}

async fn asked(
    gate: &Gate,
    session: &mut Session,
    ctx: &mut ProxyCtx,
    (Why { hedge, events }, mut question, standby): (Why, Question, Option<Standby>),
) -> Result<()> {
    let has_body = ctx.cx.body != Body::None;
    let (mut body, wants) = ClientBody::new();
    let mut client = Client::new(session, ctx, wants);
    let turned = Arc::new(AtomicBool::new(false));
    let turns = Arc::clone(&turned);
    let answering = Box::pin(async move {
        if has_body {
            question.body = body.whole(LONGEST).await?;
        }
        let mut answer = match hedge {
            Some(hedge) => hedge.answer(&question).await,
            None => question.ask(None).await,
        };
        if let Some(standby) = standby.filter(|standby| outage(&answer).is_some_and(|why| standby.on.contains(&why))) {
            turns.store(true, Relaxed);
            question.to = standby.to;
            answer = question.ask(None).await;
        }
        let answer = answer?;
        Ok(Answer::Stream { status: answer.status, headers: answer.headers, body: Box::new(answer.body) })
    });
    let answer = answered(answering, session, ctx, &mut client).await?;
    if turned.load(Relaxed) {
        ctx.exchange.standin.turned = true;
        fallback::mark(gate.worker, ctx, FallbackKind::Upstream);
    }
    match answer {
        Ok(Answer::Stream { status, headers, body }) => {
            if let Some(fixed) = fallback::written_for(gate.worker, session, ctx, Outage::Status(status.as_u16())) {
                return write(session, ctx, fixed).await;
            }
            mirror::answered(session, (status, &headers), ctx);
            let answer = match events.filter(|_| is_stream_of_events(status, &headers)) {
                Some(events) => followed(gate, ctx, events, (status, headers, body)),
                None => (status, headers, body),
            };
            stream(gate, session, ctx, &mut client, answer).await
        }
        Ok(Answer::Whole(fixed)) => write(session, ctx, fixed).await,
        Ok(Answer::Upgrade { .. }) => write_refusal(session, ctx, &Reason::Internal.into()).await, // no call brings one
        Err(reply) => fallback::refuse(gate, session, ctx, &reply).await,
    }
}

/// Whether an answer, or the lack of one, may mean that the upstream is out; not where the time is up.
fn outage(answer: &std::result::Result<crate::exchange::call::CallAnswer, CallError>) -> Option<Outage> {
    match answer {
        Ok(answer) => Some(Outage::Status(answer.status.as_u16())),
        Err(error) => fallback::outage(error.reason()).filter(|outage| *outage != Outage::Deadline),
    }
}

/// An answer as it comes.
type Streamed = (StatusCode, HeaderMap, Box<dyn Frames>);

fn is_stream_of_events(status: StatusCode, headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let kind = kind.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    status == StatusCode::OK
        && kind.eq_ignore_ascii_case(EVENT_STREAM)
        && !headers.contains_key(header::CONTENT_ENCODING)
}

/// The stream with what the route does to it.
fn followed(gate: &Gate, ctx: &ProxyCtx, events: Arc<Events>, (status, mut headers, body): Streamed) -> Streamed {
    headers.remove(header::CONTENT_LENGTH);
    let membership = gate.shared.sockets.join(belongs(gate, ctx));
    (status, headers, Box::new(EventStream::new(body, events, membership, gate.worker)))
}
