//! The header fields that tell clients what is left.
//!
//! `RateLimit-Policy` and `RateLimit` as in draft-ietf-httpapi-ratelimit-headers: lists of structured fields (RFC 9651), to
//! which each limit adds a member. All stand in one line of each: a line of its own for each limit costs more than the limit.

use super::config::LimitHeaders;
use super::gcra::Ticks;
use crate::value::digits::{Digits, decimal};
use crate::value::{Quota, Rate, Window};
use http::{HeaderName, HeaderValue};
use smallvec::SmallVec;

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

/// Fields that go out with the answer.
type Fields = Vec<(HeaderName, HeaderValue)>;

/// What limits have left: members of one list.
#[derive(Default)]
pub struct Left(SmallVec<[u8; 160]>);

impl Left {
    /// Tells it, with the policies it is of, beside what other limits have told.
    pub fn tell(&self, policies: &HeaderValue, fields: &mut Fields) {
        if !self.0.is_empty() {
            add(POLICY, policies.as_bytes(), Some(policies), fields);
            add(LEFT, &self.0, None, fields);
        }
    }
}

/// Adds members to the list of a field; `made` is the same as a value, where there is one.
fn add(name: HeaderName, members: &[u8], made: Option<&HeaderValue>, fields: &mut Fields) {
    match fields.iter_mut().find(|(known, _)| *known == name) {
        Some((_, value)) => {
            let line = [value.as_bytes(), b", ", members].concat();
            if let Ok(longer) = HeaderValue::from_maybe_shared(bytes::Bytes::from(line)) {
                *value = longer;
            }
        }
        None => {
            let value = made.cloned().or_else(|| HeaderValue::from_bytes(members).ok());
            fields.extend(value.map(|value| (name, value)));
        }
    }
}

/// The policies of several limits, as one value; `None` where none is told.
pub fn policies<'a>(all: impl Iterator<Item = &'a Announced>) -> Option<HeaderValue> {
    let members: Vec<&[u8]> = all.filter_map(|announced| Some(announced.policy.as_ref()?.as_bytes())).collect();
    HeaderValue::from_bytes(&members.join(&b", "[..])).ok().filter(|value| !value.is_empty())
}

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

    /// Notes that `remaining` may pass at once, and in `full_in` all of it again: in the list, if it is told there, and in
    /// the fields of older clients.
    pub fn note(&self, remaining: u64, full_in: Ticks, (left, fields): (&mut Left, &mut Fields)) {
        let seconds = full_in.seconds_up();
        if self.policy.is_some() {
            let (line, mut room) = (&mut left.0, Digits::default());
            if !line.is_empty() {
                line.extend_from_slice(b", ");
            }
            line.extend_from_slice(&self.prefix);
            line.extend_from_slice(decimal(remaining, &mut room));
            line.extend_from_slice(b";t=");
            line.extend_from_slice(decimal(seconds, &mut room));
        }
        if let Some(legacy) = &self.legacy {
            fields.push((X_LIMIT, legacy.clone()));
            fields.push((X_REMAINING, HeaderValue::from(remaining)));
            fields.push((X_RESET, HeaderValue::from(seconds)));
        }
    }

    /// The same, told at once.
    pub fn tell(&self, remaining: u64, full_in: Ticks, fields: &mut Fields) {
        let mut left = Left::default();
        self.note(remaining, full_in, (&mut left, fields));
        if let Some(policy) = &self.policy {
            left.tell(policy, fields);
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
        assert_eq!(told(LimitHeaders::Both), [legacy.as_slice(), ietf.as_slice()].concat());
        assert!(told(LimitHeaders::Off).is_empty());
    }

    #[test]
    fn several_limits_are_members_of_one_list() {
        let of = |name, headers| Announced::new(name, (&"7/s".parse::<Rate>().unwrap()).into(), headers);
        let (one, two, three) =
            (of("one", LimitHeaders::Ietf), of("two", LimitHeaders::Off), of("three", LimitHeaders::Both));
        let (mut fields, mut left) = (Fields::new(), Left::default());
        let second = Ticks::SECOND;
        [&one, &two, &three].iter().for_each(|limit| limit.note(u64::MAX, second, (&mut left, &mut fields)));
        fields.retain(|(name, _)| !name.as_str().starts_with("x-"));
        left.tell(&policies([&one, &two, &three].into_iter()).unwrap(), &mut fields);
        of("four", LimitHeaders::Ietf).tell(0, second, &mut fields);
        let lines: Vec<&str> = fields.iter().map(|(_, value)| value.to_str().unwrap()).collect();
        assert_eq!(lines[0], "\"one\";q=7;w=1, \"three\";q=7;w=1, \"four\";q=7;w=1");
        assert_eq!(
            lines[1],
            "\"one\";r=18446744073709551615;t=1, \"three\";r=18446744073709551615;t=1, \"four\";r=0;t=1"
        );
        assert_eq!(lines.len(), 2);
        assert!(policies([&two].into_iter()).is_none());
    }
}
