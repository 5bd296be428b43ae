//! Waiting for a condition, with a deadline. The only place of the tests that sleeps.

use std::time::{Duration, Instant};

/// How long anything may take before a test fails: far more than it needs, so that only a hang reaches it.
pub const DEADLINE: Duration = Duration::from_secs(10);

const PAUSE: Duration = Duration::from_millis(5);

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within [`DEADLINE`]; `what` completes the sentence "gave up waiting until …".
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    until_some(what, || condition().then_some(()));
}

/// Waits until `attempt` yields a value, and returns it.
///
/// # Panics
/// As [`until`] does.
#[track_caller]
pub fn until_some<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = attempt() {
            return value;
        }
        assert!(began.elapsed() < DEADLINE, "gave up waiting until {what}");
        pause();
    }
}

/// Lets others go on for a moment, in a loop that has its own end: what a client does that was refused.
pub fn moment() {
    pause();
}

#[expect(clippy::disallowed_methods, reason = "polling real processes and sockets; conditions have a deadline")]
fn pause() {
    std::thread::sleep(PAUSE);
}
