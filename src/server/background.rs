//! The thread for everything that is not a request: health checks, DNS, the admin API, watched files.

use super::gateway::Gateway;
use crate::admin::Admin;
use crate::snapshot::Snapshot;
use crate::upstream::{Background, Clock, SystemResolver};
use parking_lot::Mutex;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// The first request after a start waits at most this long for DNS.
const FIRST_ANSWER: Duration = Duration::from_secs(2);
/// How often a drain looks whether it is done.
const PAUSE: Duration = Duration::from_millis(10);

/// The background thread and what runs on it.
pub struct BackgroundTasks {
    background: Arc<Background>,
    handle: Handle,
    stop: watch::Sender<bool>,
    admin: watch::Sender<bool>,
    /// Ends the work for one snapshot when another takes its place.
    current: Mutex<watch::Sender<bool>>,
}

/// Waits a little, outside any runtime.
pub fn pause() {
    std::thread::park_timeout(PAUSE);
}

impl BackgroundTasks {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system gives no more threads or descriptors.
    pub fn start(clock: Clock, seed: u64) -> io::Result<Arc<Self>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, mut stopped) = watch::channel(false);
        std::thread::Builder::new().name("background".into()).spawn(move || {
            // An error means that the sender is gone: the same as being told to stop.
            let _ = runtime.block_on(async { stopped.wait_for(|over| *over).await.map(|_| ()) });
            runtime.shutdown_background();
        })?;
        let background = {
            let _inside = handle.enter();
            Arc::new(Background::new(clock, seed, Box::new(SystemResolver)))
        };
        let (admin, current) = (watch::channel(false).0, Mutex::new(watch::channel(false).0));
        Ok(Arc::new(Self { background, handle, stop, admin, current }))
    }

    /// Gives DNS a moment before the first request.
    pub fn resolve_first(&self, snapshot: &Snapshot) {
        let upstreams: Vec<_> = snapshot.upstreams.values().cloned().collect();
        let background = Arc::clone(&self.background);
        let (done, finished) = std::sync::mpsc::channel::<()>();
        self.handle.spawn(async move {
            let lookups = upstreams.iter().map(|upstream| upstream.resolve_now(&background, FIRST_ANSWER));
            futures_util::future::join_all(lookups).await;
            let _ = done.send(());
        });
        let _ = finished.recv_timeout(FIRST_ANSWER * 2);
    }

    /// Checks and resolves the upstreams of this snapshot and tends what else it holds, and nothing of any other.
    pub fn run(&self, snapshot: &Snapshot) {
        let (stop, stopped) = watch::channel(false);
        let before = std::mem::replace(&mut *self.current.lock(), stop);
        let _ = before.send(true);
        for upstream in snapshot.upstreams.values() {
            let (upstream, background, stopped) = (Arc::clone(upstream), Arc::clone(&self.background), stopped.clone());
            self.handle.spawn(async move {
                tokio::join!(
                    upstream.run_checks(&background, stopped.clone()),
                    upstream.run_resolver(&background, stopped.clone())
                );
            });
        }
        for tended in &snapshot.tended {
            let (tended, mut stopped) = (Arc::clone(tended), stopped.clone());
            self.handle.spawn(async move {
                tokio::select! {
                    () = tended.tend() => {}
                    _ = stopped.wait_for(|over| *over) => {}
                }
            });
        }
    }

    /// Serves the admin API on its socket.
    pub fn serve_admin(&self, admin: Admin, socket: OwnedFd) {
        let stopped = self.admin.subscribe();
        self.handle.spawn(async move { admin.serve(socket, stopped).await });
    }

    /// Watches certificates, and the configuration where that is asked for.
    pub fn watch(&self, gateway: &Arc<Gateway>) {
        let gateway: Weak<Gateway> = Arc::downgrade(gateway);
        let mut stopped = self.stop.subscribe();
        self.handle.spawn(async move {
            tokio::select! {
                () = super::watch::run(gateway) => {}
                _ = stopped.wait_for(|over| *over) => {}
            }
        });
    }

    /// Accepts no more connections of the admin API.
    pub fn stop_admin(&self) {
        let _ = self.admin.send(true);
    }

    /// Ends everything.
    pub fn stop(&self) {
        let _ = self.stop.send(true);
    }
}
