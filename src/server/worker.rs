//! A worker: one thread with a runtime of its own, on which a Pingora service accepts for each listener.
//!
//! One single-threaded service per core shares nothing with the others; measured at two cores it costs 0.73 of what one
//! service of two threads does.

use crate::listener::pressure::TICK;
use crate::listener::{Connections, ListenerSpec};
use crate::observe::Worker;
use crate::observe::metrics::ListenerMetrics;
use crate::proxy::{Front, Gate, Guards, Inward};
use crate::snapshot::Shared;
use pingora_core::listeners::{L4BufferSettings, ListenerConfig, Listeners};
use pingora_core::server::configuration::ServerConf;
use pingora_core::server::{Fds, ShutdownWatch};
use pingora_core::services::Service as _;
use pingora_core::services::listening::Service;
use pingora_proxy::HttpProxy;
use std::io;
use std::os::fd::{IntoRawFd, OwnedFd};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;
use tokio::sync::{mpsc, watch};

/// Upstream connections a worker keeps, over all endpoints.
const POOL: usize = 2_048;
/// More tries than any route asks for: the gateway counts attempts itself.
const MOST_TRIES: usize = 64;

/// What a listener needs on every worker.
#[derive(Clone)]
pub struct Opening {
    /// The compiled listener.
    pub spec: Arc<ListenerSpec>,
    /// Counts over all workers.
    pub connections: Arc<Connections>,
    /// Its counters.
    pub metrics: Arc<ListenerMetrics>,
    /// Says when to stop.
    pub stop: ShutdownWatch,
}

/// Asks a worker to accept on these sockets.
struct Order {
    opening: Opening,
    sockets: Vec<OwnedFd>,
}

/// A running worker. It ends when this is dropped and its connections have.
pub struct WorkerThread {
    orders: mpsc::UnboundedSender<Order>,
    thread: Option<JoinHandle<()>>,
    end: watch::Sender<bool>,
}

impl WorkerThread {
    /// Starts a thread.
    ///
    /// # Errors
    /// The system gives no more threads or descriptors.
    pub fn start(index: usize, shared: Arc<Shared>) -> io::Result<Self> {
        let (orders, mut inbox) = mpsc::unbounded_channel::<Order>();
        let (end, mut ended) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let thread = std::thread::Builder::new().name(format!("worker-{index}")).spawn(move || {
            runtime.block_on(async move {
                tokio::spawn(feel_pressure(index, Arc::clone(&shared)));
                loop {
                    tokio::select! {
                        order = inbox.recv() => match order {
                            Some(order) => serve(order, index, &shared),
                            None => break,
                        },
                        _ = ended.wait_for(|over| *over) => break,
                    }
                }
            });
            runtime.shutdown_background();
        })?;
        Ok(Self { orders, thread: Some(thread), end })
    }

    /// Accepts on these sockets until the opening says stop.
    pub fn open(&self, opening: Opening, sockets: Vec<OwnedFd>) {
        // A worker that has ended is being shut down: there is nothing to open any more.
        let _ = self.orders.send(Order { opening, sockets });
    }
}

impl Drop for WorkerThread {
    fn drop(&mut self) {
        let _ = self.end.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Measures for ever how long work waits for its turn on this worker: how much later than asked for this task is woken.
async fn feel_pressure(index: usize, shared: Arc<Shared>) {
    let Some(pressure) = shared.pressure.get(index) else { return };
    loop {
        let asked = Instant::now();
        tokio::time::sleep(TICK).await;
        let delay = asked.elapsed().saturating_sub(TICK);
        let most = shared.store.peek().process.server.overload;
        match pressure.measured(delay, shared.metrics.in_flight_on(Worker(index)), most) {
            Some(true) => log::warn!("worker {index} does not keep up: work waits {delay:?}; requests are turned away"),
            Some(false) => log::info!("worker {index} keeps up again"),
            None => {}
        }
    }
}

fn serve(order: Order, index: usize, shared: &Arc<Shared>) {
    let Order { opening, sockets } = order;
    let name = opening.spec.name.clone();
    let stop = opening.stop.clone();
    match service(opening, index, shared, sockets) {
        Ok((mut service, fds)) => {
            tokio::spawn(end_sockets(name, stop.clone(), Arc::clone(shared)));
            tokio::spawn(async move { service.start_service(Some(fds), stop, 1).await });
        }
        Err(why) => log::error!("listener {name} does not accept on worker {index}: {why}"),
    }
}

/// Asks the WebSockets of a listener to leave once it closes.
async fn end_sockets(listener: String, mut stop: ShutdownWatch, shared: Arc<Shared>) {
    // Whoever is gone without a word has stopped, too.
    let _ = stop.wait_for(|stopped| *stopped).await;
    shared.sockets.ask(|socket| *socket.listener == *listener);
}

type Fronted = (Service<Front>, Arc<parking_lot::Mutex<Fds>>);

fn service(opening: Opening, index: usize, shared: &Arc<Shared>, sockets: Vec<OwnedFd>) -> Result<Fronted, String> {
    let conf =
        ServerConf { threads: 1, upstream_keepalive_pool_size: POOL, max_retries: MOST_TRIES, ..ServerConf::default() };
    let guards = Guards::of(&opening.spec, &shared.limits);
    let (shared, listener) = (Arc::clone(shared), Arc::clone(&opening.spec));
    let gate = Gate { shared, listener, worker: Worker(index), guards, inward: Inward::default() };
    let mut proxy = HttpProxy::new(gate.clone(), Arc::new(conf));
    proxy.handle_init_modules();
    let front = Front { proxy: Arc::new(proxy), gate, connections: opening.connections, metrics: opening.metrics };
    front.gate.inward.lead_to(&front);
    let mut listeners = Listeners::new();
    let mut fds = Fds::new();
    for (number, socket) in sockets.into_iter().enumerate() {
        let key = format!("{}#{number}", opening.spec.address);
        let endpoint = ListenerConfig::tcp(key.clone());
        listeners.add_listener(match &opening.spec.tls {
            // Without a read buffer of its own an idle plain connection takes 29 KB instead of 93.
            None => endpoint.l4_buffer(L4BufferSettings::new(0, 1460)),
            Some(tls) => endpoint.tls(tls.settings(opening.spec.protocols)?),
        });
        fds.add(key, socket.into_raw_fd());
    }
    let service = Service::with_listeners(opening.spec.name.clone(), listeners, front);
    Ok((service, Arc::new(parking_lot::Mutex::new(fds))))
}
