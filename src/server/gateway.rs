//! A running gateway.

use super::background::BackgroundTasks;
use super::listeners::{BindError, RunningListeners};
use super::reload::Source;
use super::reloader::Reloader;
use super::sockets::Sockets;
use super::worker::WorkerThread;
use crate::admin::{Admin, AdminPowers};
use crate::cache::Cache;
use crate::config::Loaded;
use crate::exchange::call::Calls;
use crate::fetch::Fetcher;
use crate::listener::ListenerTls;
use crate::listener::pressure::Pressure;
use crate::observe::access_log::{AccessLog, AccessLogBounds};
use crate::observe::metrics::{Metrics, MetricsSettings};
use crate::policy::limit::{Keeper, LimitStore, StateFolder};
use crate::proxy::Random;
use crate::reply::Reason;
use crate::snapshot::{Compiled, ProcessPlan, ReloadReport, Shared, Snapshot, Store, Surroundings, compile};
use crate::upstream::Clock;
use parking_lot::Mutex;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::time::{Duration, Instant, SystemTime};

/// Where a gateway stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Not all listeners accept yet.
    Starting,
    /// Serving.
    Running,
    /// About to close its listeners; load balancers in front should look elsewhere.
    Draining,
}

/// Why a gateway does not start.
#[derive(Debug)]
pub enum StartError {
    /// The configuration has problems; the text lists them all.
    Config(String),
    /// An address cannot be had.
    Bind(String),
    /// The access log cannot be written, or the system gives no thread.
    System(String),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Config(text) | Self::Bind(text) | Self::System(text) => f.write_str(text),
        }
    }
}

/// A running gateway. Dropping it stops everything at once; [`Gateway::drain`] does so politely.
pub struct Gateway {
    pub(super) shared: Arc<Shared>,
    pub(super) source: Source,
    pub(super) state: Mutex<State>,
    phase: AtomicU8,
    tasks: Arc<BackgroundTasks>,
    pub(super) reloader: Reloader,
    workers: Vec<WorkerThread>,
    /// Writes what quotas have counted.
    quotas: Option<Keeper>,
}

/// What changes when a gateway is reloaded.
pub(super) struct State {
    pub(super) listeners: RunningListeners,
    pub(super) last: ReloadReport,
    /// Former snapshots, kept until no request holds them, so that no worker spends its time taking one apart.
    pub(super) retired: Vec<Arc<Snapshot>>,
}

/// A configuration that compiled; nothing is bound yet, so it may still be given up without anybody noticing.
pub struct Candidate {
    source: Source,
    snapshot: Snapshot,
    metrics: Metrics,
    fetcher: Arc<Fetcher>,
    limits: Arc<LimitStore>,
    cache: Arc<Cache>,
    quotas: Option<StateFolder>,
}

/// A gateway of which everything is known to work, but nothing runs yet: no thread, so that the process may still fork.
pub struct Prepared {
    source: Source,
    snapshot: Snapshot,
    metrics: Metrics,
    fetcher: Arc<Fetcher>,
    limits: Arc<LimitStore>,
    cache: Arc<Cache>,
    quotas: Option<StateFolder>,
    clock: Clock,
    listeners: RunningListeners,
    access_log: AccessLog,
}

impl Candidate {
    /// Compiles what was loaded.
    ///
    /// # Errors
    /// The configuration has problems: all of them.
    pub fn compile(source: Source, loaded: Loaded) -> Result<Self, StartError> {
        let metrics = metrics(&loaded);
        let plan = crate::snapshot::server_plan(&loaded);
        let quotas = plan.state_dir.map(StateFolder::read);
        let (fetcher, limits) = (Arc::new(Fetcher::new()), Arc::new(LimitStore::open(plan.max_keys, quotas.as_ref())));
        let cache = Arc::<Cache>::default();
        let surroundings = Surroundings {
            previous: None,
            metrics: &metrics,
            fetcher: &fetcher,
            limits: &limits,
            cache: &cache,
            seed: Random::next(),
        };
        let Compiled { snapshot, warnings, .. } =
            compile(loaded, &surroundings).map_err(|failed| StartError::Config(failed.to_string()))?;
        if !warnings.is_empty() {
            log::warn!("{warnings}");
        }
        Ok(Self { source, snapshot, metrics, fetcher, limits, cache, quotas })
    }

