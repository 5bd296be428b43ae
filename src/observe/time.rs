//! Wall-clock time as text, for logs: UTC, Gregorian, own arithmetic, the part that changes once a second kept.

use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01T00:00:00Z, leap seconds not counted. Times before that are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnixMillis(pub u64);

impl From<SystemTime> for UnixMillis {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Self(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// How a time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeStyle {
    /// `2026-11-24T06:04:09.123Z` (RFC 3339 §5.6).
    Rfc3339,
    /// `24/Nov/2026:06:04:09 +0000`, as in the Common Log Format; whole seconds.
    CommonLog,
}

/// Writes times in one style. Keeps the text of the last second, which is nearly always that of the next line.
#[derive(Debug)]
pub struct TimeText {
    style: TimeStyle,
    second: Option<u64>,
    text: Vec<u8>,
}

impl TimeText {
    /// A writer of times in `style`.
    pub const fn new(style: TimeStyle) -> Self {
        Self { style, second: None, text: Vec::new() }
    }

    /// Appends the time to `out`.
    pub fn push(&mut self, time: UnixMillis, out: &mut Vec<u8>) {
        let second = time.0 / 1000;
        if self.second != Some(second) {
            self.rewrite(second);
        }
        out.extend_from_slice(&self.text);
        if self.style == TimeStyle::Rfc3339 {
            let [hundreds, tens, ones] = [time.0 / 100 % 10, time.0 / 10 % 10, time.0 % 10].map(digit);
            out.extend_from_slice(&[b'.', hundreds, tens, ones, b'Z']);
        }
    }

    fn rewrite(&mut self, second: u64) {
        let Civil { year, month, day } = Civil::of_day(second / 86_400);
        let (hours, minutes, seconds) = (second / 3600 % 24, second / 60 % 60, second % 60);
        self.second = Some(second);
        self.text.clear();
        // Writing to a `Vec` cannot fail.
        let _ = match self.style {
            TimeStyle::Rfc3339 => {
                write!(self.text, "{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}")
            }
            TimeStyle::CommonLog => {
                let name = month.checked_sub(1).and_then(|index| MONTHS.get(index as usize)).unwrap_or(&"???");
                write!(self.text, "{day:02}/{name}/{year:04}:{hours:02}:{minutes:02}:{seconds:02} +0000")
            }
        };
    }
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The ASCII digit of a number below ten.
fn digit(number: u64) -> u8 {
    b'0' + (number % 10) as u8
}

/// A date of the proleptic Gregorian calendar.
struct Civil {
    year: u64,
    /// 1 to 12.
    month: u64,
    /// 1 to 31.
    day: u64,
}

impl Civil {
    /// The date that many days after 1970-01-01 (H. Hinnant, "chrono-Compatible Low-Level Date Algorithms": years are
    /// taken to begin in March, so that the leap day is the last of the year, and are grouped in eras of 400).
    const fn of_day(days: u64) -> Self {
        const DAYS_FROM_YEAR_0_MARCH: u64 = 719_468;
        const DAYS_PER_ERA: u64 = 146_097;
        let days = days + DAYS_FROM_YEAR_0_MARCH;
        let (era, of_era) = (days / DAYS_PER_ERA, days % DAYS_PER_ERA);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let months_from_march = (5 * of_year + 2) / 153;
        let day = of_year - (153 * months_from_march + 2) / 5 + 1;
        let month = if months_from_march < 10 { months_from_march + 3 } else { months_from_march - 9 };
        Self { year: era * 400 + year_of_era + (month <= 2) as u64, month, day }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(style: TimeStyle, millis: u64) -> String {
        let mut out = Vec::new();
        TimeText::new(style).push(UnixMillis(millis), &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_rfc_3339_with_milliseconds() {
        assert_eq!(text(TimeStyle::Rfc3339, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(text(TimeStyle::Rfc3339, 951_782_399_999), "2000-02-28T23:59:59.999Z");
        assert_eq!(text(TimeStyle::Rfc3339, 951_782_400_001), "2000-02-29T00:00:00.001Z");
        assert_eq!(text(TimeStyle::Rfc3339, 1_795_500_249_042), "2026-11-24T06:04:09.042Z");
        assert_eq!(text(TimeStyle::Rfc3339, 4_107_542_400_000), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn writes_the_common_log_format() {
        assert_eq!(text(TimeStyle::CommonLog, 1_795_500_249_042), "24/Nov/2026:06:04:09 +0000");
        assert_eq!(text(TimeStyle::CommonLog, 0), "01/Jan/1970:00:00:00 +0000");
    }

    #[test]
    fn the_kept_second_gives_way_to_a_later_and_to_an_earlier_one() {
        let mut clock = TimeText::new(TimeStyle::Rfc3339);
        let mut out = Vec::new();
        for millis in [1_999, 2_000, 2_001, 1_000] {
            clock.push(UnixMillis(millis), &mut out);
            out.push(b' ');
        }
        let wanted =
            "1970-01-01T00:00:01.999Z 1970-01-01T00:00:02.000Z 1970-01-01T00:00:02.001Z 1970-01-01T00:00:01.000Z ";
        assert_eq!(String::from_utf8(out).unwrap(), wanted);
    }

    #[test]
    fn every_day_follows_the_day_before() {
        let mut before = Civil::of_day(0);
        for day in 1..200_000 {
            let date = Civil::of_day(day);
            let next = date.day == before.day + 1 && date.month == before.month && date.year == before.year;
            let new_month = date.day == 1 && date.month == before.month + 1 && date.year == before.year;
            let new_year = (date.day, date.month, date.year) == (1, 1, before.year + 1) && before.month == 12;
            assert!(next || new_month || new_year, "day {day}");
            assert!(before.day >= 28 || next, "day {day}");
            before = date;
        }
    }

    #[test]
    fn times_before_1970_are_the_epoch() {
        assert_eq!(UnixMillis::from(UNIX_EPOCH - Duration::from_secs(5)), UnixMillis(0));
        assert_eq!(UnixMillis::from(UNIX_EPOCH + Duration::from_millis(5)), UnixMillis(5));
    }

    #[test]
    fn the_largest_time_does_not_overflow() {
        assert!(text(TimeStyle::Rfc3339, u64::MAX).ends_with('Z'));
    }
}
