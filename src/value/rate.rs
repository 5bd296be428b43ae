//! How much may pass: rates and quotas, written with their period.

use super::form::text_form;
use super::{Duration, Invalid};
use std::fmt;
use std::str::FromStr;

/// The units a period may be written as, with their spans in milliseconds; the first name of each is the canonical one.
const UNITS: [(&str, u64); 11] = [
    ("s", 1_000),
    ("sec", 1_000),
    ("second", 1_000),
    ("min", 60_000),
    ("minute", 60_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("hour", 3_600_000),
    ("day", 86_400_000),
    ("d", 86_400_000),
    ("week", 7 * 86_400_000),
];

/// So many in a period, at most so many at once: `100/s`, `1000/min burst 200`, `5/10s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many in a period; at least 1.
    pub count: u32,
    /// The period; at least a millisecond.
    pub period: Duration,
    /// How many at once; a whole period's worth where none is written.
    pub burst: Option<u32>,
}

impl Rate {
    /// How many may pass at once.
    pub fn burst(&self) -> u32 {
        self.burst.unwrap_or(self.count)
    }
}

impl FromStr for Rate {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let hint = "write `100/s`, `1000/min` or `5/10s`, and `burst 200` after it if more may come at once";
        let wrong = || Invalid::new(format!("`{text}` is not a rate")).hint(hint);
        let mut words = text.split_whitespace();
        let (count, unit) = words.next().and_then(|word| word.split_once('/')).ok_or_else(wrong)?;
        let burst = match (words.next(), words.next(), words.next()) {
            (None, _, _) => None,
            (Some("burst"), Some(burst), None) => Some(whole(burst).ok_or_else(wrong)?),
            _ => return Err(wrong()),
        };
        let count = whole(count).ok_or_else(wrong)?;
        let period = period(unit).ok_or_else(wrong)?;
        Ok(Self { count, period, burst })
    }
}

/// A whole number from 1.
fn whole(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number| *number > 0)
}

pub(super) fn period(text: &str) -> Option<Duration> {
    if let Some((_, millis)) = UNITS.iter().find(|(name, _)| *name == text) {
        return Some(Duration::from_millis(*millis));
    }
    text.parse::<Duration>().ok().filter(|period| !period.is_zero())
}

/// A period by its unit where it is one, else as a duration.
pub(super) fn write_period(period: Duration, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match UNITS.iter().find(|(_, millis)| Duration::from_millis(*millis) == period) {
        Some((name, _)) => f.write_str(name),
        None => fmt::Display::fmt(&period, f),
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.count)?;
        write_period(self.period, f)?;
        match self.burst {
            Some(burst) => write!(f, " burst {burst}"),
            None => Ok(()),
        }
    }
}

text_form!(Rate, "a rate such as `100/s` or `1000/min burst 200`", {
    "pattern": "^[0-9]+/[0-9a-z]+( burst [0-9]+)?$",
    "examples": ["100/s", "1000/min burst 200"],
});

/// The window a quota is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Window {
    /// A span that slides along: the count of the last so much time.
    Sliding(Duration),
    /// A month of the calendar, in the quota's time zone.
    Month,
}

/// So many in a window: `1000000/month`, `5000/day`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Quota {
    /// How many; at least 1.
    pub count: u64,
    /// In what window.
    pub window: Window,
}

impl FromStr for Quota {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong =
            || Invalid::new(format!("`{text}` is not a quota")).hint("write `1000000/month`, `5000/day` or `100/h`");
        let (count, unit) = text.split_once('/').ok_or_else(wrong)?;
        let count = count.parse().ok().filter(|count| *count > 0).ok_or_else(wrong)?;
        let window = match unit {
            "month" => Window::Month,
            _ => Window::Sliding(period(unit).ok_or_else(wrong)?),
        };
        Ok(Self { count, window })
    }
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.count)?;
        match self.window {
            Window::Month => f.write_str("month"),
            Window::Sliding(period) => write_period(period, f),
        }
    }
}

text_form!(Quota, "a quota such as `1000000/month` or `5000/day`", {
    "pattern": "^[0-9]+/[0-9a-z]+$",
    "examples": ["1000000/month", "5000/day"],
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rates_in_each_spelling_and_writes_one() {
        for (text, canonical, burst) in [
            ("100/s", "100/s", 100),
            ("1000/minute burst 200", "1000/min burst 200", 200),
            ("5/10s", "5/10s", 5),
            ("1/60s", "1/min", 1),
            ("7/d", "7/day", 7),
        ] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!((rate.to_string().as_str(), rate.burst()), (canonical, burst), "{text}");
            assert_eq!(canonical.parse::<Rate>().unwrap(), rate);
        }
    }

    #[test]
    fn refuses_what_lets_nothing_or_anything_through() {
        for text in ["", "100", "0/s", "-1/s", "1.5/s", "100/0s", "100/x", "100/s burst 0", "100/s burst", "100/s 200"]
        {
            assert!(text.parse::<Rate>().is_err(), "{text}");
        }
        for text in ["", "0/month", "10/", "10/moon", "x/day"] {
            assert!(text.parse::<Quota>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_month_is_of_the_calendar() {
        let quota: Quota = "1000000/month".parse().unwrap();
        assert_eq!((quota.count, quota.window), (1_000_000, Window::Month));
        assert_eq!(quota.to_string(), "1000000/month");
    }
}
