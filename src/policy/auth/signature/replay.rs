//! Nonces that have been used, for as long as their signatures would still be good.

use aws_lc_rs::digest::{SHA256, digest};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// Nonces of one key in one window: 320 signed requests a second where a window is the usual five minutes. Beyond it nobody
/// could tell whether one was used, so none of that key is taken.
const MOST: usize = 100_000;

type Mark = [u8; 16];

/// What became of a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    First,
    Again,
    /// There is no room to remember it.
    Unknown,
}

/// Used nonces, by key: whoever signs too much keeps nobody else out. Only ids of keys that are written down get in.
#[derive(Default)]
pub(super) struct Nonces(Mutex<HashMap<Box<str>, Generations>>);

/// Those of one key in two generations: each is remembered for one whole window at least.
#[derive(Default)]
struct Generations {
    began: Option<Instant>,
    current: HashSet<Mark>,
    before: HashSet<Mark>,
}

impl Nonces {
    /// Uses a nonce of a key up.
    pub(super) fn take(&self, key: &str, nonce: &str, now: Instant, window: Duration) -> Use {
        let hash = digest(&SHA256, nonce.as_bytes());
        let mut mark = Mark::default();
        mark.iter_mut().zip(hash.as_ref()).for_each(|(to, from)| *to = *from);
        let mut keys = self.0.lock();
        match keys.get_mut(key) {
            Some(generations) => generations.take(mark, now, window),
            None => keys.entry(key.into()).or_default().take(mark, now, window),
        }
    }
}

impl Generations {
    fn take(&mut self, mark: Mark, now: Instant, window: Duration) -> Use {
        self.turn(now, window);
        if self.before.contains(&mark) || self.current.contains(&mark) {
            return Use::Again;
        }
        if self.current.len() >= MOST {
            return Use::Unknown;
        }
        self.current.insert(mark);
        Use::First
    }

    fn turn(&mut self, now: Instant, window: Duration) {
        let age = now.saturating_duration_since(*self.began.get_or_insert(now));
        if age >= window {
            self.before = std::mem::take(&mut self.current);
            self.began = Some(now);
        }
        if age >= window * 2 {
            self.before.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_once_for_a_whole_window() {
        let (nonces, window, start) = (Nonces::default(), Duration::from_secs(10), Instant::now());
        let take = |key, nonce, second| nonces.take(key, nonce, start + Duration::from_secs(second), window);
        assert_eq!(take("k", "a", 0), Use::First);
        assert_eq!(take("k", "a", 1), Use::Again);
        assert_eq!(take("other", "a", 1), Use::First);
        assert_eq!(take("k", "b", 9), Use::First);
        assert_eq!(take("k", "b", 18), Use::Again);
        assert_eq!(take("k", "b", 40), Use::First);
    }

    #[test]
    fn the_memory_of_a_key_is_bounded_and_then_refuses_that_key_alone() {
        let (nonces, window, start) = (Nonces::default(), Duration::from_secs(10), Instant::now());
        for number in 0..MOST {
            assert_eq!(nonces.take("k", &number.to_string(), start, window), Use::First);
        }
        assert_eq!(nonces.take("k", "more", start, window), Use::Unknown);
        assert_eq!(nonces.take("k", "7", start, window), Use::Again);
        assert_eq!(nonces.take("other", "more", start, window), Use::First);
        assert_eq!(nonces.take("k", "more", start + window, window), Use::First);
    }
}
