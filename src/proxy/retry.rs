//! Whether another attempt is made, and after what wait.

use super::ctx::ProxyCtx;
use super::failure::is_idempotent;
use super::{Gate, Random, upstream_peer};
use crate::exchange::call::Attempted;
use crate::snapshot::RetryCause;
use pingora_proxy::Session;
use std::time::{Duration, Instant};

/// Whether another attempt is listed, safe, within the deadline and within the budget. A `true` spends the budget, puts the
/// endpoint among those already tried, and sets the wait before the attempt.
///
/// `after`: the wait that the upstream has asked for with `Retry-After`.
pub fn may_retry(
    gate: &Gate,
    session: &Session,
    ctx: &mut ProxyCtx,
    cause: RetryCause,
    after: Option<Duration>,
) -> bool {
    let (Some(route), Some(chosen)) = (ctx.route(), upstream_peer::chosen(ctx)) else { return false };
    let (retries, moment) = (&route.retries, Instant::now());
    let mut tried = ctx.exchange.tried.clone();
    tried.extend(ctx.exchange.picked.as_ref().map(|picked| picked.id()));
    let last = Attempted {
        cause,
        // Those at the upstream this one stands in for are no attempts at this one.
        attempts: ctx.exchange.attempts - ctx.exchange.standin.earlier,
        idempotent: is_idempotent(session, ctx),
        replayable: !session.as_ref().retry_buffer_truncated() && ctx.cx.body_bytes <= retries.replay,
        after,
        left: ctx.remaining(moment),
        tried: &tried,
        subset: chosen.subset,
    };
    let asked = (gate.shared.clock.at(moment), Random::next());
    let Some(wait) = retries.again(&chosen.upstream, &last, asked) else { return false };
    ctx.exchange.tried = tried;
    ctx.exchange.picked = None;
    ctx.exchange.pause = wait;
    true
}
