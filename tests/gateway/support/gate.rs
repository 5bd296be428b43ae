//! A gate that an upstream's answer waits at until the test opens it: timing without a sleep.

use std::sync::{Arc, Condvar, Mutex};

use super::wait::DEADLINE;

/// Closed at first; clones are the same gate.
#[derive(Clone, Default)]
pub struct Gate {
    shared: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    open: bool,
    arrivals: usize,
}

impl Gate {
    /// Lets everyone through, now and later.
    pub fn open(&self) {
        let (state, changed) = &*self.shared;
        state.lock().expect("gate").open = true;
        changed.notify_all();
    }

    /// Waits until the gate is open. False when that took longer than [`DEADLINE`].
    pub fn pass(&self) -> bool {
        let (state, changed) = &*self.shared;
        let mut state = state.lock().expect("gate");
        state.arrivals += 1;
        changed.notify_all();
        let (state, _) = changed.wait_timeout_while(state, DEADLINE, |state| !state.open).expect("gate");
        state.open
    }

    /// Waits until `count` have come to the gate.
    ///
    /// # Panics
    /// When they do not within [`DEADLINE`].
    #[track_caller]
    pub fn await_arrivals(&self, count: usize) {
        let (state, changed) = &*self.shared;
        let state = state.lock().expect("gate");
        let (state, _) = changed.wait_timeout_while(state, DEADLINE, |state| state.arrivals < count).expect("gate");
        assert!(state.arrivals >= count, "{} of {count} came to the gate", state.arrivals);
    }
}
