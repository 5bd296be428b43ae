//! What was learnt of tokens: good ones and bad ones apart, so that a flood of the latter neither evicts the former nor
//! grows.

use super::judge::Judged;
use crate::fetch::Flight;
use crate::policy::auth::Refusal;
use crate::policy::auth::marker::{Mark, Marker};
use crate::request::Caller;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use std::sync::Arc;
use std::time::SystemTime;

/// Bytes of good tokens' claims that are kept, about.
const GOOD_BYTES: u64 = 32 << 20;
/// What a good token weighs beside its claims.
const GOOD_OVERHEAD: u64 = 512;
/// Good tokens that are expected at most; only tables are made after it.
const GOOD_TOKENS: usize = 20_000;
/// Bad tokens that are remembered.
const BAD_TOKENS: usize = 10_000;

/// A token as it is remembered: never itself, and nobody else can compute it.
pub(super) type TokenKey = Mark;

/// What is remembered of a good token.
#[derive(Clone)]
pub(super) struct Good {
    pub(super) caller: Arc<Caller>,
    /// Of the consumers the caller was made from.
    pub(super) revision: u64,
    /// How long it may be believed.
    pub(super) until: SystemTime,
    weight: u64,
}

impl Good {
    pub(super) fn new(caller: Arc<Caller>, revision: u64, until: SystemTime) -> Self {
        let claims = caller.claims.to_string().len() as u64;
        Self { caller, revision, until, weight: GOOD_OVERHEAD + 2 * claims }
    }
}

#[derive(Clone)]
struct ByClaims;

impl Weighter<TokenKey, Good> for ByClaims {
    fn weight(&self, _key: &TokenKey, good: &Good) -> u64 {
        good.weight
    }
}

/// What was learnt, and what is being asked.
pub(super) struct Memory {
    marker: Marker,
    good: Cache<TokenKey, Good, ByClaims>,
    bad: Cache<TokenKey, (Refusal, SystemTime)>,
    pub(super) flight: Flight<TokenKey, Arc<Judged>>,
}

impl Memory {
    /// An empty one.
    pub(super) fn new(marker: Marker) -> Self {
        Self {
            marker,
            good: Cache::with_weighter(GOOD_TOKENS, GOOD_BYTES, ByClaims),
            bad: Cache::new(BAD_TOKENS),
            flight: Flight::default(),
        }
    }

    pub(super) fn key_of(&self, token: &str) -> TokenKey {
        self.marker.mark(token.as_bytes())
    }

    pub(super) fn good(&self, key: &TokenKey, now: SystemTime) -> Option<Good> {
        self.good.get(key).filter(|good| now < good.until)
    }

    pub(super) fn bad(&self, key: &TokenKey, now: SystemTime) -> Option<Refusal> {
        self.bad.get(key).filter(|(_, until)| now < *until).map(|(refusal, _)| refusal)
    }

    pub(super) fn keep_good(&self, key: TokenKey, good: Good) {
        self.bad.remove(&key);
        self.good.insert(key, good);
    }

    pub(super) fn keep_bad(&self, key: TokenKey, refusal: Refusal, until: SystemTime) {
        self.good.remove(&key);
        self.bad.insert(key, (refusal, until));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::Reason;
    use std::time::Duration;

    fn refusal() -> Refusal {
        Refusal { reason: Reason::BadCredentials, detail: "no".into() }
    }

    #[test]
    fn a_flood_of_bad_tokens_neither_evicts_good_ones_nor_grows() {
        let memory = Memory::new(Marker::new().unwrap());
        let until = SystemTime::UNIX_EPOCH + Duration::from_secs(9);
        let good = memory.key_of("good");
        memory.keep_good(good, Good::new(Arc::default(), 1, until));
        for number in 0..10 * BAD_TOKENS {
            memory.keep_bad(memory.key_of(&number.to_string()), refusal(), until);
        }
        assert!(memory.good(&good, SystemTime::UNIX_EPOCH).is_some());
        assert!(memory.bad.len() <= BAD_TOKENS);
    }

    #[test]
    fn what_is_known_ends_with_its_time_and_with_news() {
        let memory = Memory::new(Marker::new().unwrap());
        let (now, until) = (SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + Duration::from_secs(9));
        let key = memory.key_of("t");
        memory.keep_good(key, Good::new(Arc::default(), 1, until));
        assert!(memory.good(&key, now).is_some());
        assert!(memory.good(&key, until).is_none());
        memory.keep_bad(key, refusal(), until);
        assert!(memory.good(&key, now).is_none());
        assert!(memory.bad(&key, now).is_some());
        assert!(memory.bad(&key, until).is_none());
    }
}
