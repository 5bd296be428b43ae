//! Which records are wanted: one level for all, and levels for single targets.

use std::fmt;
use std::str::FromStr;

use log::LevelFilter;

/// Levels by target, written `info`, or `info,pingora_core=error,tollgate::proxy=debug`.
///
/// A level for a target holds for what is below it too (`pingora_core` for `pingora_core::apps`), and the longest one
/// decides. Targets in [`QUIET`] that are not named keep their own level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels {
    everywhere: LevelFilter,
    /// Longest target first.
    targets: Vec<(String, LevelFilter)>,
}

/// Targets that say more than an operator wants at the general level: Pingora tells of every failed try and of every
/// client that goes away, which the access log tells too; and of each second in which a successor waits for the sockets, as
/// an error, while `server::handover` tells how the waiting ended. The narrower target first.
const QUIET: [(&str, LevelFilter); 3] = [
    ("pingora_core::server::transfer_fd", LevelFilter::Off),
    ("pingora_core", LevelFilter::Warn),
    ("pingora_proxy", LevelFilter::Error),
];

/// What is wrong with written levels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLevel {
    written: String,
}

impl fmt::Display for BadLevel {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "`{}` is not a log level; write off, error, warn, info, debug or trace, or target=level",
            self.written
        )
    }
}

impl std::error::Error for BadLevel {}

impl Levels {
    /// One level, with the quiet targets kept quiet.
    pub fn new(everywhere: LevelFilter) -> Self {
        Self::with_targets(everywhere, Vec::new())
    }

    fn with_targets(everywhere: LevelFilter, mut targets: Vec<(String, LevelFilter)>) -> Self {
        for (target, level) in QUIET {
            if targets.iter().all(|(named, _)| !target.starts_with(named.as_str())) {
                targets.push((target.to_owned(), level.min(everywhere)));
            }
        }
        targets.sort_by_key(|(target, _)| std::cmp::Reverse(target.len()));
        Self { everywhere, targets }
    }

    /// The level of a target.
    pub(super) fn of(&self, target: &str) -> LevelFilter {
        let holds = |(named, _): &&(String, LevelFilter)| {
            target.strip_prefix(named.as_str()).is_some_and(|below| below.is_empty() || below.starts_with("::"))
        };
        self.targets.iter().find(holds).map_or(self.everywhere, |&(_, level)| level)
    }

    /// The highest level of any target.
    pub(super) fn highest(&self) -> LevelFilter {
        self.targets.iter().map(|&(_, level)| level).fold(self.everywhere, Ord::max)
    }
}

impl FromStr for Levels {
    type Err = BadLevel;

    fn from_str(text: &str) -> Result<Self, BadLevel> {
        let mut everywhere = LevelFilter::Info;
        // A later one replaces an earlier one for the same target.
        let mut targets: Vec<(String, LevelFilter)> = Vec::new();
        for written in text.split(',').map(str::trim).filter(|written| !written.is_empty()) {
            let bad = || BadLevel { written: written.to_owned() };
            let level = |text: &str| LevelFilter::from_str(text.trim()).map_err(|_| bad());
            match written.split_once('=').map(|(target, written)| (target.trim(), written)) {
                None => everywhere = level(written)?,
                Some(("", _)) => return Err(bad()),
                Some((target, written)) => {
                    targets.retain(|(named, _)| named != target);
                    targets.push((target.to_owned(), level(written)?));
                }
            }
        }
        Ok(Self::with_targets(everywhere, targets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(text: &str) -> Levels {
        text.parse().unwrap()
    }

    #[test]
    fn the_longest_target_decides() {
        let levels = levels("warn, a=info ,a::b=trace,a::b::c=off");
        for (target, level) in [
            ("a", LevelFilter::Info),
            ("a::x", LevelFilter::Info),
            ("a::b::x", LevelFilter::Trace),
            ("a::b::c::d", LevelFilter::Off),
            ("ab", LevelFilter::Warn),
            ("", LevelFilter::Warn),
        ] {
            assert_eq!(levels.of(target), level, "{target}");
        }
        assert_eq!(levels.highest(), LevelFilter::Trace);
    }

    #[test]
    fn noisy_targets_are_quiet_until_named() {
        assert_eq!(levels("debug").of("pingora_core::server"), LevelFilter::Warn);
        assert_eq!(levels("debug").of("tollgate"), LevelFilter::Debug);
        assert_eq!(levels("debug,pingora_core=info").of("pingora_core::server"), LevelFilter::Info);
        assert_eq!(levels("off").of("pingora_core::server"), LevelFilter::Off);
        assert_eq!(levels("debug").of("pingora_core::server::transfer_fd"), LevelFilter::Off);
        assert_eq!(levels("pingora_core=info").of("pingora_core::server::transfer_fd"), LevelFilter::Info);
        assert_eq!(levels("").of("tollgate"), LevelFilter::Info);
    }

    #[test]
    fn a_later_level_replaces_an_earlier_one() {
        assert_eq!(levels("a=info,a=debug").of("a"), LevelFilter::Debug);
    }

    #[test]
    fn what_is_not_a_level_is_refused_by_name() {
        for text in ["loud", "a=loud", "=info", "info,a=", "a==info"] {
            let error = text.parse::<Levels>().unwrap_err();
            assert!(error.to_string().contains("is not a log level"), "{error}");
        }
    }
}
