//! Overload control of an upstream: when its answers begin to take longer because more is sent than it can do, only so
//! much is sent as it answers in good time, and the least important requests are turned away first.
//!
//! | file | what |
//! |---|---|
//! | here | who may pass, and how many wait |
//! | `window` | latencies of the last moments, as a histogram of atomics |
//! | `control` | what follows from them: a plain function of what was seen, without clock or atomics |
//!
//! There is no limit until latency grows: an upstream in good health is never refused anything. What is limited is the
//! number of requests that wait for the head of their answer; downloads, events and WebSockets under way do not count.
//! State is carried over a reload. On the way of a request there are no locks; who closes a window tries for one.

mod control;
mod window;

#[cfg(test)]
mod simulation;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;

use super::time::Millis;
use crate::value::Priority;
use control::{Change, Control, Seen};
use window::Window;

/// The settings of overload control.
#[derive(Clone, Debug, PartialEq)]
pub struct OverloadSpec {
    /// So many requests may always wait at once: below that nothing is judged and nobody refused.
    pub at_least: u32,
    /// Latency may grow by this factor before anything is done; above 1.
    pub tolerance: f64,
}

impl OverloadSpec {
    /// In force where nothing is written: twenty requests may always wait (as with Netflix's limiters), and latency may
    /// double.
    pub const USUAL: Self = Self { at_least: 20, tolerance: 2.0 };
}

/// What overload control shows of itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OverloadState {
    /// The limit in force, of requests of normal priority that wait at once; `None` while there is none.
    pub limit: Option<u32>,
    /// Requests that wait for the head of their answer.
    pub waiting: u32,
    /// What latency is compared with; zero before anything is known.
    pub usual: Duration,
    /// Requests turned away so far, by [`Priority::index`].
    pub shed: [u64; 3],
}

/// The overload control of one upstream.
#[derive(Debug, Default)]
pub(super) struct Overload {
    waiting: AtomicU32,
    /// 0 is none.
    limit: AtomicU32,
    /// The most that waited at once in the window under way.
    peak: AtomicU32,
    /// What latency is compared with, microseconds; for showing.
    usual: AtomicU64,
    shed: [AtomicU64; 3],
    window: Window,
    control: Mutex<Control>,
}

impl Overload {
    /// Whether a request may be sent; then it is counted as waiting until [`Self::leave`].
    pub(super) fn enter(&self, priority: Priority) -> bool {
        let limit = self.limit.load(Relaxed);
        // Cores that look at the same moment may let one more pass each.
        if limit != 0 && self.waiting.load(Relaxed) >= allowed(limit, priority) {
            if let Some(count) = self.shed.get(priority.index()) {
                count.fetch_add(1, Relaxed);
            }
            return false;
        }
        let waiting = self.waiting.fetch_add(1, Relaxed).saturating_add(1);
        if self.peak.load(Relaxed) < waiting {
            self.peak.fetch_max(waiting, Relaxed);
        }
        true
    }

    /// A request that was let in waits no more.
    pub(super) fn leave(&self) {
        self.waiting.fetch_sub(1, Relaxed);
    }

    /// Takes in how long an attempt took that was begun then. Returns what changed, for the log.
    pub(super) fn observe(
        &self,
        latency: Duration,
        began: Millis,
        spec: &OverloadSpec,
        now: Millis,
    ) -> Option<Option<u32>> {
        let limited = self.limit.load(Relaxed) != 0;
        // Under a limit only what was sent since it was set tells of it.
        if !limited || began >= self.window.started() {
            self.window.add(latency);
        }
        if !self.window.is_due(now) {
            return None;
        }
        let mut control = self.control.try_lock()?;
        if !self.window.is_due(now) {
            return None; // another core closed it a moment ago
        }
        let peak = self.peak.swap(self.waiting.load(Relaxed), Relaxed);
        let shed = self.shed.iter().map(|count| count.load(Relaxed)).sum();
        let latencies = self.window.close();
        let Change { limit, span } = control.step(spec, &Seen { latencies, peak, shed });
        self.window.open(now, span);
        self.usual.store(control.usual(), Relaxed);
        let before = self.limit.swap(limit.unwrap_or(0), Relaxed);
        ((before != 0) != limit.is_some()).then_some(limit)
    }

    /// What there is to show.
    pub(super) fn state(&self) -> OverloadState {
        let limit = self.limit.load(Relaxed);
        OverloadState {
            limit: (limit != 0).then_some(limit),
            waiting: self.waiting.load(Relaxed),
            usual: Duration::from_micros(self.usual.load(Relaxed)),
            shed: std::array::from_fn(|index| self.shed.get(index).map_or(0, |count| count.load(Relaxed))),
        }
    }
}

/// How many may wait at once for a request of that priority to join them: background work leaves a quarter of the limit
/// to the others; what is critical goes beyond it by half.
fn allowed(limit: u32, priority: Priority) -> u32 {
    match priority {
        Priority::Background => limit - limit / 4,
        Priority::Normal => limit,
        Priority::Critical => limit.saturating_add((limit / 2).max(8)),
    }
}
