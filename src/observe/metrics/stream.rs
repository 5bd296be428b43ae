//! What is counted of streams of events, by route.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::cells::{Count, Counts};
use super::labels::StreamEnd;
use super::names;
use super::text::{Text, label};
use crate::observe::Worker;
use crate::observe::worker::Shards;

/// The counters of one route, held by the snapshots that have it and by its streams.
#[derive(Debug)]
pub struct StreamMetrics {
    /// `route="…"`.
    name: String,
    open: AtomicU64,
    shards: Shards<Cells>,
}

#[derive(Debug, Default)]
struct Cells {
    events: Count,
    ends: Counts<{ StreamEnd::COUNT }>,
}

impl StreamMetrics {
    pub(super) fn new(route: &str, workers: usize) -> Self {
        Self { name: label("route", route), open: AtomicU64::new(0), shards: Shards::new(workers) }
    }

    /// Counts a stream as open until what is returned is dropped.
    #[must_use]
    pub fn open(self: &Arc<Self>, worker: Worker) -> OpenStream {
        self.open.fetch_add(1, Relaxed);
        OpenStream { route: Arc::clone(self), worker, end: StreamEnd::Client }
    }
}

/// A stream that is counted as open.
#[derive(Debug)]
pub struct OpenStream {
    route: Arc<StreamMetrics>,
    worker: Worker,
    end: StreamEnd,
}

impl OpenStream {
    /// Counts events that have passed.
    pub fn passed(&self, events: u64) {
        self.route.shards.of(self.worker, Cells::default).events.add(events);
    }

    /// Says how it ends; without that its client has left.
    pub fn ends(&mut self, end: StreamEnd) {
        self.end = end;
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.route.shards.of(self.worker, Cells::default).ends.add_one(self.end as usize);
        self.route.open.fetch_sub(1, Relaxed);
    }
}

/// Writes the families. Endings that never were are left out.
pub(super) fn write(mut routes: Vec<Arc<StreamMetrics>>, text: &mut Text) {
    routes.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let mut samples = text.family(&names::STREAMS);
    routes.iter().for_each(|route| samples.labelled(format_args!("{}", route.name), route.open.load(Relaxed)));
    let mut samples = text.family(&names::EVENTS);
    for route in &routes {
        let total = route.shards.used().map(|cells| cells.events.get()).sum();
        samples.labelled(format_args!("{}", route.name), total);
    }
    let mut samples = text.family(&names::STREAM_ENDS);
    for route in &routes {
        let mut totals = [0; StreamEnd::COUNT];
        route.shards.used().for_each(|cells| cells.ends.add_to(&mut totals));
        for (end, count) in StreamEnd::ALL.iter().zip(totals).filter(|(_, count)| *count > 0) {
            samples.labelled(format_args!("{},reason=\"{}\"", route.name, end.label()), count);
        }
    }
}
