//! Subsets of upstreams: those that routes are for, known before the upstreams are made, and the number of each.

use super::Compiling;
use crate::config::{Config, Policies, RouteConfig, Routes, TargetConfig, TargetEntry};
use crate::upstream::{Labels, Upstream};
use crate::value::{Named, OrOff, Spanned, suggest};
use std::collections::{BTreeMap, BTreeSet};

/// Labels as written.
pub(super) fn labels(written: &Named<String>) -> Labels {
    Labels::new(written.iter().map(|(name, value)| (name.value.as_str(), value.as_str())))
}

/// What routes, their parts, copies and stand-ins ask for, by the name of the upstream.
pub(super) fn asked_for(config: &Config) -> BTreeMap<&str, BTreeSet<Labels>> {
    let mut all: BTreeMap<&str, BTreeSet<Labels>> = BTreeMap::new();
    let mut asks = |upstream: &'_ Spanned<String>, subset: Option<&Spanned<Named<String>>>| {
        let Some((name, _)) = config.upstreams.iter().find(|(name, _)| name.value == upstream.value) else { return };
        if let Some(subset) = subset {
            all.entry(&name.value).or_default().insert(labels(subset));
        }
    };
    let mut beside = |policies: Policies<'_>| {
        let mirror = policies.mirror.and_then(OrOff::on).map(|mirror| &mirror.to);
        let fallback = policies.fallback.and_then(OrOff::on).and_then(|fallback| fallback.to.as_ref());
        for to in mirror.into_iter().chain(fallback) {
            asks(&to.upstream, to.subset.as_ref());
        }
    };
    beside(config.defaults.policies());
    config.apis.iter().for_each(|(_, api)| beside(api.policies()));
    let within = config.apis.iter().map(|(_, api)| &api.routes);
    let routes: Vec<&RouteConfig> =
        std::iter::once(&config.routes).chain(within).flat_map(Routes::iter).map(|(_, route)| route).collect();
    routes.iter().for_each(|route| beside(route.policies()));
    for route in routes {
        for to in route.combine.iter().flat_map(|combine| combine.parts.iter()).filter_map(|(_, part)| part.to.as_ref())
        {
            asks(&to.upstream, to.subset.as_ref());
        }
        let Some(TargetConfig::List(entries)) = route.to.as_ref().map(|to| &to.value) else { continue };
        for entry in entries {
            if let TargetEntry::Upstream(weighted) = &entry.value {
                asks(&weighted.upstream, weighted.subset.as_deref());
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
