//! Routes: patterns, targets, policies, and the router over all of them.

use super::Compiling;
use super::access::Access;
use super::limits::LimitedRoute;
use super::protos::Called;
use super::retries::{deadline_header, retries};
use super::upstreams::Upstreams;
use crate::config::{ApiConfig, EncodedSlashConfig, EndpointConfig, Policies, RouteConfig, TargetConfig, TargetEntry};
use crate::exchange::call::Callee;
use crate::observe::metrics::Handles;
use crate::reply::Templates;
use crate::routing::{HostPattern, PathPattern, PatternError, RouteKey, RouteRule, Router, Template};
use crate::snapshot::areas::Area;
use crate::snapshot::{Action, Choice, EncodedSlash, Forward, HostField, Lane, Rewrite, Route, Target};
use crate::upstream::{Protocol, Upstream};
use crate::value::{Named, OrOff, Place, Spanned, Sticky, suggest};
use http::HeaderValue;
use std::sync::Arc;
use std::time::Duration;

pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// The api a route is written in.
struct Around<'a> {
    name: &'a str,
    written: &'a ApiConfig,
    base: Option<PathPattern>,
    hosts: Vec<HostPattern>,
}

/// Where a route is written, and what stands around it.
struct Level<'a> {
    api: Option<Around<'a>>,
    policies: Policies<'a>,
    replies: Arc<Templates>,
}

/// What the compilation of routes draws on and adds to.
pub(super) struct Road<'a> {
    pub(super) upstreams: &'a mut Upstreams,
    pub(super) access: &'a mut Access,
    pub(super) handles: Handles<'a>,
    pub(super) rules: Vec<RouteRule>,
    pub(super) routes: Vec<Route>,
    pub(super) places: Vec<Place>,
}

impl<'a> Compiling<'a> {
    /// All routes and the router over them; `None` where there is a problem.
    pub(super) fn routes(
        &mut self,
        upstreams: &mut Upstreams,
        access: &mut Access,
        replies: &Arc<Templates>,
    ) -> Option<(Router, Vec<Route>)> {
        let loaded = self.loaded;
        let defaults = loaded.config.defaults.policies().with_default(loaded.config.defaults.default);
        let handles = self.surroundings.metrics.handles();
        let mut road = Road { upstreams, access, handles, rules: Vec::new(), routes: Vec::new(), places: Vec::new() };
        let outside = Level { api: None, policies: defaults, replies: Arc::clone(replies) };
        for (key, written) in loaded.config.routes.iter() {
            self.routes_of(&mut road, &outside, key, written);
        }
        for (name, api) in loaded.config.apis.iter() {
            let base = api.base.as_ref().and_then(|base| self.pattern(base, PathPattern::parse(&base.value)));
            let hosts = self.hosts(&api.host);
            let own_replies = self.replies_within(&api.replies, replies);
            self.areas.extend(Area::new(&hosts, base.as_ref(), &own_replies));
            let level = Level {
                api: Some(Around { name: &name.value, written: api, base, hosts }),
                policies: api.policies().with_default(api.default).within(defaults),
                replies: own_replies,
            };
            for (key, written) in api.routes.iter() {
                self.routes_of(&mut road, &level, key, written);
            }
        }
        self.pages(&mut road, replies);
        let Road { rules, routes, places, .. } = road;
        match Router::build(rules) {
            Ok(router) => Some((router, routes)),
            Err(conflicts) => {
                conflicts.iter().for_each(|conflict| self.conflict(conflict, &routes, &places));
                None
            }
        }
    }

