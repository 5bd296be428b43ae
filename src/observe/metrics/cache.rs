//! What is counted of every request of a route that caches, and what the cache holds.

use std::sync::Arc;

use super::cells::Counts;
use super::labels::CacheOutcome;
use super::names;
use super::text::{Text, label};
use crate::observe::Worker;
use crate::observe::worker::Shards;
use serde::Serialize;

/// The counters of one route, held by the snapshots that have the route.
#[derive(Debug)]
pub struct CacheMetrics {
    /// `route="…"`.
    name: String,
    shards: Shards<Counts<{ CacheOutcome::COUNT }>>,
}

impl CacheMetrics {
    pub(super) fn new(route: &str, workers: usize) -> Self {
        Self { name: label("route", route), shards: Shards::new(workers) }
    }

    /// Counts what the cache did for a request.
    pub fn record(&self, worker: Worker, outcome: CacheOutcome) {
        self.shards.of(worker, Counts::default).add_one(outcome as usize);
    }

    fn totals(&self) -> [u64; CacheOutcome::COUNT] {
        let mut totals = [0; CacheOutcome::COUNT];
        self.shards.used().for_each(|counts| counts.add_to(&mut totals));
        totals
    }
}

/// What the cache of a gateway holds and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheLevels {
    /// The room that is taken, in bytes.
    pub bytes: u64,
    /// How many answers are kept.
    pub objects: u64,
    /// How many went for want of room.
    pub evicted: u64,
    /// How many were purged.
    pub purged: u64,
    /// What is on the disk, where there is one.
    pub disk: Option<DiskCounts>,
}

/// What a cache has on its disk and has done with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct DiskCounts {
    /// The room that files take, in bytes.
    pub bytes: u64,
    /// How many files.
    pub objects: u64,
    /// Answers that were written.
    pub written: u64,
    /// Answers that were read for requests.
    pub read: u64,
    /// Answers that were not written: more came than the disk takes, or it failed a moment ago.
    pub skipped: u64,
    /// Files that were not as they were written, and are gone.
    pub damaged: u64,
    /// How often the system refused.
    pub errors: u64,
}

/// Of all requests of routes that cache, those that memory answered and all that could have been: without what went past.
pub(super) fn hits(routes: &[Arc<CacheMetrics>]) -> (u64, u64) {
    let (mut hits, mut all) = (0, 0);
    for route in routes {
        for (outcome, count) in CacheOutcome::ALL.iter().zip(route.totals()) {
            match outcome {
                CacheOutcome::Bypass => {}
                CacheOutcome::Hit | CacheOutcome::Stale | CacheOutcome::Revalidated | CacheOutcome::Collapsed => {
                    hits += count;
                    all += count;
                }
                CacheOutcome::Miss | CacheOutcome::Expired | CacheOutcome::Uncacheable => all += count,
            }
        }
    }
    (hits, all)
}

/// Writes the family of all routes that cache.
pub(super) fn write(mut routes: Vec<Arc<CacheMetrics>>, text: &mut Text) {
    routes.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    let mut samples = text.family(&names::CACHE_REQUESTS);
    for route in &routes {
        for (outcome, count) in CacheOutcome::ALL.iter().zip(route.totals()).filter(|(_, count)| *count > 0) {
            samples.labelled(format_args!("{},status=\"{}\"", route.name, outcome.label()), count);
        }
    }
}

/// Writes what the cache holds.
pub(super) fn write_levels(levels: CacheLevels, text: &mut Text) {
    text.family(&names::CACHE_BYTES).single(levels.bytes);
    text.family(&names::CACHE_OBJECTS).single(levels.objects);
    text.family(&names::CACHE_EVICTED).single(levels.evicted);
    text.family(&names::CACHE_PURGED).single(levels.purged);
    if let Some(disk) = levels.disk {
        text.family(&names::CACHE_DISK_BYTES).single(disk.bytes);
        text.family(&names::CACHE_DISK_OBJECTS).single(disk.objects);
        text.family(&names::CACHE_DISK_WRITTEN).single(disk.written);
        text.family(&names::CACHE_DISK_READ).single(disk.read);
        text.family(&names::CACHE_DISK_SKIPPED).single(disk.skipped);
        text.family(&names::CACHE_DISK_DAMAGED).single(disk.damaged);
        text.family(&names::CACHE_DISK_ERRORS).single(disk.errors);
    }
}
