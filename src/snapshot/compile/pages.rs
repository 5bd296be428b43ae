//! The routes of providers that have paths of their own: where a login comes back, where it ends.

use super::Compiling;
use super::retries::retries;
use super::routes::{Road, TIMEOUT};
use crate::policy::auth::oidc::Page;
use crate::policy::cors::Preflights;
use crate::policy::{ChainBuilder, Stage};
use crate::reply::Templates;
use crate::routing::{HostPattern, RouteKey, RouteRule};
use crate::snapshot::{Action, EncodedSlash, Forward, HostField, Lane, Rewrite, Route};
use crate::value::{Place, Priority};
use std::sync::Arc;

/// A path that a provider answers itself, on some hosts or on all.
pub(super) struct OwnPage {
    pub(super) provider: String,
    pub(super) hosts: Vec<HostPattern>,
    pub(super) page: Page,
}

impl OwnPage {
    /// Whether a route takes requests for this path too, on one of these hosts.
    pub(super) fn takes_from(&self, rule: &RouteRule) -> bool {
        let both = || rule.hosts.iter().any(|host| self.hosts.contains(host));
        let meet = (rule.hosts.is_empty() && self.hosts.is_empty()) || both();
        meet && rule.path.as_str() == &*self.page.path
    }
}

impl Compiling<'_> {
    /// The routes of the providers that have paths of their own.
    pub(super) fn pages(&mut self, road: &mut Road<'_>, replies: &Arc<Templates>) {
        for own in road.access.pages() {
            let clash = road.rules.iter().position(|rule| own.takes_from(rule));
            let provider = self.place_of_provider(&own.provider);
            if let Some(place) = clash.and_then(|number| road.places.get(number)) {
                let message = format!("`{}` is a path that provider `{}` answers itself", own.page.path, own.provider);
                self.problems
                    .error(*place, message)
                    .hint("write another path, or another `callback` or `logout` for the provider")
                    .related(provider, "the provider");
                continue;
            }
            let Some(RouteKey { methods, path }) = RouteKey::parse(&own.page.path).ok() else { continue };
            let mut chain = ChainBuilder::default();
            chain.on_request(Stage::Authenticate, own.page.hook);
            road.rules.push(RouteRule { hosts: own.hosts, methods, path, predicates: Vec::new() });
            road.places.push(provider);
            road.routes.push(Route {
                metrics: road.handles.route(None, &own.page.path),
                key: own.page.path,
                api: None,
                action: Action::Policies,
                chain: Arc::new(chain.build()),
                preflights: Preflights::Passed,
                timeout: Some(TIMEOUT),
                retries: self.pooled_retries(retries(None)),
                deadline_header: None,
                priority: Priority::Critical,
                forward: Forward { host: HostField::Endpoint, rfc7239: false, rewrite: Rewrite::Keep },
                encoded_slash: EncodedSlash::Refuse,
                replies: Arc::clone(replies),
                cache: None,
                traffic: None,
                lane: Lane::Full,
            });
        }
    }

    fn place_of_provider(&self, name: &str) -> Place {
        self.loaded.config.auth.entry(name).map_or(Place::NOWHERE, |(name, _)| name.place)
    }
}
