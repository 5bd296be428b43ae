//! What a client asks of caches by `Cache-Control` (RFC 9111 §5.2.1), where a route honours it.

use super::object::Object;
use http::{HeaderMap, HeaderValue, header};
use pingora_cache::cache_control::CacheControl;
use std::time::{Duration, SystemTime};

/// The directives of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Client {
    /// Not without asking the upstream.
    no_cache: bool,
    /// Not to be kept.
    pub no_store: bool,
    /// From memory or not at all.
    pub only_if_cached: bool,
    /// Not older than so many seconds.
    max_age: Option<u32>,
    /// Fresh for at least so many more.
    min_fresh: Option<u32>,
    /// Out of date by at most so many; `u32::MAX` by any.
    max_stale: Option<u32>,
}

/// Whether an answer may be given as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// It is fresh.
    Fresh,
    /// It is not, and may be given all the same: the client takes it so.
    Accepted,
    /// The upstream is asked first.
    Expired,
}

impl Client {
    /// The directives in these fields. `Pragma: no-cache` counts where there is no `Cache-Control` (§5.4).
    pub fn of(headers: &HeaderMap) -> Self {
        let Some(said) = CacheControl::from_headers_named("cache-control", headers) else {
            let pragma = headers.get(header::PRAGMA).map(HeaderValue::as_bytes);
            let no_cache = pragma.is_some_and(|pragma| pragma.eq_ignore_ascii_case(b"no-cache"));
            return Self { no_cache, ..Self::default() };
        };
        let seconds = |name: &str| {
            let digits = said.directives.get(&pingora_cache::cache_control::DirectiveKey::from_lowercase(name))?;
            Some(digits.as_ref().map(|value| value.parse_as_delta_seconds().unwrap_or(0)))
        };
        Self {
            no_cache: said.has_key("no-cache"),
            no_store: said.no_store(),
            only_if_cached: said.only_if_cached(),
            max_age: seconds("max-age").flatten(),
            min_fresh: seconds("min-fresh").flatten(),
            max_stale: seconds("max-stale").map(|bound| bound.unwrap_or(u32::MAX)),
        }
    }

    /// Whether it asks for answers newer than others get.
    pub fn insists(&self) -> bool {
        self.no_cache || self.max_age.is_some() || self.min_fresh.is_some()
    }

    /// Whether an answer is good enough for this client.
    pub fn judge(&self, object: &Object, now: SystemTime) -> Freshness {
        let over =
            |bound: Option<u32>, value: Duration| bound.is_some_and(|bound| value > Duration::from_secs(bound.into()));
        if self.no_cache || over(self.max_age, object.age(now)) {
            return Freshness::Expired;
        }
        match object.times.fresh_until.duration_since(now) {
            Ok(left) if left.is_zero() => Freshness::Expired,
            Ok(left) if self.min_fresh.is_none_or(|least| left >= Duration::from_secs(least.into())) => {
                Freshness::Fresh
            }
            Ok(_) => Freshness::Expired,
            Err(since) => {
                let accepted = self.max_stale.is_some() && !over(self.max_stale, since.duration());
                if accepted && !object.facts.strict { Freshness::Accepted } else { Freshness::Expired }
            }
        }
    }
}
