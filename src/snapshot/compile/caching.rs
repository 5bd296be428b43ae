//! What a route answers from memory.

use super::Compiling;
use crate::cache::{CacheConfig, Meaning, Plan};
use crate::config::Policies;
use crate::snapshot::{Action, Caching, Forward};
use crate::value::OrOff;
use std::sync::Arc;

impl Compiling<'_> {
    /// What a route answers from memory. One that answers by itself has nothing to remember.
    pub(super) fn caching(
        &mut self,
        policies: Policies<'_>,
        (api, route): (Option<&str>, &str),
        action: &Action,
        forward: &Forward,
    ) -> Option<Box<Caching>> {
        let (Some(OrOff::On(written)), Action::Forward(target)) = (policies.cache, action) else { return None };
        let names: Vec<&str> = target.choices().iter().map(|choice| choice.to.upstream.name()).collect();
        let upstream = format!("{names:?} {:?} {:?}", forward.host, forward.rewrite);
        let meaning = Meaning { api: api.unwrap_or_default(), route, upstream: &upstream };
        // A fallback on what is kept is the same as `stale_if_error`, whichever lasts longer.
        let fallback = policies.fallback.and_then(OrOff::on).and_then(|fallback| fallback.stale);
        let longer = fallback.filter(|stale| **stale > written.stale_if_error);
        let written = match longer {
            Some(stale) => &CacheConfig { stale_if_error: *stale, ..written.clone() },
            None => written,
        };
        let plan = Arc::new(Plan::compile(written, meaning, &mut self.problems));
        Some(Box::new(Caching { plan, metrics: self.surroundings.metrics.cache(route) }))
    }
}
