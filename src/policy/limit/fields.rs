//! The header fields that tell clients what is left.
//!
//! `RateLimit-Policy` and `RateLimit` as in draft-ietf-httpapi-ratelimit-headers: lists of structured fields (RFC 9651),
//! so that several limits each add a line.

use super::config::LimitHeaders;
use super::gcra::Ticks;
use crate::value::{Quota, Rate, Window};
use http::{HeaderName, HeaderValue};
use std::io::Write as _;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LEFT: HeaderName = HeaderName::from_static("ratelimit");
const X_LIMIT: HeaderName = HeaderName::from_static("x-ratelimit-limit");
const X_REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const X_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// Whether a field tells of a limit.
pub fn is_told(name: &HeaderName) -> bool {
    [POLICY, LEFT, X_LIMIT, X_REMAINING, X_RESET].contains(name)
}

/// What is told of one limit; the constant parts are made once.
pub struct Announced {
    /// `"name";q=100;w=1`
    policy: Option<HeaderValue>,
    /// `"name";r=`
    prefix: Box<[u8]>,
    /// For `X-RateLimit-Limit`.
    legacy: Option<HeaderValue>,
}

/// How much a limit lets pass, as it is told.
#[derive(Clone, Copy, Debug)]
pub struct Amount {
    /// In a window.
    pub count: u64,
    /// In seconds.
    pub window: u64,
    /// The most at once.
    pub at_once: u64,
}

impl From<&Rate> for Amount {
    fn from(rate: &Rate) -> Self {
        let window = u64::try_from(rate.period.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX);
        Self { count: u64::from(rate.count), window, at_once: u64::from(rate.burst()) }
    }
}

impl From<&Quota> for Amount {
    fn from(quota: &Quota) -> Self {
        let window = match quota.window {
            // The mean month: the window is told for orientation, and `t` says when this one ends.
            Window::Month => 2_629_746,
            Window::Sliding(period) => u64::try_from(period.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX),
        };
        Self { count: quota.count, window, at_once: quota.count }
    }
}

/// The longest line that is made: names are bounded by the configuration, numbers by their type.
type Line = smallvec::SmallVec<[u8; 96]>;

impl Announced {
    /// What is told of a limit of that name and rate.
    pub fn new(name: &str, amount: Amount, headers: LimitHeaders) -> Self {
        let Amount { count, window, at_once } = amount;
        let policy = HeaderValue::from_str(&format!("\"{name}\";q={count};w={window}")).ok();
        let ietf = matches!(headers, LimitHeaders::Ietf | LimitHeaders::Both);
        let legacy = matches!(headers, LimitHeaders::Legacy | LimitHeaders::Both);
        Self {
            policy: policy.filter(|_| ietf),
            prefix: format!("\"{name}\";r=").into_bytes().into(),
            legacy: legacy.then(|| HeaderValue::from(at_once)),
        }
    }

    /// Adds the fields to what goes out with the answer: `remaining` may pass at once, and in `full_in` all of it again.
    pub fn tell(&self, remaining: u64, full_in: Ticks, fields: &mut Vec<(HeaderName, HeaderValue)>) {
        let seconds = full_in.seconds_up();
        if let Some(policy) = &self.policy {
            fields.push((POLICY, policy.clone()));
            let mut line = Line::from_slice(&self.prefix);
            if write!(line, "{remaining};t={seconds}").is_ok()
                && let Ok(value) = HeaderValue::from_bytes(&line)
            {
                fields.push((LEFT, value));
            }
        }
        if let Some(legacy) = &self.legacy {
            fields.push((X_LIMIT, legacy.clone()));
            fields.push((X_REMAINING, HeaderValue::from(remaining)));
            fields.push((X_RESET, HeaderValue::from(seconds)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn told(headers: LimitHeaders) -> Vec<String> {
        let announced = Announced::new("consumer", (&"100/min burst 150".parse::<Rate>().unwrap()).into(), headers);
        let mut fields = Vec::new();
        announced.tell(57, Ticks::from_duration(Duration::from_millis(1_001)), &mut fields);
        fields.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    }

    #[test]
    fn tells_quota_window_what_is_left_and_when_all_is() {
        let ietf = ["ratelimit-policy: \"consumer\";q=100;w=60", "ratelimit: \"consumer\";r=57;t=2"];
        let legacy = ["x-ratelimit-limit: 150", "x-ratelimit-remaining: 57", "x-ratelimit-reset: 2"];
        assert_eq!(told(LimitHeaders::Ietf), ietf);
        assert_eq!(told(LimitHeaders::Legacy), legacy);
        assert_eq!(told(LimitHeaders::Both), [ietf.as_slice(), legacy.as_slice()].concat());
        assert!(told(LimitHeaders::Off).is_empty());
    }
}