    /// The value, or a problem at the right place within the text.
    pub(super) fn pattern<T>(&mut self, text: &Spanned<String>, parsed: Result<T, PatternError>) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(error) => {
                self.problems
                    .error(text.place.skip(error.offset), error.message.into_owned())
                    .hint_if(error.hint.map(std::borrow::Cow::into_owned));
                None
            }
        }
    }

    fn hosts(&mut self, written: &[Spanned<String>]) -> Vec<HostPattern> {
        written.iter().filter_map(|host| self.pattern(host, HostPattern::parse(&host.value))).collect()
    }

    /// The routes that one entry stands for: one, or those that the rules of a schema make.
    fn routes_of(&mut self, road: &mut Road<'_>, level: &Level<'_>, key: &Spanned<String>, written: &RouteConfig) {
        let Some(grpc) = written.grpc.as_ref().filter(|grpc| grpc.rules.is_some_and(|rules| rules.value)) else {
            return self.route(road, level, (key, key), (written, None));
        };
        let base = level.api.as_ref().and_then(|around| around.base.as_ref());
        for (own, called) in self.ruled(key, grpc, base) {
            self.route(road, level, (&own, key), (written, Some(&called)));
        }
    }

    /// One route, with its key and that of its entry. `ruled`: what the rule of a schema that it is made of makes of its requests.
    fn route(
        &mut self,
        road: &mut Road<'_>,
        level: &Level<'_>,
        (key, entry): (&Spanned<String>, &Spanned<String>),
        (written, ruled): (&RouteConfig, Option<&Called>),
    ) {
        let Some(parsed) = self.pattern(key, RouteKey::parse(&key.value)) else { return };
        let RouteKey { methods, mut path } = parsed;
        let (mut api_name, mut api_hosts, mut base) = (None, &[][..], None);
        if let Some(around) = &level.api {
            (api_name, api_hosts) = (Some(around.name), around.hosts.as_slice());
            if let Some(pattern) = &around.base {
                let Some(below) = self.pattern(key, path.below(pattern)) else { return };
                path = below;
                base = Some(pattern);
            }
        }
        let own_hosts = self.hosts(&written.matches.host);
        let hosts = if own_hosts.is_empty() { api_hosts.to_vec() } else { own_hosts };
        let predicates = self.predicates(&written.matches);
        let policies = written.policies().within(level.policies);
        let name = api_name.map_or_else(|| key.value.clone(), |api| format!("{api}: {}", key.value));
        let rewrite = self.rewrite(level, written, &path, base);
        let around = level.api.as_ref().map(|around| (around.name, around.written));
        let limited = LimitedRoute { key: &key.value, entry: &entry.value, written, path: &path, around };
        let action = self.action(road, (&name, ruled), &limited, policies);
        road.access.log_in_on(&hosts, policies);
        let (chain, preflights) = self.chain(road.access, policies, &limited, &methods);
        // Only now, so that a bad target hides no problem of the policies.
        let (Some(action), Some(rewrite)) = (action, rewrite) else { return };
        let traffic = self.traffic(road, policies, (&limited, &action));
        let forward = Forward {
            host: if policies.preserve_host == Some(true) { HostField::Client } else { HostField::Endpoint },
            rfc7239: policies.forwarded == Some(true),
            rewrite,
        };
        let cache = self.caching(policies, (api_name, &key.value), &action, &forward);
        let lane = if cache.is_some() || traffic.is_some() { Lane::Full } else { lane(&action) };
        road.rules.push(RouteRule { hosts, methods, path, predicates });
        road.places.push(key.place);
        road.routes.push(Route {
            key: key.value.as_str().into(),
            api: api_name.map(Into::into),
            action,
            chain,
            preflights,
            timeout: on_or(policies.timeout, TIMEOUT, |timeout| timeout.get()),
            retries: self.pooled_retries(retries(policies.retries)),
            forward,
            deadline_header: deadline_header(policies.deadline_header, &mut self.problems),
            priority: policies.priority.unwrap_or_default(),
            encoded_slash: match policies.encoded_slash {
                Some(EncodedSlashConfig::Keep) => EncodedSlash::Keep,
                Some(EncodedSlashConfig::Refuse) | None => EncodedSlash::Refuse,
            },
            replies: self.replies_within(&written.replies, &level.replies),
            metrics: road.handles.route(api_name, &key.value),
            cache,
            traffic,
            lane,
        });
    }

    fn rewrite(
        &mut self,
        level: &Level<'_>,
        written: &RouteConfig,
        path: &PathPattern,
        base: Option<&PathPattern>,
    ) -> Option<Rewrite> {
        if let Some(text) = &written.rewrite {
            let template = self.pattern(text, Template::parse(&text.value, path))?;
            if !text.value.starts_with('/') {
                self.problems.error(text.place, "a rewritten path begins with `/`");
                return None;
            }
            return Some(Rewrite::Template(Box::new(template)));
        }
        let api_strips = level.api.as_ref().and_then(|around| around.written.strip).unwrap_or(true);
        let strip = written.strip.map_or(api_strips, |strip| strip.value);
        let Some(base) = base.filter(|_| strip) else { return Some(Rewrite::Keep) };
        let Some(segments) = base.segment_count() else { return Some(Rewrite::Keep) };
        let prefix = HeaderValue::from_str(base.as_str()).unwrap_or_else(|_| HeaderValue::from_static("/"));
        Some(Rewrite::Strip { segments, prefix: Box::new(prefix) })
    }

    fn action(
        &mut self,
        road: &mut Road<'_>,
        (name, ruled): (&str, Option<&Called>),
        route: &LimitedRoute<'_>,
        policies: Policies<'_>,
    ) -> Option<Action> {
        let written = route.written;
        if let Some(grpc) = &written.grpc {
            let transcode = self.grpc(road, (name, grpc), route, (policies, ruled))?;
            return Some(Action::Exchange(transcode));
        }
        if let Some(socket) = &written.socket {
            return Some(Action::Exchange(Arc::new(self.socket(road, (name, socket), route, policies)?)));
        }
        if let Some(message) = &written.message {
            let talk = self.message(road, (name, message), route, policies)?;
            return Some(Action::Exchange(Arc::new(talk)));
        }
        if let Some(combine) = &written.combine {
            let combine = self.combine(road, combine, route, policies.retries)?;
            return Some(Action::Exchange(Arc::new(combine)));
        }
        if let Some(batch) = &written.batch {
            return Some(Action::Batch(Arc::new(self.batch(route, batch)?)));
        }
        if let Some(to) = &written.to {
            let sticky = self.sticky(written, policies);
            return self.target(road, name, to, sticky).map(Action::Forward);
        }
        self.own_answer(route)
    }

    pub(super) fn target(
        &mut self,
        road: &mut Road<'_>,
        name: &str,
        written: &Spanned<TargetConfig>,
        sticky: Option<Sticky>,
    ) -> Option<Target> {
        let mut choices = Vec::new();
        let mut endpoints: Vec<(EndpointConfig, Place)> = Vec::new();
        match &written.value {
            TargetConfig::Upstream(upstream) => {
                choices.push((self.named(road, upstream, written.place)?, None, 1, Vec::new()));
            }
            TargetConfig::Url(url) => {
                let endpoint = EndpointConfig {
                    url: url.clone(),
                    weight: Spanned::nowhere(1),
                    zone: None,
                    labels: Named::default(),
                };
                endpoints.push((endpoint, written.place));
            }
            TargetConfig::List(entries) => {
                for entry in entries {
                    match &entry.value {
                        TargetEntry::Endpoint(endpoint) => endpoints.push((endpoint.clone(), entry.place)),
                        TargetEntry::Upstream(weighted) => {
                            let upstream = self.named(road, &weighted.upstream, weighted.upstream.place);
                            let when = weighted.when.as_ref().map(|when| self.when(when)).unwrap_or_default();
                            let Some(upstream) = upstream else { continue };
                            let subset = weighted.subset.as_ref().and_then(|labels| self.subset(&upstream, labels));
                            choices.push((upstream, subset, weighted.weight.value, when));
                        }
                    }
                }
                if !choices.is_empty() && !endpoints.is_empty() {
                    self.problems
                        .error(written.place, "named upstreams and URLs stand together")
                        .hint("give the URLs a name under `upstreams:` and its weight here");
                    return None;
                }
            }
        }
        if !endpoints.is_empty() {
            let borrowed: Vec<(&EndpointConfig, Place)> =
                endpoints.iter().map(|(endpoint, place)| (endpoint, *place)).collect();
            choices.push((
                self.inline(road.upstreams, &inline_name(name, &endpoints), &borrowed)?,
                None,
                1,
                Vec::new(),
            ));
        }
        let choices = choices.into_iter().map(|(upstream, subset, weight, when)| Choice {
            to: Callee { metrics: road.handles.upstream(upstream.name()), upstream, subset },
            weight,
            when: when.into(),
        });
        let target = Target::new(choices.collect(), sticky);
        if target.is_none() && !self.is_fatal() {
            self.problems.error(written.place, "no upstream here has a weight above 0");
        }
        target
    }

    pub(super) fn named(&mut self, road: &mut Road<'_>, name: &str, place: Place) -> Option<Arc<Upstream>> {
        let found = road.upstreams.get(name);
        if found.is_none() && !road.upstreams.is_written(name) {
            let hint = match suggest(name, road.upstreams.names()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "name it under `upstreams:`, or write a URL such as http://10.0.0.1:8080".to_owned(),
            };
            self.problems.error(place, format!("there is no upstream `{name}`")).hint(hint);
        }
        found
    }
}

/// The name of an upstream that a route writes down itself: a single URL names itself, so that routes to one address
/// share its state; several are named after the route.
fn inline_name(route: &str, endpoints: &[(EndpointConfig, Place)]) -> String {
    match endpoints {
        [(only, _)] => only.url.to_string(),
        _ => route.to_owned(),
    }
}

/// A switchable setting: what is written, else the default.
pub(super) fn on_or<T, U>(written: Option<&OrOff<T>>, default: U, get: impl Fn(&T) -> U) -> Option<U> {
    match written {
        None => Some(default),
        Some(setting) => setting.on().map(get),
    }
}

/// A body limit alone does not keep a request off the faster lane: it is a comparison.
fn lane(action: &Action) -> Lane {
    let Action::Forward(target) = action else { return Lane::Full };
    let plain = target.choices().iter().all(|choice| {
        choice.to.upstream.spec().endpoints.iter().all(|endpoint| {
            endpoint.protocol == Protocol::Http1 && endpoint.transport == crate::upstream::Transport::Plain
        })
    });
    if plain { Lane::Simple } else { Lane::Full }
}
