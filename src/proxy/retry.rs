//! Whether another attempt is made, and after what wait.

use super::ctx::ProxyCtx;
use super::failure::is_idempotent;
use super::{Gate, Random, upstream_peer};
use crate::snapshot::RetryCause;
use crate::upstream::RetryDecision;
use http::{HeaderMap, header};
use pingora_proxy::Session;
use std::time::{Duration, Instant, SystemTime};

/// Whether another attempt is listed, safe, within the deadline and within the budget. A `true` spends the budget, puts the
/// endpoint among those already tried, and sets the wait before the attempt.
///
/// `after`: the wait that the upstream has asked for with `Retry-After`. After 429 it is kept whoever is asked next, else
/// only where there is no other endpoint to ask.
pub fn may_retry(
    gate: &Gate,
    session: &Session,
    ctx: &mut ProxyCtx,
    cause: RetryCause,
    after: Option<Duration>,
) -> bool {
    let Some(route) = ctx.route() else { return false };
    let retries = &route.retries;
    let safe = cause == RetryCause::Connect || is_idempotent(session, ctx);
    let replayable = !session.as_ref().retry_buffer_truncated() && ctx.cx.body_bytes <= retries.replay;
    let allowed = retries.on.contains(&cause) && ctx.exchange.attempts <= retries.max;
    if !(allowed && safe && replayable) {
        return false;
    }
    let Some(choice) = upstream_peer::choice(ctx) else { return false };
    let moment = Instant::now();
    let now = gate.shared.clock.at(moment);
    let mut tried = ctx.exchange.tried.clone();
    tried.extend(ctx.exchange.picked.as_ref().map(|picked| picked.id()));
    let elsewhere = choice.upstream.has_other(&tried, choice.subset, now);
    let mut wait = match retries.backoff {
        // Nothing was sent, and another machine knows nothing of it.
        _ if elsewhere && cause == RetryCause::Connect => Duration::ZERO,
        None => Duration::ZERO,
        Some(backoff) => backoff.wait(ctx.exchange.attempts, Random::next()),
    };
    if !elsewhere || cause == RetryCause::Status(429) {
        wait = wait.max(after.unwrap_or_default());
    }
    if ctx.remaining(moment).is_some_and(|left| left <= wait) {
        return false;
    }
    if choice.upstream.budget().try_retry(retries.budget, now) != RetryDecision::Granted {
        return false;
    }
    ctx.exchange.tried = tried;
    ctx.exchange.picked = None;
    ctx.exchange.pause = wait;
    true
}

/// The wait that `Retry-After` asks for: seconds, or a date (RFC 9110 §10.2.3).
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_wait_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 90);
        for (text, wait) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(90)),
            ("Sat, 06 Nov 1993 08:49:37 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
            ("1.5", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, HeaderValue::from_str(text).unwrap());
            assert_eq!(retry_after(&headers, now), wait.map(Duration::from_secs), "{text}");
        }
    }
}
