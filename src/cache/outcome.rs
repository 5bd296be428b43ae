//! What the cache did for a request: in the metrics, the log, and `Cache-Status` (RFC 9211).

use super::asked::Bypass;
use crate::observe::metrics::CacheOutcome;
use http::{HeaderName, HeaderValue};
use std::fmt::Write as _;

/// `Cache-Status` (RFC 9211).
const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
/// The older field some dashboards read.
const X_CACHE: HeaderName = HeaderName::from_static("x-cache");

/// What the cache did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It went past the cache.
    Bypass(Bypass),
    /// It was answered from memory; seconds it stays fresh, or negative.
    Hit(i64),
    /// It was answered from memory, out of date, because the upstream fails.
    StaleOnError(i64),
    /// It waited for another that fetched the same.
    Collapsed,
    /// The upstream was asked: nothing was there.
    Miss(Told),
    /// The upstream was asked: other variants were there.
    VaryMiss(Told),
    /// The upstream was asked, since what was there was out of date, and sent another answer.
    Expired(Told),
    /// The upstream was asked, and said that what was there is good.
    Revalidated,
    /// It was answered from memory or not at all, and nothing was there.
    NotCached,
}

/// What became of the upstream's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It is kept.
    Stored,
    /// It is not, in a word.
    NotStored(&'static str),
}

impl Outcome {
    /// Its label in the metrics and the log.
    pub fn label(self) -> CacheOutcome {
        match self {
            Self::Bypass(_) => CacheOutcome::Bypass,
            Self::Hit(ttl) if ttl < 0 => CacheOutcome::Stale,
            Self::Hit(_) => CacheOutcome::Hit,
            Self::StaleOnError(_) => CacheOutcome::Stale,
            Self::Collapsed => CacheOutcome::Collapsed,
            Self::Miss(Told::Stored) | Self::VaryMiss(Told::Stored) => CacheOutcome::Miss,
            Self::Miss(_) | Self::VaryMiss(_) => CacheOutcome::Uncacheable,
            Self::Expired(_) => CacheOutcome::Expired,
            Self::Revalidated => CacheOutcome::Revalidated,
            Self::NotCached => CacheOutcome::Miss,
        }
    }

    /// Whether memory answered.
    pub fn is_hit(self) -> bool {
        matches!(self, Self::Hit(_) | Self::StaleOnError(_) | Self::Collapsed | Self::Revalidated)
    }

    /// The fields that tell of it.
    pub fn fields(self, x_cache: bool) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let text = self.cache_status();
        let status = HeaderValue::from_str(&text).ok().map(|value| (CACHE_STATUS, value));
        let x = HeaderValue::from_static(if self.is_hit() { "HIT" } else { "MISS" });
        status.into_iter().chain(x_cache.then_some((X_CACHE, x)))
    }

    fn cache_status(self) -> String {
        let mut text = String::with_capacity(48);
        text.push_str("tollgate; ");
        let mut told = |why: &str, told: Told| {
            text.push_str("fwd=");
            text.push_str(why);
            match told {
                Told::Stored => text.push_str("; stored"),
                Told::NotStored(word) if !word.is_empty() => {
                    let _ = write!(text, "; detail={word}");
                }
                Told::NotStored(_) => {}
            }
        };
        match self {
            Self::Bypass(Bypass::Method) => told("method", Told::NotStored("")),
            Self::Bypass(Bypass::Request) => told("request", Told::NotStored("")),
            Self::Bypass(Bypass::Because(word)) => told("bypass", Told::NotStored(word)),
            Self::Miss(what) => told("uri-miss", what),
            Self::VaryMiss(what) => told("vary-miss", what),
            Self::Expired(what) => told("stale", what),
            Self::Revalidated => text.push_str("fwd=stale; fwd-status=304; stored"),
            Self::Collapsed => text.push_str("fwd=uri-miss; collapsed"),
            Self::NotCached => text.push_str("fwd=uri-miss; detail=only-if-cached"),
            Self::Hit(ttl) => {
                let _ = write!(text, "hit; ttl={ttl}");
            }
            Self::StaleOnError(ttl) => {
                let _ = write!(text, "hit; ttl={ttl}; detail=upstream-fails");
            }
        }
        text
    }
}
