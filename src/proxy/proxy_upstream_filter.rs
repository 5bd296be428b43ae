//! Nothing in memory will do: may the upstream be asked, and is there one?

use super::answer::write_refusal;
use super::ctx::ProxyCtx;
use super::{Gate, fallback, upstream_peer};
use crate::cache::Outcome;
use crate::reply::Reason;
use pingora_core::Result;
use pingora_proxy::Session;

/// Runs the moment; false when the answer has been written. A route that does not cache has chosen its endpoint before.
pub async fn run(gate: &Gate, session: &mut Session, ctx: &mut ProxyCtx) -> Result<bool> {
    let Some(state) = &mut ctx.cache else { return Ok(true) };
    let only_if_cached = state.asked.as_ref().is_some_and(|asked| asked.client.only_if_cached);
    if only_if_cached {
        state.outcome = Outcome::NotCached;
        Box::pin(write_refusal(session, ctx, &Reason::NotCached.into())).await?;
        return Ok(false);
    }
    // Where there is something out of date to fall back on, that is done when the attempt fails.
    let falls_back = session.cache.enabled() && session.cache.can_serve_stale_error();
    if falls_back || ctx.exchange.picked.is_some() {
        return Ok(true);
    }
    let Err(reply) = upstream_peer::choose(gate, session, ctx) else { return Ok(true) };
    Box::pin(fallback::refuse(gate, session, ctx, &reply)).await?;
    Ok(false)
}
