//! Moments of the calendar.

use super::Invalid;
use super::form::text_form;
use chrono::{DateTime, NaiveDate, NaiveTime};
use std::fmt;
use std::str::FromStr;

/// A moment in seconds since the epoch: `2027-01-31T00:00:00Z` (RFC 3339), or `2027-01-31`, the beginning of that day in
/// UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Date(u64);

impl Date {
    /// Seconds since the epoch.
    pub const fn unix_seconds(self) -> u64 {
        self.0
    }
}

impl FromStr for Date {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let seconds = match text.contains('T') {
            true => DateTime::parse_from_rfc3339(text).ok().map(|moment| moment.timestamp()),
            false => NaiveDate::parse_from_str(text, "%Y-%m-%d")
                .ok()
                .filter(|_| text.len() == 10)
                .map(|day| day.and_time(NaiveTime::MIN).and_utc().timestamp()),
        };
        seconds.and_then(|seconds| u64::try_from(seconds).ok()).map(Self).ok_or_else(|| {
            Invalid::new(format!("`{text}` is not a date")).hint("write `2027-01-31`, or `2027-01-31T18:00:00Z`")
        })
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let moment = i64::try_from(self.0).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        write!(f, "{}", moment.unwrap_or_default().format("%Y-%m-%dT%H:%M:%SZ"))
    }
}

text_form!(Date, "a date such as `2027-01-31`, or with its time `2027-01-31T18:00:00Z`", {
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(T.+)?$",
    "examples": ["2027-01-31", "2027-01-31T18:00:00Z"],
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_days_and_moments() {
        for (text, seconds, canonical) in [
            ("1970-01-01", 0, "1970-01-01T00:00:00Z"),
            ("2027-01-31", 1_801_353_600, "2027-01-31T00:00:00Z"),
            ("2027-01-31T00:00:00Z", 1_801_353_600, "2027-01-31T00:00:00Z"),
            ("2027-01-31T01:30:00+01:30", 1_801_353_600, "2027-01-31T00:00:00Z"),
        ] {
            let date: Date = text.parse().unwrap();
            assert_eq!((date.unix_seconds(), date.to_string().as_str()), (seconds, canonical), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_date() {
        for text in ["", "tomorrow", "31.1.2027", "2027-02-30", "2027-1-1", "2027-01-31T00:00:00", "1969-12-31", "2027"]
        {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
    }
}
