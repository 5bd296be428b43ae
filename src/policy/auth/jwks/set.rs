//! The keys of an issuer at one time, and which of them checks a token.

use super::{Algorithm, Key};
use std::sync::Arc;

/// Keys that are tried for a token that names none: each try costs a signature check.
const MOST_TRIES: usize = 8;

/// What a token says of how it is signed, and what is signed.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    /// The key's name, if the head gives one. It only picks from keys that are known: never a path, never a URL.
    pub kid: Option<&'a str>,
    /// The algorithm the head names.
    pub algorithm: Algorithm,
    /// Head and payload as they came, with the dot between them.
    pub message: &'a [u8],
    /// The signature, decoded.
    pub signature: &'a [u8],
}

/// What checking a signature came to.
#[derive(Debug)]
pub enum Checked {
    /// This key has made it.
    Good(Arc<Key>),
    /// The key it names has not made it, or is not for that algorithm.
    Bad,
    /// No key by that name is known, or it names none and none that is known has made it.
    Unknown,
}

/// The keys of an issuer at one time.
#[derive(Clone, Debug, Default)]
pub struct KeySet(Box<[Arc<Key>]>);

impl KeySet {
    /// A set of these.
    pub fn new(keys: impl IntoIterator<Item = Key>) -> Self {
        Self(keys.into_iter().map(Arc::new).collect())
    }

    /// The keys themselves.
    pub fn keys(&self) -> &[Arc<Key>] {
        &self.0
    }

    /// Whether it holds the same keys in the same order.
    pub fn same(&self, other: &Self) -> bool {
        self.0.len() == other.0.len() && self.0.iter().zip(&other.0).all(|(own, other)| own.same(other))
    }

    /// Checks a signature.
    pub fn check(&self, signed: &Signed<'_>) -> Checked {
        let Some(kid) = signed.kid else { return self.try_all(signed, |_| true) };
        let mut named = false;
        for key in self.0.iter().filter(|key| key.kid() == Some(kid)) {
            if key.verify(signed.algorithm, signed.message, signed.signature) {
                return Checked::Good(Arc::clone(key));
            }
            named = true;
        }
        // A key without a name may be the one that a token names.
        if named { Checked::Bad } else { self.try_all(signed, |key| key.kid().is_none()) }
    }

    fn try_all(&self, signed: &Signed<'_>, may: impl Fn(&Key) -> bool) -> Checked {
        let fitting = self.0.iter().filter(|key| key.can(signed.algorithm) && may(key)).take(MOST_TRIES);
        for key in fitting {
            if key.verify(signed.algorithm, signed.message, signed.signature) {
                return Checked::Good(Arc::clone(key));
            }
        }
        Checked::Unknown
    }

    /// The set that follows this one: a key that stays is the same one, and those that left are retired once
    /// [`Self::retire_all_but`] is called.
    pub(super) fn followed_by(&self, keys: Vec<Key>) -> Self {
        let kept = keys.into_iter().map(|key| match self.0.iter().find(|old| old.same(&key) && !old.is_retired()) {
            Some(old) => Arc::clone(old),
            None => Arc::new(key),
        });
        Self(kept.collect())
    }

    /// Retires the keys of this set that the other does not have.
    pub(super) fn retire_all_but(&self, next: &Self) {
        for key in self.0.iter().filter(|key| !next.0.iter().any(|kept| Arc::ptr_eq(kept, key))) {
            key.retire();
        }
    }
}
