//! Subsets of upstreams: those that routes are for, known before the upstreams are made, and the number of each.

use super::Compiling;
use crate::config::{CalledConfig, Config, TargetConfig, TargetEntry};
use crate::upstream::{Labels, Upstream};
use crate::value::{Named, Spanned, suggest};
use std::collections::{BTreeMap, BTreeSet};

/// Labels as written.
pub(super) fn labels(written: &Named<String>) -> Labels {
    Labels::new(written.iter().map(|(name, value)| (name.value.as_str(), value.as_str())))
}

/// What routes ask for, by the name of the upstream.
pub(super) fn asked_for(config: &Config) -> BTreeMap<&str, BTreeSet<Labels>> {
    let mut all: BTreeMap<&str, BTreeSet<Labels>> = BTreeMap::new();
    let within = config.apis.iter().map(|(_, api)| &api.routes);
    for (_, route) in std::iter::once(&config.routes).chain(within).flat_map(|routes| routes.iter()) {
        for (_, part) in route.combine.iter().flat_map(|combine| combine.parts.iter()) {
            if let Some(CalledConfig { upstream, subset: Some(subset) }) = part.to.as_ref().map(|to| &to.value) {
                all.entry(&upstream.value).or_default().insert(labels(subset));
            }
        }
        let Some(TargetConfig::List(entries)) = route.to.as_ref().map(|to| &to.value) else { continue };
        for entry in entries {
            if let TargetEntry::Upstream(weighted) = &entry.value
                && let Some(subset) = &weighted.subset
            {
                all.entry(&weighted.upstream.value).or_default().insert(labels(subset));
            }
        }
    }
    all
}

impl Compiling<'_> {
    /// The number of the subset that a route is for; `None` where a problem was recorded.
    pub(super) fn subset(&mut self, upstream: &Upstream, written: &Spanned<Named<String>>) -> Option<usize> {
        let (spec, asked) = (upstream.spec(), labels(written));
        if asked.is_empty() {
            self.problems.error(written.place, "`subset` names no label").hint("write `subset: { version: v2 }`");
            return None;
        }
        let own: Vec<&Labels> = spec.endpoints.iter().map(|endpoint| &endpoint.labels).collect();
        let mut known = true;
        for (name, value) in written.iter() {
            let values: BTreeSet<&str> = own.iter().filter_map(|labels| labels.get(&name.value)).collect();
            if values.contains(value.as_str()) {
                continue;
            }
            known = false;
            let names: BTreeSet<&str> = own.iter().flat_map(|labels| labels.iter()).map(|(name, _)| name).collect();
            let hint = match (values.is_empty(), suggest(&name.value, names.iter().copied())) {
                (false, _) => format!("it is one of: {}", values.into_iter().collect::<Vec<_>>().join(", ")),
                (true, Some(near)) => format!("did you mean `{near}`?"),
                (true, None) => "write `labels: { version: v2 }` beside the `url` of endpoints".to_owned(),
            };
            let message = match hint.starts_with("it is") {
                true => format!("no endpoint of upstream `{}` has a label `{}: {value}`", spec.name, name.value),
                false => format!("no endpoint of upstream `{}` has a label `{}`", spec.name, name.value),
            };
            self.problems.error(name.place, message).hint(hint);
        }
        if known && !own.iter().any(|labels| labels.has_all(&asked)) {
            self.problems
                .error(written.place, format!("no endpoint of upstream `{}` has all of these labels", spec.name))
                .hint("each value stands on some endpoint, but not all on one");
            return None;
        }
        spec.subsets.iter().position(|labels| *labels == asked)
    }
}
