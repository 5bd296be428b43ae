//! What several gateways share: counts of limits and what is purged, in a Redis or Valkey.
//!
//! Read in this order: [`config`](SharedStateConfig) (what is written), `counter` and `counter.lua` (what is asked, and
//! how it is decided: one atomic script by the server's clock), `lease` (what a gateway may decide by itself), `store`
//! (what limits call), `purges` (what all caches take out), `keeper` (who connects, never on a request's time), `wire` (all
//! that is used of the client).
//!
//! A store that is out of reach costs a request one look at the breaker; what then decides is each limit's
//! `on_store_failure`.

mod address;
mod breaker;
mod config;
mod counter;
mod courier;
mod keeper;
mod lease;
mod plan;
mod purges;
mod store;
mod wire;

#[cfg(test)]
mod simulation;

pub use address::{Node, RedisUrl};
pub use config::{OnStoreFailure, RedisConfig, RedisTlsConfig, SentinelConfig, SharedStateConfig};
pub use counter::{Answer, Ask, Bearing, CounterStore, Decided, Measure, Month, StoreError};
pub use lease::{LeaseKey, Leases, Source, Taken};
pub use purges::{Follower, Place, Purges};
pub use store::Store;

use crate::observe::metrics::Metrics;
use crate::value::{Problems, Sources, Spanned};
use courier::Errand;
use parking_lot::Mutex;
use serde::Serialize;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};

/// What a start waits for at most, so that the first requests find the store connected.
const FIRST_CONNECTION: Duration = Duration::from_secs(1);

/// The shared state of a gateway: its store, and the thread that keeps it connected. Dropping it ends both.
pub struct SharedState {
    store: Arc<Store>,
    /// Until the thread is started.
    inbox: Mutex<Option<mpsc::UnboundedReceiver<Errand>>>,
    stop: watch::Sender<bool>,
}

/// What there is to say of the shared state.
#[derive(Debug, Serialize)]
pub struct SharedStatus {
    /// Where it is.
    pub store: String,
    /// Whether it answers; while it does not, each limit's `on_store_failure` decides.
    pub reachable: bool,
    /// Gateways that have lately said that they share it, this one included.
    pub gateways: u64,
    /// Tokens this gateway has leased and not used.
    pub leased_tokens: u64,
    /// Purges that other gateways have not been told of yet.
    pub purges_waiting: usize,
    /// Whether this gateway has taken out all that others have purged, as of a moment ago.
    pub purges_followed: bool,
}

impl SharedState {
    /// Compiles what is written; `previous` goes on where it means the same. `None` where a problem was recorded.
    pub fn compile(
        written: &Spanned<SharedStateConfig>,
        previous: Option<&Arc<Self>>,
        (sources, problems): (&Sources, &mut Problems),
        metrics: &Metrics,
    ) -> Option<Arc<Self>> {
        let plan = plan::compile(&written.value.redis, sources, problems)?;
        if let Some(previous) = previous.filter(|previous| *previous.store.plan() == plan) {
            return Some(Arc::clone(previous));
        }
        let (store, inbox) = Store::new(plan, metrics.shared_state());
        Some(Arc::new(Self { store, inbox: Mutex::new(Some(inbox)), stop: watch::channel(false).0 }))
    }

    /// The store itself.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Starts the thread that connects, unless it runs.
    ///
    /// # Errors
    /// The system gives no more threads or descriptors.
    pub fn start(&self) -> io::Result<()> {
        let Some(inbox) = self.inbox.lock().take() else { return Ok(()) };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (store, stop) = (Arc::clone(&self.store), self.stop.subscribe());
        std::thread::Builder::new().name("shared-state".into()).spawn(move || {
            runtime.block_on(keeper::run(store, inbox, stop));
            runtime.shutdown_background();
        })?;
        Ok(())
    }

    /// Waits a moment for the first connection and for what was purged meanwhile, or for the news that there is none.
    pub fn wait_first(&self, pause: impl Fn()) {
        let began = Instant::now();
        let is_ready = || {
            let there = self.store.is_reachable();
            self.store.was_tried() && (!there || self.store.purges().is_caught_up())
        };
        while !is_ready() && began.elapsed() < FIRST_CONNECTION {
            pause();
        }
    }

    /// How it stands.
    pub fn status(&self) -> SharedStatus {
        SharedStatus {
            store: self.store.describe(),
            reachable: self.store.is_reachable(),
            gateways: self.store.gateways(),
            leased_tokens: self.store.leases().held(),
            purges_waiting: self.store.purges().waiting(),
            purges_followed: self.store.is_reachable() && self.store.purges().is_caught_up(),
        }
    }
}

impl Drop for SharedState {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
    }
}
