//! What an upstream carries as a whole: attempts under way, its breaker, its overload control. Carried over a reload.

use super::breaker::Breaker;
use super::endpoint::{FailureKind, Outcome};
use super::overload::{Overload, OverloadSpec};
use super::set::Ask;
use super::time::Millis;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

/// The load of one upstream.
#[derive(Debug, Default)]
pub(super) struct Load {
    pub(super) breaker: Breaker,
    pub(super) overload: Overload,
    in_flight: AtomicU32,
}

/// A place among the attempts under way, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Slot {
    load: Arc<Load>,
    began: Millis,
    untimed: bool,
    /// Whether it is counted by overload control as one that waits for the head of its answer.
    waits: AtomicBool,
    /// The endpoint's failures in a row that a good answer has forgiven.
    forgiven: AtomicU32,
}

impl Load {
    /// Takes a place, if there are fewer than `most`.
    pub(super) fn enter(self: &Arc<Self>, most: Option<u32>) -> Option<Slot> {
        let before = self.in_flight.fetch_add(1, Relaxed);
        let slot = Slot {
            load: Arc::clone(self),
            began: Millis::default(),
            untimed: true,
            waits: AtomicBool::new(false),
            forgiven: AtomicU32::new(0),
        };
        most.is_none_or(|most| before < most).then_some(slot)
    }

    /// Attempts under way.
    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }
}

impl Slot {
    /// Waits for an answer, if overload control lets it.
    pub(super) fn wait(mut self, ask: &Ask<'_>) -> Option<Slot> {
        (self.began, self.untimed) = (ask.now, ask.untimed);
        *self.waits.get_mut() = self.load.overload.enter(ask.priority);
        self.waits.load(Relaxed).then_some(self)
    }

    /// Waits no more. Returns whether there is a limit from now on, where that has changed.
    pub(super) fn answered(&self, outcome: Outcome, spec: &OverloadSpec, now: Millis) -> Option<Option<u32>> {
        if !self.leave() || self.untimed {
            return None;
        }
        let latency = match outcome {
            Outcome::Success { latency } => latency,
            Outcome::Failure(FailureKind::Timeout) => now.since(self.began),
            // Quick failures say nothing of a queue; they are the breaker's business.
            Outcome::Failure(_) | Outcome::Neutral => return None,
        };
        self.load.overload.observe(latency, self.began, spec, now)
    }

    /// Notes how many failures the answer forgives.
    pub(super) fn forgive(&self, failures: u32) {
        self.forgiven.store(failures, Relaxed);
    }

    /// The failures that the answer forgave, once.
    pub(super) fn recall(&self) -> u32 {
        self.forgiven.swap(0, Relaxed)
    }

    /// Ends the wait; whether there was one.
    fn leave(&self) -> bool {
        let waits = self.waits.load(Relaxed);
        if waits {
            self.waits.store(false, Relaxed);
            self.load.overload.leave();
        }
        waits
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.leave();
        self.load.in_flight.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_is_refused_is_not_taken() {
        let load = Arc::new(Load::default());
        let first = load.enter(Some(2)).unwrap();
        let second = load.enter(Some(2)).unwrap();
        assert!(load.enter(Some(2)).is_none());
        assert_eq!(load.in_flight(), 2);
        drop(first);
        assert!(load.enter(Some(2)).is_some());
        drop(second);
        assert_eq!(load.in_flight(), 0);
    }

    #[test]
    fn a_wait_ends_with_the_answer_or_with_the_place() {
        let load = Arc::new(Load::default());
        let waiting = || load.overload.state().waiting;
        let ask = Ask::default();
        let (first, second) =
            (load.enter(None).unwrap().wait(&ask).unwrap(), load.enter(None).unwrap().wait(&ask).unwrap());
        assert_eq!(waiting(), 2);
        first.answered(Outcome::Neutral, &OverloadSpec::USUAL, Millis(1));
        first.answered(Outcome::Neutral, &OverloadSpec::USUAL, Millis(2));
        assert_eq!((waiting(), load.in_flight()), (1, 2));
        drop((first, second));
        assert_eq!((waiting(), load.in_flight()), (0, 0));
    }
}
