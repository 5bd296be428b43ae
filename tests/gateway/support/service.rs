//! A service of limited capacity behind an origin: so many workers, each busy for a while with every request, and a queue
//! without end. Time is what it takes; nothing waits for it but its own clients.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

/// Clones are the same service.
#[derive(Clone)]
pub struct Service {
    takes: Duration,
    free: Arc<(Mutex<usize>, Condvar)>,
    /// Nobody ever signals it: waiting for it is being busy.
    busy: Arc<(Mutex<()>, Condvar)>,
}

impl Service {
    /// A service of so many workers, each of which takes so long for a request.
    pub fn new(workers: usize, takes: Duration) -> Self {
        Self { takes, free: Arc::new((Mutex::new(workers), Condvar::new())), busy: Arc::default() }
    }

    /// Serves one request: waits for a worker, and keeps it busy.
    pub fn serve(&self) {
        let (free, freed) = &*self.free;
        let mut workers = freed.wait_while(free.lock().expect("workers"), |free| *free == 0).expect("workers");
        *workers -= 1;
        drop(workers);
        let (nothing, never) = &*self.busy;
        let idle = nothing.lock().expect("time");
        drop(never.wait_timeout_while(idle, self.takes, |()| true));
        *free.lock().expect("workers") += 1;
        freed.notify_one();
    }
}
