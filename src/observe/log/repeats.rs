//! A bound on how often one statement may be heard, so that a storm of one message does not bury all others.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

/// Records of one statement let through in one [`WINDOW`].
const MOST: u64 = 100;
/// How long a window lasts.
const WINDOW: Duration = Duration::from_secs(10);
/// Statements watched at once. There are not that many, unless targets are made up while running.
const WATCHED: usize = 1_024;

/// Where a record comes from: its target and the line of the statement.
type Origin = (String, u32);

/// Counts records by origin.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    windows: HashMap<Origin, Window>,
    /// When windows were last looked through for those that are over.
    looked: Option<SystemTime>,
}

#[derive(Debug)]
struct Window {
    start: SystemTime,
    seen: u64,
}

/// Whether a record is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is written.
    Heard,
    /// It is only counted.
    Counted,
}

/// What was left out in a window that is over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) target: String,
    pub(super) line: u32,
    /// Records that were only counted.
    pub(super) left_out: u64,
}

impl Repeats {
    /// Counts a record.
    pub(super) fn count(&mut self, target: &str, line: u32, now: SystemTime) -> Verdict {
        if self.windows.len() >= WATCHED {
            // Loses counts, not records.
            self.windows.clear();
        }
        let fresh = Window { start: now, seen: 0 };
        let window = self.windows.entry((target.to_owned(), line)).or_insert(fresh);
        window.seen += 1;
        if window.seen <= MOST { Verdict::Heard } else { Verdict::Counted }
    }

    /// Ends the windows that are over and says what was left out in them. Looks at most once a second.
    pub(super) fn ended(&mut self, now: SystemTime) -> Vec<Summary> {
        const BETWEEN_LOOKS: Duration = Duration::from_secs(1);
        if self.looked.is_some_and(|looked| is_within(now, looked, BETWEEN_LOOKS)) {
            return Vec::new();
        }
        self.looked = Some(now);
        let over = self.windows.extract_if(|_, window| !is_within(now, window.start, WINDOW));
        let left_out = over.filter_map(|((target, line), window)| {
            let left_out = window.seen.checked_sub(MOST).filter(|&count| count > 0)?;
            Some(Summary { target, line, left_out })
        });
        left_out.collect()
    }
}

/// Whether `now` is less than `length` after `start`. A clock set back ends every window.
fn is_within(now: SystemTime, start: SystemTime, length: Duration) -> bool {
    now.duration_since(start).is_ok_and(|since| since < length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000) + Duration::from_millis(millis)
    }

    #[test]
    fn a_storm_is_heard_a_hundred_times_and_summed_up() {
        let mut repeats = Repeats::default();
        let heard = (0..250).filter(|_| repeats.count("a", 7, at(0)) == Verdict::Heard).count();
        assert_eq!(heard, 100);
        assert_eq!(repeats.count("a", 8, at(0)), Verdict::Heard);
        assert_eq!(repeats.count("b", 7, at(0)), Verdict::Heard);
        assert_eq!(repeats.ended(at(9_999)), []);
        let summary = Summary { target: "a".to_owned(), line: 7, left_out: 150 };
        assert_eq!(repeats.ended(at(11_000)), [summary]);
        assert_eq!(repeats.count("a", 7, at(11_000)), Verdict::Heard);
    }

    #[test]
    fn a_clock_set_back_silences_nothing_for_long() {
        let mut repeats = Repeats::default();
        (0..101).for_each(|_| _ = repeats.count("a", 7, at(60_000)));
        assert_eq!(repeats.ended(at(0)).len(), 1);
        assert_eq!(repeats.count("a", 7, at(0)), Verdict::Heard);
    }

    #[test]
    fn made_up_targets_do_not_fill_the_memory() {
        let mut repeats = Repeats::default();
        (0..5_000).for_each(|number| _ = repeats.count(&number.to_string(), 1, at(0)));
        assert!(repeats.windows.len() <= WATCHED);
    }
}
