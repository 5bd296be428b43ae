//! The faster of two endpoints drawn by weight, where fast is a moving average of latencies that jumps up to a slow
//! answer at once and comes down over ten seconds (the "peak EWMA" of Twitter's Finagle), times the attempts in flight.
//!
//! A failure counts as a slow answer: an endpoint that refuses everything in a millisecond would else be the fastest.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::candidates::Candidates;
use super::random::Pair;
use super::schedule::Schedule;
use crate::upstream::endpoint::Endpoint;
use crate::upstream::time::Millis;

/// Time in which an estimate falls to 1/e, milliseconds.
const DECAY_MS: f32 = 10_000.0;
/// What a failure counts at least, microseconds; also what each attempt in flight costs while nothing is known.
const PENALTY_US: f32 = 1_000_000.0;
/// What repeated failures count at most, microseconds.
const WORST_US: f32 = 60_000_000.0;

pub(in crate::upstream) struct PeakEwma(Pair);

impl PeakEwma {
    /// With unequal weights the same endpoint may be drawn twice: of two different ones latency decides, and only how
    /// often each is drawn keeps the weights. With equal ones a second look is worth more.
    pub(super) fn new(schedule: Schedule, endpoints: &[Arc<Endpoint>]) -> PeakEwma {
        let mut weights = endpoints.iter().map(|endpoint| endpoint.weight());
        let first = weights.next();
        PeakEwma(Pair::new(schedule, weights.all(|weight| Some(weight) == first)))
    }

    pub(super) fn choose<'a>(&self, from: &Candidates<'a>) -> Option<&'a Arc<Endpoint>> {
        self.0.choose(from, |endpoint| cost(endpoint, from.now()))
    }
}

/// Expected wait, in microseconds. Nothing known and nothing in flight is free, so that a new endpoint is asked; but
/// only once until it has answered.
fn cost(endpoint: &Endpoint, now: Millis) -> f32 {
    let load = endpoint.in_flight() as f32 / endpoint.weight() as f32;
    match endpoint.latency().estimate(now) {
        Some(estimate) => estimate * (1.0 + load),
        None => PENALTY_US * load,
    }
}

/// The moving average of one endpoint: one word, the moment of the last sample (low 32 bits of [`Millis`]) above the
/// estimate (`f32`, microseconds), so that both change together without a lock. All zeros is "nothing known".
#[derive(Default)]
pub(in crate::upstream) struct Latency(AtomicU64);

impl Latency {
    /// A request was answered after that long: up at once, down by the age of the estimate.
    pub(in crate::upstream) fn answered(&self, sample: Duration, now: Millis) {
        let sample = sample.as_secs_f32() * 1e6;
        self.update(now, |before, keep| if sample > before { sample } else { before * keep + sample * (1.0 - keep) });
    }

    /// A request failed.
    pub(in crate::upstream) fn failed(&self, now: Millis) {
        self.update(now, |before, keep| (before * keep * 2.0).max(PENALTY_US));
    }

    /// The estimate by now, in microseconds. It decays while nobody asks, so that an endpoint that was slow once is
    /// tried again.
    pub(in crate::upstream) fn estimate(&self, now: Millis) -> Option<f32> {
        let word = self.0.load(Relaxed);
        (word != 0).then(|| {
            let (before, keep) = unpack(word, now);
            before * keep
        })
    }

    /// `next` gets the last estimate and the share of it that time has left.
    fn update(&self, now: Millis, next: impl Fn(f32, f32) -> f32) {
        let _ = self.0.fetch_update(Relaxed, Relaxed, |word| {
            let (before, keep) = if word == 0 { (0.0, 0.0) } else { unpack(word, now) };
            // Never zero, which would be "nothing known".
            let estimate = next(before, keep).clamp(f32::MIN_POSITIVE, WORST_US);
            Some(u64::from(now.0 as u32) << 32 | u64::from(estimate.to_bits()))
        });
    }
}

/// The last estimate and the share of it left after the time since.
fn unpack(word: u64, now: Millis) -> (f32, f32) {
    let estimate = f32::from_bits(word as u32);
    // Signed: another core's sample may carry a slightly later moment. Wraps after 24 days without a sample, when the
    // estimate counts as new once more.
    let elapsed = (now.0 as u32).wrapping_sub((word >> 32) as u32).cast_signed().max(0);
    (estimate, (-(elapsed as f32) / DECAY_MS).exp())
}
