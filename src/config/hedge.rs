//! `hedge:`, a second attempt beside a first one that takes long.

use crate::value::form::{short_form, text_form, with_short_form};
use crate::value::{Duration, Invalid, Spanned};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A second attempt beside a first one that takes long.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(remote = "HedgeConfig", deny_unknown_fields)]
#[schemars(transform = with_short_form("When, alone."))]
pub struct HedgeConfig {
    /// When it is made: a time, or what so many of a hundred first attempts took lately at most (`p95`, from p50 to p99).
    pub after: Spanned<HedgeAfter>,
}

impl FromStr for HedgeConfig {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let text = text.strip_prefix("after ").unwrap_or(text);
        Ok(Self { after: Spanned::nowhere(text.trim().parse()?) })
    }
}
short_form!(HedgeConfig, "`p95`, a duration, or a map with `after`", |hedge, place| hedge.after.place = place);

/// When a second attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HedgeAfter {
    /// After that time.
    Time(Duration),
    /// Once the first takes longer than so many of a hundred.
    Percentile(u8),
}

impl FromStr for HedgeAfter {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let wrong = || {
            Invalid::new(format!("`{text}` is no time to wait before a second attempt"))
                .hint("write a duration such as `50ms`, or a percentile from `p50` to `p99`")
        };
        if let Some(percent) = text.strip_prefix('p') {
            let percent = percent.parse().ok().filter(|percent| (50..=99).contains(percent));
            return percent.map(Self::Percentile).ok_or_else(wrong);
        }
        match text.parse::<Duration>() {
            Ok(time) if !time.is_zero() => Ok(Self::Time(time)),
            Ok(_) | Err(_) => Err(wrong()),
        }
    }
}

impl fmt::Display for HedgeAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => time.fmt(f),
            Self::Percentile(percent) => write!(f, "p{percent}"),
        }
    }
}
text_form!(HedgeAfter, "a duration such as `50ms`, or a percentile from p50 to p99", { "examples": ["p95", "50ms"] });
