//! Reload: load, compile, bind, publish. A problem at any step leaves what runs as it is, and is said everywhere.

use super::gateway::{Gateway, Phase};
use crate::admin::{AdminPowers, Readiness};
use crate::config::{self, Loaded};
use crate::proxy::Random;
use crate::snapshot::{Compiled, ReloadReport, Snapshot, Surroundings, compile};
use crate::websocket::Belongs;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::SystemTime;

/// Where a gateway reads its configuration.
#[derive(Clone, Debug)]
pub enum Source {
    /// From this file, anew at each reload.
    File(PathBuf),
    /// From this text, under a name for messages.
    Text {
        /// What messages call it.
        name: String,
        /// The configuration.
        text: String,
    },
}

impl Source {
    /// Reads it.
    ///
    /// # Errors
    /// It cannot be read, or is not YAML. What else is wrong is found by compiling.
    pub fn load(&self) -> Result<Loaded, String> {
        match self {
            Self::File(path) => config::read(path),
            Self::Text { name, text } => config::read_str(name, text),
        }
        .map_err(|failed| failed.to_string())
    }
}

impl Gateway {
    /// Reads the configuration again and swaps it in, or leaves everything as it is. Reloads that come together run one
    /// after another.
    pub fn reload(self: &Arc<Self>) -> ReloadReport {
        let gateway = Arc::clone(self);
        let report = self.reloader.run(move || gateway.exchange());
        report.unwrap_or_else(|| self.refuse(&self.shared.store.load(), "a defect in the gateway ended it".into()))
    }

    fn exchange(self: &Arc<Self>) -> ReloadReport {
        let before = self.shared.store.load();
        let snapshot = match self.prepare(&before) {
            Ok(snapshot) => Arc::new(snapshot),
            Err(why) => return self.refuse(&before, why),
        };
        let needs_restart = fixed_parts(&before, &snapshot);
        if !needs_restart.is_empty() {
            log::warn!("changes of {} take effect at the next start or upgrade", needs_restart.join(", "));
        }
        self.shared.store.publish(Arc::clone(&snapshot));
        self.install(&snapshot);
        self.shared.sockets.ask(|socket| !has_route(&snapshot, socket));
        log::info!("configuration reloaded, revision {}", snapshot.revision);
        let report = ReloadReport { revision: snapshot.revision, at: SystemTime::now(), refused: None, needs_restart };
        let mut state = self.state.lock();
        state.last = report.clone();
        state.retired.push(before);
        drop(state);
        self.drop_retired();
        report
    }

    fn refuse(&self, before: &Snapshot, why: String) -> ReloadReport {
        let revision = before.revision;
        log::error!("configuration not reloaded, revision {revision} stays:\n{why}");
        self.shared.metrics.reload_failed(SystemTime::now());
        let report = ReloadReport { revision, at: SystemTime::now(), refused: Some(why), needs_restart: Vec::new() };
        let mut state = self.state.lock();
        state.listeners.close_unused();
        state.last = report.clone();
        report
    }

    fn prepare(&self, before: &Arc<Snapshot>) -> Result<Snapshot, String> {
        let loaded = self.source.load()?;
        let surroundings = Surroundings {
            previous: Some(before),
            metrics: &self.shared.metrics,
            fetcher: &self.shared.fetcher,
            limits: &self.shared.limits,
            cache: &self.shared.cache,
            seed: Random::next(),
        };
        let Compiled { snapshot, warnings, .. } =
            compile(loaded, &surroundings).map_err(|failed| failed.to_string())?;
        if !warnings.is_empty() {
            log::warn!("{warnings}");
        }
        let workers = before.process.server.threads;
        let wanted = &snapshot.process.listeners;
        self.state.lock().listeners.bind(wanted, workers).map_err(|error| error.to_string())?;
        let log = snapshot.process.access_log.clone();
        self.shared.access_log.reconfigure(log).map_err(|error| format!("the access log cannot be opened: {error}"))?;
        Ok(snapshot)
    }

    /// Takes apart former snapshots that no request holds any more.
    pub(super) fn drop_retired(&self) {
        let free: Vec<Arc<Snapshot>> = {
            let mut state = self.state.lock();
            let (held, free) =
                std::mem::take(&mut state.retired).into_iter().partition(|old| Arc::strong_count(old) > 1);
            state.retired = held;
            free
        };
        drop(free);
    }
}

/// Whether the route of an open WebSocket is still there.
fn has_route(snapshot: &Snapshot, socket: &Belongs) -> bool {
    snapshot.routes.iter().any(|route| route.key == socket.route && route.api == socket.api)
}

/// The settings that differ though a reload cannot change them.
fn fixed_parts(before: &Snapshot, after: &Snapshot) -> Vec<&'static str> {
    let (one, two) = (&before.process, &after.process);
    let mut parts = Vec::new();
    if one.admin != two.admin {
        parts.push("admin");
    }
    if one.server.threads != two.server.threads {
        parts.push("server.threads");
    }
    let files = |plan: &crate::snapshot::ServerPlan| {
        (plan.user.clone(), plan.group.clone(), plan.pid_file.clone(), plan.upgrade_socket.clone())
    };
    if files(&one.server) != files(&two.server) {
        parts.push("server.user, group, pid_file or upgrade_socket");
    }
    if one.server.state_dir != two.server.state_dir {
        parts.push("server.state_dir");
    }
    if one.server.max_keys != two.server.max_keys {
        parts.push("server.max_keys");
    }
    parts
}

/// What the admin API may do with a gateway.
pub(super) struct Powers {
    gateway: Weak<Gateway>,
}

impl Powers {
    pub(super) fn new(gateway: &Arc<Gateway>) -> Self {
        Self { gateway: Arc::downgrade(gateway) }
    }
}

impl AdminPowers for Powers {
    fn readiness(&self) -> Readiness {
        let Some(gateway) = self.gateway.upgrade() else { return Readiness::NotReady("stopped") };
        match gateway.phase() {
            Phase::Starting => Readiness::NotReady("starting"),
            Phase::Draining => Readiness::NotReady("draining"),
            Phase::Running => Readiness::Ready,
        }
    }

    fn reload(&self) -> Option<ReloadReport> {
        self.gateway.upgrade().map(|gateway| gateway.reload())
    }

    fn last_reload(&self) -> Option<ReloadReport> {
        self.gateway.upgrade().map(|gateway| gateway.state.lock().last.clone())
    }
}
