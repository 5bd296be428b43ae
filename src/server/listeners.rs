//! Which listeners run: compared with those a snapshot asks for, and changed while the others go on.

use super::sockets::Sockets;
use super::worker::{Opening, WorkerThread};
use crate::listener::{Connections, ListenerSpec, ListenerTls};
use crate::snapshot::Shared;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use tokio::sync::watch;

/// Why an address cannot be listened on.
#[derive(Debug)]
pub struct BindError {
    /// The listener.
    pub listener: String,
    /// Its address.
    pub address: SocketAddr,
    /// What the system says.
    pub error: std::io::Error,
}

impl std::fmt::Display for BindError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { listener, address, error } = self;
        write!(f, "listener {listener} cannot have {address}: {error}")?;
        if error.kind() == std::io::ErrorKind::AddrInUse {
            write!(f, "; stop what uses it, choose another address, or take it over with `run --upgrade`")?;
        }
        Ok(())
    }
}

struct Running {
    spec: Arc<ListenerSpec>,
    address: SocketAddr,
    connections: Arc<Connections>,
    stop: watch::Sender<bool>,
}

/// The listeners of a gateway.
pub struct RunningListeners {
    sockets: Sockets,
    running: BTreeMap<String, Running>,
    /// Of listeners that were closed while they had connections.
    leaving: Vec<Arc<Connections>>,
    /// Where the admin API listens: its socket is handed over with the others.
    admin: Option<SocketAddr>,
}

impl RunningListeners {
    /// None yet, on sockets that are perhaps bound already.
    pub fn new(sockets: Sockets) -> Self {
        Self { sockets, running: BTreeMap::new(), leaving: Vec::new(), admin: None }
    }

    /// Binds what is not bound yet. Nothing that runs is touched; after a failure [`Self::close_unused`] leaves everything
    /// as it was.
    ///
    /// # Errors
    /// The first address that cannot be had.
    pub fn bind(&mut self, wanted: &[Arc<ListenerSpec>], workers: usize) -> Result<(), BindError> {
        let further = wanted.iter().filter(|spec| !self.sockets.has(&spec.name, spec.address)).count();
        let count = self.sockets.share(workers, further);
        for spec in wanted {
            self.sockets.bind(&spec.name, spec.address, count).map_err(|error| BindError {
                listener: spec.name.clone(),
                address: spec.address,
                error,
            })?;
        }
        Ok(())
    }

    /// Binds the address of the admin API.
    ///
    /// # Errors
    /// It cannot be had.
    pub fn bind_admin(&mut self, address: SocketAddr) -> Result<SocketAddr, BindError> {
        let fail = |error| BindError { listener: "admin".into(), address, error };
        let actual = self.sockets.bind("admin", address, 1).map_err(fail)?;
        self.admin = Some(actual);
        Ok(actual)
    }

    /// Where the admin API listens.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// The socket of the admin API.
    ///
    /// # Errors
    /// The process has too many open files.
    pub fn admin_socket(&self) -> std::io::Result<Option<OwnedFd>> {
        let Some(address) = self.admin else { return Ok(None) };
        Ok(self.sockets.for_worker(address, 0, 1)?.into_iter().next())
    }

    /// The sockets, for a hand-over.
    pub fn sockets(&self) -> &Sockets {
        &self.sockets
    }

    /// Makes what runs what is wanted. Unchanged listeners are not touched; certificates are exchanged in place.
    pub fn apply(&mut self, wanted: &[Arc<ListenerSpec>], workers: &[WorkerThread], shared: &Arc<Shared>) {
        let gone: Vec<String> = self
            .running
            .iter()
            .filter(|(name, running)| !wanted.iter().any(|spec| spec.name == **name && is_kept(running, spec)))
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            if let Some(running) = self.running.remove(&name) {
                let _ = running.stop.send(true);
                self.leaving.push(running.connections);
            }
        }
        self.leaving.retain(|connections| connections.open() > 0);
        for spec in wanted {
            match self.running.get(&spec.name) {
                Some(running) => exchange_certificates(&running.spec, spec),
                None => self.open(spec, workers, shared),
            }
        }
        self.close_unused();
    }

    /// Closes the sockets that no listener uses: of listeners that are gone, and of those a refused reload was to open.
    pub fn close_unused(&mut self) {
        let listening = self.running.values().map(|running| running.address);
        let addresses: Vec<SocketAddr> = listening.chain(self.admin).collect();
        self.sockets.retain(&addresses);
    }

    fn open(&mut self, spec: &Arc<ListenerSpec>, workers: &[WorkerThread], shared: &Arc<Shared>) {
        let (stop, stopped) = watch::channel(false);
        let connections = Arc::new(Connections::default());
        let opening = Opening {
            spec: Arc::clone(spec),
            connections: Arc::clone(&connections),
            metrics: shared.metrics.listener(&spec.name),
            stop: stopped,
        };
        let address = self.sockets.actual(&spec.name, spec.address);
        for (index, worker) in workers.iter().enumerate() {
            match self.sockets.for_worker(address, index, workers.len()) {
                Ok(sockets) => worker.open(opening.clone(), sockets),
                Err(error) => log::error!("listener {} has no socket for worker {index}: {error}", spec.name),
            }
        }
        log::info!("listener {} accepts on {address}", spec.name);
        self.running.insert(spec.name.clone(), Running { spec: Arc::clone(spec), address, connections, stop });
    }

    /// The TLS of all running listeners.
    pub fn tls(&self) -> Vec<Arc<ListenerTls>> {
        self.running.values().filter_map(|running| running.spec.tls.clone()).collect()
    }

    /// Where a listener really listens.
    pub fn address(&self, name: &str) -> Option<SocketAddr> {
        self.running.get(name).map(|running| running.address)
    }

    /// Stops accepting everywhere.
    pub fn stop(&mut self) {
        for running in std::mem::take(&mut self.running).into_values() {
            let _ = running.stop.send(true);
            self.leaving.push(running.connections);
        }
        let admin: Vec<SocketAddr> = self.admin.into_iter().collect();
        self.sockets.retain(&admin);
    }

    /// Open connections, of closed listeners too.
    pub fn open_connections(&self) -> usize {
        let running = self.running.values().map(|running| running.connections.open());
        running.chain(self.leaving.iter().map(|connections| connections.open())).sum()
    }
}

fn is_kept(running: &Running, spec: &ListenerSpec) -> bool {
    running.spec.same_but_certificates(spec)
}

fn exchange_certificates(running: &ListenerSpec, wanted: &ListenerSpec) {
    if let (Some(running), Some(wanted)) = (&running.tls, &wanted.tls)
        && !Arc::ptr_eq(running, wanted)
    {
        running.certificates.store(wanted.certificates.load_full());
    }
}
