//! Overload of the gateway itself: when work waits too long for its turn on a worker, requests are turned away, the least
//! important first, until those that are let in are served in good time again.
//!
//! After WeChat's DAGOR (H. Zhou et al., "Overload Control for Scaling WeChat Microservices", SoCC 2018): what is measured
//! is the wait for a turn, not the load of the processor; requests have levels, by priority and within one priority at
//! random; a threshold among the levels falls fast while the wait is long and rises slowly when it is not. A worker that
//! is well pays one comparison for each request.
//!
//! A wait counts only when it stands: every sample of [`STANDING`] in a row must be too long, as CoDel has it (RFC 8289
//! §3.2). A pause of the machine, or a burst that is worked off, is none. Each worker judges for itself; nothing here reads
//! a clock.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::value::Priority;

/// Levels of one priority.
const LEVELS: u32 = 256;
/// The threshold at which everything passes.
const ALL: u32 = 3 * LEVELS;
/// The lowest threshold: something always passes.
const LEAST: u32 = 16;
/// How often the wait is measured.
pub const TICK: Duration = Duration::from_millis(100);
/// Samples in a row that must be too long.
const STANDING: u32 = 5;
/// Below so many requests under way on a worker it has no overload that turning requests away would help.
pub const FEW: usize = 32;
/// What is left of the threshold after a sample that is too long.
const FALL: f64 = 0.9;
/// And after one that is far too long.
const STEEP: f64 = 0.7;
/// What it gains with one that is not.
const RISE: u32 = 4;

/// The pressure on one worker.
#[derive(Debug)]
pub struct Pressure {
    threshold: AtomicU32,
    /// Samples in a row that were too long.
    standing: AtomicU32,
    /// The last sample, microseconds.
    delay: AtomicU64,
    shed: [AtomicU64; 3],
}

impl Default for Pressure {
    fn default() -> Self {
        Self {
            threshold: AtomicU32::new(ALL),
            standing: AtomicU32::new(0),
            delay: AtomicU64::new(0),
            shed: Default::default(),
        }
    }
}

impl Pressure {
    /// Whether a request of that priority is served. `random` is asked for only under pressure.
    #[inline]
    pub fn admits(&self, priority: Priority, random: impl FnOnce() -> u64) -> bool {
        let threshold = self.threshold.load(Relaxed);
        threshold >= ALL || self.judge(threshold, priority, random())
    }

    fn judge(&self, threshold: u32, priority: Priority, random: u64) -> bool {
        let first = match priority {
            Priority::Critical => 0,
            Priority::Normal => LEVELS,
            Priority::Background => 2 * LEVELS,
        };
        let admitted = first + (random >> 56) as u32 % LEVELS < threshold;
        if !admitted && let Some(count) = self.shed.get(priority.index()) {
            count.fetch_add(1, Relaxed);
        }
        admitted
    }

