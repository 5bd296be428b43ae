//! Who may pass: consumers, providers, and the policies of a route.

use super::Compiling;
use super::limits::LimitedRoute;
use super::pages::OwnPage;
use super::routes::on_or;
use crate::config::{Policies, RouteConfig};
use crate::consumer::CurrentConsumers;
use crate::policy::allow::{AllowConfig, DefaultConfig, DenyAll};
use crate::policy::auth::oidc::Cookies;
use crate::policy::auth::{Anonymous, Auth, AuthConfig, AuthEntry, AuthPlan, Credentials, Provider, RouteAuthConfig};
use crate::policy::cors::{CorsConfig, Preflights};
use crate::policy::csrf::Csrf;
use crate::policy::ip::{Addresses, IpConfig};
use crate::policy::{Chain, ChainBuilder, Setup, body_limit::BodyLimit, errors, transform};
use crate::routing::{HostPattern, Methods, OPTIONS};
use crate::snapshot::inline::InlineProviders;
use crate::value::{OrOff, Spanned, suggest};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const BODY_LIMIT: u64 = 10 << 20;

/// What the routes of a configuration may ask for.
pub(super) struct Access {
    consumers: Arc<CurrentConsumers>,
    providers: BTreeMap<String, Arc<Provider>>,
    /// Those that stand in routes, in the order they were met.
    inline: InlineProviders,
    used: BTreeSet<String>,
    /// On which hosts browsers log in at which provider; `None` for any.
    logins: BTreeMap<String, Vec<Option<HostPattern>>>,
    addresses: Addresses,
}

impl Access {
    /// The compiled consumers, the providers with names, and those that stand in routes.
    pub(super) fn into_parts(self) -> (Arc<CurrentConsumers>, BTreeMap<String, Arc<Provider>>, InlineProviders) {
        (self.consumers, self.providers, self.inline)
    }

    /// Notes on which hosts browsers log in, where the route has a provider of that kind.
    pub(super) fn log_in_on(&mut self, hosts: &[HostPattern], policies: Policies<'_>) {
        let Some(OrOff::On(auth)) = policies.auth else { return };
        for entry in &auth.any {
            let AuthEntry::Name(name) = entry else { continue };
            if self.providers.get(&name.value).is_none_or(|provider| provider.oidc().is_none()) {
                continue;
            }
            let known = self.logins.entry(name.value.clone()).or_default();
            let all = hosts.iter().cloned().map(Some);
            let any = hosts.is_empty().then_some(None);
            for host in all.chain(any) {
                if !known.contains(&host) {
                    known.push(host);
                }
            }
        }
    }

    /// The paths that providers answer themselves, on the hosts of the routes that use them.
    pub(super) fn pages(&self) -> Vec<OwnPage> {
        let mut all = Vec::new();
        for (provider, hosts) in &self.logins {
            let Some(oidc) = self.providers.get(provider).and_then(|provider| provider.oidc()) else { continue };
            let named: Vec<HostPattern> = hosts.iter().flatten().cloned().collect();
            let lists = [(!named.is_empty()).then_some(named), hosts.contains(&None).then(Vec::new)];
            for hosts in lists.into_iter().flatten() {
                let own = |page| OwnPage { provider: provider.clone(), hosts: hosts.clone(), page };
                all.extend(oidc.pages().map(own));
            }
        }
        all
    }

    /// The cookies of the sessions that a route takes.
    fn sessions(&self, auth: &RouteAuthConfig) -> Vec<Cookies> {
        let oidc = |entry: &AuthEntry| match entry {
            AuthEntry::Name(name) => Some(self.providers.get(&name.value)?.oidc()?.cookies().clone()),
            AuthEntry::Inline(_) => None,
        };
        auth.any.iter().filter_map(oidc).collect()
    }
}

