//! Deadlines of callers: what a trusted proxy has said, and what upstreams are told.
//!
//! `grpc-timeout` (gRPC over HTTP/2, "Timeout") is how long the caller still waits; on its way up it loses what the request
//! has spent here. The route's own field is a moment, milliseconds since 1970, so that it means the same at every hop
//! whose clock is right. Only trusted proxies shorten a route's timeout: to anybody else an endpoint that cannot be that fast
//! would look as if it had failed.

use super::ctx::{Flow, ProxyCtx};
use crate::exchange::call::moment_after;
use crate::snapshot::Route;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::time::{Duration, Instant, UNIX_EPOCH};

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// Digits of a `grpc-timeout` at most.
const DIGITS: usize = 8;

/// How long after its beginning the caller gives up, as far as a trusted proxy has said.
pub fn told(headers: &HeaderMap, ctx: &ProxyCtx) -> Option<Duration> {
    if !ctx.cx.client.via_trusted {
        return None;
    }
    let call = headers.get(GRPC_TIMEOUT).and_then(|value| parse(value.as_bytes()));
    let field = ctx.route().and_then(|route| route.deadline_header.as_deref());
    let moment = field.and_then(|name| headers.get(name)?.to_str().ok()?.parse().ok()).map(|millis| {
        let deadline = UNIX_EPOCH.checked_add(Duration::from_millis(millis));
        deadline.map_or(Duration::MAX, |deadline| deadline.duration_since(ctx.cx.time.wall).unwrap_or_default())
    });
    [call, moment].into_iter().flatten().min()
}

/// What an upstream is told of a request.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// What is left until the deadline, if there is one.
    pub left: Option<Duration>,
    /// Bounded or streaming.
    pub flow: Flow,
    /// When the request began.
    pub began: Instant,
    /// Now.
    pub now: Instant,
}

/// Tells the upstream.
pub fn tell(headers: &mut HeaderMap, route: &Route, told: Told) {
    if told.flow == Flow::Streaming
        && let Some(asked) = headers.get(GRPC_TIMEOUT).and_then(|value| parse(value.as_bytes()))
    {
        let left = asked.saturating_sub(told.now.saturating_duration_since(told.began));
        headers.insert(GRPC_TIMEOUT, format(left));
    }
    let Some(name) = route.deadline_header.as_deref() else { return };
    headers.remove(name);
    if let Some(moment) = told.left.and_then(moment_after) {
        headers.insert(name, moment);
    }
}

/// A `grpc-timeout`: up to eight digits and a unit.
fn parse(text: &[u8]) -> Option<Duration> {
    let (unit, digits) = text.split_last()?;
    if digits.is_empty() || digits.len() > DIGITS || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(count * 3_600),
        b'M' => Duration::from_secs(count * 60),
        b'S' => Duration::from_secs(count),
        b'm' => Duration::from_millis(count),
        b'u' => Duration::from_micros(count),
        b'n' => Duration::from_nanos(count),
        _ => return None,
    })
}

/// A span as `grpc-timeout`, in the finest unit that eight digits hold; what is less than a nanosecond is one, since none
/// would be no timeout to some.
fn format(span: Duration) -> HeaderValue {
    let units: [(u128, char); 5] =
        [(1, 'n'), (1_000, 'u'), (1_000_000, 'm'), (1_000_000_000, 'S'), (60_000_000_000, 'M')];
    let nanos = span.as_nanos().max(1);
    let found = units.iter().map(|(unit, letter)| (nanos / unit, letter)).find(|(count, _)| *count < 100_000_000);
    let text = found.map_or_else(|| "99999999M".to_owned(), |(count, letter)| format!("{count}{letter}"));
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("1n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_of_calls_are_read_strictly() {
        for (text, span) in [
            ("1H", Some(Duration::from_secs(3_600))),
            ("2M", Some(Duration::from_secs(120))),
            ("99999999S", Some(Duration::from_secs(99_999_999))),
            ("150m", Some(Duration::from_millis(150))),
            ("7u", Some(Duration::from_micros(7))),
            ("0n", Some(Duration::ZERO)),
            ("100000000S", None),
            ("1s", None),
            ("S", None),
            ("-1S", None),
            ("+1S", None),
            ("1.5S", None),
            ("", None),
        ] {
            assert_eq!(parse(text.as_bytes()), span, "{text}");
        }
    }

    #[test]
    fn timeouts_of_calls_are_written_as_finely_as_they_may_be() {
        for (span, text) in [
            (Duration::ZERO, "1n"),
            (Duration::from_millis(99), "99000000n"),
            (Duration::from_millis(100), "100000u"),
            (Duration::from_secs(30), "30000000u"),
            (Duration::from_secs(3_600), "3600000m"),
            (Duration::MAX, "99999999M"),
        ] {
            assert_eq!(format(span), text, "{span:?}");
            assert!(parse(text.as_bytes()).unwrap() <= span.max(Duration::from_nanos(1)));
        }
    }
}
