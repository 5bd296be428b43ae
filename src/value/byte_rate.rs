//! How many bytes may pass, written with their unit and their period.

use super::form::text_form;
use super::rate::{period, write_period};
use super::{ByteSize, Duration, Invalid};
use std::fmt;
use std::str::FromStr;

/// So many bytes in a period, at most so many at once: `64KiB/s`, `10MiB/min burst 1MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ByteRate {
    /// How many in a period; at least one.
    pub size: ByteSize,
    /// The period; at least a millisecond.
    pub period: Duration,
    /// How many at once; a whole period's worth where none is written.
    pub burst: Option<ByteSize>,
}

impl ByteRate {
    /// How many may pass at once.
    pub fn burst(&self) -> ByteSize {
        self.burst.unwrap_or(self.size)
    }
}

impl FromStr for ByteRate {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let hint = "write `64KiB/s` or `10MiB/min`, and `burst 1MiB` after it if more may come at once";
        let wrong = || Invalid::new(format!("`{text}` is not a rate of bytes")).hint(hint);
        let size = |text: &str| text.parse().ok().filter(|size: &ByteSize| size.get() > 0);
        let mut words = text.split_whitespace();
        let (amount, unit) = words.next().and_then(|word| word.split_once('/')).ok_or_else(wrong)?;
        let burst = match (words.next(), words.next(), words.next()) {
            (None, _, _) => None,
            (Some("burst"), Some(burst), None) => Some(size(burst).ok_or_else(wrong)?),
            _ => return Err(wrong()),
        };
        Ok(Self { size: size(amount).ok_or_else(wrong)?, period: period(unit).ok_or_else(wrong)?, burst })
    }
}

impl fmt::Display for ByteRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/", self.size)?;
        write_period(self.period, f)?;
        match self.burst {
            Some(burst) => write!(f, " burst {burst}"),
            None => Ok(()),
        }
    }
}

text_form!(ByteRate, "a rate of bytes such as `64KiB/s` or `10MiB/min burst 1MiB`", {
    "pattern": "^[0-9]+(B|KiB|MiB|GiB|KB|MB|GB)/[0-9a-z]+( burst [0-9]+(B|KiB|MiB|GiB|KB|MB|GB))?$",
    "examples": ["64KiB/s", "10MiB/min burst 1MiB"],
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rates_of_bytes_and_writes_them_one_way() {
        for (text, canonical, burst) in
            [("1024B/second", "1KiB/s", 1024), ("10MiB/min burst 1MiB", "10MiB/min burst 1MiB", 1 << 20)]
        {
            let rate: ByteRate = text.parse().unwrap();
            assert_eq!((rate.to_string().as_str(), rate.burst().get()), (canonical, burst), "{text}");
            assert_eq!(canonical.parse::<ByteRate>().unwrap(), rate);
        }
    }

    #[test]
    fn refuses_what_is_no_rate_of_bytes() {
        for text in
            ["", "64KiB", "64/s", "0B/s", "64KiB/0s", "64KiB/s burst", "64KiB/s burst 0B", "64KiB/s 1MiB", "1/s"]
        {
            assert!(text.parse::<ByteRate>().is_err(), "{text}");
        }
    }
}