impl Compiling<'_> {
    /// What a policy draws on while it is compiled.
    pub(super) fn setup(&mut self) -> Setup<'_> {
        Setup {
            problems: &mut self.problems,
            sources: &self.loaded.sources,
            fetcher: self.surroundings.fetcher,
            limits: self.surroundings.limits,
            shared: self.shared.as_ref(),
            metrics: self.surroundings.metrics,
            tended: &mut self.tended,
            identity: &mut self.identity,
            redacted: &mut self.redacted,
        }
    }

    pub(super) fn access(&mut self) -> Access {
        let loaded = self.loaded;
        let consumers = self.consumers();
        let mut providers = BTreeMap::new();
        for (name, written) in loaded.config.auth.iter() {
            let previous = self.surroundings.previous.and_then(|previous| previous.providers.get(&name.value));
            self.warn_of_certificates(&name.value, written);
            let built = Provider::compile(name, written, previous.map(Arc::as_ref), &mut self.setup());
            providers.extend(built.map(|provider| (name.value.clone(), Arc::new(provider))));
        }
        let (inline, used, logins) = (InlineProviders::default(), BTreeSet::new(), BTreeMap::new());
        Access { consumers, providers, inline, used, logins, addresses: Addresses::default() }
    }

    /// A provider that reads certificates where none can come from knows nobody.
    fn warn_of_certificates(&mut self, name: &str, written: &AuthConfig) {
        let Some(mtls) = &written.mtls else { return };
        let config = &self.loaded.config;
        let tls = config.listeners.iter().filter_map(|(_, listener)| listener.tls.as_ref());
        let asked = tls.into_iter().any(|tls| tls.client_ca.is_some());
        let (message, hint) = match (&mtls.value.allow_from_header, asked) {
            (Some(_), _) if config.trusted_proxies.is_empty() => (
                format!("no proxy is trusted, so `{name}` takes no certificate from a field"),
                "name the proxy in front under `trusted_proxies`",
            ),
            (None, false) => (
                format!("no listener asks for client certificates, so `{name}` knows nobody"),
                "give the `tls` of a listener a `client_ca`, or take certificates from a proxy by `allow_from_header`",
            ),
            _ => return,
        };
        self.problems.warn(mtls.place, message).hint(hint);
    }

    /// The policies of a route, in the order they act in; and who answers the preflights that reach it.
    pub(super) fn chain(
        &mut self,
        access: &mut Access,
        policies: Policies<'_>,
        route: &LimitedRoute<'_>,
        methods: &Methods,
    ) -> (Arc<Chain>, Preflights) {
        let mut chain = ChainBuilder::default();
        if let Some(bytes) = on_or(policies.body_limit, BODY_LIMIT, |limit| limit.get()) {
            self.pooled_body_limit(BodyLimit::new(bytes)).attach(&mut chain);
        }
        self.access_policies(access, policies, &mut chain);
        let preflights = self.cors(policies, methods, &mut chain);
        self.graphql(policies, route.written, &mut chain);
        self.limits(policies, route, &mut chain);
        self.changes(policies, route, &mut chain);
        (self.pooled_chain(chain.build()), preflights)
    }

    /// Adds the policies that decide who may pass to a route's chain.
    fn access_policies(&mut self, access: &mut Access, policies: Policies<'_>, chain: &mut ChainBuilder) {
        let (asked, auth) = match policies.auth {
            Some(OrOff::On(written)) => (true, self.auth(access, written)),
            Some(OrOff::Off) | None => (false, None),
        };
        match policies.allow {
            Some(OrOff::On(allow)) if asked && auth.is_none() => {
                AllowConfig::check_only(allow, &access.consumers, &mut self.setup());
            }
            Some(OrOff::On(allow)) => {
                AllowConfig::attach(allow, auth.as_ref(), &access.consumers, (chain, &mut self.setup()));
            }
            None if policies.default == Some(DefaultConfig::Deny) => DenyAll::attach(chain),
            Some(OrOff::Off) | None => {}
        }
        if let Some(OrOff::On(ip)) = policies.ip {
            if !self.loaded.problems.is_fatal() {
                self.problems.extend(IpConfig::missing(ip)); // else it may have been left out in reading
            }
            access.addresses.attach(ip, chain, &mut self.setup());
        }
        match (policies.csrf, policies.auth) {
            (Some(OrOff::On(csrf)), _) => csrf.attach(chain, &mut self.setup()),
            (None, Some(OrOff::On(auth))) => {
                let sessions = access.sessions(auth);
                if !sessions.is_empty() {
                    Csrf::for_sessions(sessions).add_to(chain);
                }
            }
            _ => {}
        }
        if let Some(OrOff::On(security_headers)) = policies.security_headers {
            security_headers.attach(chain, &mut self.setup());
        }
        if let Some(auth) = auth {
            let metrics = self.surroundings.metrics;
            chain.count(auth.provider_names().map(|name| metrics.provider(name)).collect());
            auth.attach(chain);
        }
    }

    /// Adds `cors` to a route's chain; says who answers the preflights that reach it.
    fn cors(&mut self, policies: Policies<'_>, methods: &Methods, chain: &mut ChainBuilder) -> Preflights {
        let Some(OrOff::On(cors)) = policies.cors else { return Preflights::Passed };
        if !self.loaded.problems.is_fatal() {
            self.problems.extend(CorsConfig::missing(cors));
        }
        let preflights = if methods.names(OPTIONS) { Preflights::Passed } else { Preflights::Answered };
        cors.value.attach(preflights, chain, &mut self.setup());
        preflights
    }

    /// Adds `graphql` to a route's chain, where something goes to an upstream. What the gateway calls in its own words
    /// cannot be judged, and must not pass for judged.
    fn graphql(&mut self, policies: Policies<'_>, route: &RouteConfig, chain: &mut ChainBuilder) {
        let Some(OrOff::On(graphql)) = policies.graphql else { return };
        let own =
            [("grpc", route.grpc.is_some()), ("combine", route.combine.is_some()), ("batch", route.batch.is_some())];
        if let Some((name, _)) = own.iter().find(|(_, written)| *written) {
            self.problems
                .error(graphql.place, format!("`graphql` cannot guard the calls of `{name}`"))
                .hint("write `graphql: off` on that route");
        } else if route.to.is_some() {
            graphql.value.attach(chain, &mut self.setup());
        }
    }

    /// Adds the policies that change requests and answers to a route's chain.
    fn changes(&mut self, policies: Policies<'_>, route: &LimitedRoute<'_>, chain: &mut ChainBuilder) {
        let written = (transform::rules(policies.request), transform::rules(policies.response));
        let scope = self.scope(route);
        if let Some(OrOff::On(errors)) = policies.errors {
            errors::attach(errors, &scope, chain, &mut self.setup());
        }
        transform::attach(written, scope, chain, &mut self.setup());
        if let Some(OrOff::On(compress)) = policies.compress {
            compress.attach(chain, &mut self.setup());
        }
    }

    fn auth(&mut self, access: &mut Access, written: &RouteAuthConfig) -> Option<Auth> {
        let mut providers = Vec::new();
        for entry in &written.any {
            providers.push(match entry {
                AuthEntry::Name(name) => self.provider(access, name)?,
                AuthEntry::Inline(inline) if inline.oidc.is_some() => {
                    self.problems
                        .error(inline.place, "a login has paths and cookies of its own, and so needs a name")
                        .hint("write it under `auth:` and name it here");
                    return None;
                }
                AuthEntry::Inline(inline) => {
                    let name = Spanned::new("inline".to_owned(), inline.place);
                    self.warn_of_certificates(&name.value, &inline.value);
                    let previous = self.surroundings.previous;
                    let previous = previous.and_then(|all| all.inline_providers.like(&inline.value, &access.inline));
                    let built = Provider::compile(&name, &inline.value, previous, &mut self.setup())?;
                    access.inline.add(inline.value.clone(), Arc::new(built))
                }
            });
        }
        if providers.is_empty() && !self.loaded.problems.is_fatal() {
            self.problems
                .error(written.place.place, "`auth` names no provider")
                .hint("name one under `auth:`, write one here such as `api_key: {}`, or write `auth: off`");
        }
        Some(Auth::new(AuthPlan {
            providers: providers.into(),
            anonymous: if written.anonymous { Anonymous::Passes } else { Anonymous::Refused },
            credentials: if written.forward_credentials { Credentials::Forwarded } else { Credentials::Removed },
            consumers: Arc::clone(&access.consumers),
        }))
    }

    fn provider(&mut self, access: &mut Access, name: &Spanned<String>) -> Option<Arc<Provider>> {
        access.used.insert(name.value.clone());
        let found = access.providers.get(&name.value).cloned();
        if found.is_none() && self.loaded.config.auth.get(&name.value).is_none() {
            let hint = match suggest(&name.value, access.providers.keys().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "name it under `auth:`".to_owned(),
            };
            self.problems.error(name.place, format!("there is no provider `{}`", name.value)).hint(hint);
        }
        found
    }

    pub(super) fn warn_unused_providers(&mut self, access: &Access) {
        if self.is_fatal() {
            return; // the route that names one may have been left out
        }
        for (name, _) in self.loaded.config.auth.iter() {
            if !access.used.contains(&name.value) {
                self.problems.warn(name.place, format!("provider `{}` is used by no route", name.value));
            }
        }
    }
}
