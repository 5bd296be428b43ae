//! Session affinity: the cookie that brings a client back to the endpoint that has answered.

use super::ctx::ProxyCtx;
use super::{Gate, upstream_peer};
use crate::exchange::call::shown;
use crate::observe::metrics::ReturnOutcome;
use crate::request::Scheme;
use http::HeaderValue;
use pingora_proxy::Session;

/// The `Set-Cookie` for the client; `None` where it comes back by itself, the upstream has no affinity, or no endpoint has
/// answered: what comes from memory binds nobody.
pub fn renewed(gate: &Gate, session: &Session, ctx: &ProxyCtx) -> Option<HeaderValue> {
    let (chosen, picked) = (upstream_peer::chosen(ctx)?, ctx.exchange.picked.as_ref()?);
    chosen.upstream.spec().affinity.as_ref()?;
    let shown = shown(chosen.upstream.spec(), &session.req_header().headers);
    let field = picked.set_cookie(shown.as_deref(), ctx.cx.scheme == Scheme::Https);
    let outcome = match (&shown, field) {
        (_, None) => ReturnOutcome::Kept,
        (None, Some(_)) => ReturnOutcome::First,
        (Some(_), Some(_)) => ReturnOutcome::Moved,
    };
    chosen.metrics.returned(gate.worker, outcome);
    field.cloned()
}
