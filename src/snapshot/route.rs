//! A compiled route: what it does with a request that it takes.

use crate::exchange::Redirect;
use crate::observe::metrics::{RouteMetrics, UpstreamMetrics};
use crate::policy::Chain;
use crate::policy::cors::Preflights;
use crate::reply::{Fixed, Templates};
use crate::routing::Template;
use crate::upstream::Upstream;
use crate::value::Priority;
use http::{HeaderName, HeaderValue};
use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// One route.
///
/// With many routes none of it is in a near cache when a request comes: what most routes have not is boxed, what they have
/// one of stands in place.
pub struct Route {
    /// Its key as written, the label of its metrics.
    pub key: Box<str>,
    /// The api it belongs to.
    pub api: Option<Box<str>>,
    /// What it does.
    pub action: Action,
    /// Its policies.
    pub chain: Chain,
    /// Who answers the preflights of browsers that reach it.
    pub preflights: Preflights,
    /// The deadline of the whole exchange, all attempts together.
    pub timeout: Option<Duration>,
    /// When to try again.
    pub retries: Retries,
    /// The field that tells deadlines, to upstreams and from trusted proxies.
    pub deadline_header: Option<Box<HeaderName>>,
    /// How much its requests matter when not all can be served.
    pub priority: Priority,
    /// What changes on the way up.
    pub forward: Forward,
    /// Whether `%2F` and `%5C` may stand in the path.
    pub encoded_slash: EncodedSlash,
    /// Bodies of the gateway's own replies.
    pub replies: Arc<Templates>,
    /// Its counters.
    pub metrics: Arc<RouteMetrics>,
    /// Whether a faster lane may take it.
    pub lane: Lane,
}

/// What a route does with a request.
pub enum Action {
    /// Passes it to an upstream.
    Forward(Target),
    /// Sends the client elsewhere.
    Redirect(Box<Redirect>),
    /// Answers as written.
    Respond(Box<Fixed>),
    /// One of its policies answers: a path of a provider's own.
    Policies,
}

/// The upstreams of a route, by weight.
pub struct Target {
    choices: SmallVec<[Choice; 1]>,
    total: u64,
}

/// One upstream of a target.
pub struct Choice {
    /// The upstream.
    pub upstream: Arc<Upstream>,
    /// Its counters.
    pub metrics: Arc<UpstreamMetrics>,
    /// Its share, relative to the others; 0 takes no requests.
    pub weight: u32,
}

impl Target {
    /// A target of at least one choice with a weight.
    pub fn new(choices: Vec<Choice>) -> Option<Self> {
        let total = choices.iter().map(|choice| u64::from(choice.weight)).sum();
        (total > 0).then(|| Self { choices: choices.into(), total })
    }

    /// The choice that 64 random bits fall on.
    pub fn choose(&self, random: u64) -> Option<&Choice> {
        if let [only] = &*self.choices {
            return Some(only);
        }
        let mut ticket = random % self.total;
        self.choices.iter().find(|choice| {
            let weight = u64::from(choice.weight);
            let here = ticket < weight;
            ticket = ticket.saturating_sub(weight);
            here
        })
    }

    /// All choices.
    pub fn choices(&self) -> &[Choice] {
        &self.choices
    }
}

/// When another attempt is made.
#[derive(Clone, Debug, PartialEq)]
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
}

impl fmt::Display for RetryCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.write_str("connect"),
            Self::Reset => f.write_str("reset"),
            Self::Timeout => f.write_str("timeout"),
            Self::Status(status) => status.fmt(f),
        }
    }
}

/// What changes on the way up.
#[derive(Clone, Debug)]
pub struct Forward {
    /// The Host the upstream sees.
    pub host: HostField,
    /// Whether RFC 7239's field is written too.
    pub rfc7239: bool,
    /// The path the upstream sees.
    pub rewrite: Rewrite,
}

/// The Host an upstream sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostField {
    /// The endpoint's own.
    Endpoint,
    /// The one the client named.
    Client,
}

/// The path an upstream sees.
#[derive(Clone, Debug)]
pub enum Rewrite {
    /// What was matched.
    Keep,
    /// Without its first segments, which are told in `X-Forwarded-Prefix`.
    Strip {
        /// How many segments.
        segments: usize,
        /// What is stripped, as text.
        prefix: HeaderValue,
    },
    /// Made from captures.
    Template(Box<Template>),
}

/// Whether an encoded slash or backslash may stand in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodedSlash {
    /// 400.
    Refuse,
    /// Passed on as it is.
    Keep,
}

/// Which lane may carry a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// A plain HTTP/1 upstream, no body hook: any lane.
    Simple,
    /// Only the complete one.
    Full,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_are_drawn_at_random() {
        let backoff = Backoff { first: Duration::from_millis(25), longest: Duration::from_millis(250) };
        let most: Vec<u128> = (1..=6).map(|retry| backoff.wait(retry, u64::MAX).as_millis()).collect();
        assert_eq!(most, [25, 50, 100, 200, 250, 250]);
        assert_eq!(backoff.wait(3, 0), Duration::ZERO);
        assert_eq!(backoff.wait(3, 1 << 63), Duration::from_millis(50));
        assert_eq!(backoff.wait(u32::MAX, 1 << 63), Duration::from_millis(125));
    }
}
