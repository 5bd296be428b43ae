//! When another attempt is made: of a request that the proxy passes on, and of a call of the gateway's own.

use crate::upstream::{EndpointId, Millis, RetryDecision, Upstream};
use crate::value::GrpcCode;
use http::{HeaderMap, HeaderName, StatusCode, header};
use std::fmt;
use std::time::{Duration, SystemTime};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// When another attempt is made; by default never.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Retries {
    /// Attempts after the first.
    pub max: u32,
    /// After what.
    pub on: Vec<RetryCause>,
    /// Retries as a share of requests, 0 to 1.
    pub budget: f64,
    /// How long one attempt may take to begin its answer, and be silent after that.
    pub per_try: Option<Duration>,
    /// The wait before a retry; `None` for none.
    pub backoff: Option<Backoff>,
    /// The longest body that is sent again, bytes.
    pub replay: u64,
}

/// An attempt that came to nothing, as far as it matters to whether there is another.
#[derive(Clone, Copy, Debug)]
pub struct Attempted<'a> {
    /// What became of it.
    pub cause: RetryCause,
    /// How many there have been, this one included.
    pub attempts: u32,
    /// Whether what was sent may be sent twice (RFC 9110 §9.2.2).
    pub idempotent: bool,
    /// Whether the body can be sent again.
    pub replayable: bool,
    /// The wait that the upstream has asked for with `Retry-After`.
    pub after: Option<Duration>,
    /// What is left until the deadline; `None` where there is none.
    pub left: Option<Duration>,
    /// Endpoints that have been tried, the one of this attempt included.
    pub tried: &'a [EndpointId],
    /// The subset of the upstream that the request is for.
    pub subset: Option<usize>,
}

impl Retries {
    /// The wait before another attempt, where one is listed, safe, within the deadline and within the budget, which is then
    /// spent; `None` where there is to be none. `random`: 64 random bits.
    ///
    /// A `Retry-After` is kept after 429 whoever is asked next, else only where there is no other endpoint to ask.
    pub fn again(&self, upstream: &Upstream, last: &Attempted<'_>, (now, random): (Millis, u64)) -> Option<Duration> {
        // A service that answers with a listed status of gRPC has done nothing, or the operator would not list it.
        let safe = matches!(last.cause, RetryCause::Connect | RetryCause::Grpc(_)) || last.idempotent;
        let allowed = self.on.contains(&last.cause) && last.attempts <= self.max;
        if !(allowed && safe && last.replayable) {
            return None;
        }
        let elsewhere = upstream.has_other(last.tried, last.subset, now);
        let mut wait = match self.backoff {
            // Nothing was sent, and another machine knows nothing of it.
            _ if elsewhere && last.cause == RetryCause::Connect => Duration::ZERO,
            None => Duration::ZERO,
            Some(backoff) => backoff.wait(last.attempts, random),
        };
        if !elsewhere || last.cause == RetryCause::Status(429) {
            wait = wait.max(last.after.unwrap_or_default());
        }
        if last.left.is_some_and(|left| left <= wait) {
            return None;
        }
        (upstream.budget().try_retry(self.budget, now) == RetryDecision::Granted).then_some(wait)
    }
}

/// What the head of an answer may be tried again for: its status of gRPC, where one stands there, else that of HTTP; `None`
/// where it says that all is well.
pub fn listed(status: StatusCode, headers: &HeaderMap) -> Option<RetryCause> {
    if status.is_client_error() || status.is_server_error() {
        return Some(RetryCause::Status(status.as_u16()));
    }
    let code = headers.get(GRPC_STATUS).map(|code| GrpcCode::told(code.as_bytes()));
    code.filter(|code| *code != GrpcCode::OK).map(RetryCause::Grpc)
}

/// The wait that `Retry-After` asks for: seconds, or a date (RFC 9110 §10.2.3).
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(httpdate::parse_http_date(text).ok()?.duration_since(now).unwrap_or_default()),
    }
}

/// The waits before retries.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// At most this before the first; twice as long before each that follows.
    pub first: Duration,
    /// Never longer.
    pub longest: Duration,
}

impl Backoff {
    /// The wait before the retry of that number, from 1: exponential with "full jitter" (M. Brooker, "Exponential Backoff
    /// And Jitter", AWS, 2015), as 64 random bits have it.
    pub fn wait(self, retry: u32, random: u64) -> Duration {
        let doublings = retry.saturating_sub(1).min(16);
        let most = self.first.saturating_mul(1 << doublings).min(self.longest);
        most.mul_f64((random >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

/// After what another attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryCause {
    /// No connection came about: nothing was sent, so any method may be tried again.
    Connect,
    /// The connection broke before the answer; idempotent methods only.
    Reset,
    /// No answer in time; idempotent methods only.
    Timeout,
    /// This status; idempotent methods only.
    Status(u16),
    /// This status of gRPC in the head of the answer, before any message.
    Grpc(GrpcCode),
}

impl fmt::Display for RetryCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("connect"),
            Self::Reset => f.write_str("reset"),
            Self::Timeout => f.write_str("timeout"),
            Self::Status(status) => status.fmt(f),
            Self::Grpc(code) => code.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn waits_double_up_to_the_longest_and_are_drawn_at_random() {
        let backoff = Backoff { first: Duration::from_millis(25), longest: Duration::from_millis(250) };
        let most: Vec<u128> = (1..=6).map(|retry| backoff.wait(retry, u64::MAX).as_millis()).collect();
        assert_eq!(most, [25, 50, 100, 200, 250, 250]);
        assert_eq!(backoff.wait(3, 0), Duration::ZERO);
        assert_eq!(backoff.wait(3, 1 << 63), Duration::from_millis(50));
        assert_eq!(backoff.wait(u32::MAX, 1 << 63), Duration::from_millis(125));
    }

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
