//! A compiled route: what it does with a request that it takes.

use crate::cache::Plan;
use crate::exchange::call::{Callee, Retries};
use crate::exchange::{Exchange, Redirect};
use crate::observe::metrics::{CacheMetrics, RouteMetrics, UpstreamMetrics};
use crate::policy::Chain;
use crate::policy::cors::Preflights;
use crate::reply::{Fixed, Templates};
use crate::routing::{Predicate, Target as Request, Template};
use crate::upstream::Upstream;
use crate::value::Priority;
use http::{HeaderName, HeaderValue};
use smallvec::SmallVec;
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
    /// What it answers from memory.
    pub cache: Option<Box<Caching>>,
    /// Whether a faster lane may take it.
    pub lane: Lane,
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
    /// Sends the client elsewhere.
    Redirect(Box<Redirect>),
    /// Answers as written.
    Respond(Box<Fixed>),
    /// Makes an answer of its own out of calls to upstreams.
    Exchange(Arc<dyn Exchange>),
    /// One of its policies answers: a path of a provider's own.
    Policies,
}

/// The upstreams of a route, by weight.
pub struct Target {
    choices: SmallVec<[Choice; 1]>,
    total: u64,
    /// Whether some requests are sent somewhere whatever the shares.
    forces: bool,
}

/// One upstream of a target.
pub struct Choice {
    /// The upstream.
    pub upstream: Arc<Upstream>,
    /// The number of the subset of it that requests are for; `None` for all endpoints.
    pub subset: Option<usize>,
    /// Its counters.
    pub metrics: Arc<UpstreamMetrics>,
    /// Its share, relative to the others; 0 takes no requests.
    pub weight: u32,
    /// Requests for which all of these hold go there whatever the shares; none where it is empty.
    pub when: Box<[Predicate]>,
}

impl Choice {
    /// The upstream as one that is called.
    pub fn callee(&self) -> Callee {
        Callee { upstream: Arc::clone(&self.upstream), metrics: Arc::clone(&self.metrics) }
    }
}

impl Target {
    /// A target of at least one choice with a weight.
    pub fn new(choices: Vec<Choice>) -> Option<Self> {
        let total = choices.iter().map(|choice| u64::from(choice.weight)).sum();
        let forces = choices.iter().any(|choice| !choice.when.is_empty());
        (total > 0).then(|| Self { choices: choices.into(), total, forces })
    }

    /// The number of the choice that a request is sent to by what it says, else of the one that 64 random bits fall on.
    pub fn choose(&self, request: &Request<'_>, random: u64) -> Option<usize> {
        let forced = |choice: &Choice| !choice.when.is_empty() && choice.when.iter().all(|told| told.holds(request));
        if self.forces
            && let Some(place) = self.choices.iter().position(forced)
        {
            return Some(place);
        }
        let chosen = self.by_share(random)?;
        self.choices.iter().position(|choice| std::ptr::eq(choice, chosen))
    }

    fn by_share(&self, random: u64) -> Option<&Choice> {
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
    /// A plain HTTP/1 upstream, no body hook, no cache: any lane.
    Simple,
    /// Only the complete one.
    Full,
}
