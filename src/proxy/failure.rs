//! Something failed: whose fault it is, whether another attempt is safe, and what the client is told.

use super::answer::{write, write_refusal};
use super::answer_body::deliver;
use super::bodies::Down;
use super::ctx::{Flow, ProxyCtx, now};
use super::fallback::{outage, turn, written};
use super::fence::{After, Fence};
use super::retry::may_retry;
use super::{Gate, upstream_peer};
use crate::exchange::call::classify;
use crate::observe::metrics::AttemptOutcome;
use crate::reply::{Form, Reason, Reply, grpc_status};
use crate::snapshot::RetryCause;
use crate::upstream::{FailureKind, Outcome};
use crate::value::Outage;
use http::{HeaderValue, header};
use pingora_core::protocols::http::ServerSession;
use pingora_core::{Error, ErrorSource, ErrorType, RetryType};
use pingora_proxy::{FailToProxy, Session};
use std::time::Instant;

/// A pooled connection that the upstream had already closed is replaced this often without counting as a retry.
const STALE_REPLACED: u32 = 2;

/// No connection came about: nothing was sent, so any request may go elsewhere.
pub fn fail_to_connect(gate: &Gate, session: &Session, ctx: &mut ProxyCtx, mut error: Box<Error>) -> Box<Error> {
    let (kind, outcome, reason) = classify(&error);
    report(gate, ctx, kind);
    ctx.finish_attempt(gate.worker, outcome);
    ctx.outcome.reason = Some(reason);
    let retried = may_retry(gate, session, ctx, RetryCause::Connect, None);
    let turned = !retried && turn(gate, session, ctx, Outage::Connect);
    if !(retried || turned) {
        ctx.exchange.standin.due = Some(Outage::Connect);
    }
    error.set_retry(retried || turned);
    error
}

/// The exchange broke after a connection was made.
pub fn error_while_proxy(
    gate: &Gate,
    session: &Session,
    ctx: &mut ProxyCtx,
    mut error: Box<Error>,
    client_reused: bool,
) -> Box<Error> {
    if error.retry == RetryType::Decided(true) && matches!(error.etype(), ErrorType::HTTPStatus(_)) {
        return error; // decided in upstream_response_filter
    }
    if ctx.exchange.standin.due.is_some() {
        return error; // and so is this: something else is answered
    }
    error.set_retry(false);
    if is_deadline(&error, ctx) {
        ctx.outcome.reason = Some(Reason::Deadline);
        if Fence::of(&session.downstream_session).is_some_and(Fence::is_whole) {
            report(gate, ctx, FailureKind::Timeout); // it was the endpoint that everyone waited for
        }
        ctx.finish_attempt(gate.worker, AttemptOutcome::Timeout);
        return error;
    }
    if ctx.matched.refusal.is_some() || *error.esource() != ErrorSource::Upstream {
        ctx.finish_attempt(gate.worker, AttemptOutcome::Abandoned);
        return error;
    }
    let (kind, outcome, reason) = classify(&error);
    let already_answered = ctx.outcome.answered;
    ctx.outcome.reason.get_or_insert(reason);
    if client_reused && !already_answered && reason == Reason::UpstreamReset && is_replaceable(session, ctx) {
        // The endpoint closed an idle connection as we took it: nobody's failure.
        ctx.finish_attempt(gate.worker, AttemptOutcome::Reset);
        ctx.exchange.picked = None;
        ctx.outcome.reason = None;
        error.set_retry(true);
        return error;
    }
    report(gate, ctx, kind);
    ctx.finish_attempt(gate.worker, outcome);
    let cause = if reason == Reason::UpstreamTimeout { RetryCause::Timeout } else { RetryCause::Reset };
    let outage = outage(reason);
    if !already_answered
        && (may_retry(gate, session, ctx, cause, None) || outage.is_some_and(|outage| turn(gate, session, ctx, outage)))
    {
        ctx.outcome.reason = None;
        error.set_retry(true);
    }
    error
}

fn is_replaceable(session: &Session, ctx: &ProxyCtx) -> bool {
    ctx.exchange.attempts - ctx.exchange.standin.earlier <= STALE_REPLACED
        && is_idempotent(session, ctx)
        && !session.as_ref().retry_buffer_truncated()
}

/// Whether what was sent may be sent again (RFC 9110 §9.2.2).
pub fn is_idempotent(session: &Session, ctx: &ProxyCtx) -> bool {
    let asked = &session.req_header().method;
    asked.is_idempotent() && ctx.exchange.bodies.method.as_ref().unwrap_or(asked).is_idempotent()
}

fn report(gate: &Gate, ctx: &ProxyCtx, kind: FailureKind) {
    if let (Some(chosen), Some(picked)) = (upstream_peer::chosen(ctx), &ctx.exchange.picked) {
        // A caller that gives up early says nothing of the endpoint.
        let hurried = kind == FailureKind::Timeout && ctx.is_hurried(Instant::now());
        let outcome = if hurried { Outcome::Neutral } else { Outcome::Failure(kind) };
        chosen.upstream.record(picked, outcome, now(&gate.shared));
    }
}