    /// Binds all addresses that are not among these sockets, and opens the access log.
    ///
    /// # Errors
    /// An address cannot be had, or the access log cannot be written.
    pub fn bind(self, sockets: Sockets) -> Result<Prepared, StartError> {
        let Self { source, snapshot, metrics, fetcher, limits, cache, quotas } = self;
        let plan = &snapshot.process;
        if let Some(folder) = &quotas {
            folder.make().map_err(|error| StartError::System(format!("server.state_dir cannot be made: {error}")))?;
        }
        let bind = |error: BindError| StartError::Bind(error.to_string());
        let mut listeners = RunningListeners::new(sockets);
        listeners.bind(&plan.listeners, plan.server.threads).map_err(bind)?;
        if let Some(admin) = &plan.admin {
            listeners.bind_admin(admin.address).map_err(bind)?;
        }
        let bounds =
            AccessLogBounds { workers: plan.server.threads, bytes_per_worker: AccessLogBounds::BYTES_PER_WORKER };
        let access_log = AccessLog::open(plan.access_log.clone(), bounds, metrics.access_log_dropped())
            .map_err(|error| StartError::System(format!("the access log cannot be opened: {error}")))?;
        Ok(Prepared {
            source,
            snapshot,
            metrics,
            fetcher,
            limits,
            cache,
            quotas,
            clock: Clock::start(),
            listeners,
            access_log,
        })
    }
}

impl Gateway {
    /// Compiles, binds and launches in one step.
    ///
    /// # Errors
    /// See [`Candidate`] and [`Gateway::launch`].
    pub fn start(source: Source, loaded: Loaded, sockets: Sockets) -> Result<Arc<Self>, StartError> {
        Self::launch(Candidate::compile(source, loaded)?.bind(sockets)?)
    }

    /// Starts the threads and begins to serve.
    ///
    /// # Errors
    /// The system gives no more threads or descriptors.
    pub fn launch(prepared: Prepared) -> Result<Arc<Self>, StartError> {
        let Prepared { source, snapshot, metrics, fetcher, limits, cache, quotas, clock, listeners, access_log } =
            prepared;
        let system = |error: std::io::Error| StartError::System(format!("the gateway cannot start: {error}"));
        access_log.start().map_err(system)?;
        let quotas = quotas.map(|folder| Keeper::start(Arc::clone(&limits), folder, metrics.state()));
        let quotas = quotas.transpose().map_err(system)?;
        let snapshot = Arc::new(snapshot);
        let store = Store::new(Arc::clone(&snapshot));
        let threads = snapshot.process.server.threads;
        cache.furnish(snapshot.process.cache_memory, snapshot.process.cache_disk.as_ref()).map_err(system)?;
        cache.share(snapshot.shared.as_ref().map(|shared| shared.store().purges()));
        let pressure = (0..threads).map(|_| Pressure::default()).collect();
        let calls = Arc::new(Calls::new(threads, clock, Random::next()));
        calls.room().set(snapshot.process.server.gathered);
        let shared = Arc::new(Shared {
            store,
            metrics,
            access_log,
            fetcher,
            calls,
            limits,
            cache,
            clock,
            sockets: Arc::default(),
            pressure,
        });
        let workers = (0..threads)
            .map(|index| WorkerThread::start(index, Arc::clone(&shared)))
            .collect::<std::io::Result<Vec<_>>>()
            .map_err(system)?;
        let tasks = BackgroundTasks::start(clock, Random::next()).map_err(system)?;
        let reloader = Reloader::start().map_err(system)?;
        tasks.resolve_first(&snapshot);
        if let Some(shared) = &snapshot.shared {
            shared.start().map_err(system)?;
            shared.wait_first(super::background::pause);
        }
        let last = ReloadReport::first(snapshot.revision);
        let gateway = Arc::new(Self {
            shared,
            source,
            state: Mutex::new(State { listeners, last, retired: Vec::new() }),
            phase: AtomicU8::new(Phase::Starting as u8),
            tasks,
            reloader,
            workers,
            quotas,
        });
        gateway.serve_admin(&snapshot).map_err(system)?;
        gateway.install(&snapshot);
        gateway.set_phase(Phase::Running);
        gateway.tasks.watch(&gateway);
        Ok(gateway)
    }

    /// Puts the parts of a snapshot that are not read by requests into effect.
    pub(super) fn install(self: &Arc<Self>, snapshot: &Arc<Snapshot>) {
        let mut state = self.state.lock();
        state.listeners.apply(&snapshot.process.listeners, &self.workers, &self.shared);
        drop(state);
        self.tasks.run(snapshot);
        let ProcessPlan { cache_memory, cache_disk, server, .. } = &snapshot.process;
        self.shared.calls.room().set(server.gathered);
        if let Err(error) = self.shared.cache.furnish(*cache_memory, cache_disk.as_ref()) {
            log::error!("cache: the system gives no thread, so answers are kept in memory alone: {error}");
        }
        self.shared.cache.share(snapshot.shared.as_ref().map(|shared| shared.store().purges()));
        if let Some(Err(error)) = snapshot.shared.as_ref().map(|shared| shared.start()) {
            log::error!("shared state: the system gives no thread, so each gateway decides for itself: {error}");
        }
        let metrics = &self.shared.metrics;
        metrics.reload_succeeded(snapshot.revision, SystemTime::now());
        self.publish_certificates();
        self.publish_endpoints();
    }

