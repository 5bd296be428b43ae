//! The circuit breaker of an upstream: when too many of its requests fail, none are sent for a while, so that it can
//! recover and nobody waits for what will fail.
//!
//! | state | what passes | until |
//! |---|---|---|
//! | closed | everything | of at least `of_at_least` requests in the last `window`, the share `open_at` failed |
//! | open | nothing | `for` is over |
//! | half open | `probes` requests, the others are refused | all of them went well: closed; one failed: open again |
//!
//! A ratio with a minimum volume, not a count: a busy upstream with a few failures stays closed, a quiet one with a
//! single failure too. Probes whose outcome never comes (the client left) are given out anew after `for`. Counts are
//! taken in two alternating windows, each one atomic word, as in `retry`; the state is another. Nothing here reads a
//! clock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use super::time::{Millis, whole};

/// The settings of a breaker.
#[derive(Clone, Debug, PartialEq)]
pub struct BreakerSpec {
    /// The share of failures, 0 to 1, at which it opens.
    pub open_at: f64,
    /// Fewer requests than this in the window decide nothing.
    pub of_at_least: u32,
    /// How long it stays open.
    pub lasting: Duration,
    /// The time looked back on.
    pub window: Duration,
    /// Requests let through when it is half open.
    pub probes: u8,
}

/// What a breaker says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// Send it.
    Pass,
    /// Do not; it may be worth asking again after that.
    Refuse(Duration),
}

/// Where a breaker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BreakerState {
    /// Everything passes.
    Closed,
    /// Nothing does.
    Open,
    /// Probes do.
    HalfOpen,
}

/// Where a breaker stands, with what it remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Closed,
    /// Since that moment.
    Open(Millis),
    HalfOpen {
        since: Millis,
        given: u8,
        good: u8,
    },
}

/// A breaker's state, carried over a reload.
#[derive(Debug, Default)]
pub struct Breaker {
    phase: AtomicU64,
    windows: [AtomicU64; 2],
}

const TIME_BITS: u32 = 44;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

impl Phase {
    fn pack(self) -> u64 {
        let pack = |tag: u64, at: Millis, given: u8, good: u8| {
            (tag << 60) | (u64::from(given) << 52) | (u64::from(good) << 44) | (at.0 & TIME_MASK)
        };
        match self {
            Self::Closed => 0,
            Self::Open(at) => pack(1, at, 0, 0),
            Self::HalfOpen { since, given, good } => pack(2, since, given, good),
        }
    }

    fn unpack(word: u64) -> Self {
        let at = Millis(word & TIME_MASK);
        let byte = |shift: u32| u8::try_from((word >> shift) & 0xFF).unwrap_or(0);
        match word >> 60 {
            0 => Self::Closed,
            1 => Self::Open(at),
            _ => Self::HalfOpen { since: at, given: byte(52), good: byte(44) },
        }
    }

    /// What a request meets at `now`, and the phase afterwards.
    fn admit(self, spec: &BreakerSpec, now: Millis) -> (Admission, Self) {
        let over = |since: Millis| now.0 >= since.plus(spec.lasting).0;
        let first = Self::HalfOpen { since: now, given: 1, good: 0 };
        match self {
            Self::Closed => (Admission::Pass, self),
            Self::Open(since) if over(since) => (Admission::Pass, first),
            Self::Open(since) => (Admission::Refuse(since.plus(spec.lasting).since(now)), self),
            Self::HalfOpen { since, given, good } if given < spec.probes.max(1) => {
                (Admission::Pass, Self::HalfOpen { since, given: given + 1, good })
            }
            // The probes were sent long ago and nothing was heard of them.
            Self::HalfOpen { since, .. } if over(since) => (Admission::Pass, first),
            Self::HalfOpen { .. } => (Admission::Refuse(Duration::from_secs(1)), self),
        }
    }

