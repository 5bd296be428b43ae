//! The compiled configuration: immutable, swapped whole. `compile` is the only road from what operators write to what
//! requests read; it gathers every problem and refuses the whole if there is one.

mod areas;
mod compile;
mod explain;
mod find;
mod inline;
mod part;
mod purge;
mod report;
mod route;
mod shared;
mod split;
mod store;
mod traffic;
mod usage;

pub use crate::exchange::call::{Backoff, Retries, RetryCause};
pub use areas::Areas;
pub use compile::{Compiled, Surroundings, compile, server_plan, worker_threads};
pub use explain::{Question, draw_plan, explain_plan, explain_request};
pub use inline::InlineProviders;
pub use report::ReloadReport;
pub use route::{Action, Caching, EncodedSlash, Forward, HostField, Lane, Rewrite, Route};
pub use shared::Shared;
pub use split::{Choice, Draw, Target};
pub use store::Store;
pub use traffic::{Fallback, Traffic};
pub use usage::{usage_of, usage_page};

use crate::consumer::CurrentConsumers;
use crate::listener::ListenerSpec;
use crate::observe::access_log::AccessLogSettings;
use crate::observe::metrics::RouteMetrics;
use crate::policy::Tend;
use crate::policy::auth::Provider;
use crate::policy::limit::Usage;
use crate::reply::Templates;
use crate::request::TrustedProxies;
use crate::routing::Router;
use crate::shared_state::SharedState;
use crate::upstream::Upstream;
use crate::value::Secret;
use http::HeaderName;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Everything a request reads. A request keeps the one it began with to its end.
pub struct Snapshot {
    /// Counts the snapshots of this process, from 1.
    pub revision: u64,
    /// Finds the route.
    pub router: Router,
    /// By the router's numbers.
    pub routes: Box<[Route]>,
    /// By name; inline ones by the route that holds them.
    pub upstreams: BTreeMap<String, Arc<Upstream>>,
    /// Known callers.
    pub consumers: Arc<CurrentConsumers>,
    /// What known callers have left of their limits.
    pub usage: Usage,
    /// Ways to establish the caller, by name.
    pub providers: BTreeMap<String, Arc<Provider>>,
    /// Those without a name, that stand in routes.
    pub inline_providers: InlineProviders,
    /// What has work of its own in the background while this is the running snapshot.
    pub tended: Vec<Arc<dyn Tend>>,
    /// What gateways share.
    pub shared: Option<Arc<SharedState>>,
    /// Fields that tell upstreams who the caller is: dropped from what clients send.
    pub identity: Box<[HeaderName]>,
    /// Bodies of the gateway's own replies where no route is known.
    pub replies: Arc<Templates>,
    /// Whether any route answers from memory: then changes elsewhere may put answers out of date.
    pub caches: bool,
    /// The same below the bases of apis that have their own.
    pub areas: Areas,
    /// Whose word about clients is believed.
    pub trusted: TrustedProxies,
    /// Counters of requests without a route.
    pub unrouted: Arc<RouteMetrics>,
    /// What belongs to the process rather than to a request.
    pub process: ProcessPlan,
    /// The configuration in its long form, secrets hidden, for the admin API.
    pub written: serde_json::Value,
}

/// The parts of a snapshot that the server acts on, not a request.
pub struct ProcessPlan {
    /// Where to listen.
    pub listeners: Vec<Arc<ListenerSpec>>,
    /// The admin API.
    pub admin: Option<AdminPlan>,
    /// The access log.
    pub access_log: AccessLogSettings,
    /// Threads, user, files, draining.
    pub server: ServerPlan,
    /// How much memory kept answers may take, in bytes.
    pub cache_memory: u64,
    /// The disk they are kept on too.
    pub cache_disk: Option<crate::cache::DiskPlan>,
    /// Files to watch, where watching is on.
    pub watched: Vec<PathBuf>,
}

/// Where the admin API listens and what it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminPlan {
    /// Its address.
    pub address: SocketAddr,
    /// The bearer token; required on any address that is not loopback.
    pub token: Option<Secret>,
}

/// The process itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerPlan {
    /// Worker threads, one shard each.
    pub threads: usize,
    /// User to become after binding.
    pub user: Option<String>,
    /// Group to become after binding.
    pub group: Option<String>,
    /// Where the process id is written.
    pub pid_file: Option<PathBuf>,
    /// Where a successor is handed the listening sockets.
    pub upgrade_socket: Option<PathBuf>,
    /// Where quotas are kept over restarts.
    pub state_dir: Option<PathBuf>,
    /// Room for so many keys of limits.
    pub max_keys: usize,
    /// Bytes that the bodies may take which answers are made of.
    pub gathered: usize,
    /// Between failing readiness and closing the listeners.
    pub drain: Duration,
    /// For requests in flight after that.
    pub grace: Duration,
    /// How long work may wait on a worker before requests are turned away; `None` where they never are.
    pub overload: Option<Duration>,
}
