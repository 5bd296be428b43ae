//! Something was found: may this request have it as it is?

use super::ctx::{ProxyCtx, Purpose, now};
use super::{Gate, fallback, renewal, upstream_peer};
use crate::cache::{Freshness, Hit, Outcome};
use crate::upstream::{FailureKind, Outcome as Failed};
use pingora_cache::storage::HitHandler;
use pingora_cache::{CacheMeta, ForcedFreshness};
use pingora_core::{Error, ErrorSource, ErrorType};
use pingora_proxy::Session;
use std::time::SystemTime;

/// Runs the moment. Time is that of the request's arrival, or, where it has waited for another, that of now.
///
/// Fetching in the background while what is out of date is given has no help of Pingora's: what Pingora would begin goes
/// through all policies again, from the request as it came, and would be counted and refused anew.
pub fn run(session: &mut Session, hit: &HitHandler, ctx: &mut ProxyCtx) -> Option<ForcedFreshness> {
    let object = hit.as_any().downcast_ref::<Hit>().map(Hit::object)?;
    let asked = ctx.cache.as_ref().and_then(|state| state.asked.clone())?;
    let waited = session.cache.lock_duration().is_some();
    let instant = if waited { SystemTime::now() } else { asked.now };
    let ttl = object.ttl(instant);
    let may_be_late = object.may_serve_while_revalidating(instant)
        && !asked.client.insists()
        && ctx.matched.purpose != Purpose::Renewal;
    let (outcome, freshness) = match asked.client.judge(object, instant) {
        Freshness::Fresh if waited => (Outcome::Collapsed, ForcedFreshness::ForceFresh),
        Freshness::Fresh | Freshness::Accepted => (Outcome::Hit(ttl), ForcedFreshness::ForceFresh),
        Freshness::Expired if may_be_late => {
            if object.begin_renewal(instant) {
                renewal::begin(session, ctx);
            }
            (Outcome::Hit(ttl), ForcedFreshness::ForceFresh)
        }
        // The client asks for a newer one: what is there is no help to it, whatever happens.
        Freshness::Expired if object.is_fresh(instant) => (Outcome::Hit(ttl), ForcedFreshness::ForceExpired),
        Freshness::Expired => (Outcome::Hit(ttl), ForcedFreshness::ForceExpiredServeStale { expired_at: None }),
    };
    if freshness != ForcedFreshness::ForceFresh && object.is_never_fresh() {
        // Each must ask for itself, so that none need wait for another.
        session.cache.set_cache_lock(None, None);
    }
    if let Some(state) = &mut ctx.cache {
        state.outcome = outcome;
    }
    Some(freshness)
}

/// Whether what is out of date is given rather than an error of the upstream's (RFC 5861 §4). Where it is merely being
/// asked, without an error, that is decided above.
pub fn should_serve_stale(gate: &Gate, session: &Session, ctx: &mut ProxyCtx, error: Option<&Error>) -> bool {
    let Some(error) = error.filter(|error| *error.esource() == ErrorSource::Upstream) else { return false };
    let told_already = ctx.exchange.attempts == ctx.exchange.finished;
    if let ErrorType::HTTPStatus(status @ 502..=504) = error.etype()
        && !told_already
        && let (Some(chosen), Some(picked)) = (upstream_peer::chosen(ctx), &ctx.exchange.picked)
    {
        // Its answer goes no further than here, so that nobody else would tell of it.
        chosen.upstream.record(picked, Failed::Failure(FailureKind::Status(*status)), now(&gate.shared));
    }
    let fresh_until = session.cache.maybe_cache_meta().map(CacheMeta::fresh_until);
    let over = fresh_until.and_then(|until| SystemTime::now().duration_since(until).ok()).unwrap_or_default();
    if let Some(state) = &mut ctx.cache {
        state.outcome = Outcome::StaleOnError(-i64::try_from(over.as_secs()).unwrap_or(i64::MAX).max(1));
    }
    fallback::stale(gate, ctx);
    ctx.matched.refusal = None;
    ctx.outcome.reason = None;
    true
}
