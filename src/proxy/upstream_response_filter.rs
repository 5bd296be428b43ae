//! The head of the upstream's answer has arrived: is it one that may be passed on? Judge the attempt, and try elsewhere
//! where the route says so.

use super::ctx::{Flow, ProxyCtx};
use super::mirror;
use super::retry::may_retry;
use super::{Gate, fallback, upstream_peer};
use crate::exchange::call::{has_known_framing, listed, retry_after};
use crate::observe::metrics::AttemptOutcome;
use crate::reply::Reason;
use crate::upstream::{FailureKind, Outcome};
use http::StatusCode;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use std::time::{Instant, SystemTime};

/// An answer that is not HTTP as it should be.
const INVALID: ErrorType = ErrorType::InvalidHTTPHeader;
/// Interim answers to one request; who sends more says nothing with them.
const MOST_INTERIM: u32 = 100;

/// Runs the moment.
pub fn run(gate: &Gate, session: &Session, response: &ResponseHeader, ctx: &mut ProxyCtx) -> Result<()> {
    if response.status.is_informational() && response.status != StatusCode::SWITCHING_PROTOCOLS {
        return interim(ctx);
    }
    check(session, response)?;
    let status = response.status.as_u16();
    if let (Some(chosen), Some(picked)) = (upstream_peer::chosen(ctx), &ctx.exchange.picked) {
        let arrived = Instant::now();
        let outcome = match status {
            502..=504 => Outcome::Failure(FailureKind::Status(status)),
            _ => Outcome::Success { latency: arrived.saturating_duration_since(ctx.exchange.attempt_began) },
        };
        chosen.upstream.record(picked, outcome, gate.shared.clock.at(arrived));
    }
    let is_error = response.status.is_client_error() || response.status.is_server_error();
    let cause = if is_error || ctx.exchange.flow == Flow::Streaming {
        listed(response.status, &response.headers)
    } else {
        None
    };
    if let Some(cause) = cause {
        let is_listed = ctx.route().is_some_and(|route| route.retries.on.contains(&cause));
        if is_listed && may_retry(gate, session, ctx, cause, retry_after(&response.headers, SystemTime::now())) {
            ctx.finish_attempt(gate.worker, AttemptOutcome::RetriedStatus);
            let mut error = Error::new_up(ErrorType::HTTPStatus(status));
            error.set_retry(true);
            return Err(error);
        }
        if is_error && let Some(error) = fallback::in_place_of(gate, session, ctx, status) {
            return Err(error);
        }
    }
    if response.status == StatusCode::NOT_MODIFIED
        && let Some(state) = ctx.cache.as_mut().filter(|_| session.cache.maybe_cache_meta().is_some())
    {
        state.confirmed = Some(response.headers.clone());
    }
    mirror::answered(session, (response.status, &response.headers), ctx);
    ctx.outcome.answered = true;
    Ok(())
}

/// One more interim answer: each starts Pingora's clock anew, so that only a count and the deadline end a flood of them.
fn interim(ctx: &mut ProxyCtx) -> Result<()> {
    ctx.exchange.interim += 1;
    if ctx.exchange.interim > MOST_INTERIM {
        return Error::e_explain(INVALID, "too many interim answers").map_err(Error::into_up);
    }
    if ctx.exchange.flow == Flow::Bounded && ctx.remaining(Instant::now()).is_some_and(|left| left.is_zero()) {
        ctx.outcome.reason = Some(Reason::Deadline);
        return Err(Error::new_up(ErrorType::HTTPStatus(504)));
    }
    Ok(())
}

/// Refuses an answer whose end, or whose very protocol, client and gateway could see differently: a switch that nobody
/// asked for (RFC 9110 §7.8), and codings that were never offered and Pingora does not undo (RFC 9112 §6.1).
fn check(session: &Session, response: &ResponseHeader) -> Result<()> {
    if response.status == StatusCode::SWITCHING_PROTOCOLS && !session.is_upgrade_req() {
        return Error::e_explain(INVALID, "a switch of protocols that was not asked for").map_err(Error::into_up);
    }
    if !has_known_framing(response) {
        return Error::e_explain(INVALID, "a transfer coding other than chunked").map_err(Error::into_up);
    }
    Ok(())
}
