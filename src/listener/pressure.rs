//! Overload of the gateway itself: when work waits too long for its turn on a worker, requests are turned away, the least
//! important first, until those that are let in are served in good time again.
//!
//! After WeChat's DAGOR (H. Zhou et al., "Overload Control for Scaling WeChat Microservices", SoCC 2018): what is measured
//! is the wait for a turn, not the load of the processor; requests have levels, by priority and within one priority at
//! random; those below a threshold among the levels pass. A worker that is well pays one comparison for each request.
//!
//! The threshold follows the wait as the drop probability of PIE does (RFC 8033 §4.2): by how far the wait is from what is
//! put up with, and by how it has changed. A threshold that only falls while the wait is too long falls on while a queue
//! is worked off, and the worker then idles until it has risen again: at three times its capacity that cost a twentieth of
//! it, and critical requests.
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
/// The share of the threshold that one sample takes away for each wait of the longest kind put up with that is too much, and
/// gives back where there is no wait at all.
const PULL: f64 = 0.04;
/// And for each by which the wait has grown since the sample before.
const DAMPING: f64 = 0.1;
/// No sample is further off than so many such waits.
const FURTHEST: f64 = 3.0;

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
        let former =
            Duration::from_micros(self.delay.swap(u64::try_from(delay.as_micros()).unwrap_or(u64::MAX), Relaxed));
        let before = self.threshold.load(Relaxed);
        let after = most.map_or(ALL, |most| {
            let waits = |span: Duration| (span.as_secs_f64() / most.as_secs_f64().max(1e-6)).min(1.0 + FURTHEST);
            let over = if under_way < FEW { -1.0 } else { waits(delay) - 1.0 };
            let standing = if over > 0.0 { self.standing.load(Relaxed).saturating_add(1) } else { 0 };
            self.standing.store(standing, Relaxed);
            // Where requests are turned away already, every sample counts.
            if before >= ALL && standing < STANDING {
                return ALL;
            }
            let share = 1.0 - PULL * over - DAMPING * (waits(delay) - waits(former));
            let moved = f64::from(before) * share;
            // Rounded its way, or the lowest would not rise.
            let moved = if share > 1.0 { moved.ceil() } else { moved };
            (moved as u32).clamp(LEAST, ALL)
        });
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
        /// Seconds without work.
        idle: f64,
        random: u64,
    }

    /// What a refusal costs, beside a request.
    const REFUSAL: f64 = 0.1;

    impl Worker {
        /// One tick under so many times the load it can bear, a tenth critical and three tenths background. Returns how many
        /// of each came and were let in.
        fn tick(&mut self, times: f64) -> [(f64, f64); 3] {
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
                self.backlog += if admitted { each } else { each * REFUSAL };
            }
            self.idle += (span - self.backlog).max(0.0);
            self.backlog = (self.backlog - span).max(0.0);
            self.pressure.measured(Duration::from_secs_f64(self.backlog), 1_000, MOST);
            counts
        }

        /// Came and served, by priority.
        fn run(&mut self, ticks: usize, times: f64) -> [(f64, f64); 3] {
            let mut sums = [(0.0, 0.0); 3];
            for _ in 0..ticks {
                for (sum, count) in sums.iter_mut().zip(self.tick(times)) {
                    *sum = (sum.0 + count.0, sum.1 + count.1);
                }
            }
            sums
        }
    }

    fn worker() -> Worker {
        Worker { pressure: Pressure::default(), backlog: 0.0, idle: 0.0, random: 7 }
    }

    #[test]
    fn at_three_times_its_capacity_it_serves_all_that_can_be_and_first_what_is_critical() {
        for times in [1.2, 2.0, 3.0, 4.0] {
            let mut worker = worker();
            worker.run(100, 0.8);
            worker.run(100, times);
            worker.idle = 0.0;
            let (mut longest, mut sums) = (0.0_f64, [(0.0, 0.0); 3]);
            for _ in 0..400 {
                let counts = worker.run(1, times);
                sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum = (sum.0 + count.0, sum.1 + count.1));
                longest = longest.max(worker.backlog);
            }
            let (came, served) = sums.iter().fold((0.0, 0.0), |(a, b), (came, served)| (a + came, b + served));
            // What refusals leave of a worker's time, if it never idles: the best there is.
            let best = (came / times - REFUSAL * came) / (1.0 - REFUSAL);
            assert!(served >= 0.97 * best, "{times}: {served} of {best}, idle for {} s", worker.idle);
            assert!(longest < 3.0 * MOST.unwrap().as_secs_f64(), "{times}: work waits up to {longest} s");
            let [background, normal, critical] = sums.map(|(came, served)| served / came);
            assert!(critical > 0.99 && background < normal, "{times}: {sums:?}");
            assert!(times < 2.0 || background < 0.01, "{times}: {sums:?}");
        }
    }

    #[test]
    fn when_the_flood_is_over_everything_passes_again() {
        let mut worker = worker();
        worker.run(100, 3.0);
        assert!(worker.pressure.threshold.load(Relaxed) < ALL);
        worker.run(50, 0.7);
        assert!(worker.run(10, 0.7).iter().all(|(came, served)| came == served), "after five seconds");
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
