//! Which attempts have come back already; and, in the same way, which sessions were ended.
//!
//! The only things the gateway has to remember of logins, and bounded: beyond it a replayed answer is stopped by the provider,
//! whose codes are good for one use (RFC 6749 §4.1.2), and by the browser, which has been told to drop its cookie.

use parking_lot::Mutex;
use std::collections::{HashSet, VecDeque};

/// So many attempts are remembered; of more, the oldest are forgotten. About 6 MB at most.
const MOST: usize = 65_536;

/// The attempts that were used.
#[derive(Default)]
pub struct Used(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    states: HashSet<Box<str>>,
    by_age: VecDeque<(u64, Box<str>)>,
}

impl Used {
    /// Marks an attempt that may come back until `until` as used at `now`; `false` where it was already.
    #[must_use]
    pub fn first_use(&self, state: &str, now: u64, until: u64) -> bool {
        let Remembered { states, by_age } = &mut *self.0.lock();
        while by_age.front().is_some_and(|(until, _)| *until <= now) || by_age.len() >= MOST {
            if let Some((_, oldest)) = by_age.pop_front() {
                states.remove(&oldest);
            }
        }
        if !states.insert(state.into()) {
            return false;
        }
        by_age.push_back((until, state.into()));
        true
    }

    /// Whether it was used before.
    pub fn contains(&self, state: &str) -> bool {
        self.0.lock().states.contains(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_counts_once() {
        let used = Used::default();
        assert!(used.first_use("a", 0, 600));
        assert!(!used.first_use("a", 599, 600));
        assert!(used.first_use("b", 599, 1199));
    }

    #[test]
    fn what_has_expired_is_forgotten_and_memory_is_bounded() {
        let used = Used::default();
        for number in 0..MOST + 10 {
            assert!(used.first_use(&number.to_string(), 0, 600));
        }
        assert_eq!(used.0.lock().states.len(), MOST);
        assert!(used.first_use("later", 600, 1200));
        let remembered = used.0.lock();
        assert_eq!((remembered.states.len(), remembered.by_age.len()), (1, 1));
    }
}
