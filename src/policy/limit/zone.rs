//! The time zone whose months a quota counts.

use crate::value::Invalid;
use crate::value::form::text_form;
use chrono::{DateTime, Datelike, FixedOffset, NaiveDate};
use std::fmt;
use std::str::FromStr;

/// A fixed offset from UTC: `UTC`, `+01:00`, `-05:30`.
///
/// Daylight saving is not followed: a month would then begin at another offset than it ends, which is an hour in which a
/// bill and the counter may disagree; say the offset the bill is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Zone {
    /// Seconds east of Greenwich.
    offset: i32,
}

impl Zone {
    /// The month a moment (seconds since the epoch) lies in: its number since year 0, when it begins and ends.
    pub fn month(self, now: u64) -> (u64, u64, u64) {
        let offset = FixedOffset::east_opt(self.offset);
        let moment = i64::try_from(now).ok().and_then(|now| DateTime::from_timestamp(now, 0));
        let (Some(offset), Some(moment)) = (offset, moment) else { return (0, 0, u64::MAX) };
        let date = moment.with_timezone(&offset).date_naive();
        let number = u64::try_from(date.year()).unwrap_or(0) * 12 + u64::from(date.month0());
        (number, self.begin_of(number), self.begin_of(number + 1))
    }

    /// When a month begins, in seconds since the epoch.
    fn begin_of(self, number: u64) -> u64 {
        let (year, month0) = (i32::try_from(number / 12).unwrap_or(i32::MAX), number % 12);
        let month = u32::try_from(month0).unwrap_or(0) + 1;
        let first = NaiveDate::from_ymd_opt(year, month, 1).and_then(|date| date.and_hms_opt(0, 0, 0));
        let local = first.map_or(i64::MAX, |first| first.and_utc().timestamp());
        u64::try_from(local - i64::from(self.offset)).unwrap_or(0)
    }
}

impl FromStr for Zone {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = || Invalid::new(format!("`{text}` is not an offset")).hint("write `UTC`, `+01:00` or `-05:30`");
        if text == "UTC" {
            return Ok(Self::default());
        }
        let (sign, rest) = match text.split_at_checked(1) {
            Some(("+", rest)) => (1, rest),
            Some(("-", rest)) => (-1, rest),
            _ => return Err(wrong()),
        };
        let (hours, minutes) = rest.split_once(':').ok_or_else(wrong)?;
        let number =
            |text: &str, most: i32| text.parse::<i32>().ok().filter(|n| text.len() == 2 && (0..=most).contains(n));
        let (hours, minutes) = number(hours, 14).zip(number(minutes, 59)).ok_or_else(wrong)?;
        Ok(Self { offset: sign * (hours * 3_600 + minutes * 60) })
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.offset == 0 {
            return f.write_str("UTC");
        }
        let (sign, span) = if self.offset < 0 { ('-', -self.offset) } else { ('+', self.offset) };
        write!(f, "{sign}{:02}:{:02}", span / 3_600, span % 3_600 / 60)
    }
}

text_form!(Zone, "an offset from UTC such as `UTC` or `+01:00`", {
    "pattern": "^(UTC|[+-][0-9]{2}:[0-9]{2})$",
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_begin_at_midnight_of_the_zone() {
        // 2026-11-30T23:30:00Z is December already an hour further east.
        let moment = 1_796_081_400;
        let month = |zone: &str| zone.parse::<Zone>().unwrap().month(moment);
        assert_eq!(month("UTC"), (2026 * 12 + 10, 1_793_491_200, 1_796_083_200));
        assert_eq!(month("+01:00"), (2026 * 12 + 11, 1_796_079_600, 1_798_758_000));
        assert_eq!(month("-01:00").0, 2026 * 12 + 10);
    }

    #[test]
    fn december_ends_with_the_year() {
        let (number, begins, ends) = Zone::default().month(1_796_083_200);
        assert_eq!((number, ends - begins), (2026 * 12 + 11, 31 * 86_400));
    }

    #[test]
    fn reads_and_writes_offsets() {
        for text in ["UTC", "+01:00", "-05:30"] {
            assert_eq!(text.parse::<Zone>().unwrap().to_string(), text);
        }
        for text in ["", "utc", "Europe/Berlin", "+1:00", "+15:00", "01:00", "+01:60"] {
            assert!(text.parse::<Zone>().is_err(), "{text}");
        }
    }
}
