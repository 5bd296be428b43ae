//! How many requests there were of each method and status.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, Ordering};

use super::cells::{Count, Counts};
use super::labels::{self, Method, STATUS_COUNT};

/// Pairs of method and status that are counted in place: most routes see no more of them.
const FEW: usize = 4;

/// One worker's counts for one route: the first few pairs in place, so that counting touches one cache line, the others
/// in rows made for them.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Requests {
    /// Which pair each of `counts` is for; zero while it is for none. Taken in order and never given back.
    pairs: [AtomicU16; FEW],
    counts: [Count; FEW],
    rows: OnceLock<Box<Rows>>,
}

type Rows = [OnceLock<Box<Counts<STATUS_COUNT>>>; Method::COUNT];

/// A method and the place of a status.
#[derive(Clone, Copy)]
struct Pair {
    method: Method,
    place: usize,
}

impl Pair {
    fn code(self) -> u16 {
        (1 + self.method as usize * STATUS_COUNT + self.place) as u16
    }

    /// Method and place as indices.
    fn indices(code: u16) -> Option<(usize, usize)> {
        let number = usize::from(code).checked_sub(1)?;
        Some((number / STATUS_COUNT, number % STATUS_COUNT))
    }
}

impl Requests {
    /// Counts one request.
    pub(super) fn add_one(&self, method: Method, status: u16) {
        let pair = Pair { method, place: labels::status_place(status) };
        if let Some(count) = self.in_place(pair.code()) {
            count.add(1);
        } else if let Some(row) = self.rows.get_or_init(Box::default).get(method as usize) {
            row.get_or_init(Box::default).add_one(pair.place);
        }
    }

    /// The count of a pair, if it has one of the few or can have one.
    fn in_place(&self, code: u16) -> Option<&Count> {
        let mut counts = self.pairs.iter().zip(&self.counts);
        let found = counts.find(|(pair, _)| match pair.load(Ordering::Relaxed) {
            0 => match pair.compare_exchange(0, code, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => true,
                Err(taken) => taken == code,
            },
            taken => taken == code,
        });
        found.map(|(_, count)| count)
    }

    /// Adds the counts of one method to `totals`.
    pub(super) fn add_to(&self, method: Method, totals: &mut [u64; STATUS_COUNT]) {
        for (pair, count) in self.pairs.iter().zip(&self.counts) {
            if let Some((of, place)) = Pair::indices(pair.load(Ordering::Relaxed))
                && of == method as usize
                && let Some(total) = totals.get_mut(place)
            {
                *total += count.get();
            }
        }
        let row = self.rows.get().and_then(|rows| rows.get(method as usize)?.get());
        if let Some(row) = row {
            row.add_to(totals);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(requests: &Requests, method: Method, status: u16) -> u64 {
        let mut totals = [0; STATUS_COUNT];
        requests.add_to(method, &mut totals);
        totals[labels::status_place(status)]
    }

    #[test]
    fn every_pair_is_counted_by_itself_wherever_it_is_kept() {
        let requests = Requests::default();
        let statuses = [200, 304, 404, 503, 799];
        for _ in 0..3 {
            for method in Method::ALL {
                statuses.iter().for_each(|status| requests.add_one(*method, *status));
            }
        }
        for method in Method::ALL {
            for status in statuses {
                assert_eq!(count(&requests, *method, status), 3, "{method:?} {status}");
            }
            assert_eq!(count(&requests, *method, 201), 0);
        }
    }

    #[test]
    fn threads_that_meet_lose_no_count() {
        let requests = Requests::default();
        std::thread::scope(|scope| {
            for thread in 0..4_u16 {
                let requests = &requests;
                scope.spawn(move || {
                    for turn in 0..1_000 {
                        requests.add_one(Method::Get, 200 + (turn + thread) % 7);
                    }
                });
            }
        });
        let mut totals = [0; STATUS_COUNT];
        requests.add_to(Method::Get, &mut totals);
        assert_eq!(totals.iter().sum::<u64>(), 4_000);
    }

    #[test]
    fn a_pair_that_is_kept_in_place_makes_no_rows() {
        let requests = Requests::default();
        (0..FEW as u16).for_each(|status| requests.add_one(Method::Get, 200 + status));
        assert!(requests.rows.get().is_none());
        requests.add_one(Method::Post, 200);
        assert!(requests.rows.get().is_some());
    }
}
