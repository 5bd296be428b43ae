//! What routes have alike is held once.
//!
//! With a thousand routes nothing that belongs to one alone is in a near cache when a request comes; what they share is.

use super::Compiling;
use crate::policy::Chain;
use crate::policy::body_limit::BodyLimit;
use crate::snapshot::Retries;
use std::sync::Arc;

/// So many different values are compared with a new one: routes that are alike stand close together.
const COMPARED: usize = 16;

/// Values met so far, each once.
#[derive(Debug)]
pub(super) struct Pool<T>(Vec<Arc<T>>);

impl<T> Default for Pool<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Pool<T> {
    /// The value, or the one met lately that is the same.
    fn share(&mut self, value: T, same: impl Fn(&T, &T) -> bool) -> Arc<T> {
        if let Some(known) = self.0.iter().rev().take(COMPARED).find(|known| same(known, &value)) {
            return Arc::clone(known);
        }
        let value = Arc::new(value);
        self.0.push(Arc::clone(&value));
        value
    }
}

/// What routes share.
#[derive(Default)]
pub(super) struct Pools {
    chains: Pool<Chain>,
    body_limits: Pool<BodyLimit>,
    retries: Pool<Retries>,
}

impl Compiling<'_> {
    /// The chain of policies, shared with routes that have the very same ones.
    pub(super) fn pooled_chain(&mut self, chain: Chain) -> Arc<Chain> {
        self.pools.chains.share(chain, Chain::is_same)
    }

    /// The limit of bodies, shared with routes that have the same.
    pub(super) fn pooled_body_limit(&mut self, limit: BodyLimit) -> Arc<BodyLimit> {
        self.pools.body_limits.share(limit, PartialEq::eq)
    }

    /// When to try again, shared with routes that do the same.
    pub(super) fn pooled_retries(&mut self, retries: Retries) -> Arc<Retries> {
        self.pools.retries.share(retries, PartialEq::eq)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_value_is_held_once_and_another_beside_it() {
        let mut pool = Pool::default();
        let [one, two, again] = ["a", "b", "a"].map(|text| pool.share(text.to_owned(), PartialEq::eq));
        assert!(Arc::ptr_eq(&one, &again) && !Arc::ptr_eq(&one, &two));
        assert_eq!((one.as_str(), two.as_str()), ("a", "b"));
    }
}
