//! Time as balancing sees it: whole milliseconds on one monotonic clock, passed in as an argument so that tests move it
//! by hand.

use std::time::{Duration, Instant};

/// Milliseconds since an arbitrary start. Only comparable with others of the same [`Clock`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Millis(pub u64);

impl Millis {
    /// This moment moved forward by `span`, rounded down to milliseconds; stops at the end of time rather than wrap.
    #[must_use]
    pub fn plus(self, span: Duration) -> Millis {
        Millis(self.0.saturating_add(whole(span)))
    }

    /// How long after `earlier` this moment is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: Millis) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// The clock of one gateway. A snapshot that takes state over from another must be used with the same clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that reads zero now.
    #[must_use]
    pub fn start() -> Clock {
        Clock(Instant::now())
    }

    /// The present moment.
    #[must_use]
    pub fn now(&self) -> Millis {
        self.at(Instant::now())
    }

    /// A moment that was already read from the system: reading it twice costs as much as a look-up.
    #[must_use]
    pub fn at(&self, moment: Instant) -> Millis {
        Millis(whole(moment.saturating_duration_since(self.0)))
    }
}

/// Whole milliseconds of a span, bounded by what 64 bits hold (584 million years).
pub(super) fn whole(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
