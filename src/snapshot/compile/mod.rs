//! The one road from what operators write to what requests read. Every problem is gathered; one is enough to refuse the
//! whole.

mod access;
mod affinity;
mod answers;
mod batch;
mod caching;
mod combine;
mod conflicts;
mod consumers;
mod grpc;
mod limits;
mod listeners;
mod matching;
mod message;
mod pages;
mod part;
mod pool;
mod process;
mod protos;
mod replies;
mod retries;
mod routes;
mod socket;
mod subsets;
mod traffic;
mod upstreams;

pub use process::{server_plan, worker_threads};

use super::Snapshot;
use super::areas::{Area, Areas};
use crate::cache::Cache;
use crate::config::{Failed, Loaded};
use crate::fetch::Fetcher;
use crate::observe::metrics::Metrics;
use crate::policy::Tend;
use crate::policy::limit::{Attached, LimitStore, Plans, Usage};
use crate::request::{IDENTITY_FIELDS, TrustedProxies};
use crate::shared_state::SharedState;
use crate::value::{Problems, Sources};
use http::HeaderName;
use std::sync::Arc;

/// What a compilation takes over or draws on.
pub struct Surroundings<'a> {
    /// The running snapshot, whose counters, health and pools are carried where their meaning did not change.
    pub previous: Option<&'a Arc<Snapshot>>,
    /// Where counters are resolved.
    pub metrics: &'a Metrics,
    /// The gateway's own calls to others.
    pub fetcher: &'a Arc<Fetcher>,
    /// Where limits keep their counts.
    pub limits: &'a Arc<LimitStore>,
    /// Where answers are kept.
    pub cache: &'a Arc<Cache>,
    /// Random bits that set where turns begin.
    pub seed: u64,
}

/// A compiled configuration.
pub struct Compiled {
    /// What requests read.
    pub snapshot: Snapshot,
    /// What is not wrong, but worth saying; empty where there is nothing.
    pub warnings: String,
    /// The same for programs.
    pub warnings_json: serde_json::Value,
}

/// What the parts of a compilation share.
struct Compiling<'a> {
    loaded: &'a Loaded,
    surroundings: &'a Surroundings<'a>,
    problems: Problems,
    tended: Vec<Arc<dyn Tend>>,
    identity: Vec<HeaderName>,
    redacted: Vec<String>,
    shared: Option<Arc<SharedState>>,
    plans: Arc<Plans>,
    /// All limits of routes.
    limited: Attached,
    areas: Vec<Area>,
    /// Whether a part of an answer is kept.
    keeps_parts: bool,
    pools: pool::Pools,
    protos: protos::Protos,
}

impl Compiling<'_> {
    fn sources(&self) -> &Sources {
        &self.loaded.sources
    }

    /// What gateways share, as the running snapshot has it where it means the same.
    fn shared_state(&mut self) {
        let Some(written) = &self.loaded.config.shared_state else { return };
        let previous = self.surroundings.previous.and_then(|previous| previous.shared.as_ref());
        let said = (&self.loaded.sources, &mut self.problems);
        self.shared = SharedState::compile(written, previous, said, self.surroundings.metrics);
    }

    /// Whether something was refused, here or in reading. What seems to be missing may then only have been left out.
    fn is_fatal(&self) -> bool {
        self.problems.is_fatal() || self.loaded.problems.is_fatal()
    }
}

/// Compiles a configuration.
///
/// # Errors
/// Every problem, with its place.
pub fn compile(mut loaded: Loaded, surroundings: &Surroundings<'_>) -> Result<Compiled, Failed> {
    let mut compiling = Compiling {
        loaded: &loaded,
        surroundings,
        problems: Problems::new(),
        tended: Vec::new(),
        identity: IDENTITY_FIELDS.to_vec(),
        redacted: Vec::new(),
        shared: None,
        plans: Arc::default(),
        limited: Attached::default(),
        areas: Vec::new(),
        keeps_parts: false,
        pools: pool::Pools::default(),
        protos: protos::Protos::default(),
    };
    compiling.shared_state();
    compiling.plans = compiling.plans();
    let replies = compiling.gateway_replies();
    let mut upstreams = compiling.upstreams();
    let mut access = compiling.access();
    let compiled = compiling.routes(&mut upstreams, &mut access, &replies);
    compiling.warn_unused(&upstreams);
    compiling.warn_unused_providers(&access);
    compiling.warn_unused_plans();
    let process = compiling.process();
    let mut problems = std::mem::take(&mut compiling.problems);
    let (shared, keeps_parts) = (compiling.shared.take(), compiling.keeps_parts);
    let (tended, identity) = (std::mem::take(&mut compiling.tended), std::mem::take(&mut compiling.identity));
    let (plans, limited) = (Arc::clone(&compiling.plans), std::mem::take(&mut compiling.limited));
    let areas = Areas::new(std::mem::take(&mut compiling.areas), &replies);
    std::mem::take(&mut compiling.protos).tell(&mut loaded.sources);
    problems.extend(loaded.problems.clone());
    problems.sort();
    let (Some((router, routes)), Some(process), false) = (compiled, process, problems.is_fatal()) else {
        return Err(Failed { sources: loaded.sources, problems });
    };
    let warnings = if problems.is_empty() { String::new() } else { problems.render(&loaded.sources) };
    let revision = surroundings.previous.map_or(1, |previous| previous.revision + 1);
    let trusted = TrustedProxies::new(loaded.config.trusted_proxies.iter().map(|network| network.value.get()));
    let (consumers, providers, inline_providers) = access.into_parts();
    let snapshot = Snapshot {
        revision,
        router,
        caches: keeps_parts || routes.iter().any(|route| route.cache.is_some()),
        routes: routes.into(),
        upstreams: upstreams.into_compiled(),
        consumers,
        usage: Usage::new(Arc::clone(surroundings.limits), plans, limited),
        providers,
        inline_providers,
        tended,
        shared,
        identity: identity.into(),
        replies,
        areas,
        trusted,
        unrouted: surroundings.metrics.unrouted(),
        process,
        written: serde_json::to_value(&loaded.config).unwrap_or(serde_json::Value::Null),
    };
    Ok(Compiled { snapshot, warnings, warnings_json: problems.to_json(&loaded.sources) })
}
