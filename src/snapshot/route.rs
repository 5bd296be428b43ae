//! A compiled route: what it does with a request that it takes.

use super::{Target, Traffic};
use crate::cache::Plan;
use crate::exchange::batch::Batch;
use crate::exchange::call::Retries;
use crate::exchange::{Exchange, Redirect};
use crate::observe::metrics::{CacheMetrics, RouteMetrics};
use crate::policy::Chain;
use crate::policy::answer::Answers;
use crate::policy::cors::Preflights;
use crate::policy::transform::Value;
use crate::reply::Templates;
use crate::routing::Template;
use crate::value::Priority;
use http::{HeaderName, HeaderValue};
use std::sync::Arc;
use std::time::Duration;

/// One route.
///
/// With many routes none of it is in a near cache when a request comes. So what most routes have not is boxed, what many
/// have alike is shared, and what every request reads stands first, in order.
#[repr(C, align(64))]
pub struct Route {
    /// What it does.
    pub action: Action,
    /// Its counters.
    pub metrics: Arc<RouteMetrics>,
    /// Its policies.
    pub chain: Arc<Chain>,
    /// The deadline of the whole exchange, all attempts together.
    pub timeout: Option<Duration>,
    /// When to try again.
    pub retries: Arc<Retries>,
    /// The field that tells deadlines, to upstreams and from trusted proxies.
    pub deadline_header: Option<Box<HeaderName>>,
    /// What changes on the way up.
    pub forward: Forward,
    /// Who answers the preflights of browsers that reach it.
    pub preflights: Preflights,
    /// How much its requests matter when not all can be served.
    pub priority: Priority,
    /// Whether `%2F` and `%5C` may stand in the path.
    pub encoded_slash: EncodedSlash,
    /// Whether a faster lane may take it.
    pub lane: Lane,
    /// What it answers from memory.
    pub cache: Option<Box<Caching>>,
    /// What becomes of its requests beside the usual.
    pub traffic: Option<Box<Traffic>>,
    /// Bodies of the gateway's own replies.
    pub replies: Arc<Templates>,
    /// Its key as written, the label of its metrics.
    pub key: Box<str>,
    /// The api it belongs to.
    pub api: Option<Box<str>>,
}

/// What a route answers from memory.
pub struct Caching {
    /// The policy.
    pub plan: Arc<Plan>,
    /// Its counters.
    pub metrics: Arc<CacheMetrics>,
}

/// What a route does with a request.
pub enum Action {
    /// Passes it to an upstream.
    Forward(Target),
    /// Sends the client elsewhere; beside it the values that its target names by number.
    Redirect(Box<Redirect>, Box<[Value]>),
    /// Answers as written.
    Respond(Box<Answers>),
    /// Makes an answer of its own out of calls to upstreams.
    Exchange(Arc<dyn Exchange>),
    /// Answers many requests to routes here in one.
    Batch(Arc<Batch>),
    /// One of its policies answers: a path of a provider's own.
    Policies,
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
        prefix: Box<HeaderValue>,
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
    /// A plain HTTP/1 upstream, no body hook, no cache: any lane.
    Simple,
    /// Only the complete one.
    Full,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::offset_of;

    #[test]
    fn what_every_request_reads_of_a_route_is_three_cache_lines() {
        assert!(offset_of!(Route, traffic) + size_of::<Option<Box<Traffic>>>() <= 3 * 64);
        assert_eq!(size_of::<Route>(), 4 * 64);
    }
}
