//! What a part of a `combine` has of its own: limits, and answers from memory.

use super::Compiling;
use super::limits::LimitedRoute;
use crate::cache::{Meaning, Plan};
use crate::config::{CombineConfig, MergeConfig, PartConfig};
use crate::exchange::combine::{Admission, Memory, Part, Shaper};
use crate::policy::ChainBuilder;
use crate::policy::limit::{self, LimitConfig, Scope};
use crate::policy::transform::Shaping;
use crate::snapshot::part::{PartLimits, PartMemory, PartProgram};
use crate::value::Spanned;
use http::Method;
use std::sync::Arc;

impl Compiling<'_> {
    /// What makes the answer by a program; `None` where nothing does.
    pub(super) fn program(
        &mut self,
        route: &LimitedRoute<'_>,
        written: &Spanned<CombineConfig>,
    ) -> Option<Arc<dyn Shaper>> {
        let jq = written.jq.as_ref()?;
        if written.shape.is_some() || written.merge != MergeConfig::default() {
            self.problems
                .error(jq.place, "a program makes the answer: `shape` and `merge` have no effect beside it")
                .hint("leave them out, or write the answer as a `shape` alone");
        }
        let scope = self.scope(route);
        Some(Arc::new(PartProgram(Shaping::compile(jq, &scope, &mut self.setup()))))
    }

    /// The limits of a part; `None` where it has none.
    pub(super) fn part_limits(
        &mut self,
        route: &LimitedRoute<'_>,
        name: &str,
        written: &[LimitConfig],
    ) -> Option<Arc<dyn Admission>> {
        let first = written.first()?;
        let by_answer =
            |limit: &LimitConfig| limit.cost.as_ref().is_some_and(|cost| cost.value.response_header.is_some());
        if let Some(cost) = written.iter().find(|limit| by_answer(limit)).unwrap_or(first).cost.as_ref()
            && cost.value.response_header.is_some()
        {
            self.problems
                .error(cost.place, "what a part costs is not told by an answer")
                .hint("write a number, or `header`");
        }
        let api = route.around.map_or("", |(name, _)| name);
        let level = format!("{} part {name}", route.level(true, |_| false));
        let key = format!("{} part {name}", route.key);
        let scope = Scope { level: &level, route: &key, api, captures: route.path.captures() };
        let mut chain = ChainBuilder::default();
        let compiled = limit::attach(written, scope, &mut chain, &mut self.setup());
        self.limited.extend(compiled);
        Some(Arc::new(PartLimits(Arc::new(chain.build()))))
    }

    /// What is kept of a part's answers; `None` where nothing is.
    pub(super) fn part_memory(
        &mut self,
        (route, name): (&LimitedRoute<'_>, &str),
        written: &PartConfig,
        part: &Part,
    ) -> Option<Arc<dyn Memory>> {
        let cache = written.cache.as_ref()?;
        if part.method != Method::GET || part.body.is_some() {
            self.problems
                .error(cache.place, "only answers to GET without a body are kept")
                .hint("leave `cache` out of this part");
        }
        let api = route.around.map_or("", |(name, _)| name);
        let key = format!("{} part {name}", route.key);
        let subset = part.to.subset.map(|number| number.to_string()).unwrap_or_default();
        let upstream = format!("{} {subset}", part.to.upstream.name());
        let meaning = Meaning { api, route: &key, upstream: &upstream };
        let plan = Arc::new(Plan::compile(&cache.value.to_route(), meaning, &mut self.problems));
        let (metrics, cache) = (self.surroundings.metrics.cache(&key), Arc::clone(self.surroundings.cache));
        self.keeps_parts = true;
        let own = part.headers.iter().map(|(name, _)| name.clone()).collect();
        Some(Arc::new(PartMemory { plan, cache, metrics, own }))
    }
}
