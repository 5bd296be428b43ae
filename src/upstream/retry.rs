//! The retry budget: retries may be a share of the requests an upstream got lately, plus a few. When an upstream fails
//! as a whole, retries then add that share to its load instead of multiplying it.
//!
//! Two windows of five seconds alternate and are counted together, so a decision looks back between five and ten
//! seconds. Each window is one atomic word holding its number and both counts: turning to the next is a single
//! exchange, without a lock and without a moment in which counts and number disagree.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::time::Millis;

/// Length of one window.
const WINDOW_MS: u64 = 5_000;

/// Retries allowed in the two windows whatever the number of requests, so that an upstream with little traffic can
/// retry.
const FLOOR: f64 = 10.0;

/// Bits of the retry count, the lowest of a word.
const RETRY_BITS: u32 = 20;
/// Bits of the request count, above it: 53 million requests a second fill it in one window.
const REQUEST_BITS: u32 = 28;
const RETRY_MASK: u64 = (1 << RETRY_BITS) - 1;
const REQUEST_MASK: u64 = (1 << REQUEST_BITS) - 1;
const ONE_REQUEST: u64 = 1 << RETRY_BITS;
/// A count this close to full stays as it is, so that cores that add at once cannot carry into the window's number.
const SPARE: u64 = 1 << 16;
/// The window's number, modulo 2^16, has the rest: four days of silence could be mistaken for none.
const NUMBER_SHIFT: u32 = RETRY_BITS + REQUEST_BITS;

/// Whether one more attempt may be made.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryDecision {
    /// Yes, and it is counted.
    Granted,
    /// No: the budget is used up.
    Exhausted,
}

/// Requests and retries of one upstream in the last seconds. Carried over a reload.
#[derive(Default)]
pub struct RetryBudget {
    windows: [AtomicU64; 2],
}

#[derive(Clone, Copy, Default)]
struct Counts {
    requests: u64,
    retries: u64,
}

impl RetryBudget {
    /// Counts one request, not its retries.
    pub fn count_request(&self, now: Millis) {
        let (word, number) = self.window(now.0 / WINDOW_MS);
        let seen = word.load(Relaxed);
        if seen >> NUMBER_SHIFT == number {
            if unpack(seen).requests < REQUEST_MASK - SPARE {
                // At worst this lands in a window that begins at this very moment.
                word.fetch_add(ONE_REQUEST, Relaxed);
            }
        } else {
            let fresh = (number << NUMBER_SHIFT) | ONE_REQUEST;
            // When another core opened the window first, one request goes uncounted.
            let _ = word.compare_exchange(seen, fresh, Relaxed, Relaxed);
        }
    }

    /// Asks for one retry. `share` is the budget, 0 to 1, of the route that asks.
    pub fn try_retry(&self, share: f64, now: Millis) -> RetryDecision {
        let turn = now.0 / WINDOW_MS;
        let (word, number) = self.window(turn);
        let before = turn.checked_sub(1).map(|turn| self.counts(turn)).unwrap_or_default();
        let granted = word.fetch_update(Relaxed, Relaxed, |seen| {
            let current = if seen >> NUMBER_SHIFT == number { seen } else { number << NUMBER_SHIFT };
            let counts = unpack(current);
            let requests = before.requests + counts.requests;
            let retries = before.retries + counts.retries;
            let room = counts.retries < RETRY_MASK && ((retries + 1) as f64) <= share * requests as f64 + FLOOR;
            room.then_some(current + 1)
        });
        if granted.is_ok() { RetryDecision::Granted } else { RetryDecision::Exhausted }
    }

    /// Counts of a window; none when its word holds another one.
    fn counts(&self, turn: u64) -> Counts {
        let (word, number) = self.window(turn);
        let seen = word.load(Relaxed);
        if seen >> NUMBER_SHIFT == number { unpack(seen) } else { Counts::default() }
    }

    /// The word and the number of a window.
    fn window(&self, turn: u64) -> (&AtomicU64, u64) {
        let [even, odd] = &self.windows;
        let word = if turn.is_multiple_of(2) { even } else { odd };
        // From 1: a word of zeros must belong to no window.
        (word, turn % 0xFFFF + 1)
    }
}

fn unpack(word: u64) -> Counts {
    Counts { requests: (word >> RETRY_BITS) & REQUEST_MASK, retries: word & RETRY_MASK }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retries(budget: &RetryBudget, share: f64, now: Millis) -> usize {
        (0..1_000).take_while(|_| budget.try_retry(share, now) == RetryDecision::Granted).count()
    }

    fn requests(budget: &RetryBudget, count: usize, now: Millis) {
        (0..count).for_each(|_| budget.count_request(now));
    }

    #[test]
    fn a_few_retries_are_granted_without_traffic() {
        assert_eq!(retries(&RetryBudget::default(), 0.2, Millis(0)), 10);
    }

    #[test]
    fn more_are_granted_as_a_share_of_requests() {
        let budget = RetryBudget::default();
        requests(&budget, 100, Millis(12_345));
        assert_eq!(retries(&budget, 0.2, Millis(12_345)), 30);
    }

    #[test]
    fn requests_earn_new_retries() {
        let (budget, now) = (RetryBudget::default(), Millis(60_000));
        assert_eq!(retries(&budget, 0.5, now), 10);
        requests(&budget, 4, now);
        assert_eq!(retries(&budget, 0.5, now), 2);
    }

    #[test]
    fn the_window_before_counts_and_the_one_before_that_does_not() {
        let budget = RetryBudget::default();
        assert_eq!(retries(&budget, 0.0, Millis(1_000)), 10);
        assert_eq!(retries(&budget, 0.0, Millis(9_999)), 0);
        assert_eq!(retries(&budget, 0.0, Millis(10_000)), 10);
    }

    #[test]
    fn old_requests_do_not_pay_for_new_retries() {
        let budget = RetryBudget::default();
        requests(&budget, 1_000, Millis(0));
        assert_eq!(retries(&budget, 0.5, Millis(30_000)), 10);
    }

    #[test]
    fn a_share_of_one_is_one_retry_a_request() {
        let budget = RetryBudget::default();
        requests(&budget, 50, Millis(0));
        assert_eq!(retries(&budget, 1.0, Millis(0)), 60);
    }

    #[test]
    fn threads_together_get_no_more_than_the_budget() {
        let (budget, now) = (RetryBudget::default(), Millis(77_000));
        requests(&budget, 200, now);
        let granted: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| retries(&budget, 0.2, now))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(granted, 50);
    }

    #[test]
    fn the_ends_of_time_are_windows_like_others() {
        let budget = RetryBudget::default();
        for now in [Millis(u64::MAX), Millis(0), Millis(WINDOW_MS * 0xFFFF), Millis(WINDOW_MS * 0x1_0000)] {
            budget.count_request(now);
            assert_eq!(budget.try_retry(0.1, now), RetryDecision::Granted);
        }
    }
}
