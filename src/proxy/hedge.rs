//! A route that hedges: its idempotent requests are made as calls, of which there can be two at once; Pingora's own way has
//! one upstream for each attempt. What policies make of requests and answers is the same on both ways.

use super::answer::{write, write_refusal};
use super::ctx::{Flow, ProxyCtx};
use super::exchange::{Client, answered, origin, stream};
use super::failure::is_idempotent;
use super::fields::edit_request;
use super::upstream_request_filter::named_host;
use super::{Gate, Random, fallback, mirror, upstream_peer, upstream_request_filter};
use crate::exchange::call::{CallError, Callee, Origin};
use crate::exchange::hedge::{Hedge, Question};
use crate::exchange::{Answer, ClientBody};
use crate::observe::metrics::FallbackKind;
use crate::request::{Body, remove_hop_by_hop};
use crate::snapshot::{HostField, Route};
use crate::value::Outage;
use bytes::Bytes;
use http::uri::PathAndQuery;
use pingora_core::Result;
use pingora_proxy::Session;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Room for a body that policies have made longer, bytes.
const LONGEST: usize = 8 * 1024 * 1024;

/// The other upstream, and when it is asked.
struct Standby {
    to: Callee,
    on: Box<[Outage]>,
}

/// Whether the request is one that may be made twice.
fn takes(session: &Session, ctx: &ProxyCtx, route: &Route) -> bool {
    let short = match ctx.cx.body {
        Body::None => true,
        Body::Length(length) => length <= route.retries.replay,
        Body::Unknown => false,
    };
    short && ctx.exchange.flow == Flow::Bounded && is_idempotent(session, ctx)
}

/// Answers the request, if its route hedges and it is one that may be made twice; false where it is to go the usual way.
pub async fn run(gate: &Gate, session: &mut Session, ctx: &mut ProxyCtx) -> Result<bool> {
    let snapshot = Arc::clone(&ctx.snapshot);
    let Some(route) = ctx.matched.route.and_then(|number| snapshot.routes.get(number)) else { return Ok(false) };
    let Some(hedge) = route.traffic.as_ref().and_then(|traffic| traffic.hedge.clone()) else { return Ok(false) };
    if !takes(session, ctx, route) {
        return Ok(false);
    }
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
    if !is_idempotent(session, ctx) {
        return Ok(false); // a policy has changed the method
    }
    let deadline = ctx.timeout().and_then(|timeout| ctx.cx.time.started.checked_add(timeout));
    let origin = Arc::new(Origin { deadline, ..origin(gate, session, ctx) });
    ctx.exchange.origin = Some(Arc::clone(&origin));
    let host = match route.forward.host {
        HostField::Client => named_host(session.req_header()),
        HostField::Endpoint => None,
    };
    let question = Question {
        calls: Arc::clone(&gate.shared.calls),
        origin,
        to,
        target: head.uri.path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/")),
        method: head.method.clone(),
        fields: http::request::Parts::from(head).headers,
        host,
        body: Bytes::new(),
        retries: Arc::clone(&route.retries),
    };
    asked(gate, session, ctx, (hedge, question, standby(route))).await?;
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
    (hedge, mut question, standby): (Arc<Hedge>, Question, Option<Standby>),
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
        let mut answer = hedge.answer(&question).await;
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
            stream(gate, session, ctx, &mut client, (status, headers, body)).await
        }
        Ok(Answer::Whole(fixed)) => write(session, ctx, fixed).await,
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