    /// The phase after an outcome, as far as probes are concerned.
    fn after_probe(self, failed: bool, spec: &BreakerSpec, now: Millis) -> Self {
        match self {
            Self::HalfOpen { .. } if failed => Self::Open(now),
            Self::HalfOpen { good, .. } if good + 1 >= spec.probes.max(1) => Self::Closed,
            Self::HalfOpen { since, given, good } => Self::HalfOpen { since, given, good: good + 1 },
            // The outcome of a request that was sent before it opened.
            other => other,
        }
    }
}

impl Breaker {
    /// Asks whether a request may be sent.
    pub fn admit(&self, spec: &BreakerSpec, now: Millis) -> Admission {
        let mut word = self.phase.load(Relaxed);
        loop {
            let phase = Phase::unpack(word);
            let (admission, after) = phase.admit(spec, now);
            if after == phase {
                return admission;
            }
            match self.phase.compare_exchange(word, after.pack(), Relaxed, Relaxed) {
                Ok(_) => return admission,
                Err(seen) => word = seen,
            }
        }
    }

    /// What a request would be told now, without being counted as a probe.
    pub fn outlook(&self, spec: &BreakerSpec, now: Millis) -> Admission {
        Phase::unpack(self.phase.load(Relaxed)).admit(spec, now).0
    }

    /// Takes an outcome in. Returns the state it changed to, if it did: for the log.
    pub fn record(&self, failed: bool, spec: &BreakerSpec, now: Millis) -> Option<BreakerState> {
        let mut word = self.phase.load(Relaxed);
        let before = Phase::unpack(word);
        if before == Phase::Closed {
            let (requests, failures) = self.count(failed, spec, now);
            let opens = failed
                && requests >= spec.of_at_least.max(1)
                && f64::from(failures) >= f64::from(requests) * spec.open_at;
            return (opens && self.change(word, Phase::Open(now))).then_some(BreakerState::Open);
        }
        loop {
            let phase = Phase::unpack(word);
            let after = phase.after_probe(failed, spec, now);
            if after == phase {
                return None;
            }
            if self.change(word, after) {
                return (after.state() != phase.state()).then(|| after.state());
            }
            word = self.phase.load(Relaxed);
        }
    }

    /// Exchanges the phase; closing forgets what was counted before it opened.
    fn change(&self, before: u64, after: Phase) -> bool {
        let changed = self.phase.compare_exchange(before, after.pack(), Relaxed, Relaxed).is_ok();
        if changed && after == Phase::Closed {
            self.windows.iter().for_each(|window| window.store(0, Relaxed));
        }
        changed
    }

    /// Where it stands.
    pub fn state(&self) -> BreakerState {
        Phase::unpack(self.phase.load(Relaxed)).state()
    }

    /// Counts an outcome; requests and failures in the window with it.
    fn count(&self, failed: bool, spec: &BreakerSpec, now: Millis) -> (u32, u32) {
        let half = (whole(spec.window) / 2).max(1);
        let number = now.0 / half;
        let own = (number & 0xFFFF) << 48;
        let one = 1 | (u64::from(failed) << 24);
        let mut counts = 0;
        if let Some(window) = self.windows.get((number % 2) as usize) {
            // A window's word: its number, failures, requests. A full count stays, far beyond any decision.
            let add = |word: u64| {
                let current = if word >> 48 == own >> 48 { word } else { own };
                if current & 0xFF_FFFF == 0xFF_FFFF { current } else { current + one }
            };
            let before = window.fetch_update(Relaxed, Relaxed, |word| Some(add(word))).unwrap_or_else(|word| word);
            counts = add(before);
        }
        let earlier = self.windows.get(((number + 1) % 2) as usize).map_or(0, |window| window.load(Relaxed));
        let is_previous = earlier >> 48 == number.wrapping_sub(1) & 0xFFFF;
        let of = |word: u64, shift: u32| u32::try_from((word >> shift) & 0xFF_FFFF).unwrap_or(0);
        let earlier = if is_previous { earlier } else { 0 };
        (of(counts, 0) + of(earlier, 0), of(counts, 24) + of(earlier, 24))
    }
}

