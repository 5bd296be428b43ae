//! Who may pass: consumers, providers, and the policies of a route that draw on them.

use super::Compiling;
use super::pages::OwnPage;
use crate::config::{ConsumerConfig, Policies};
use crate::consumer::{Consumer, Consumers, SubjectKind};
use crate::policy::auth::oidc::Cookies;
use crate::policy::auth::{Anonymous, Auth, AuthEntry, AuthPlan, Credentials, Provider, RouteAuthConfig};
use crate::policy::cors::{CorsConfig, Preflights};
use crate::policy::csrf::Csrf;
use crate::policy::ip::{Addresses, IpConfig};
use crate::policy::{ChainBuilder, Setup};
use crate::routing::{HostPattern, Methods, OPTIONS};
use crate::value::{OrOff, Place, Spanned, suggest};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What the routes of a configuration may ask for.
pub(super) struct Access {
    consumers: Arc<Consumers>,
    providers: BTreeMap<String, Arc<Provider>>,
    used: BTreeSet<String>,
    /// On which hosts browsers log in at which provider; `None` for any.
    logins: BTreeMap<String, Vec<Option<HostPattern>>>,
    addresses: Addresses,
}

impl Access {
    /// The compiled consumers and providers.
    pub(super) fn into_parts(self) -> (Arc<Consumers>, BTreeMap<String, Arc<Provider>>) {
        (self.consumers, self.providers)
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
            metrics: self.surroundings.metrics,
            tended: &mut self.tended,
            identity: &mut self.identity,
        }
    }

    pub(super) fn access(&mut self) -> Access {
        let loaded = self.loaded;
        let mut consumers = Consumers::default();
        for (name, written) in loaded.config.consumers.iter() {
            self.consumer(&mut consumers, name, written);
        }
        let mut providers = BTreeMap::new();
        for (name, written) in loaded.config.auth.iter() {
            let previous = self.surroundings.previous.and_then(|previous| previous.providers.get(&name.value));
            let built = Provider::compile(name, written, previous.map(Arc::as_ref), &mut self.setup());
            providers.extend(built.map(|provider| (name.value.clone(), Arc::new(provider))));
        }
        let (used, logins) = (BTreeSet::new(), BTreeMap::new());
        Access { consumers: Arc::new(consumers), providers, used, logins, addresses: Addresses::default() }
    }

    fn consumer(&mut self, all: &mut Consumers, name: &Spanned<String>, written: &ConsumerConfig) {
        let consumer = Consumer {
            id: name.value.as_str().into(),
            groups: written.groups.iter().map(|group| group.value.as_str().into()).collect(),
            plan: written.plan.as_ref().map(|plan| plan.value.as_str().into()),
        };
        let tokens = written.jwt_subject.iter().map(|subject| (SubjectKind::Token, subject.value.as_str()));
        let certificates = written.subject.iter().map(|subject| (SubjectKind::Certificate, subject.value.as_str()));
        let subjects: Vec<(SubjectKind, &str)> = tokens.chain(certificates).collect();
        if let Err(taken) = all.add(consumer, &subjects) {
            self.problems.error(name.place, format!("`{taken}` names another consumer already"));
        }
    }

    /// Adds the policies that decide who may pass to a route's chain.
    pub(super) fn access_policies(&mut self, access: &mut Access, policies: Policies<'_>, chain: &mut ChainBuilder) {
        if let Some(OrOff::On(auth)) = policies.auth
            && let Some(auth) = self.auth(access, auth)
        {
            auth.attach(chain);
        }
        if let Some(OrOff::On(allow)) = policies.allow {
            allow.attach(chain, &mut self.setup());
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
    }

    /// Adds `cors` to a route's chain; says who answers the preflights that reach it.
    pub(super) fn cors(&mut self, policies: Policies<'_>, methods: &Methods, chain: &mut ChainBuilder) -> Preflights {
        let Some(OrOff::On(cors)) = policies.cors else { return Preflights::Passed };
        if !self.loaded.problems.is_fatal() {
            self.problems.extend(CorsConfig::missing(cors));
        }
        let preflights = if methods.names(OPTIONS) { Preflights::Passed } else { Preflights::Answered };
        cors.value.attach(preflights, chain, &mut self.setup());
        preflights
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
                    Arc::new(Provider::compile(&name, &inline.value, None, &mut self.setup())?)
                }
            });
        }
        if providers.is_empty() && !self.is_fatal() {
            self.problems
                .error(Place::NOWHERE, "`auth` names no provider")
                .hint("name one under `auth:`, or write `auth: off`");
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
