//! The limits of a route, and what else holds its requests back.

use super::Compiling;
use crate::config::{ApiConfig, Policies, RouteConfig};
use crate::policy::{ChainBuilder, limit};
use crate::routing::PathPattern;
use crate::value::OrOff;

/// A route as its limits see it.
pub(super) struct LimitedRoute<'a> {
    /// Its key.
    pub key: &'a str,
    /// As it is written.
    pub written: &'a RouteConfig,
    /// Its path.
    pub path: &'a PathPattern,
    /// The api it stands in, by name.
    pub around: Option<(&'a str, &'a ApiConfig)>,
}

impl LimitedRoute<'_> {
    /// The level its limits are written at: all requests through that level share their counts.
    fn level(&self) -> String {
        match self.around {
            Some((api, _)) if self.written.limit.is_some() => format!("route {api} {}", self.key),
            None if self.written.limit.is_some() => format!("route {}", self.key),
            Some((api, written)) if written.limit.is_some() => format!("api {api}"),
            _ => "defaults".to_owned(),
        }
    }
}

impl Compiling<'_> {
    /// Adds what holds requests of a route back to its chain: limits, faults for tests, maintenance.
    pub(super) fn limits(&mut self, policies: Policies<'_>, route: &LimitedRoute<'_>, chain: &mut ChainBuilder) {
        if let Some(OrOff::On(maintenance)) = policies.maintenance {
            maintenance.attach(chain);
        }
        if let Some(OrOff::On(fault)) = policies.fault {
            fault.attach(chain, &mut self.setup());
        }
        let Some(OrOff::On(limits)) = policies.limit else { return };
        let api = route.around.map_or("", |(name, _)| name);
        let level = route.level();
        limit::attach(limits, limit::Scope { level: &level, route: route.key, api }, chain, &mut self.setup());
    }
}
