//! Quotas: so many in a window that slides, or in a month of the calendar.
//!
//! A window is counted in fixed stretches, each under a key of its own. In a sliding window what the stretch before has
//! counted weighs as much of it as still lies inside: off by at most what its requests were unevenly spread, and never
//! open at an edge, where fixed windows let twice as much pass.
//!
//! A count's state in the table holds the moment it may be forgotten in its upper bits, so that it only ever grows and
//! its slot is free again once nobody asks for it.

use super::table::{Change, KeyHash, Table};
use super::zone::Zone;
use crate::value::{Quota, Window};

/// Bits of a state that hold the count: a million million.
const COUNT_BITS: u32 = 40;
const MOST: u64 = (1 << COUNT_BITS) - 1;
/// States are forgotten on the full minute: the 24 upper bits of a state then last from [`EPOCH`] to 2055.
const STRETCH_OF_FORGETTING: u64 = 60;
/// 2024-01-01T00:00:00Z, in seconds since the epoch of Unix.
const EPOCH: u64 = 1_704_067_200;

/// A compiled quota.
#[derive(Clone, Debug)]
pub struct Counter {
    count: u64,
    window: Window,
    zone: Zone,
}

/// The stretch a moment lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stretch {
    /// Tells it from all others of its window.
    number: u64,
    /// In seconds since the epoch.
    begins: u64,
    ends: u64,
}

impl Stretch {
    fn length(self) -> u64 {
        self.ends - self.begins
    }

    /// What a count of the stretch before weighs at `now`: its part that lies inside the window, rounded up.
    fn weight(self, before: u64, now: u64) -> u64 {
        let inside = self.ends.saturating_sub(now).min(self.length());
        let product = u128::from(before) * u128::from(inside);
        u64::try_from(product.div_ceil(u128::from(self.length().max(1)))).unwrap_or(u64::MAX)
    }

    /// How much of a stretch may lie inside the window for its count to weigh at most `room`.
    fn inside_for(self, count: u64, room: u64) -> u64 {
        let product = u128::from(room) * u128::from(self.length());
        u64::try_from(product / u128::from(count.max(1))).unwrap_or(u64::MAX).min(self.length())
    }
}

/// What a quota says of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Used {
    /// It may pass.
    Passes {
        /// What is left.
        remaining: u64,
        /// Seconds until some of what is used comes back.
        resets_in: u64,
    },
    /// It is over the quota; nothing was counted.
    Refused {
        /// What is left: less than the request costs.
        remaining: u64,
        /// Seconds until it could pass.
        resets_in: u64,
    },
}

impl Counter {
    /// A counter of that quota, whose months are those of `zone`.
    pub fn new(quota: &Quota, zone: Zone) -> Self {
        Self { count: quota.count.min(MOST), window: quota.window, zone }
    }

    /// What it would say of a request of that cost, without counting anything.
    pub fn look(&self, table: &Table, key: u64, now: u64, cost: u32) -> Used {
        let (stretch, cost) = (self.stretch(now), u64::from(cost));
        let before = self.before(table, key, stretch);
        let counted = count_of(table.get(at(key, stretch.number)));
        self.judge(stretch, now, (counted, before, cost))
    }

    /// What may become of a request that finds so much counted in this stretch and in the one before.
    fn judge(&self, stretch: Stretch, now: u64, (counted, before, cost): (u64, u64, u64)) -> Used {
        let resets_in = stretch.ends.saturating_sub(now).max(1);
        let used = counted.saturating_add(stretch.weight(before, now));
        match self.count.checked_sub(used.saturating_add(cost)) {
            Some(remaining) => Used::Passes { remaining, resets_in },
            None => Used::Refused {
                remaining: self.count.saturating_sub(used),
                resets_in: self.passes_in(stretch, now, (counted, before, cost)).unwrap_or(resets_in),
            },
        }
    }

    /// Counts a request of that cost if it may pass. `None` when the table has no room.
    pub fn take(&self, table: &Table, key: u64, now: u64, cost: u32) -> Option<Used> {
        let (stretch, cost) = (self.stretch(now), u64::from(cost));
        let before = self.before(table, key, stretch);
        let forget = self.forget(stretch);
        table.update(at(key, stretch.number), unit(now), |state| {
            let counted = count_of(state);
            match self.judge(stretch, now, (counted, before, cost)) {
                passes @ Used::Passes { .. } => Change::Set(forget | (counted + cost).min(MOST), passes),
                refused @ Used::Refused { .. } => Change::Keep(refused),
            }
        })
    }