impl Phase {
    fn state(self) -> BreakerState {
        match self {
            Self::Closed => BreakerState::Closed,
            Self::Open(_) => BreakerState::Open,
            Self::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }
}

impl BreakerState {
    /// The value of its gauge: the higher, the less passes.
    pub fn level(self) -> u64 {
        match self {
            Self::Closed => 0,
            Self::HalfOpen => 1,
            Self::Open => 2,
        }
    }

    /// Its name in the admin API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Millis = Millis(1_000_000);

    fn spec() -> BreakerSpec {
        BreakerSpec {
            open_at: 0.5,
            of_at_least: 10,
            lasting: Duration::from_secs(10),
            window: Duration::from_secs(10),
            probes: 3,
        }
    }

    fn at(seconds: u64) -> Millis {
        START.plus(Duration::from_secs(seconds))
    }

    /// Records outcomes, one letter each: `x` a failure.
    fn record(breaker: &Breaker, outcomes: &str, now: Millis) {
        outcomes.chars().for_each(|outcome| {
            breaker.record(outcome == 'x', &spec(), now);
        });
    }

    fn passed(breaker: &Breaker, asked: usize, now: Millis) -> usize {
        (0..asked).filter(|_| breaker.admit(&spec(), now) == Admission::Pass).count()
    }

    #[test]
    fn opens_at_the_ratio_and_not_below_the_volume() {
        for (outcomes, state) in [
            ("xxxxxxxxx", BreakerState::Closed),
            ("xxxxxxxxxx", BreakerState::Open),
            ("..........xxxxxxxxx", BreakerState::Closed),
            ("..........xxxxxxxxxx", BreakerState::Open),
            ("xxxxx.....", BreakerState::Closed),
        ] {
            let breaker = Breaker::default();
            record(&breaker, outcomes, START);
            assert_eq!(breaker.state(), state, "{outcomes}");
        }
    }

    #[test]
    fn what_is_long_past_does_not_count() {
        let breaker = Breaker::default();
        record(&breaker, "xxxxxxxxx", START);
        record(&breaker, "x", at(20));
        assert_eq!(breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn open_refuses_and_says_how_long() {
        let breaker = Breaker::default();
        record(&breaker, "xxxxxxxxxx", START);
        assert_eq!(breaker.admit(&spec(), at(4)), Admission::Refuse(Duration::from_secs(6)));
    }

    #[test]
    fn probes_that_go_well_close_it() {
        let breaker = Breaker::default();
        record(&breaker, "xxxxxxxxxx", START);
        assert_eq!(passed(&breaker, 100, at(10)), 3);
        record(&breaker, "..", at(11));
        assert_eq!(breaker.state(), BreakerState::HalfOpen);
        record(&breaker, ".", at(11));
        assert_eq!((breaker.state(), passed(&breaker, 100, at(11))), (BreakerState::Closed, 100));
        record(&breaker, "x", at(11));
        assert_eq!(breaker.state(), BreakerState::Closed, "what was before is forgotten");
    }

    #[test]
    fn one_probe_that_fails_opens_it_again() {
        let breaker = Breaker::default();
        record(&breaker, "xxxxxxxxxx", START);
        assert_eq!(passed(&breaker, 5, at(10)), 3);
        record(&breaker, ".x.", at(11));
        assert_eq!((breaker.state(), passed(&breaker, 100, at(20))), (BreakerState::Open, 0));
        assert_eq!(passed(&breaker, 100, at(21)), 3);
    }

    #[test]
    fn probes_that_are_never_heard_of_are_sent_anew() {
        let breaker = Breaker::default();
        record(&breaker, "xxxxxxxxxx", START);
        assert_eq!([10, 15, 20, 30].map(|second| passed(&breaker, 50, at(second))), [3, 0, 3, 3]);
    }

    #[test]
    fn many_threads_send_no_more_probes_than_one() {
        let breaker = Breaker::default();
        record(&breaker, "xxxxxxxxxx", START);
        let total: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| passed(&breaker, 1_000, at(10)))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(total, 3);
    }
}
