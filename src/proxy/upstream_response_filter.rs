//! The head of the upstream's answer has arrived: judge the attempt, and try elsewhere where the route says so.

use super::ctx::ProxyCtx;
use super::failure::may_retry;
use super::{Gate, upstream_peer};
use crate::observe::metrics::AttemptOutcome;
use crate::snapshot::RetryCause;
use crate::upstream::{FailureKind, Outcome};
use http::StatusCode;
use pingora_core::{Error, ErrorType, Result};
use pingora_http::ResponseHeader;
use pingora_proxy::Session;
use std::time::Instant;

/// Runs the moment.
pub fn run(gate: &Gate, session: &Session, response: &ResponseHeader, ctx: &mut ProxyCtx) -> Result<()> {
    if response.status.is_informational() && response.status != StatusCode::SWITCHING_PROTOCOLS {
        return Ok(());
    }
    let status = response.status.as_u16();
    if let (Some(choice), Some(picked)) = (upstream_peer::choice(ctx), &ctx.exchange.picked) {
        let arrived = Instant::now();
        let outcome = match status {
            502..=504 => Outcome::Failure(FailureKind::Status(status)),
            _ => Outcome::Success { latency: arrived.saturating_duration_since(ctx.exchange.attempt_began) },
        };
        choice.upstream.report(picked, outcome, gate.shared.clock.at(arrived));
    }
    if response.status.is_client_error() || response.status.is_server_error() {
        let listed = RetryCause::Status(status);
        if ctx.route().is_some_and(|route| route.retries.on.contains(&listed)) && may_retry(gate, session, ctx, listed)
        {
            ctx.finish_attempt(gate.worker, AttemptOutcome::RetriedStatus);
            let mut error = Error::new_up(ErrorType::HTTPStatus(status));
            error.set_retry(true);
            return Err(error);
        }
    }
    ctx.outcome.answered = true;
    Ok(())
}
