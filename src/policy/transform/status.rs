//! Which statuses a rule is for: `404`, `5xx`, `400-403`.

use crate::policy::Setup;
use crate::value::Spanned;
use std::fmt;
use std::ops::RangeInclusive;

/// Ranges of statuses; none for any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statuses(Box<[RangeInclusive<u16>]>);

impl Statuses {
    /// Compiles what is written; problems are recorded at their places.
    pub fn compile(written: &[Spanned<String>], setup: &mut Setup<'_>) -> Self {
        let mut ranges = Vec::new();
        for status in written {
            match range(&status.value) {
                Some(range) => ranges.push(range),
                None => {
                    setup
                        .problems
                        .error(status.place, format!("`{}` is no status", status.value))
                        .hint("write `404`, `5xx` or `400-403`");
                }
            }
        }
        Self(ranges.into())
    }

    /// Whether a rule is for that status.
    pub fn contain(&self, status: u16) -> bool {
        self.0.is_empty() || self.0.iter().any(|range| range.contains(&status))
    }

    /// Whether all of them are errors (RFC 9110 §15.5, §15.6).
    pub fn are_errors(&self) -> bool {
        self.0.iter().all(|range| *range.start() >= 400)
    }

    /// Whether all are meant.
    pub fn is_any(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, range) in self.0.iter().enumerate() {
            let comma = if number > 0 { ", " } else { "" };
            if range.start() == range.end() {
                write!(f, "{comma}{}", range.start())?;
            } else {
                write!(f, "{comma}{}-{}", range.start(), range.end())?;
            }
        }
        Ok(())
    }
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let status = |text: &str| text.parse().ok().filter(|status| (100..=599).contains(status) && text.len() == 3);
    if let Some(class) = text.strip_suffix("xx") {
        let first = class.parse::<u16>().ok().filter(|class| (1..=5).contains(class))? * 100;
        return Some(first..=first + 99);
    }
    match text.split_once('-') {
        Some((first, last)) => {
            let (first, last) = (status(first)?, status(last)?);
            (first <= last).then_some(first..=last)
        }
        None => status(text).map(|status| status..=status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_classes_and_ranges() {
        assert_eq!(range("404"), Some(404..=404));
        assert_eq!(range("5xx"), Some(500..=599));
        assert_eq!(range("400-403"), Some(400..=403));
        for bad in ["", "6xx", "xx", "4x", "40", "4040", "403-400", "099", "a"] {
            assert_eq!(range(bad), None, "{bad}");
        }
    }
}
