//! A load of several clients that counts every request, whatever becomes of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;

use crate::support::client::{Client, Request};
use crate::support::wait;

/// How a client treats its connections.
#[derive(Clone, Copy, PartialEq)]
enum Connections {
    /// One is used until the gateway says that it closes it.
    Kept,
    /// Each request has its own.
    Fresh,
}

/// A running load; it stops when [`Load::finish`] says so.
pub struct Load {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<()>>,
}

struct Shared {
    address: SocketAddr,
    path: &'static str,
    stop: AtomicBool,
    answered: AtomicUsize,
}

impl Load {
    /// Four clients that keep their connections and two that do not, each asking for `path` and wanting a 200.
    pub fn start(address: SocketAddr, path: &'static str) -> Self {
        let shared = Shared { address, path, stop: AtomicBool::new(false), answered: AtomicUsize::new(0) };
        let shared = Arc::new(shared);
        let kinds =
            [[Connections::Kept; 2], [Connections::Kept, Connections::Fresh], [Connections::Kept, Connections::Fresh]];
        let clients = kinds.into_iter().flatten().map(|kind| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || shared.ask(kind))
        });
        Self { clients: clients.collect(), shared }
    }

    /// Waits until so many more requests have been answered.
    #[track_caller]
    pub fn await_more(&self, count: usize) {
        let target = self.shared.answered.load(Ordering::SeqCst) + count;
        wait::until("the load has gone on", || {
            // A client that ended has failed; `finish` says why.
            self.shared.answered.load(Ordering::SeqCst) >= target || self.clients.iter().any(JoinHandle::is_finished)
        });
    }

    /// Ends the load and gives back how many requests were answered.
    ///
    /// # Panics
    /// When a single one was not answered as wanted.
    #[track_caller]
    pub fn finish(mut self) -> usize {
        self.shared.stop.store(true, Ordering::SeqCst);
        let failed = self.clients.drain(..).map(JoinHandle::join).filter(Result::is_err).count();
        assert_eq!(failed, 0, "clients whose requests failed, beside {:?} answered", self.shared.answered);
        self.shared.answered.load(Ordering::SeqCst)
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.clients.drain(..).for_each(|client| drop(client.join()));
    }
}

impl Shared {
    fn ask(&self, connections: Connections) {
        let mut kept = None;
        while !self.stop.load(Ordering::SeqCst) {
            let mut client = kept.take().unwrap_or_else(|| Client::connect(self.address));
            let response = client.send(&Request::get(self.path));
            assert_eq!(response.status, 200, "{response:?}");
            self.answered.fetch_add(1, Ordering::SeqCst);
            kept = (connections == Connections::Kept && response.keeps_alive()).then_some(client);
        }
    }
}
