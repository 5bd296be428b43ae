//! What is counted of WebSocket connections, by route.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::cells::{Count, Counts};
use super::labels::SocketEnd;
use super::names::{self, Family};
use super::text::{Text, label};
use crate::observe::Worker;
use crate::observe::worker::Shards;

/// The counters of one route, held by the snapshots that have it and by its connections.
#[derive(Debug)]
pub struct SocketMetrics {
    /// `route="…"`.
    name: String,
    open: AtomicU64,
    shards: Shards<Cells>,
}

#[derive(Debug, Default)]
struct Cells {
    up: Traffic,
    down: Traffic,
    ends: Counts<{ SocketEnd::COUNT }>,
}

#[derive(Debug, Default)]
struct Traffic {
    messages: Count,
    bytes: Count,
}

impl SocketMetrics {
    pub(super) fn new(route: &str, workers: usize) -> Self {
        Self { name: label("route", route), open: AtomicU64::new(0), shards: Shards::new(workers) }
    }

    /// Counts a connection as open until what is returned is dropped.
    #[must_use]
    pub fn open(self: &Arc<Self>, worker: Worker) -> OpenSocket {
        self.open.fetch_add(1, Relaxed);
        OpenSocket { route: Arc::clone(self), worker }
    }
}

/// A connection that is counted as open.
#[derive(Debug)]
pub struct OpenSocket {
    route: Arc<SocketMetrics>,
    worker: Worker,
}

impl OpenSocket {
    /// Counts what has passed from the client.
    pub fn passed_up(&self, messages: u64, bytes: u64) {
        self.cells().up.messages.add(messages);
        self.cells().up.bytes.add(bytes);
    }

    /// Counts what has passed from the upstream.
    pub fn passed_down(&self, messages: u64, bytes: u64) {
        self.cells().down.messages.add(messages);
        self.cells().down.bytes.add(bytes);
    }

    /// Counts how it has ended.
    pub fn ended(&self, end: SocketEnd) {
        self.cells().ends.add_one(end as usize);
    }

    fn cells(&self) -> &Cells {
        self.route.shards.of(self.worker, Cells::default)
    }
}

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.route.open.fetch_sub(1, Relaxed);
    }
}

/// Which of a connection's two ways.
type Way = (&'static str, fn(&Cells) -> &Traffic);

/// Which of the counters of a way.
type Counted = fn(&Traffic) -> &Count;

/// Writes the families. Endings that never were are left out.
pub(super) fn write(mut routes: Vec<Arc<SocketMetrics>>, text: &mut Text) {
    const WAYS: [Way; 2] = [("in", |cells| &cells.up), ("out", |cells| &cells.down)];
    routes.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let mut samples = text.family(&names::SOCKETS);
    routes.iter().for_each(|route| samples.labelled(format_args!("{}", route.name), route.open.load(Relaxed)));
    let counts: [(&Family, Counted); 2] =
        [(&names::SOCKET_MESSAGES, |traffic| &traffic.messages), (&names::SOCKET_BYTES, |traffic| &traffic.bytes)];
    for (family, count) in counts {
        let mut samples = text.family(family);
        for route in &routes {
            for (direction, way) in WAYS {
                let total = route.shards.used().map(|cells| count(way(cells)).get()).sum();
                samples.labelled(format_args!("{},direction=\"{direction}\"", route.name), total);
            }
        }
    }
    let mut samples = text.family(&names::SOCKET_ENDS);
    for route in &routes {
        let mut totals = [0; SocketEnd::COUNT];
        route.shards.used().for_each(|cells| cells.ends.add_to(&mut totals));
        for (end, count) in SocketEnd::ALL.iter().zip(totals).filter(|(_, count)| *count > 0) {
            samples.labelled(format_args!("{},reason=\"{}\"", route.name, end.label()), count);
        }
    }
}
