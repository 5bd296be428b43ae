//! The upstream is out: what stands in for it. What is kept comes first (Pingora's cache phases see to that), then another
//! upstream, asked as one more attempt of the same request, then the answer that is written.

use super::Gate;
use super::answer::{write, write_refusal};
use super::ctx::ProxyCtx;
use super::failure::is_idempotent;
use super::request_filter::{ask, facts};
use crate::observe::Worker;
use crate::observe::metrics::{AttemptOutcome, FallbackKind};
use crate::reply::{Fixed, Reason, Reply};
use crate::snapshot::Fallback;
use crate::value::Outage;
use pingora_core::{Error, ErrorType, Result};
use pingora_proxy::Session;
use std::time::{Duration, Instant};

/// What has stood in for the upstream so far.
#[derive(Default)]
pub struct StandIn {
    /// What did last.
    pub kind: Option<FallbackKind>,
    /// Whether the other upstream is the one that is asked.
    pub turned: bool,
    /// Attempts before that.
    pub earlier: u32,
    /// The outage for which the answer is due that is written, where the error that is about to come does not tell.
    pub due: Option<Outage>,
}

/// What a reason means for the upstream.
pub fn outage(reason: Reason) -> Option<Outage> {
    Some(match reason {
        Reason::NoEndpoint | Reason::NoName => Outage::NoEndpoint,
        Reason::BreakerOpen => Outage::Breaker,
        Reason::UpstreamBusy | Reason::Overloaded => Outage::Busy,
        Reason::UpstreamRefused | Reason::UpstreamTls => Outage::Connect,
        Reason::UpstreamReset | Reason::UpstreamInvalid => Outage::Reset,
        Reason::UpstreamTimeout => Outage::Timeout,
        Reason::Deadline => Outage::Deadline,
        _ => return None,
    })
}

fn policy(ctx: &ProxyCtx, outage: Outage) -> Option<&Fallback> {
    let fallback = ctx.route()?.traffic.as_ref()?.fallback.as_ref()?;
    fallback.on.contains(&outage).then_some(fallback)
}

/// Makes the other upstream the one that is asked next, where there is one and the request may go there.
pub fn turn(gate: &Gate, session: &Session, ctx: &mut ProxyCtx, outage: Outage) -> bool {
    if !may_turn(session, ctx, outage) {
        return false;
    }
    let exchange = &mut ctx.exchange;
    exchange.standin.turned = true;
    exchange.standin.earlier = exchange.attempts;
    exchange.tried.clear();
    exchange.picked = None;
    exchange.pause = Duration::ZERO;
    ctx.outcome.reason = None;
    mark(gate.worker, ctx, FallbackKind::Upstream);
    true
}

fn may_turn(session: &Session, ctx: &ProxyCtx, outage: Outage) -> bool {
    let Some(fallback) = policy(ctx, outage) else { return false };
    fallback.to.is_some()
        && !ctx.exchange.standin.turned
        && !keeps(session, fallback)
        && (outage.is_unsent() || is_idempotent(session, ctx))
        && !session.as_ref().retry_buffer_truncated()
        && ctx.remaining(Instant::now()).is_none_or(|left| !left.is_zero())
}

/// Whether there is something out of date to give.
fn keeps(session: &Session, fallback: &Fallback) -> bool {
    fallback.stale && session.cache.enabled() && session.cache.can_serve_stale_error()
}

/// An answer with a status that counts as an outage: the error in its place, where something stands in.
pub fn in_place_of(gate: &Gate, session: &Session, ctx: &mut ProxyCtx, status: u16) -> Option<Box<Error>> {
    let outage = Outage::Status(status);
    let fallback = policy(ctx, outage)?;
    let (own, turns) = (fallback.answer.is_some() || keeps(session, fallback), may_turn(session, ctx, outage));
    if !(own || turns) {
        return None;
    }
    ctx.finish_attempt(gate.worker, AttemptOutcome::RetriedStatus);
    let mut error = Error::new_up(ErrorType::HTTPStatus(status));
    error.set_retry(turn(gate, session, ctx, outage));
    if !ctx.exchange.standin.turned || !turns {
        ctx.exchange.standin.due = Some(outage);
    }
    Some(error)
}

/// The answer that is written, where one stands in for what has happened.
pub fn written(worker: Worker, session: &Session, ctx: &mut ProxyCtx, reason: Reason) -> Option<Fixed> {
    let outage = ctx.exchange.standin.due.or_else(|| outage(reason))?;
    written_for(worker, session, ctx, outage)
}

/// The answer that is written for an outage.
pub fn written_for(worker: Worker, session: &Session, ctx: &mut ProxyCtx, outage: Outage) -> Option<Fixed> {
    policy(ctx, outage)?.answer.as_ref()?;
    let snapshot = ctx.snapshot.clone();
    let route = ctx.matched.route.and_then(|number| snapshot.routes.get(number))?;
    let answers = route.traffic.as_ref()?.fallback.as_ref()?.answer.as_ref()?;
    if answers.asks() {
        ask(session, ctx);
    }
    mark(worker, ctx, FallbackKind::Answer);
    Some(answers.answer(&facts(session, ctx)))
}

/// Answers what cannot be passed on: as is written for it, else with the refusal.
pub async fn refuse(gate: &Gate, session: &mut Session, ctx: &mut ProxyCtx, reply: &Reply) -> Result<()> {
    match written(gate.worker, session, ctx, reply.reason) {
        Some(fixed) => {
            ctx.outcome.reason = Some(reply.reason);
            write(session, ctx, fixed).await
        }
        None => write_refusal(session, ctx, reply).await,
    }
}

/// What is out of date is given.
pub fn stale(gate: &Gate, ctx: &mut ProxyCtx) {
    let traffic = ctx.route().and_then(|route| route.traffic.as_ref());
    if traffic.and_then(|traffic| traffic.fallback.as_ref()).is_some_and(|fallback| fallback.stale) {
        mark(gate.worker, ctx, FallbackKind::Stale);
    }
}

/// Notes what stands in, for the access log and the counters.
pub fn mark(worker: Worker, ctx: &mut ProxyCtx, kind: FallbackKind) {
    ctx.exchange.standin.kind = Some(kind);
    if let Some(traffic) = ctx.route().and_then(|route| route.traffic.as_ref()) {
        traffic.metrics.fell_back(worker, kind);
    }
}