    /// Undoes [`Self::take`].
    pub fn give_back(&self, table: &Table, key: u64, now: u64, cost: u32) {
        let stretch = self.stretch(now);
        let _ = table.update(at(key, stretch.number), unit(now), |state| {
            let counted = count_of(state);
            Change::Set(state - counted.min(u64::from(cost)), ())
        });
    }

    /// Counts a cost that is known only afterwards; it may lead into debt.
    pub fn charge(&self, table: &Table, key: u64, now: u64, cost: u32) {
        let stretch = self.stretch(now);
        let forget = self.forget(stretch);
        let _ = table.update(at(key, stretch.number), unit(now), |state| {
            Change::Set(forget | count_of(state).saturating_add(u64::from(cost)).min(MOST), ())
        });
    }

    /// What the stretch before has counted, as far as it matters: nothing in a month of the calendar.
    fn before(&self, table: &Table, key: u64, stretch: Stretch) -> u64 {
        match self.window {
            Window::Month => 0,
            Window::Sliding(_) => count_of(table.get(at(key, stretch.number.wrapping_sub(1)))),
        }
    }

    /// Seconds until a refused request could pass, if nothing else comes: what weighs from the stretch before fades
    /// evenly, in this stretch and, as what it then has counted, in the next.
    fn passes_in(&self, stretch: Stretch, now: u64, (counted, before, cost): (u64, u64, u64)) -> Option<u64> {
        if self.window == Window::Month {
            return None;
        }
        let room = self.count.checked_sub(cost)?;
        let until_end = stretch.ends.saturating_sub(now);
        let wait = match room.checked_sub(counted) {
            Some(room) => until_end.saturating_sub(stretch.inside_for(before, room)),
            None => until_end + stretch.length() - stretch.inside_for(counted, room),
        };
        Some(wait.max(1))
    }

    fn stretch(&self, now: u64) -> Stretch {
        match self.window {
            Window::Sliding(period) => {
                let length = u64::try_from(period.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX).max(1);
                let number = now / length;
                Stretch { number, begins: number * length, ends: (number + 1) * length }
            }
            Window::Month => {
                let (number, begins, ends) = self.zone.month(now);
                Stretch { number, begins, ends }
            }
        }
    }

    /// The upper bits of a state counted in that stretch: it is asked for to the end of the next.
    fn forget(&self, stretch: Stretch) -> u64 {
        let longer = if self.window == Window::Month { 0 } else { stretch.length() };
        (stretch.ends + longer).saturating_sub(EPOCH).div_ceil(STRETCH_OF_FORGETTING) << COUNT_BITS
    }
}

/// What is worth keeping of a table of quotas.
pub fn saved(table: &Table, now: u64) -> Vec<(u64, u64)> {
    let mut entries = table.entries(unit(now));
    entries.retain(|(_, state)| count_of(*state) > 0);
    entries
}

/// Adds what was saved, as far as it is more than `base`, which is counted already.
pub fn add(table: &Table, (print, state): (u64, u64), base: Option<u64>, now: u64) {
    let more = count_of(state).saturating_sub(base.map_or(0, count_of));
    if more == 0 || state < unit(now).0 {
        return;
    }
    // More keys than there is room for: as for new ones, what cannot be counted is used up.
    let _ = table.update(of_print(print), unit(now), |before| {
        let forget = (state & !MOST).max(before & !MOST);
        Change::Set(forget | count_of(before).saturating_add(more).min(MOST), ())
    });
}

/// The key of a stretch: its fingerprint is all of it.
fn of_print(print: u64) -> KeyHash {
    KeyHash::new(print.rotate_left(32), print)
}

