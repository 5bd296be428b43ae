//! Spans of time, written with their unit.

use super::Invalid;
use super::form::text_form;
use std::fmt;
use std::ops::Deref;
use std::str::FromStr;

/// A span of time in whole milliseconds: `300ms`, `30s`, `5m`, `1h`, `2d`, or several from large to small (`1m30s`).
/// At most 3650 days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Duration(std::time::Duration);

/// The units, largest first, in milliseconds.
const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const LONGEST: u64 = 3650 * 86_400_000;

impl Duration {
    /// That many milliseconds.
    pub const fn from_millis(millis: u64) -> Duration {
        Duration(std::time::Duration::from_millis(millis))
    }

    /// That many seconds.
    pub const fn from_secs(secs: u64) -> Duration {
        Duration(std::time::Duration::from_secs(secs))
    }

    /// The span as the standard library has it.
    pub const fn get(self) -> std::time::Duration {
        self.0
    }
}

impl Deref for Duration {
    type Target = std::time::Duration;

    fn deref(&self) -> &std::time::Duration {
        &self.0
    }
}

impl From<Duration> for std::time::Duration {
    fn from(duration: Duration) -> Self {
        duration.0
    }
}

impl FromStr for Duration {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Duration, Invalid> {
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Invalid::new(format!("the duration `{text}` has no unit"))
                .hint(format!("write `{text}s` for seconds or `{text}ms` for milliseconds")));
        }
        let wrong = || {
            Invalid::new(format!("`{text}` is not a duration"))
                .hint("write a whole number with its unit (ms, s, m, h, d), such as `300ms`, `30s` or `1m30s`")
        };
        let (mut rest, mut millis, mut smaller_than) = (text, 0u64, u64::MAX);
        while !rest.is_empty() {
            let (number, tail) = split(rest, |b| b.is_ascii_digit());
            let (unit, tail) = split(tail, |b| b.is_ascii_alphabetic());
            let size = UNITS.iter().find(|(name, _)| *name == unit).map(|(_, size)| *size).ok_or_else(wrong)?;
            if size >= smaller_than {
                return Err(wrong());
            }
            let part = number.parse::<u64>().ok().and_then(|number| number.checked_mul(size)).ok_or_else(wrong)?;
            millis = millis.checked_add(part).ok_or_else(wrong)?;
            smaller_than = size;
            rest = tail;
        }
        match millis {
            _ if text.is_empty() => Err(wrong()),
            0..=LONGEST => Ok(Duration::from_millis(millis)),
            _ => Err(Invalid::new(format!("the duration `{text}` is too long")).hint("write at most `3650d`")),
        }
    }
}

/// The longest prefix whose bytes (ASCII) fulfil `inside`, and what follows it.
fn split(text: &str, inside: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|b| !inside(b)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut millis = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if millis == 0 {
            return f.write_str("0s");
        }
        for (unit, size) in UNITS {
            let count = millis / size;
            if count > 0 {
                write!(f, "{count}{unit}")?;
                millis %= size;
            }
        }
        Ok(())
    }
}

text_form!(Duration, "a duration such as `300ms`, `30s` or `1m30s`", {
    "pattern": r"^([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$",
    "minLength": 2,
    "examples": ["300ms", "30s", "5m", "1h"],
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_each_unit_and_combinations() {
        for (text, millis, canonical) in [
            ("300ms", 300, "300ms"),
            ("30s", 30_000, "30s"),
            ("90s", 90_000, "1m30s"),
            ("1m30s", 90_000, "1m30s"),
            ("1h", 3_600_000, "1h"),
            ("2d", 172_800_000, "2d"),
            ("0s", 0, "0s"),
            ("1s500ms", 1_500, "1s500ms"),
        ] {
            let duration: Duration = text.parse().unwrap();
            assert_eq!(duration, Duration::from_millis(millis), "{text}");
            assert_eq!(duration.to_string(), canonical);
            assert_eq!(canonical.parse(), Ok(duration));
        }
    }

    #[test]
    fn says_what_to_write_for_a_bare_number() {
        let invalid = "30".parse::<Duration>().unwrap_err();
        assert_eq!(invalid.message, "the duration `30` has no unit");
        assert_eq!(invalid.hint.unwrap(), "write `30s` for seconds or `30ms` for milliseconds");
    }

    #[test]
    fn refuses_what_is_no_duration() {
        for text in
            ["", "s", "-1s", "1.5s", "1s1m", "1s1s", "1 s", "30sec", "1d ", "９s", "99999999999999999999d", "9999d"]
        {
            assert!(text.parse::<Duration>().is_err(), "{text}");
        }
    }
}