/// All attempts failed, or the request did: tell the client, where it is still there and nothing has been said yet.
pub async fn fail_to_proxy(gate: &Gate, session: &mut Session, error: &Error, ctx: &mut ProxyCtx) -> FailToProxy {
    let kept = ctx.matched.refusal.take();
    // The whole of an answer that was held is there: it is only its end that could not be told.
    if kept.is_none() && matches!(&ctx.exchange.bodies.down, Down::Held(held) if held.complete) {
        Box::pin(deliver(session, ctx)).await;
        let status = session.response_written().map_or(499, |head| head.status.as_u16());
        return FailToProxy { error_code: status, can_reuse_downstream: false };
    }
    ctx.exchange.bodies.down = Down::Untouched;
    let reply = match kept {
        Some(reply) => *reply,
        None => Reply::new(reason_of(error, session, ctx)),
    };
    let reason = reply.reason;
    ctx.outcome.reason = Some(reason);
    let begun = session.response_written().is_some_and(|head| !head.status.is_informational());
    // A client that has gone, now or meanwhile, is told nothing: the log line says what happened first.
    if begun && reason != Reason::ClientClosed {
        break_off(session, &reply).await;
    } else if reason != Reason::ClientClosed {
        if *error.esource() == ErrorSource::Downstream && reason != Reason::Deadline {
            session.set_keepalive(None);
        } else if Fence::of(&session.downstream_session).is_some_and(Fence::is_whole) {
            // Whether Pingora has read the body or not: none of it is still to come.
            session.set_close_on_response_before_downstream_finish(false);
        }
        let told = match written(gate.worker, session, ctx, reason) {
            Some(fixed) => write(session, ctx, fixed).await,
            None => write_refusal(session, ctx, &reply).await,
        };
        if told.is_ok() {
            leave(session).await;
        }
    }
    FailToProxy { error_code: reason.status().as_u16(), can_reuse_downstream: false }
}

/// Says what is to become of the client's connection after a whole answer. Pingora would close it at once.
async fn leave(session: &mut Session) {
    let ServerSession::H1(connection) = session.downstream_session.as_mut() else { return };
    if connection.finish_body().await.is_err() {
        return;
    }
    let after = if connection.will_keepalive() { After::Keep } else { After::Linger };
    if let Some(fence) = Fence::of(&session.downstream_session) {
        fence.then(after);
    }
}

/// Ends an answer that has begun so that it cannot be taken for a whole one: a gRPC client gets the status in trailers, any
/// other over HTTP/2 a reset that does not say, as the one of a dropped stream would, that the client wanted it so. Over
/// HTTP/1 closing the connection says enough.
async fn break_off(session: &mut Session, reply: &Reply) {
    let content_type = session.response_written().and_then(|head| head.headers.get(header::CONTENT_TYPE));
    let form = Form::choose(None, content_type.map(HeaderValue::as_bytes));
    let ServerSession::H2(stream) = session.downstream_session.as_mut() else { return };
    if form != Form::Grpc || stream.write_trailers(grpc_status(reply)).is_err() {
        stream.shutdown();
    }
}

/// Whether the client's connection was made to fail because the deadline has passed, see [`Fence::end_at`].
fn is_deadline(error: &Error, ctx: &ProxyCtx) -> bool {
    matches!(error.etype(), ErrorType::ReadError | ErrorType::WriteError)
        && *error.esource() == ErrorSource::Downstream
        && is_late(ctx)
}

fn is_late(ctx: &ProxyCtx) -> bool {
    ctx.exchange.flow == Flow::Bounded && ctx.remaining(Instant::now()).is_some_and(|left| left.is_zero())
}

fn reason_of(error: &Error, session: &Session, ctx: &ProxyCtx) -> Reason {
    match error.esource() {
        _ if is_deadline(error, ctx) => Reason::Deadline,
        ErrorSource::Upstream => {
            let reason = ctx.outcome.reason.unwrap_or_else(|| classify(error).2);
            let late = is_late(ctx);
            if late && reason == Reason::UpstreamTimeout { Reason::Deadline } else { reason }
        }
        ErrorSource::Downstream => match error.etype() {
            ErrorType::ReadTimedout if session.response_written().is_none() => Reason::SlowRequest,
            // What breaks a stream after the answer has begun is the client's leaving it, not the request.
            ErrorType::H2Error if session.response_written().is_some() => Reason::ClientClosed,
            ErrorType::InvalidHTTPHeader | ErrorType::H1Error | ErrorType::H2Error => Reason::BadRequest,
            ErrorType::HTTPStatus(400) | ErrorType::Custom("InvalidChunk" | "InvalidTrailerEnd") => Reason::BadRequest,
            _ => Reason::ClientClosed,
        },
        ErrorSource::Internal | ErrorSource::Unset => Reason::Internal,
    }
}
