//! Verified tokens, so that a token that comes again costs a hash.
//!
//! Only good tokens get in: bad ones, however many, evict none. A token is found by a keyed hash, so that nobody can
//! make two that collide, and so that no token stands in memory. It is good no longer than it says itself, than its key
//! is in service, and than the consumers are the same.

use super::claims::Span;
use crate::policy::auth::jwks::Key;
use crate::policy::auth::marker::Marker;
use crate::request::Caller;
use quick_cache::sync::Cache;
use std::fmt;
use std::sync::Arc;

/// A token's place in the cache: half of its mark, which is more than anybody can collide.
pub type Mark = u128;

/// A verified token.
#[derive(Clone)]
pub struct Verified {
    /// Whom it names.
    pub caller: Arc<Caller>,
    /// When it is good.
    pub span: Span,
    /// What has signed it.
    pub key: Arc<Key>,
    /// Of the consumers the caller was found among.
    pub revision: u64,
}

/// What is known of a token.
pub enum Known {
    /// It is good.
    Good(Arc<Caller>),
    /// It is good, and whom it names must be found anew.
    Renew(Arc<Verified>),
    /// Nothing.
    Nothing,
}

/// Verified tokens.
pub struct Tokens {
    marker: Marker,
    kept: Cache<Mark, Arc<Verified>>,
}

impl Tokens {
    /// Room for so many.
    pub fn new(size: usize) -> Option<Self> {
        // Without randomness tokens are verified each time.
        Some(Self { marker: Marker::new()?, kept: Cache::new(size) })
    }

    /// The place of a token.
    pub fn mark(&self, token: &str) -> Mark {
        self.marker.mark(token.as_bytes()).first_chunk().map_or(0, |half| Mark::from_be_bytes(*half))
    }

    /// What is known of the token at that place, at that second, among those consumers.
    pub fn get(&self, mark: Mark, now: u64, revision: u64) -> Known {
        let Some(found) = self.kept.get(&mark) else { return Known::Nothing };
        if found.key.is_retired() || now >= found.span.until || now < found.span.from {
            self.kept.remove(&mark);
            return Known::Nothing;
        }
        if found.revision != revision { Known::Renew(found) } else { Known::Good(Arc::clone(&found.caller)) }
    }

    /// Remembers a token.
    pub fn put(&self, mark: Mark, verified: Verified) {
        self.kept.insert(mark, Arc::new(verified));
    }

    /// How many are remembered.
    pub fn len(&self) -> usize {
        self.kept.len()
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("kept", &self.len()).finish_non_exhaustive()
    }
}