    /// Tells the metrics when the certificates in service expire.
    pub(super) fn publish_certificates(&self) {
        let mut expiries: Vec<(String, SystemTime)> = Vec::new();
        for tls in self.running_tls() {
            for certificate in tls.certificates.load().iter() {
                if let Some(expires) = certificate.expires() {
                    expiries.push((certificate.file.display().to_string(), expires));
                }
            }
        }
        self.shared.metrics.set_certificates(expiries.iter().map(|(name, expires)| (name.as_str(), *expires)));
    }

    /// The TLS of all running listeners.
    pub(super) fn running_tls(&self) -> Vec<Arc<ListenerTls>> {
        self.state.lock().listeners.tls()
    }

    fn publish_endpoints(self: &Arc<Self>) {
        let gateway = Arc::downgrade(self);
        self.shared.metrics.set_endpoint_source(Box::new(move |sink| {
            if let Some(gateway) = gateway.upgrade() {
                crate::admin::collect_endpoints(&gateway.shared, sink);
            }
        }));
    }

    fn serve_admin(self: &Arc<Self>, snapshot: &Snapshot) -> std::io::Result<()> {
        let Some(plan) = &snapshot.process.admin else { return Ok(()) };
        let Some(socket) = self.state.lock().listeners.admin_socket()? else { return Ok(()) };
        let powers: Arc<dyn AdminPowers> = Arc::new(super::reload::Powers::new(self));
        self.tasks.serve_admin(Admin::new(plan.clone(), Arc::clone(&self.shared), powers), socket);
        Ok(())
    }

    /// What all workers share.
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Where a listener really listens: with port 0 the system chose.
    pub fn address(&self, listener: &str) -> Option<SocketAddr> {
        self.state.lock().listeners.address(listener)
    }

    /// Where the admin API listens.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.state.lock().listeners.admin_address()
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        match self.phase.load(SeqCst) {
            0 => Phase::Starting,
            1 => Phase::Running,
            _ => Phase::Draining,
        }
    }

    /// Moves it on; readiness follows.
    pub fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, SeqCst);
    }

    /// The sockets as a hand-over carries them.
    ///
    /// # Errors
    /// The process has too many open files.
    pub fn export_sockets(&self) -> std::io::Result<Vec<(String, std::os::fd::OwnedFd)>> {
        self.state.lock().listeners.sockets().export()
    }

    /// Leaves the admin API to a successor, which has its socket too and would answer otherwise.
    pub fn leave_admin(&self) {
        self.tasks.stop_admin();
    }

    /// Opens the access log anew, after its file was moved away.
    pub fn reopen_logs(&self) {
        self.shared.access_log.reopen();
    }

    /// Closes the listeners, lets requests under way finish for at most `grace`, and returns as soon as none is left.
    pub fn drain(&self, grace: Duration) {
        self.drain_unless(grace, || false);
    }

    /// Drains, unless it is told to stop at once.
    pub fn drain_unless(&self, grace: Duration, at_once: impl Fn() -> bool) {
        self.set_phase(Phase::Draining);
        self.state.lock().listeners.stop();
        let deadline = Instant::now() + grace;
        while Instant::now() < deadline && self.is_busy() && !at_once() {
            super::background::pause();
        }
        if let Some(quotas) = &self.quotas {
            quotas.flush(Duration::from_secs(10));
        }
        self.shared.cache.retire();
        self.shared.access_log.flush(Duration::from_secs(1));
    }

    fn is_busy(&self) -> bool {
        self.shared.metrics.in_flight() > 0 || self.state.lock().listeners.open_connections() > 0
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.state.lock().listeners.stop();
        self.tasks.stop();
        self.workers.clear();
        self.shared.access_log.flush_and_stop(Duration::from_secs(1));
    }
}

fn metrics(loaded: &Loaded) -> Metrics {
    let workers = crate::snapshot::worker_threads(&loaded.config);
    Metrics::new(MetricsSettings { workers, max_routes: MetricsSettings::MAX_ROUTES, reasons: Reason::SLUGS })
}
