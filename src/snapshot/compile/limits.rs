//! The limits of a route, and what else holds its requests back.

use super::Compiling;
use crate::config::{ApiConfig, Policies, RouteConfig};
use crate::policy::limit::{self, PlanUse, Plans};
use crate::policy::{ChainBuilder, limit::Scope};
use crate::routing::PathPattern;
use crate::value::{OrOff, Place, Problems, suggest};
use std::sync::Arc;

/// A route as its limits see it.
pub(super) struct LimitedRoute<'a> {
    /// Its key.
    pub key: &'a str,
    /// The key of what is written: of several routes that the rules of a schema make, the same.
    pub entry: &'a str,
    /// As it is written.
    pub written: &'a RouteConfig,
    /// Its path.
    pub path: &'a PathPattern,
    /// The api it stands in, by name.
    pub around: Option<(&'a str, &'a ApiConfig)>,
}

impl LimitedRoute<'_> {
    /// The level something is written at: all requests through that level share its counts.
    pub(super) fn level(&self, here: bool, in_api: impl Fn(&ApiConfig) -> bool) -> String {
        match self.around {
            Some((api, _)) if here => format!("route {api} {}", self.entry),
            None if here => format!("route {}", self.entry),
            Some((api, written)) if in_api(written) => format!("api {api}"),
            _ => "defaults".to_owned(),
        }
    }
}

impl Compiling<'_> {
    /// The plans that consumers may be on.
    pub(super) fn plans(&mut self) -> Arc<Plans> {
        let loaded = self.loaded;
        Arc::new(Plans::compile(&loaded.config.plans, &mut self.setup()))
    }

    /// Adds what holds requests of a route back to its chain: limits, faults for tests, maintenance.
    pub(super) fn limits(&mut self, policies: Policies<'_>, route: &LimitedRoute<'_>, chain: &mut ChainBuilder) {
        if let Some(OrOff::On(maintenance)) = policies.maintenance {
            maintenance.attach(chain);
        }
        if let Some(OrOff::On(fault)) = policies.fault {
            fault.attach(chain, &mut self.setup());
        }
        let api = route.around.map_or("", |(name, _)| name);
        let scope = Scope { level: "", route: route.key, api, captures: route.path.captures() };
        if let Some(OrOff::On(websocket)) = policies.websocket {
            let level = route.level(route.written.websocket.is_some(), |api| api.websocket.is_some());
            let auth = policies.auth.and_then(OrOff::on);
            websocket.value.attach(auth, Scope { level: &level, ..scope }, chain, &mut self.setup());
        }
        if let Some(OrOff::On(limits)) = policies.limit {
            let level = route.level(route.written.limit.is_some(), |api| api.limit.is_some());
            let compiled = limit::attach(limits, Scope { level: &level, ..scope }, chain, &mut self.setup());
            self.limited.extend(compiled);
        }
        let knows_callers = matches!(policies.auth, Some(OrOff::On(_)));
        let plans = Arc::clone(&self.plans);
        if knows_callers && policies.plan != Some(PlanUse::Off) && !plans.is_empty() {
            plans.attach(route.key, chain, &mut self.setup());
        }
        if let Some(OrOff::On(most)) = policies.max_in_flight {
            let level = route.level(route.written.max_in_flight.is_some(), |api| api.max_in_flight.is_some());
            limit::bound(*most, Scope { level: &level, ..scope }, chain, &mut self.setup());
        }
    }

    /// Says which plans nobody is on, where all consumers are known.
    pub(super) fn warn_unused_plans(&mut self) {
        let config = &self.loaded.config;
        if self.is_fatal() || !config.consumers_from.is_empty() {
            return;
        }
        let is_used = |name: &str| {
            config.consumers.iter().any(|(_, consumer)| consumer.plan.as_ref().is_some_and(|plan| plan.value == name))
        };
        for (name, _) in config.plans.iter().filter(|(name, _)| !is_used(&name.value)) {
            self.problems.warn(name.place, format!("nobody is on plan `{}`", name.value));
        }
    }
}

/// The plans there are, for those who name one.
#[derive(Clone, Debug, Default)]
pub(super) struct PlanNames {
    names: Vec<String>,
    /// Some may have been left out in reading: what seems to be missing may not be.
    incomplete: bool,
}

#[cfg(test)]
impl<const N: usize> From<[&str; N]> for PlanNames {
    fn from(names: [&str; N]) -> Self {
        Self { names: names.map(str::to_owned).into(), incomplete: false }
    }
}

impl PlanNames {
    pub(super) fn of(compiling: &Compiling<'_>) -> Self {
        let names = compiling.loaded.config.plans.iter().map(|(name, _)| name.value.clone()).collect();
        Self { names, incomplete: compiling.loaded.problems.is_fatal() }
    }

    /// What is wrong with the name of a plan, and what may be meant.
    pub(super) fn missing(&self, plan: &str) -> Option<(String, String)> {
        if self.incomplete || self.names.iter().any(|name| name == plan) {
            return None;
        }
        let hint = match suggest(plan, self.names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "write it under `plans:`".to_owned(),
        };
        Some((format!("there is no plan `{plan}`"), hint))
    }

    /// Records that at its place.
    pub(super) fn check(&self, plan: &str, place: Place, problems: &mut Problems) {
        if let Some((message, hint)) = self.missing(plan) {
            problems.error(place, message).hint(hint);
        }
    }
}