/// The key of a stretch.
fn at(key: u64, number: u64) -> KeyHash {
    // Finalisation of MurmurHash3 (fmix64): every bit of the number changes half of those of the key.
    let mut mixed = key ^ number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    for factor in [0xFF51_AFD7_ED55_8CCD, 0xC4CE_B9FE_1A85_EC53_u64] {
        mixed = (mixed ^ (mixed >> 33)).wrapping_mul(factor);
    }
    mixed ^= mixed >> 33;
    of_print(mixed)
}

/// The moment as the table compares it with states.
pub fn unit(now: u64) -> super::gcra::Ticks {
    super::gcra::Ticks((now.saturating_sub(EPOCH) / STRETCH_OF_FORGETTING) << COUNT_BITS)
}

fn count_of(state: u64) -> u64 {
    state & MOST
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;
    /// 2026-11-24T00:00:00Z
    const NOW: u64 = 1_795_478_400;

    fn counter(quota: &str) -> Counter {
        Counter::new(&quota.parse().unwrap(), Zone::default())
    }

    fn passes(counter: &Counter, table: &Table, now: u64) -> bool {
        matches!(counter.take(table, 7, now, 1).unwrap(), Used::Passes { .. })
    }

    fn left(counter: &Counter, table: &Table, now: u64) -> u64 {
        let (Used::Passes { remaining, .. } | Used::Refused { remaining, .. }) = counter.look(table, 7, now, 0);
        remaining
    }

    #[test]
    fn a_month_is_used_up_and_begins_anew() {
        let (counter, table) = (counter("3/month"), Table::new(100));
        let taken: Vec<bool> = (0..4).map(|hour| passes(&counter, &table, NOW + hour * 3_600)).collect();
        assert_eq!(taken, [true, true, true, false]);
        let refused = counter.take(&table, 7, NOW, 1).unwrap();
        assert_eq!(refused, Used::Refused { remaining: 0, resets_in: 7 * DAY });
        assert!(!passes(&counter, &table, NOW + 7 * DAY - 1));
        assert!(passes(&counter, &table, NOW + 7 * DAY));
        assert_eq!(left(&counter, &table, NOW + 7 * DAY), 2);
    }

    #[test]
    fn no_window_wherever_it_begins_lets_twice_as_much_pass() {
        let (counter, table) = (counter("60/h"), Table::new(100));
        // The worst case of fixed windows: all at the end of one, all at the beginning of the next.
        let edge = NOW.next_multiple_of(3_600) + 3_600;
        let before = (0..100).filter(|_| passes(&counter, &table, edge - 1)).count();
        let after = (0..100).filter(|_| passes(&counter, &table, edge)).count();
        assert_eq!((before, after), (60, 0));
        let later = (0..100).filter(|_| passes(&counter, &table, edge + 1_800)).count();
        assert_eq!(later, 30);
    }

    #[test]
    fn tells_when_a_refused_request_could_pass() {
        for (quota, used_at, asked_at) in
            [("60/h", 10, 20), ("60/h", 3_599, 3_600 + 10), ("7/min", 1, 30), ("5/day", 0, 9)]
        {
            let (counter, table) = (counter(quota), Table::new(100));
            let base = NOW.next_multiple_of(3_600);
            while passes(&counter, &table, base + used_at) {}
            let Some(Used::Refused { resets_in, .. }) = counter.take(&table, 7, base + asked_at, 1) else {
                panic!("{quota}: passes")
            };
            assert!(!passes(&counter, &table, base + asked_at + resets_in - 1), "{quota}: {resets_in} is too long");
            assert!(passes(&counter, &table, base + asked_at + resets_in), "{quota}: {resets_in} is too short");
        }
    }

    #[test]
    fn giving_back_leaves_what_was_there() {
        let (counter, table) = (counter("2/day"), Table::new(100));
        assert!(passes(&counter, &table, NOW) && passes(&counter, &table, NOW));
        counter.give_back(&table, 7, NOW, 1);
        assert_eq!(left(&counter, &table, NOW), 1);
    }

    #[test]
    fn counts_of_windows_long_past_leave_room() {
        let (counter, table) = (counter("5/min"), Table::new(64));
        for minute in 0..1_000 {
            for key in 0..30 {
                let used = counter.take(&table, key, NOW + minute * 180, 1);
                assert!(matches!(used, Some(Used::Passes { .. })), "{minute}: {used:?}");
            }
        }
    }
}
