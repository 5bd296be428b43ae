//! What follows from the latencies of a window.
//!
//! A gradient on latency, after Netflix's "Gradient2" (github.com/Netflix/concurrency-limits, 2018): the limit is
//! multiplied by how much longer than usual answers may take, over how much longer they do take, and gets the square
//! root of itself on top, so that it finds the place where a small queue stands and keeps the upstream busy. What is
//! usual is a slow average of the latency without a queue, as in TCP Vegas (L. Brakmo, L. Peterson, 1995), and is left
//! alone while a limit is in force: a queue that stands for an hour must not become usual. How long the queue is, is what
//! the fastest quarter of the requests loses, as CoDel looks at the least wait (RFC 8289): what half of them usually take
//! and that loss together are the latency.
//!
//! What is different here, for the sake of being on by default:
//! * There is no limit until latency has grown in two windows in a row, and none again after [`QUIET`] windows in which
//!   nobody was refused.
//! * A limit must help. In a queue half as many take half as long; where latency stays, the upstream has simply become
//!   slower, what it takes now is the usual, and the limit goes.

use std::time::Duration;

use super::OverloadSpec;
use super::window::{Latencies, SHORTEST};

/// Windows without a limit that must be known before any is judged: the first answers of all are those of fast requests.
const ENOUGH: u32 = 8;
/// Windows in a row that must be slow before there is a limit.
const SUSPICIONS: u32 = 2;
/// Windows in a row in which nobody is refused and nothing slow, after which the limit goes.
const QUIET: u32 = 20;
/// Windows in a row in which a limit has not helped, after which it goes.
const UNMOVED: u32 = 3;
/// The same where the limit is as low as it may be, and could not be halved to see.
const UNMOVED_AT_LEAST: u32 = 40;
/// Share of a lower latency that becomes usual with each window.
const DOWN: f64 = 1.0 / 32.0;
/// Share of a higher one.
const UP: f64 = 1.0 / 256.0;
/// No step cuts the limit to less than this share.
const STEEPEST: f64 = 0.5;

/// What a window has shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// What requests took.
    pub(super) latencies: Latencies,
    /// The most that waited at once.
    pub(super) peak: u32,
    /// Requests refused so far.
    pub(super) shed: u64,
}

/// What follows from it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Change {
    /// The limit from now on.
    pub(super) limit: Option<u32>,
    /// How long the next window lasts at least.
    pub(super) span: Duration,
}

/// What is remembered from window to window.
#[derive(Debug, Default)]
pub(super) struct Control {
    /// Latencies without a queue; zeros before anything is known.
    usual: Latencies,
    /// Windows that what is usual was learnt from, up to [`ENOUGH`].
    learnt: u32,
    suspicions: u32,
    shed: u64,
    limiting: Option<Limiting>,
}

/// A limit in force.
#[derive(Debug)]
struct Limiting {
    limit: f64,
    /// The first limit and the latency under it: what later ones are held against.
    first: Option<(f64, f64)>,
    unmoved: u32,
    quiet: u32,
}

impl Control {
    /// What latency is compared with, microseconds.
    pub(super) fn usual(&self) -> u64 {
        self.usual.middle as u64
    }

    /// Takes in a window.
    pub(super) fn step(&mut self, spec: &OverloadSpec, seen: &Seen) -> Change {
        let refused = seen.shed > self.shed;
        self.shed = seen.shed;
        let latency = self.usual.middle + (seen.latencies.low - self.usual.low).max(0.0);
        let growth = if self.usual.middle > 0.0 { latency / self.usual.middle } else { 1.0 };
        let slow = growth > spec.tolerance;
        let gradient = (spec.tolerance / growth).clamp(STEEPEST, 1.0);
        match &mut self.limiting {
            None => self.watch(spec, seen, slow.then_some(gradient)),
            Some(limiting) => {
                let pointless = limiting.is_pointless(spec, latency, slow);
                limiting.quiet = if refused || slow { 0 } else { limiting.quiet + 1 };
                limiting.adjust(spec, seen, gradient);
                if pointless {
                    self.usual = seen.latencies;
                }
                if pointless || limiting.quiet >= QUIET {
                    self.limiting = None;
                }
            }
        }
        let limit = self.limiting.as_ref().map(|limiting| limiting.limit as u32);
        // A window under a limit outlasts the requests sent in it, or only the fast ones would be seen.
        let longest = if limit.is_some() { Duration::from_micros(latency as u64) } else { SHORTEST };
        Change { limit, span: longest.max(SHORTEST) }
    }

    /// Without a limit: learns what is usual, and sets one where it must. `steep` is the gradient where answers are slow.
    fn watch(&mut self, spec: &OverloadSpec, seen: &Seen, steep: Option<f64>) {
        if let Some(gradient) = steep.filter(|_| seen.peak > spec.at_least && self.learnt >= ENOUGH) {
            self.suspicions += 1;
            if self.suspicions >= SUSPICIONS {
                self.suspicions = 0;
                let limit = (f64::from(seen.peak) * gradient).max(f64::from(spec.at_least));
                self.limiting = Some(Limiting { limit, first: None, unmoved: 0, quiet: 0 });
            }
            return;
        }
        self.suspicions = 0;
        self.learnt = (self.learnt + 1).min(ENOUGH);
        let early = if self.learnt < ENOUGH { 1.0 / f64::from(self.learnt) } else { 0.0 };
        learn(&mut self.usual.low, seen.latencies.low, early);
        learn(&mut self.usual.middle, seen.latencies.middle, early);
    }
}

/// Moves an average: a lower value counts much, a higher one little, but either at least `early`.
fn learn(usual: &mut f64, seen: f64, early: f64) {
    let share = if seen < *usual { DOWN } else { UP };
    *usual += (seen - *usual) * share.max(early);
}

impl Limiting {
    /// Whether halving the limit has left latency where it was.
    fn is_pointless(&mut self, spec: &OverloadSpec, latency: f64, slow: bool) -> bool {
        let Some((first, then)) = self.first else {
            self.first = Some((self.limit, latency));
            return false;
        };
        let share = self.limit / first;
        let halved = share <= 0.5;
        let lowest = self.limit <= f64::from(spec.at_least);
        let unmoved = if halved { latency > then * (1.0 + share) / 2.0 } else { lowest };
        self.unmoved = if slow && unmoved { self.unmoved + 1 } else { 0 };
        self.unmoved >= if halved { UNMOVED } else { UNMOVED_AT_LEAST }
    }

    fn adjust(&mut self, spec: &OverloadSpec, seen: &Seen, gradient: f64) {
        // A limit that is not made use of says nothing about a higher one.
        let used = f64::from(seen.peak) >= self.limit / 2.0;
        let room = if used { self.limit.sqrt() } else { 0.0 };
        self.limit = (self.limit * gradient + room).clamp(f64::from(spec.at_least), f64::from(u32::MAX / 4));
    }
}