    /// Takes in how long work had to wait a moment ago, and how many requests are under way on the worker. `most` is the
    /// wait that is put up with; `None` any. Returns whether requests are turned away from now on, where that has changed.
    pub fn measured(&self, delay: Duration, under_way: usize, most: Option<Duration>) -> Option<bool> {
        self.delay.store(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX), Relaxed);
        let before = self.threshold.load(Relaxed);
        let after = match most {
            None => ALL,
            Some(most) if delay > most && under_way >= FEW => {
                let standing = self.standing.load(Relaxed).saturating_add(1);
                self.standing.store(standing, Relaxed);
                // Where requests are turned away already, every sample counts.
                let share = if delay > most * 3 { STEEP } else { FALL };
                let counts = standing >= STANDING || before < ALL;
                if counts { ((f64::from(before) * share) as u32).max(LEAST) } else { before }
            }
            Some(_) => {
                self.standing.store(0, Relaxed);
                before.saturating_add(RISE).min(ALL)
            }
        };
        self.threshold.store(after, Relaxed);
        ((before < ALL) != (after < ALL)).then_some(after < ALL)
    }

    /// How long work had to wait at the last look.
    pub fn delay(&self) -> Duration {
        Duration::from_micros(self.delay.load(Relaxed))
    }

    /// Requests turned away so far, by [`Priority::index`].
    pub fn shed(&self) -> [u64; 3] {
        std::array::from_fn(|index| self.shed.get(index).map_or(0, |count| count.load(Relaxed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: Option<Duration> = Some(Duration::from_millis(200));

    /// A worker that does a second's work in a second, before a queue: what comes is let in or turned away, and both cost.
    struct Worker {
        pressure: Pressure,
        /// Work that waits, seconds.
        backlog: f64,
        random: u64,
    }

    impl Worker {
        /// One tick under so many times the load it can bear, a tenth critical and three tenths background. Returns how many
        /// of each came and were let in.
        fn tick(&mut self, times: f64, refusal: f64) -> [(f64, f64); 3] {
            const REQUESTS: u32 = 1_000;
            let span = TICK.as_secs_f64() + self.backlog;
            let each = span * times / f64::from(REQUESTS);
            let mut counts = [(0.0, 0.0); 3];
            for n in 0..REQUESTS {
                self.random =
                    self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let priority = match n % 10 {
                    0 => Priority::Critical,
                    1..4 => Priority::Background,
                    _ => Priority::Normal,
                };
                let (came, served) = &mut counts[priority.index()];
                *came += each;
                let admitted = self.pressure.admits(priority, || self.random);
                *served += if admitted { each } else { 0.0 };
                self.backlog += if admitted { each } else { each * refusal };
            }
            self.backlog = (self.backlog - span).max(0.0);
            self.pressure.measured(Duration::from_secs_f64(self.backlog), 1_000, MOST);
            counts
        }

        fn run(&mut self, ticks: usize, times: f64, refusal: f64) -> [f64; 3] {
            let mut sums = [(0.0, 0.0); 3];
            for _ in 0..ticks {
                for (sum, count) in sums.iter_mut().zip(self.tick(times, refusal)) {
                    *sum = (sum.0 + count.0, sum.1 + count.1);
                }
            }
            sums.map(|(came, served)| served / came)
        }
    }

    fn worker() -> Worker {
        Worker { pressure: Pressure::default(), backlog: 0.0, random: 7 }
    }

    #[test]
    fn at_three_times_its_capacity_it_answers_in_good_time_and_serves_what_is_critical() {
        // A refusal costs a fifth of a request.
        let mut worker = worker();
        worker.run(100, 0.8, 0.2);
        worker.run(100, 3.0, 0.2);
        let mut longest = 0.0_f64;
        let mut sums = [0.0; 3];
        for _ in 0..200 {
            let served = worker.run(1, 3.0, 0.2);
            sums.iter_mut().zip(served).for_each(|(sum, share)| *sum += share / 200.0);
            longest = longest.max(worker.backlog);
        }
        let [background, normal, critical] = sums;
        assert!(longest < 1.0, "work waits up to {longest} s");
        assert!(critical > 0.95 && background < 0.05 && normal > background, "{sums:?}");
    }

    #[test]
    fn when_the_flood_is_over_everything_passes_again() {
        let mut worker = worker();
        worker.run(100, 3.0, 0.2);
        assert!(worker.pressure.threshold.load(Relaxed) < ALL);
        worker.run(250, 0.7, 0.2);
        assert_eq!(worker.run(10, 0.7, 0.2), [1.0; 3]);
    }

    #[test]
    fn a_wait_that_does_not_stand_or_that_nobody_causes_turns_nobody_away() {
        let pressure = Pressure::default();
        let (long, short) = (Duration::from_secs(2), Duration::from_millis(1));
        for n in 0..1_000 {
            let delay = if n % 5 == 0 { short } else { long };
            assert_eq!(pressure.measured(delay, 1_000, MOST), None);
        }
        for _ in 0..1_000 {
            assert_eq!(pressure.measured(long, FEW - 1, MOST), None);
            assert_eq!(pressure.measured(long, 1_000, None), None);
        }
        assert!(pressure.admits(Priority::Background, || u64::MAX));
    }

    #[test]
    fn something_always_passes() {
        let pressure = Pressure::default();
        let changes: Vec<bool> =
            (0..1_000).filter_map(|_| pressure.measured(Duration::from_secs(60), 1_000, MOST)).collect();
        assert_eq!(changes, [true]);
        assert!(pressure.admits(Priority::Critical, || 0));
        assert!(!pressure.admits(Priority::Normal, || 0));
        assert_eq!(pressure.shed(), [0, 1, 0]);
    }
}
